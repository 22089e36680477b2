"""The memory of the spool against dumb twins: who is due, in which order, and what fits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tdc.node_agent.spool.due import DueQueue
from tdc.node_agent.spool.health import FREE_RESERVE, STALLED_AFTER, Bounds, Health
from tdc.node_agent.spool.ledger import RECENT_BYTES, Ledger
from tdc.node_agent.spool.values import Copy
from tdc.shared.mail.envelope import Envelope

INTAKES = ("a@x.example", "b@x.example", "c@y.example")
TIMES = st.integers(0, 40).map(lambda quarter: 1_800_000_000 + quarter / 4)
PUSH = st.tuples(st.just("push"), st.sampled_from(INTAKES), TIMES)
POP = st.tuples(st.just("pop"), st.frozensets(st.sampled_from(INTAKES)), TIMES, st.integers(0, 5))


@given(steps=st.lists(st.one_of(PUSH, POP), max_size=60))
def test_pops_like_a_sorted_list(steps: list[tuple[object, ...]]) -> None:
    queue = DueQueue()
    twin: list[tuple[float, int, str]] = []
    for mid, step in enumerate(steps, start=1):
        if step[0] == "push":
            _, intake, due_at = step
            queue.push(intake, mid, due_at)  # type: ignore[arg-type]
            twin = sorted([*twin, (due_at, mid, intake)])  # type: ignore[list-item]
        else:
            _, exclude, now, limit = step
            due = [row for row in twin if row[0] <= now and row[2] not in exclude]  # type: ignore[operator]
            popped = queue.pop_due(now, limit, exclude)  # type: ignore[arg-type]
            expected = due[: int(str(limit))]
            assert popped == [(intake, mid, due_at) for due_at, mid, intake in expected]
            twin = [row for row in twin if row not in expected]
        assert len(queue) == len(twin)
        assert queue.next_at() == min((row[0] for row in twin), default=None)
        for intake in INTAKES:
            there = [row[0] for row in twin if row[2] == intake]
            assert queue.waiting().get(intake, 0) == len(there)
            others = frozenset(INTAKES) - {intake}
            assert queue.next_at(others) == min(there, default=None)


@given(rows=st.lists(st.tuples(st.sampled_from(INTAKES), TIMES), max_size=40))
def test_filling_at_open_is_like_pushing_one_by_one(rows: list[tuple[str, float]]) -> None:
    filled, pushed = DueQueue(), DueQueue()
    filled.fill((intake, mid, due_at) for mid, (intake, due_at) in enumerate(rows))
    for mid, (intake, due_at) in enumerate(rows):
        pushed.push(intake, mid, due_at)
    assert filled.pop_due(4e9, 100) == pushed.pop_due(4e9, 100)


def test_one_copy_of_an_intake_is_hastened_where_none_is_due() -> None:
    queue = DueQueue()
    a, b, none = INTAKES
    assert not queue.hasten(a, 5.0)
    for mid, intake, at in ((1, a, 10.0), (2, a, 20.0), (3, b, 9.0)):
        queue.push(intake, mid, at)
    assert queue.hasten(a, 5.0)
    assert queue.pop_due(8.0, 9) == [(a, 1, 5.0)]
    assert queue.hasten(b, 12.0)
    assert queue.pop_due(12.0, 9) == [(b, 3, 9.0)], "what is due stays as it was"
    assert not queue.hasten(none, 5.0)


@given(
    messages=st.integers(0, 5), size=st.integers(0, 50), another=st.integers(0, 50),
    most=st.integers(1, 5), most_bytes=st.integers(1, 60),
)  # fmt: skip
def test_bounds_are_never_passed(
    messages: int, size: int, another: int, most: int, most_bytes: int
) -> None:
    refusal = Bounds(most, most_bytes).refusal(messages, size, another, free=10**12)
    assert (refusal is None) == (messages + 1 <= most and size + another <= most_bytes)


def test_a_copy_must_fit_twice_beside_the_reserve() -> None:
    bounds = Bounds(10, 10**9)
    assert bounds.refusal(0, 0, 1_000, free=FREE_RESERVE + 2_000) is None
    assert bounds.refusal(0, 0, 1_000, free=FREE_RESERVE + 1_999) is not None


def test_a_commit_that_does_not_return_is_a_fault_while_it_lasts() -> None:
    health = Health()
    assert health.reason(STALLED_AFTER) is None
    assert "has not returned for 7 s" in (health.reason(7.2) or "")
    health.fault = "disk I/O error"
    assert health.reason(0) == "disk I/O error"


def test_what_is_kept_in_memory_between_hold_and_claim_is_bounded() -> None:
    """A backlog stays in the file: half a million copies must not be in memory twice."""
    ledger, content = Ledger(), bytes(RECENT_BYTES // 3)
    for mid in range(1, 6):
        ledger.add(len(content))
        ledger.add_held(Copy(mid, "0" * 32, INTAKES[0], Envelope("", ()), content, 0.0))
        ledger.release(mid)
    assert [mid for mid in range(1, 6) if ledger.is_recent(mid)] == [1, 2, 3]
    assert ledger.recall(1) is not None
    ledger.add(1)
    ledger.add_held(Copy(6, "0" * 32, INTAKES[0], Envelope("", ()), content, 0.0))
    assert ledger.is_recent(6), "there is room again"


def test_a_copy_that_finds_room_in_the_file_needs_room_for_its_log() -> None:
    bounds, size, half = Bounds(10, 10**12), 1_000, FREE_RESERVE // 2
    assert bounds.refusal(0, 0, size, half + size, reusable=10**12) is None
    assert bounds.refusal(0, 0, size, half + size - 1, reusable=10**12) is not None
    assert bounds.refusal(0, 0, size, FREE_RESERVE + 2 * size) is None
    assert bounds.refusal(0, 0, size, FREE_RESERVE + 2 * size - 1) is not None


def test_a_large_commit_has_time_in_proportion() -> None:
    assert Health().reason(STALLED_AFTER) is None
    assert "slow disk" in (Health().reason(STALLED_AFTER + 1) or "")
    assert Health().reason(STALLED_AFTER + 1, size=8 * 1024**2) is None
    assert "slow disk" in (Health().reason(STALLED_AFTER + 3, size=8 * 1024**2) or "")
