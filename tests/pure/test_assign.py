"""Who sends what: properties of the rules over all small situations."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tdc.node_agent.deliver.assign import (
    CloseConnection,
    Lane,
    LaneState,
    Limits,
    OpenConnection,
    SendNext,
    assign,
    next_change,
    takes_another,
)

NOW = 1_000.0
LANES = st.lists(
    st.builds(
        Lane,
        number=st.integers(1, 1_000),
        state=st.sampled_from(LaneState),
        sent=st.integers(0, 5),
        idle_since=st.floats(900, NOW),
        stale=st.booleans(),
    ),
    max_size=8,
    unique_by=lambda one: one.number,
)
LIMITS = st.builds(
    Limits,
    connections=st.integers(1, 6),
    messages=st.integers(1, 5),
    idle=st.floats(1, 100),
    open_after=st.sampled_from([0.0, NOW + 5]),
    probe_at=st.none(),
)
PROBES = st.none() | st.sampled_from([NOW - 1, NOW + 10])


@given(st.integers(0, 12), LANES, LIMITS, PROBES)
def test_what_the_rules_never_do(
    waiting: int, lanes: list[Lane], limits: Limits, probe_at: float | None
) -> None:
    actions = assign(waiting, lanes, limits._replace(probe_at=probe_at), NOW)
    by_number = {one.number: one for one in lanes}
    sends = [one.number for one in actions if isinstance(one, SendNext)]
    closes = [one.number for one in actions if isinstance(one, CloseConnection)]
    opens = sum(isinstance(one, OpenConnection) for one in actions)
    touched = sends + closes
    assert len(touched) == len(set(touched))
    assert all(by_number[one].state is LaneState.IDLE for one in touched)
    assert len(sends) + opens <= waiting
    assert not any(by_number[one].stale for one in sends)
    most = 1 if probe_at is not None else limits.connections
    if opens:
        assert len(lanes) - len(closes) + opens <= most
        assert probe_at is not None or limits.open_after <= NOW
    if probe_at is not None:
        assert len(sends) + opens <= 1
        if probe_at > NOW:
            assert not sends
            assert not opens
    else:
        assert all(by_number[one].sent < limits.messages for one in sends)


@given(st.integers(1, 12), LANES, LIMITS)
def test_something_always_moves_while_reports_wait(
    waiting: int, lanes: list[Lane], limits: Limits
) -> None:
    """No situation without a hold stands still: a send, an opening, or one under way."""
    actions = assign(waiting, lanes, limits, NOW)
    moving = any(one.state is not LaneState.IDLE for one in lanes)
    opening_later = limits.open_after > NOW
    assert (
        moving
        or opening_later
        or any(isinstance(one, SendNext | OpenConnection) for one in actions)
    )


@given(LANES, LIMITS, PROBES)
def test_nothing_is_opened_for_nothing(
    lanes: list[Lane], limits: Limits, probe_at: float | None
) -> None:
    assert not any(
        isinstance(one, OpenConnection | SendNext)
        for one in assign(0, lanes, limits._replace(probe_at=probe_at), NOW)
    )


def test_an_idle_connection_is_closed_when_its_time_is_up() -> None:
    one = Lane(1, LaneState.IDLE, 3, idle_since=NOW - 20)
    limits = Limits(10, 100, 20.0)
    assert assign(0, [one], limits, NOW) == (CloseConnection(1),)
    assert assign(1, [one], limits, NOW) == (SendNext(1),)
    assert next_change([one], limits, NOW) == NOW


def test_on_hold_there_is_one_report_and_none_before_the_probe_is_due() -> None:
    fresh, limits = [Lane(1, LaneState.IDLE, 0, idle_since=NOW)], Limits(5, 100, 20.0)
    assert assign(3, fresh, limits._replace(probe_at=NOW + 1), NOW) == (CloseConnection(1),)
    assert assign(3, [], limits._replace(probe_at=NOW + 1), NOW) == ()
    assert assign(3, fresh, limits._replace(probe_at=NOW), NOW) == (SendNext(1),)
    assert assign(3, [], limits._replace(probe_at=NOW), NOW) == (OpenConnection(),)


def test_a_connection_that_is_opening_is_for_one_of_those_that_wait() -> None:
    opening = [Lane(1), Lane(2)]
    assert assign(2, opening, Limits(5, 100, 20.0), NOW) == ()
    assert assign(3, opening, Limits(5, 100, 20.0), NOW) == (OpenConnection(),)
    assert assign(9, opening, Limits(3, 100, 20.0), NOW) == (OpenConnection(),)


def test_a_busy_connection_takes_another_until_its_limit() -> None:
    limits = Limits(2, 3, 20.0)
    busy = Lane(1, LaneState.BUSY, 2)
    assert takes_another(busy, limits, 2)
    assert not takes_another(Lane(1, LaneState.BUSY, 3), limits, 2)
    assert not takes_another(busy, limits._replace(probe_at=NOW), 1)
    assert not takes_another(busy, limits, 3)
    assert not takes_another(Lane(1, LaneState.BUSY, 1, stale=True), limits, 1)
