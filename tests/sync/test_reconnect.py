"""How long the agent waits before it tries a manager again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tdc.node_agent.sync.ended import (
    RETRY_DENIED,
    RETRY_FIRST,
    StreamEnded,
    seconds_to_next_try,
)

MAXIMUM = 3.0
JITTER = st.floats(0, 1, exclude_max=True)


@given(failures=st.integers(1, 10**6), jitter=JITTER)
def test_failures_wait_longer_and_longer_up_to_the_maximum(failures: int, jitter: float) -> None:
    wait = seconds_to_next_try(StreamEnded("x"), failures, MAXIMUM, jitter)
    bound = min(MAXIMUM, RETRY_FIRST * 2 ** min(failures, 20))
    assert bound / 4 <= wait < bound


@given(failures=st.integers(8, 10**6), jitter=JITTER)
def test_a_machine_that_is_denied_asks_less_often(failures: int, jitter: float) -> None:
    wait = seconds_to_next_try(StreamEnded("x", denied=True), failures, MAXIMUM, jitter)
    assert RETRY_DENIED / 4 <= wait < RETRY_DENIED


@given(jitter=JITTER)
def test_a_steady_stream_is_replaced_almost_at_once(jitter: float) -> None:
    assert seconds_to_next_try(StreamEnded("x"), 0, MAXIMUM, jitter) < RETRY_FIRST


@given(failures=st.integers(0, 10**6), spread=st.floats(1, 3_600), jitter=JITTER)
def test_a_manager_spreads_its_machines(failures: int, spread: float, jitter: float) -> None:
    ended = StreamEnded("x", denied=True, spread=spread)
    assert seconds_to_next_try(ended, failures, MAXIMUM, jitter) == jitter * spread
