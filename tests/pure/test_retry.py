"""When a copy is tried again, against bounds that anyone can check."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tdc.node_agent.deliver.retry import RetrySettings, next_attempt, wait_after

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


@given(
    st.floats(0, 2e9),
    st.floats(-1e6, 1e6),
    st.integers(0, 10_000),
    SETTINGS,
    JITTER,
)
def test_a_copy_is_tried_until_its_lifetime_is_over_and_not_after(
    now: float, age: float, attempts: int, settings: RetrySettings, jitter: float
) -> None:
    taken_at = now - age
    at = next_attempt(now, taken_at, attempts, settings, jitter)
    if now - min(taken_at, now) >= settings.lifetime:
        assert at is None
    else:
        assert at is not None
        assert now < at <= min(taken_at, now) + settings.lifetime


@given(SETTINGS, JITTER)
@pytest.mark.proves("P5")
def test_attempts_of_one_copy_end(settings: RetrySettings, jitter: float) -> None:
    """Never more attempts than the shortest wait allows, and the last at the very end."""
    now, attempts, last = 0.0, 0, 0.0
    while (at := next_attempt(now, 0.0, attempts, settings, jitter)) is not None:
        last, now, attempts = now, at, attempts + 1
        if attempts > 200:
            break
    shortest = min(settings.initial, settings.maximum)
    assert attempts <= settings.lifetime / shortest + 1
    assert attempts > 200 or now == settings.lifetime > last
