"""Token buckets: what a caller may do, with a clock of the test's own."""

from __future__ import annotations

import logging

import pytest
from tdc.manager.identity.rates import MOST_CALLERS, Budget, Rate, address_of, full, taken
from tdc.manager.rpc.caller_log import LINES_EACH, LINES_IN_ALL, CallerLog


class Now:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_a_bucket_gives_its_burst_then_what_it_gains() -> None:
    rate, bucket = Rate(2, 0.5), full(Rate(2, 0.5), 0.0)
    for _ in range(2):
        after = taken(bucket, rate, 0.0)
        assert after is not None
        bucket = after
    assert taken(bucket, rate, 1.9) is None
    assert taken(bucket, rate, 2.0) is not None
    assert taken(bucket, rate, 1e9, cost=3) is None, "it never holds more than its burst"
    assert taken(bucket, rate, -5.0) is None, "a clock that goes back gives nothing"


@pytest.mark.proves("S15")
def test_who_is_over_his_budget_takes_nothing_from_the_others() -> None:
    budget = Budget(Rate(3, 0), Rate(5, 0), Now())
    assert [budget.take("a") for _ in range(100)].count(True) == 3
    assert [budget.take("b") for _ in range(100)].count(True) == 2, "the rest of what all have"


def test_what_was_given_back_may_be_taken_again() -> None:
    budget = Budget(Rate(1, 0), Rate(1, 0), Now())
    for _ in range(10):
        assert budget.take("a")
        budget.give_back("a")
    assert budget.take("a")
    assert not budget.take("a")


def test_a_budget_remembers_a_bounded_number_of_callers() -> None:
    budget = Budget(Rate(3, 0), Rate(1e9, 0), Now())
    for number in range(2 * MOST_CALLERS):
        assert budget.take(number)
    assert len(budget) == MOST_CALLERS


@pytest.mark.parametrize(
    ("peer", "counted_as"),
    [
        ("ipv4:192.0.2.7:4312", "192.0.2.7"),
        ("ipv6:%5B2001:db8:1:2:3::9%5D:4312", "2001:db8:1:2::/64"),
        ("ipv6:[::ffff:192.0.2.7]:4312", "192.0.2.7"),
        ("ipv6:%5Bfe80::1%25eth0%5D:4312", "fe80::/64"),
        ("unix:", "unix"),
    ],
)
def test_a_caller_is_counted_by_his_address_not_his_port(peer: str, counted_as: str) -> None:
    assert address_of(peer) == counted_as


@pytest.mark.proves("S15")
def test_lines_about_callers_are_limited_and_what_is_left_out_is_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = Now()
    lines = CallerLog(logging.getLogger("test"), now)
    for port in range(1_000):
        lines.warning(f"ipv4:192.0.2.7:{port}", "refused")
    assert len(caplog.records) == LINES_EACH.burst
    for number in range(1_000):
        lines.warning(f"ipv4:192.0.{number // 250}.{number % 250}:1", "refused")
    assert caplog.messages.count("refused") == LINES_IN_ALL.burst
    counts = [each for each in caplog.messages if each != "refused"]
    assert counts == ["left out 980 lines about refused callers: they came too fast"]
    caplog.clear()
    now.seconds = 60.0
    lines.warning("ipv4:192.0.2.7:1", "refused")
    assert caplog.messages == [
        "left out 820 lines about refused callers: they came too fast",
        "refused",
    ]
    caplog.clear()
    lines.tell_left_out()
    assert not caplog.messages, "what was told is not told again"
    for port in range(int(LINES_EACH.burst) + 1):
        lines.warning(f"ipv4:192.0.2.9:{port}", "refused")
    lines.tell_left_out()
    assert caplog.messages[-1].startswith("left out 1 line about")
