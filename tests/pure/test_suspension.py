"""What is suspended: what an order makes of it, who takes what, and what operators are shown."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tdc.manager.levels.fleet import Machine
from tdc.manager.levels.identities import created, renamed
from tdc.manager.levels.ineffective import ineffective
from tdc.manager.levels.plan import make_plan
from tdc.manager.levels.suspensions import (
    MOST_REQUESTS,
    NO_SUSPENSIONS,
    SuspensionOrder,
    Suspensions,
    ordered,
)
from tdc.manager.store.encoding import Damaged
from tdc.manager.store.keys import parse_suspensions_key, suspensions_key
from tdc.manager.store.suspensions import pack_suspensions, read_suspensions
from tdc.manager.view.suspensions import KnownSuspensions
from tdc.node_agent.deliver.effects import Defer, MarkDead
from tdc.node_agent.deliver.evidence import Failures
from tdc.node_agent.deliver.settle import EndedAttempt, Standing, settle
from tdc.node_agent.deliver.trouble import Outcome, Verdict
from tdc.node_agent.spool.pauses import MOST, Span, Spans, begun, ended, suspended_within
from tdc.shared.sync.suspension import (
    NOT_SUSPENDED,
    WORKS,
    Suspended,
    Suspension,
    WantedSuspension,
    Work,
    is_taken,
    to_send,
)
from tdc.shared.sync.suspension_state import suspension_facts
from tdc.shared.wire.errors import BadMessage
from tdc.shared.wire.suspension import (
    suspension_of,
    suspension_to_wire,
    wanted_suspension_of,
    wanted_suspension_to_wire,
)
from tdc.v1 import agents_pb2

from tests.pure.attempts import COPY, HOST, NOW, SETTINGS
from tests.stage.clusters import CLUSTER, enabled_fleet, put

AT = 1_795_425_302.0
ADA = Suspended("ada", "disk change", AT, AT + 3_600)
BOB = Suspended("bob", "loop", AT + 10)
MACHINES = {name: Machine(name, "g1", born=3) for name in ("mx1", "mx2")}

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=9)
MOMENTS = st.integers(0, 2**31).map(float)
PARTS = st.none() | st.builds(Suspended, TEXTS, TEXTS, MOMENTS, st.none() | MOMENTS)
SUSPENSIONS = st.builds(Suspension, st.integers(0, 9), PARTS, PARTS)


def order(
    *works: Work, suspend: Suspended | None = ADA, by: str = "ada", at: float = AT, **more: str
) -> SuspensionOrder:
    names = (more.get("machine", "mx1"),)
    return SuspensionOrder(names, works or WORKS, suspend, by, at, more.get("request", f"r{at}"))


def after(*orders: SuspensionOrder) -> Suspensions:
    now = NO_SUSPENSIONS
    for each in orders:
        now = ordered(now, each, MACHINES, "f")[0]
    return now


def of(suspensions: Suspensions, name: str = "mx1") -> Suspension:
    found = suspensions.of(MACHINES[name])
    return found.suspension if found else NOT_SUSPENDED


# -- orders --------------------------------------------------------------------------------------


def test_each_part_is_suspended_and_resumed_by_itself() -> None:
    now = after(order("delivery"), order("copying", suspend=BOB, by="bob", at=AT + 10))
    assert (of(now).copying, of(now).delivery) == (BOB, replace(ADA, left=3_590.0))
    now, changed = ordered(now, order("copying", suspend=None, at=AT + 20), MACHINES, "f")
    assert changed == {"mx1"}
    assert of(now).copying is None
    assert of(now).delivery is not None
    kept = now.of(MACHINES["mx1"])
    assert kept is not None
    assert (kept.resumed_by, kept.resumed_at) == ("ada", AT + 20)


def test_an_order_reaches_no_other_machine_and_a_second_one_alike_changes_nothing() -> None:
    now = after(order())
    assert of(now, "mx2") == NOT_SUSPENDED
    again, changed = ordered(now, order(at=AT + 1), MACHINES, "f")
    assert not changed
    assert (again.number, again.machines) == (now.number, now.machines)
    _, changed = ordered(now, order(suspend=None, machine="mx2", at=AT + 1), MACHINES, "f")
    assert not changed
    _, changed = ordered(now, order(suspend=replace(ADA, reason="other")), MACHINES, "f")
    assert changed


def test_numbers_grow_whatever_the_clock_says_and_where_all_was_lost() -> None:
    first = after(order(at=AT))
    second = ordered(first, order(suspend=None, at=AT - 86_400), MACHINES, "f")[0]
    assert second.number > first.number >= AT
    assert of(second).number == second.number
    lost = ordered(NO_SUSPENSIONS, order(at=AT + 60), MACHINES, "f")[0]
    assert lost.number > second.number


def test_a_machine_of_the_same_name_begins_unsuspended_and_the_old_one_is_dropped() -> None:
    now = after(order())
    again = {**MACHINES, "mx1": Machine("mx1", "g1", born=9)}
    assert now.of(again["mx1"]) is None
    later = ordered(now, order(machine="mx2", at=AT + 1), again, "f")[0]
    assert set(later.machines) == {"mx2"}
    gone = {"mx2": MACHINES["mx2"]}
    assert set(ordered(now, order(machine="mx2", at=AT + 1), gone, "f")[0].machines) == {"mx2"}


def test_it_goes_along_with_a_machine_that_is_renamed_and_not_to_who_gets_the_name() -> None:
    edge = renamed(MACHINES["mx1"], "edge1")
    new = created("mx1", "g1", 9, {"mx1"})
    there = {"mx1": new, "edge1": edge}
    now, changed = ordered(after(order()), order(machine="mx1", at=AT + 1), there, "f")
    assert changed == {"mx1"}
    assert {slot: each.born for slot, each in now.machines.items()} == {"mx1": 3, "mx1~9": 9}
    now, changed = ordered(now, order(suspend=None, machine="edge1", at=AT + 2), there, "f")
    assert changed == {"edge1"}
    old, other = now.of(edge), now.of(new)
    assert old is not None
    assert other is not None
    assert (bool(old.suspension), bool(other.suspension)) == (False, True)


def test_what_ended_by_its_time_is_not_brought_back_by_a_later_order() -> None:
    now = after(order("delivery"), order("copying", suspend=BOB, at=AT + 7_200))
    assert of(now).delivery is None


def test_request_ids_are_remembered_also_where_nothing_changed_and_are_bounded() -> None:
    now = after(order(suspend=None, request="nothing"))
    assert now.requests == {"nothing": "f"}
    many = after(*(order(at=AT + n, request=f"q{n}") for n in range(MOST_REQUESTS + 5)))
    assert len(many.requests) == MOST_REQUESTS
    assert f"q{MOST_REQUESTS + 4}" in many.requests


# -- bytes, and what is known of them ------------------------------------------------------------


def test_what_is_stored_is_read_back() -> None:
    stored = after(order("delivery"), order("copying", suspend=BOB, at=AT + 1), order(
        "copying", suspend=None, by="cy", at=AT + 2))  # fmt: skip
    key = suspensions_key("c/1")
    read = read_suspensions(key, pack_suspensions(key, stored))
    assert read.of(MACHINES["mx1"]) is not None
    assert of(read).delivery == ADA
    assert (read.number, read.requests) == (stored.number, stored.requests)
    with pytest.raises(Damaged):
        read_suspensions(suspensions_key("other"), pack_suspensions(key, stored))
    assert parse_suspensions_key(key) == "c/1"
    assert parse_suspensions_key(f"{key}/more") is None


def test_what_is_damaged_deleted_or_set_back_by_hand_leaves_what_was_known() -> None:
    key = suspensions_key("c1")
    old, new = after(order()), after(order(), order("copying", suspend=BOB, at=AT + 9))
    known = KnownSuspensions()
    assert known.take({key: pack_suspensions(key, old)}, all_of_it=True) == {("c1", "mx1")}
    assert known.take({key: pack_suspensions(key, new)}, all_of_it=False) == {("c1", "mx1")}
    for value, words in ((b"{", "can't be read"), (None, "deleted by hand")):
        assert known.take({key: value}, all_of_it=False) == frozenset()
        assert of(known.of("c1")).copying == BOB
        assert words in " ".join(known.damaged)
    assert known.take({key: pack_suspensions(key, old)}, all_of_it=False) == frozenset()
    assert "set back by hand" in " ".join(known.damaged)
    assert known.take({}, all_of_it=True) == frozenset()
    assert "deleted by hand" in " ".join(known.damaged)
    assert known.take({key: pack_suspensions(key, new)}, all_of_it=True) == frozenset()
    assert not known.damaged
    assert known.take({}, all_of_it=True, replaced=True) == {("c1", "mx1")}
    assert not of(known.of("c1"))


@given(SUSPENSIONS)
def test_messages_carry_all_of_it(suspension: Suspension) -> None:
    said = suspension.at(1e9)
    assert suspension_of(suspension_to_wire(said)) == said
    wanted = WantedSuspension(said, "s1")
    assert wanted_suspension_of(wanted_suspension_to_wire(wanted)) == wanted


def test_a_time_that_is_none_is_refused() -> None:
    message = suspension_to_wire(Suspension(1, ADA))
    message.copying.left = float("nan")
    with pytest.raises(BadMessage):
        suspension_of(message)
    bad = agents_pb2.Suspension()
    bad.delivery.since.seconds = 10**15
    with pytest.raises(BadMessage):
        suspension_of(bad)


# -- between manager and agent -------------------------------------------------------------------


def test_a_manager_sends_what_an_agent_has_not_taken_and_nothing_to_an_older_agent() -> None:
    wanted = Suspension(5, delivery=ADA)
    assert not to_send(wanted, None, first=True)
    assert to_send(wanted, NOT_SUSPENDED, first=False)
    assert not to_send(wanted, wanted, first=True)
    early = Suspension(5)
    assert not to_send(wanted, early, first=True), "its own time has ended it"
    assert to_send(Suspension(5), wanted, first=True), "it was off, and is late"
    assert not to_send(Suspension(5), wanted, first=False), "it ends it by itself"


def test_an_agent_takes_nothing_older_of_the_same_store_and_enrolment() -> None:
    known = Suspension(5, delivery=ADA)
    for number, taken in ((4, False), (5, True), (6, True)):
        wanted = WantedSuspension(Suspension(number), "s1")
        assert is_taken(wanted, known, "s1", same_enrolment=True) is taken
        assert is_taken(wanted, known, "s2", same_enrolment=True)
        assert is_taken(wanted, known, "s1", same_enrolment=False)


@pytest.mark.parametrize("state", ["in sync", "offline", "rejected"])
def test_only_what_is_reported_counts_as_suspended(state: str) -> None:
    wanted = Suspension(5, delivery=ADA)
    facts = suspension_facts(wanted, state, None, "", AT)
    assert not facts.there
    assert facts.pending
    assert facts


# -- time that does not count --------------------------------------------------------------------


@given(st.lists(st.tuples(st.floats(0, 100), st.booleans()), max_size=30), st.floats(0, 100))
def test_pauses_take_off_just_the_time_in_which_delivery_stood(
    steps: list[tuple[float, bool]], taken: float
) -> None:
    spans: Spans = ()
    stands, now, expected = False, 0.0, 0.0
    for at, suspend in sorted(steps):
        if stands:
            expected += max(0.0, at - max(now, taken))
        now = at
        stands = suspend
        spans = begun(spans, at) if suspend else ended(spans, at)
    if stands:
        expected += max(0.0, 200.0 - max(now, taken))
    assert suspended_within(spans, taken, 200.0) == pytest.approx(expected)


def test_pauses_are_bounded_and_take_off_no_less_for_it() -> None:
    spans: Spans = ()
    for at in range(0, 10 * MOST, 4):
        spans = ended(begun(spans, at), at + 1)
    assert len(spans) == MOST
    assert suspended_within(spans, 0, 10 * MOST) >= 10 * MOST / 4


def test_no_copy_ages_while_delivery_is_suspended() -> None:
    """Neither its lifetime passes, nor the hours over which it must have been tried."""
    life = float(SETTINGS.retry_lifetime)
    old = replace(COPY, taken_at=NOW.steady - life - 50_000)
    proven = Failures(9, NOW.monotonic - 48_000, others_passed=True)
    attempt = EndedAttempt(old, 1, HOST, failures=proven)
    outcome = Outcome(Verdict.DEFER, "Timeout", "slow")
    standing = Standing(delivered_at=-math.inf)
    before_it_was_tried = Span(NOW.steady - life - 49_000, NOW.steady - 49_000)
    paused = NOW._replace(pauses=(before_it_was_tried,))
    assert isinstance(settle(attempt, outcome, standing, SETTINGS, NOW).fate, MarkDead)
    assert isinstance(settle(attempt, outcome, standing, SETTINGS, paused).fate, Defer)
    refused = Outcome(Verdict.REFUSED, "Refused", "554 5.6.0")
    young = attempt._replace(copy=COPY)
    stood = NOW._replace(pauses=(Span(NOW.steady - 49_000),))
    assert isinstance(settle(young, refused, standing, SETTINGS, NOW).fate, MarkDead)
    assert isinstance(settle(young, refused, standing, SETTINGS, stood).fate, Defer)


# -- plans ---------------------------------------------------------------------------------------


def test_a_plan_warns_of_what_does_nothing_before_a_machine_is_resumed() -> None:
    fleet = enabled_fleet()
    name = next(iter(fleet.machines))
    plan = make_plan(fleet, [put(CLUSTER, max_message_size=70_000, retry__initial=9)])
    for work, setting in (("copying", "max_message_size"), ("delivery", "retry.initial")):
        one = NOT_SUSPENDED.having("copying" if work == "copying" else "delivery", ADA)
        (warning,) = ineffective(plan.machines, {name: one})
        assert (warning.machine, warning.setting) == (name, setting)
        assert f"{work} is suspended there by ada since" in warning.reason
    assert ineffective(plan.machines, {}) == ()
    level = make_plan(fleet, [put(CLUSTER, log__level="debug")])
    assert ineffective(level.machines, {name: Suspension(1, ADA, ADA)}) == ()
