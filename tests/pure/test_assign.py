"""Who sends what: properties of the rules over all small situations."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tdc.node_agent.deliver.assign import (
    Close,
    ConnectionState,
    ConnectionView,
    HoldView,
    Limits,
    Open,
    Send,
    assign,
    next_change,
    takes_another,
)

NOW = 1_000.0
CONNECTIONS = st.lists(
    st.builds(
        ConnectionView,
        number=st.integers(1, 1_000),
        state=st.sampled_from(ConnectionState),
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
)
HOLDS = st.none() | st.builds(HoldView, st.sampled_from([NOW - 1, NOW + 10]))


@given(st.integers(0, 12), CONNECTIONS, LIMITS, HOLDS)
def test_what_the_rules_never_do(
    waiting: int, connections: list[ConnectionView], limits: Limits, hold: HoldView | None
) -> None:
    actions = assign(waiting, connections, limits, hold, NOW)
    by_number = {one.number: one for one in connections}
    sends = [one.number for one in actions if isinstance(one, Send)]
    closes = [one.number for one in actions if isinstance(one, Close)]
    opens = sum(isinstance(one, Open) for one in actions)
    touched = sends + closes
    assert len(touched) == len(set(touched))
    assert all(by_number[one].state is ConnectionState.IDLE for one in touched)
    assert len(sends) + opens <= waiting
    assert not any(by_number[one].stale for one in sends)
    most = 1 if hold is not None else limits.connections
    if opens:
        assert len(connections) - len(closes) + opens <= most
        assert hold is not None or limits.open_after <= NOW
    if hold is not None:
        assert len(sends) + opens <= 1
        if hold.next_probe > NOW:
            assert not sends
            assert not opens
    else:
        assert all(by_number[one].sent < limits.messages for one in sends)


@given(st.integers(1, 12), CONNECTIONS, LIMITS)
def test_something_always_moves_while_reports_wait(
    waiting: int, connections: list[ConnectionView], limits: Limits
) -> None:
    """No situation without a hold stands still: a send, an opening, or one under way."""
    actions = assign(waiting, connections, limits, None, NOW)
    moving = any(one.state is not ConnectionState.IDLE for one in connections)
    opening_later = limits.open_after > NOW
    assert moving or opening_later or any(isinstance(one, Send | Open) for one in actions)


@given(CONNECTIONS, LIMITS, HOLDS)
def test_nothing_is_opened_for_nothing(
    connections: list[ConnectionView], limits: Limits, hold: HoldView | None
) -> None:
    assert not any(
        isinstance(one, Open | Send) for one in assign(0, connections, limits, hold, NOW)
    )


def test_an_idle_connection_is_closed_when_its_time_is_up() -> None:
    one = ConnectionView(1, ConnectionState.IDLE, 3, idle_since=NOW - 20)
    limits = Limits(10, 100, 20.0)
    assert assign(0, [one], limits, None, NOW) == (Close(1),)
    assert assign(1, [one], limits, None, NOW) == (Send(1),)
    assert next_change([one], limits, None, NOW) == NOW


def test_a_busy_connection_takes_another_until_its_limit() -> None:
    limits = Limits(2, 3, 20.0)
    busy = ConnectionView(1, ConnectionState.BUSY, 2)
    assert takes_another(busy, limits, None, 2)
    assert not takes_another(ConnectionView(1, ConnectionState.BUSY, 3), limits, None, 2)
    assert not takes_another(busy, limits, HoldView(NOW), 1)
    assert not takes_another(busy, limits, None, 3)
    assert not takes_another(
        ConnectionView(1, ConnectionState.BUSY, 1, stale=True), limits, None, 1
    )
