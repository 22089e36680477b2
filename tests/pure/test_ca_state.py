"""The steps of the CA's rotation: which follows which, and what is trusted at each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tdc.manager.identity.ca_state import (
    CaState,
    Pair,
    Phase,
    StepRefused,
    aborted,
    finished,
    next_step,
    prepared,
    switched,
    switched_back,
)

from tests.examples import examples

OLD, NEW = Pair("old", "old key"), Pair("new", "new key")
SETTLED = CaState(OLD)
PREPARED = prepared(SETTLED, NEW, "bridge", 10.0)
SWITCHED = switched(PREPARED, 20.0)

STEPS: dict[str, Callable[[CaState], CaState]] = {
    "prepare": lambda state: prepared(state, Pair(f"ca {state.number}"), "bridge", 1.0),
    "switch": lambda state: switched(state, 1.0),
    "back": lambda state: switched_back(state, 1.0),
    "finish": lambda state: finished(state, 1.0),
    "abort": lambda state: aborted(state, 1.0),
}
ALLOWED = {
    Phase.SETTLED: {"prepare"},
    Phase.PREPARED: {"switch", "abort"},
    Phase.SWITCHED: {"back", "finish"},
}


def test_at_each_step_both_are_trusted_until_the_last() -> None:
    assert PREPARED.pairs == (OLD, NEW)
    assert SWITCHED.pairs == (NEW, OLD)
    done = finished(SWITCHED, 30.0)
    assert (done.pairs, done.phase, done.number, done.since) == ((NEW,), Phase.SETTLED, 3, 30.0)
    assert done.bridges == ("bridge",)  # for who trusts the old CA alone, and has no certificate


def test_a_switch_is_undone_and_the_new_ca_dropped() -> None:
    back = switched_back(SWITCHED, 30.0)
    assert back == replace(PREPARED, number=3, since=30.0, used=True)
    assert aborted(back, 40.0) == replace(SETTLED, number=4, since=40.0)


def test_it_is_known_whether_the_new_ca_ever_signed() -> None:
    states = (SETTLED, PREPARED, SWITCHED, switched_back(SWITCHED, 3.0), finished(SWITCHED, 3.0))
    assert [each.used for each in states] == [False, False, True, True, False]


@given(st.lists(st.sampled_from(sorted(STEPS)), max_size=12))
@examples(200)
def test_any_sequence_is_refused_or_leaves_one_or_two_cas(steps: list[str]) -> None:
    state = SETTLED
    for name in steps:
        if name not in ALLOWED[state.phase]:
            with pytest.raises(StepRefused, match="Nothing was changed") as refused:
                STEPS[name](state)
            assert next_step(state.phase) in str(refused.value)
            continue
        after = STEPS[name](state)
        assert after.number == state.number + 1
        assert len(after.pairs) == (1 if after.phase is Phase.SETTLED else 2)
        assert set(after.pairs) & set(state.pairs)  # nobody's trust ends in one step
        state = after


def test_a_key_is_not_printed() -> None:
    assert "old key" not in repr(PREPARED)
