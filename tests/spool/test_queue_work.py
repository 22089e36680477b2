"""What operators order: copies are listed, tried again, moved, dropped; once, whole, durably."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tdc.node_agent import queue_work
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.spool import order_rows
from tdc.node_agent.spool.database import Database
from tdc.node_agent.spool.spool import Spool
from tdc.shared.sync.queue_work import (
    DropCopies,
    ListDead,
    MoveCopies,
    QueueOrder,
    RetryCopies,
    Selection,
)

from tests.spool.conftest import FakeClock
from tests.spool.queue_orders import (
    DEAD,
    ENVELOPE,
    EVERY,
    MESSAGE,
    OLD_ONES,
    killed,
    oldest,
    ordered,
    reopened,
    spool,
    swept,
)
from tests.spool.test_spool import INTAKE, OTHER, claim_all, put
from tests.stage.delivery import make_settings

__all__ = ["spool"]  # a fixture


async def test_dead_copies_are_listed_newest_first(spool: Spool, clock: FakeClock) -> None:
    taken = clock.now
    first = await killed(spool, clock)
    clock.now += 100
    second = await killed(spool, clock)
    clock.now += 50
    answer = await ordered(spool, ListDead(DEAD))
    assert answer.copies == 2
    assert [dead.mid for dead in answer.dead] == [second, first]
    oldest = answer.dead[1]
    assert (oldest.taken_at, oldest.dead_at) == (taken, taken)
    assert oldest.message_id == "<7@example.com>"
    assert oldest.reason == "Message Refused: 554"
    assert (oldest.sender, oldest.size) == ("ann@example.com", len(MESSAGE))
    assert answer.dead[0].dead_at == taken + 100
    one = await ordered(spool, ListDead(Selection(mids=(first,), dead=True)))
    assert [dead.mid for dead in one.dead] == [first]
    assert (await ordered(spool, ListDead(Selection(OTHER, dead=True)))).dead == ()


async def test_a_retried_copy_has_its_whole_lifetime_again(folder: Path, clock: FakeClock) -> None:
    spool = await Spool.open(folder, clocks=clock.machine)
    mid = await killed(spool, clock)
    spool = await reopened(spool, folder, clock)
    clock.now += 300_000
    answer = await ordered(spool, RetryCopies(DEAD))
    assert (answer.copies, answer.bytes) == (1, len(MESSAGE))
    assert await oldest(spool, INTAKE) == pytest.approx(clock.now - 300_000)
    spool = await reopened(spool, folder, clock)
    assert (spool.facts().dead, spool.facts().queued) == (0, 1)
    (copy,) = await claim_all(spool, clock)
    assert (copy.mid, copy.attempts) == (mid, 0)
    assert spool.now() - copy.lives_from == pytest.approx(0)
    assert spool.now() - copy.taken_at == pytest.approx(300_000)
    events = [(event.what, event.text) for event in await spool.history(mid)]
    assert events == [("taken", ""), ("dead", "Message Refused: 554"), ("retried", "by ann")]
    await spool.close()


async def test_a_deferred_copy_that_is_retried_is_due_at_once(
    folder: Path, clock: FakeClock
) -> None:
    spool = await Spool.open(folder, clocks=clock.machine)
    mid = await put(spool)
    await claim_all(spool, clock)
    await spool.defer(mid, next_at=spool.now() + 3_600, reason="later")
    assert (await ordered(spool, RetryCopies(Selection(waiting=True)))).copies == 1
    spool = await reopened(spool, folder, clock)
    (copy,) = await claim_all(spool, clock)
    assert (copy.mid, copy.attempts) == (mid, 0), "the try is the operator's"
    await spool.close()


async def test_a_retry_of_dead_copies_alone_leaves_the_others_as_they_are(
    folder: Path, clock: FakeClock
) -> None:
    """Of one intake: a copy that waits for it keeps its time, and the dead of another stay dead."""
    spool = await Spool.open(folder, clocks=clock.machine)
    dead = await killed(spool, clock)
    other = await put(spool, intake=OTHER)
    await claim_all(spool, clock)
    await spool.dead(other, reason="Message Refused: 554")
    waits = await put(spool)
    await claim_all(spool, clock)
    await spool.defer(waits, next_at=spool.now() + 3_600, reason="later")
    answer = await ordered(spool, RetryCopies(Selection(INTAKE, dead=True)))
    assert (answer.copies, answer.bytes) == (1, len(MESSAGE))
    for again in (False, True):
        if again:
            spool = await reopened(spool, folder, clock)
        backlogs = {at: (one.waiting, one.dead) for at, one in spool.backlogs().items()}
        assert backlogs == {INTAKE: (2, 0), OTHER: (0, 1)}
        copies = await claim_all(spool, clock)
        assert [copy.mid for copy in copies] == [dead]
        spool.unclaim([dead])
    clock.now += 3_601
    copies = await claim_all(spool, clock)
    assert {copy.mid: copy.attempts for copy in copies} == {dead: 0, waits: 1}
    await spool.close()


async def test_moved_copies_are_for_the_other_intake_also_when_read_from_the_file(
    folder: Path, clock: FakeClock
) -> None:
    spool = await Spool.open(folder, clocks=clock.machine)
    dead = await killed(spool, clock)
    waiting = [await put(spool, b"%d" % number) for number in range(3)]
    answer = await ordered(spool, MoveCopies(OLD_ONES, OTHER))
    assert answer.copies == 4
    backlog = spool.backlogs()
    assert set(backlog) == {OTHER}
    assert (backlog[OTHER].waiting, backlog[OTHER].dead) == (4, 0)
    assert await oldest(spool, OTHER) == clock.now
    spool = await reopened(spool, folder, clock)
    copies = await claim_all(spool, clock)
    assert {(copy.mid, copy.intake, copy.attempts) for copy in copies} == {
        (mid, OTHER, 0) for mid in (dead, *waiting)
    }
    assert spool.facts().dead == 0, "the checksum covers the intake of today"
    assert [event.text for event in await spool.history(waiting[0])] == [
        "",
        f"from {INTAKE} to {OTHER} by ann",
    ]
    spool.unclaim([copy.mid for copy in copies])
    settings = make_settings(intake_address="third@example.net")
    order = QueueOrder("2", "ann", MoveCopies(EVERY, "third@example.net"))
    await queue_work.perform(order, spool, settings, TdcLog(), lambda: None)
    assert {copy.intake for copy in await claim_all(spool, clock)} == {"third@example.net"}
    await spool.close()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE copies SET intake = 'else@where.example'",
        "UPDATE copies SET taken_for = NULL",
        "UPDATE copies SET taken_for = 'else@where.example'",
        "UPDATE copies SET move_check = NULL",
        "UPDATE copies SET move_check = zeroblob(32)",
        "UPDATE copies SET retried_at = 'once'",
        "UPDATE copies SET dated = 1e17",
    ],
)
async def test_damage_to_a_moved_copy_is_noticed(
    folder: Path, clock: FakeClock, damage: str
) -> None:
    from tests.spool.test_spool_damage import change  # noqa: PLC0415

    spool = await Spool.open(folder, clocks=clock.machine)
    await put(spool)
    await ordered(spool, MoveCopies(OLD_ONES, OTHER))
    await spool.close()
    change(folder, damage)
    spool = await Spool.open(folder, clocks=clock.machine)
    assert await claim_all(spool, clock) == []
    assert spool.facts().dead == 1
    await spool.close()


async def test_a_move_to_an_intake_that_is_not_in_force_is_refused(
    spool: Spool, clock: FakeClock
) -> None:
    mid = await put(spool)
    answer = await ordered(spool, MoveCopies(EVERY, "nobody@example.org"))
    assert answer.refused.startswith("nobody@example.org is not an intake in force")
    assert answer.intakes == (OTHER,)
    assert [(copy.mid, copy.intake) for copy in await claim_all(spool, clock)] == [(mid, INTAKE)]


async def test_dropped_copies_are_gone_with_their_content(folder: Path, clock: FakeClock) -> None:
    spool = await Spool.open(folder, clocks=clock.machine)
    kept = await put(spool, b"kept", OTHER)
    dead = await killed(spool, clock)
    waiting = [await put(spool, b"secret of %d" % number) for number in range(1_200)]
    answer = await ordered(spool, DropCopies(OLD_ONES))
    assert answer.copies == 1_201
    assert (spool.facts().queued, spool.facts().dead, spool.facts().bytes) == (1, 0, 4)
    assert [event.what for event in await spool.history(dead)][-1] == "dropped"
    await swept(spool)
    spool = await reopened(spool, folder, clock)
    assert [copy.mid for copy in await claim_all(spool, clock)] == [kept]
    assert [(event.what, event.text) for event in await spool.history(waiting[7])] == [
        ("taken", ""),
        ("dropped", "by ann"),
    ]
    assert spool.facts().bytes == 4
    await spool.close()


@pytest.mark.proves("F35")
async def test_what_was_dropped_is_deleted_after_a_restart_too(
    folder: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = await Spool.open(folder, clocks=clock.machine)
    await asyncio.gather(*(put(spool, b"x" * 100) for _ in range(700)))
    with monkeypatch.context() as patch:
        patch.setattr(Database, "sweep", lambda _: False)
        await ordered(spool, DropCopies(EVERY))
        await spool.close()
    spool = await Spool.open(folder, clocks=clock.machine)
    assert spool.facts().queued == 0
    await swept(spool)
    await spool.close()


async def test_an_order_is_done_once_however_often_it_is_sent(
    folder: Path, clock: FakeClock
) -> None:
    spool = await Spool.open(folder, clocks=clock.machine)
    await put(spool)
    first = await ordered(spool, DropCopies(EVERY))
    later = await put(spool)
    assert await ordered(spool, DropCopies(EVERY)) == first
    spool = await reopened(spool, folder, clock)
    assert await ordered(spool, DropCopies(EVERY)) == first
    assert [copy.mid for copy in await claim_all(spool, clock)] == [later]
    await spool.close()


async def test_only_so_many_orders_are_remembered(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_rows, "KEEP_ORDERS", 3)
    for number in range(8):
        await ordered(spool, RetryCopies(DEAD), str(number))
    known = await spool._writer.ask(
        lambda db: [order_rows.done_order(db, str(number)) is not None for number in range(8)]
    )
    assert known == [False] * 5 + [True] * 3


async def test_to_count_changes_nothing(spool: Spool, clock: FakeClock) -> None:
    await put(spool, b"12345")
    await killed(spool, clock)
    answer = await ordered(spool, DropCopies(EVERY), count_only=True)
    assert (answer.copies, answer.bytes) == (2, 5 + len(MESSAGE))
    assert (spool.facts().queued, spool.facts().dead) == (1, 1)
    assert (await ordered(spool, DropCopies(EVERY))).copies == 2


async def test_held_copies_are_never_chosen(spool: Spool, clock: FakeClock) -> None:
    held = await spool.hold(ENVELOPE, b"x", INTAKE, "1")
    assert (await ordered(spool, DropCopies(EVERY))).copies == 0
    spool.release(held)
    assert (await ordered(spool, MoveCopies(EVERY, OTHER), "2")).copies == 1, "released just now"
    assert [copy.intake for copy in await claim_all(spool, clock)] == [OTHER]


async def test_a_try_that_was_asked_for_counts_no_attempt(spool: Spool, clock: FakeClock) -> None:
    """Or each `retry --which waiting` would push the next try further out."""
    mid = await put(spool)
    for _ in range(3):
        await claim_all(spool, clock)
        await spool.defer(mid, next_at=clock.now + 60, reason="451 later")
        clock.now += 61
    clock.now -= 30  # half a minute before it is due
    for number in ("1", "2", "3"):  # as often as anybody likes
        await ordered(spool, RetryCopies(Selection(waiting=True)), number)
    (copy,) = await claim_all(spool, clock)
    assert copy.attempts == 2
    await spool.defer(mid, next_at=clock.now + 60, reason="451 later")
    clock.now += 61
    (copy,) = await claim_all(spool, clock)
    assert copy.attempts == 3, "as before"
