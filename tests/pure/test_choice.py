"""Which manager an agent tries, and when it leaves one that is wrong for it."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tdc.node_agent.sync.choice import AVOID_FIRST, AVOID_LONGEST, SHOWN, Choice

A, B, C = "a:1", "b:1", "c:1"
DAY = 86_400.0


class Fleet:
    """Managers that refuse or serve, and one agent that goes by `Choice`; time in whole seconds."""

    def __init__(self, **managers: str) -> None:
        self.managers = {f"{name}:1": how for name, how in managers.items()}
        self.choice = Choice(tuple(self.managers))
        self.now = 0.0
        self.tries: list[tuple[float, str]] = []
        self.spent = dict.fromkeys(self.managers, 0.0)

    def run(self, until: float, jitter: float = 0.5) -> None:
        while self.now < until:
            address, self.choice = self.choice.next(self.now)
            self.tries.append((self.now, address))
            match self.managers[address]:
                case "away":
                    self.choice = self.choice.failed(address)
                    self.now += 3
                case "wrong":
                    leave_at = min(self.choice.leave_at(address, self.now), until)
                    began, self.now = self.now, max(self.now + 0.1, leave_at)
                    self.spent[address] += self.now - began
                    if self.now < until:
                        self.choice = self.choice.refused(
                            address, "because", self.now, jitter, left=True
                        )
                case "right":
                    self.spent[address] += until - self.now
                    self.now = until

    def seen(self, address: str) -> list[float]:
        return [at for at, tried in self.tries if tried == address]


def test_a_fork_that_is_listed_first_is_left_at_once_for_the_right_manager() -> None:
    fleet = Fleet(a="wrong", b="right")
    fleet.run(DAY)
    assert [address for _, address in fleet.tries] == [A, B]
    assert fleet.spent[B] > DAY - 1


def test_a_manager_that_was_refused_comes_last_and_seldom_while_the_right_one_is_away() -> None:
    fleet = Fleet(a="wrong", b="away")
    fleet.run(7_200)
    visits = fleet.seen(A)
    gaps = [round(later - before, 3) for before, later in pairwise(visits)]
    assert gaps == sorted(gaps)
    assert gaps[0] >= AVOID_FIRST / 2
    assert gaps[-1] >= AVOID_LONGEST / 2
    tried = fleet.seen(B)
    assert max(later - before for before, later in pairwise(tried)) < 5
    fleet.managers[B] = "right"
    fleet.run(DAY)
    assert fleet.spent[B] > DAY - 7_210


def test_a_manager_that_was_refused_long_ago_still_comes_last() -> None:
    """The right one may only be restarting."""
    choice = Choice((A, B)).refused(A, "because", 0.0, 0.5, left=True).served(B)
    address, choice = choice.next(DAY)
    assert address == B
    address, choice = choice.failed(B).next(DAY)
    assert address == A
    address, _ = choice.refused(A, "because", DAY, 0.5, left=True).next(DAY)
    assert address == B


def test_managers_that_are_all_refused_do_not_make_an_agent_flap() -> None:
    fleet = Fleet(a="wrong", b="wrong", c="wrong")
    fleet.run(DAY)
    for address in fleet.managers:
        assert len(fleet.seen(address)) < 12 + DAY / (AVOID_LONGEST / 2)
    assert sum(fleet.spent.values()) > 0.99 * DAY, "it is connected, so that operators see why"
    fleet.managers[C] = "right"
    fleet.run(DAY + 4 * AVOID_LONGEST)
    assert fleet.tries[-1][1] == C


def test_an_only_manager_is_never_left() -> None:
    choice = Choice((A,))
    for _ in range(3):
        address, choice = choice.next(0.0)
        assert (address, choice.leave_at(address, 0.0)) == (A, math.inf)
        choice = choice.refused(A, "because", 0.0, 0.5, left=False)
    assert choice.next(0.0)[0] == A


def test_a_refused_manager_that_ends_the_stream_to_come_back_with_another_store_is_next() -> None:
    """`tdc-manager adopt` needs a restart, and the machine then follows it."""
    fleet = Fleet(a="wrong", b="wrong")
    fleet.run(100)
    at = fleet.tries[-1][1]
    restarted = fleet.choice.refused(at, "because", 100.0, 0.5, left=False)
    assert restarted.next(100.1)[0] == at
    address, after = restarted.served(at).next(500.0)
    assert address == at
    assert after.leave_at(A if at == B else B, 500.0) == 500.0


def test_managers_that_are_all_right_share_the_agents_and_take_over_from_each_other() -> None:
    choice = Choice((A, B), first=1)
    address, choice = choice.next(0.0)
    assert address == B
    address, choice = choice.served(B).next(1.0)
    assert address == A


def test_a_refusal_is_shown_elsewhere_for_a_while() -> None:
    choice = Choice((A, B)).refused(A, "because", 100.0, 0.5, left=True)
    assert choice.refused_lately(100.0 + SHOWN - 1) == ((A, "because"),)
    assert choice.refused_lately(100.0 + SHOWN) == ()
    assert choice.served(A).refused_lately(100.0) == ()


@given(
    st.lists(st.sampled_from(["right", "wrong", "away"]), min_size=1, max_size=4),
    st.floats(0, 1, exclude_max=True),
)
def test_who_is_right_is_always_found_and_nobody_is_hammered(how: list[str], jitter: float) -> None:
    names = "abcd"[: len(how)]
    fleet = Fleet(**dict(zip(names, how, strict=True)))
    fleet.run(DAY, jitter)
    right = [f"{name}:1" for name, each in zip(names, how, strict=True) if each == "right"]
    if right:
        assert sum(fleet.spent[each] for each in right) > DAY - 15
    for name, each in zip(names, how, strict=True):
        if each == "wrong":
            assert len(fleet.seen(f"{name}:1")) < 12 + DAY / (AVOID_LONGEST / 2)


@pytest.mark.parametrize("jitter", [0.0, 0.999])
def test_how_long_a_manager_is_avoided_grows_and_is_bounded(jitter: float) -> None:
    choice = Choice((A, B))
    waits = []
    for _ in range(12):
        choice = choice.refused(A, "because", 0.0, jitter, left=True)
        waits.append(choice.avoided[A].until)
    assert waits == sorted(waits)
    assert AVOID_FIRST / 2 <= waits[0] <= AVOID_FIRST
    assert AVOID_LONGEST / 2 <= waits[-1] <= AVOID_LONGEST
