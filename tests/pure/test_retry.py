"""When a copy is tried again, against bounds that anyone can check."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tdc.node_agent.deliver.retry import RetrySettings, is_over, next_wait, wait_after
from tdc.shared.connector.settings import ConnectorSettings

JITTER = st.floats(0, 1, exclude_max=True)
SETTINGS = st.builds(
    RetrySettings,
    initial=st.integers(1, 86_400),
    maximum=st.integers(1, 86_400),
    lifetime=st.integers(60, 5_184_000),
)


@given(st.integers(0, 10**9), SETTINGS, JITTER)
def test_a_wait_never_leaves_its_bounds(
    failures: int, settings: RetrySettings, jitter: float
) -> None:
    wait = wait_after(failures, settings, jitter)
    assert min(settings.initial, settings.maximum) <= wait <= settings.maximum


@given(st.integers(1, 60), SETTINGS, JITTER)
def test_waits_never_shrink_by_more_than_their_spread(
    failures: int, settings: RetrySettings, jitter: float
) -> None:
    now, later = (wait_after(count, settings, jitter) for count in (failures, failures + 1))
    assert later >= now * 0.6


@pytest.mark.proves("P5")
def test_waits_double_until_the_maximum() -> None:
    settings = RetrySettings(60, 3_600, 86_400)
    middle = [wait_after(count, settings, 0.5) for count in range(2, 9)]
    assert middle == [120, 240, 480, 960, 1920, 3150, 3150]


@pytest.mark.proves("F39")
@pytest.mark.parametrize("outage", [60, 600, 3_600, 6 * 3_600])
def test_fifty_gateways_do_not_find_the_end_of_an_outage_together(outage: int) -> None:
    """With the settings as they are unless set: all failed in one moment, and 50 times in a row."""
    defaults, chance = RetrySettings.of(ConnectorSettings.defaults()), random.Random(39)
    found = []
    for _ in range(50):
        at, failures = 0.0, 0
        while at <= outage:
            failures += 1
            at += wait_after(failures, defaults, chance.random())
        found.append(at)
    in_ten_seconds = max(sum(at <= other < at + 10 for other in found) for at in found)
    assert in_ten_seconds <= (40 if outage == 60 else 20)
    if outage >= 3_600:
        assert in_ten_seconds <= 6


@given(st.floats(-1e6, 1e7), st.integers(0, 10_000), SETTINGS, JITTER)
def test_one_attempt_is_made_at_the_very_end_of_a_lifetime(
    age: float, attempts: int, settings: RetrySettings, jitter: float
) -> None:
    """A negative age (the clock was set back) counts as none."""
    wait = next_wait(age, attempts, settings, jitter)
    plain = wait_after(attempts + 1, settings, jitter)
    if is_over(age, settings):
        assert wait == plain
    else:
        assert wait == min(plain, settings.lifetime - max(age, 0.0))
    assert wait > 0


@given(SETTINGS, JITTER)
@pytest.mark.proves("P5")
def test_the_attempts_within_a_lifetime_are_bounded(settings: RetrySettings, jitter: float) -> None:
    """Never more of them than the shortest wait allows, and one is at its end."""
    age, attempts = 0.0, 0
    while not is_over(age, settings) and attempts <= 200:
        age += next_wait(age, attempts, settings, jitter)
        attempts += 1
    shortest = min(settings.initial, settings.maximum)
    assert attempts <= settings.lifetime / shortest + 1
    assert attempts > 200 or age == pytest.approx(settings.lifetime)
