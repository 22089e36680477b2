"""What operators order: copies are listed, tried again, moved, dropped; once, whole, durably."""

from __future__ import annotations

import asyncio
import contextlib
import io
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tdc.node_agent import queue_work
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.spool import order_rows, orders
from tdc.node_agent.spool.database import Database
from tdc.node_agent.spool.faults import DatabaseFault
from tdc.node_agent.spool.spool import Spool
from tdc.node_agent.spool.values import Copy
from tdc.shared.mail.envelope import Envelope
from tdc.shared.sync.queue_work import (
    DropCopies,
    ListDead,
    MoveCopies,
    QueueAnswer,
    QueueOrder,
    RetryCopies,
    Selection,
    Work,
)

from tests.spool.conftest import FakeClock
from tests.spool.test_spool import INTAKE, OTHER, claim_all, put
from tests.stage.delivery import make_settings

ENVELOPE = Envelope("ann@example.com", ("bob@example.org",))
MESSAGE = b"Subject: x\r\nMessage-ID: <7@example.com>\r\n\r\nhello\r\n"
SETTINGS = make_settings(intake_address=OTHER)
EVERY = Selection(waiting=True, dead=True)
OLD_ONES = Selection(INTAKE, waiting=True, dead=True)
DEAD = Selection(dead=True)


@pytest.fixture
async def spool(folder: Path, clock: FakeClock) -> AsyncIterator[Spool]:
    opened = await Spool.open(folder, clocks=clock.machine)
    yield opened
    await opened.close()


async def ordered(
    spool: Spool, work: Work, number: str = "1", *, count_only: bool = False
) -> QueueAnswer:
    order = QueueOrder(number, "ann", work, count_only)
    return await queue_work.perform(order, spool, SETTINGS, TdcLog(), lambda: None)


async def killed(spool: Spool, clock: FakeClock, *, content: bytes = MESSAGE) -> int:
    """Put a copy onto the dead-letter list."""
    mid = await put(spool, content)
    copies = {copy.mid for copy in await claim_all(spool, clock)}
    await spool.dead(mid, reason="Message Refused: 554")
    spool.unclaim(copies - {mid})
    return mid


async def reopened(spool: Spool, folder: Path, clock: FakeClock) -> Spool:
    await spool.close()
    return await Spool.open(folder, clocks=clock.machine)


async def oldest(spool: Spool, intake: str) -> float | None:
    """It may lag by half a second."""
    async with asyncio.timeout(3):
        while spool.backlogs()[intake].oldest is None:
            await asyncio.sleep(0.02)
    return spool.backlogs()[intake].oldest


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
    assert (copy.mid, copy.attempts) == (mid, 1)
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


async def swept(spool: Spool) -> None:
    async with asyncio.timeout(8):
        while True:
            left = await spool._writer.ask(
                lambda database: database.ask("some_dropped", 10).fetchall()
            )
            if not left:
                return
            await asyncio.sleep(0.02)


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


async def test_a_copy_in_hand_is_moved_and_its_fate_at_the_old_intake_does_not_count(
    folder: Path, clock: FakeClock
) -> None:
    spool = await Spool.open(folder, clocks=clock.machine)
    mids = [await put(spool, b"%d" % number) for number in range(4)]
    copies = await claim_all(spool, clock)
    assert all(spool.may_send(copy) for copy in copies)
    answer = await ordered(spool, MoveCopies(OLD_ONES, OTHER))
    assert answer.copies == 4
    assert not any(spool.may_send(copy) for copy in copies)
    await spool.defer(mids[0], next_at=spool.now() + 3_600, reason="451")
    await spool.dead(mids[1], reason="554")
    spool.unclaim([mids[2]])
    await spool.delivered(mids[3], reply="250 it was under way")
    assert (spool.facts().queued, spool.facts().dead) == (3, 0)
    spool = await reopened(spool, folder, clock)
    again = await claim_all(spool, clock)
    assert [(copy.mid, copy.intake, copy.attempts) for copy in again] == [
        (mid, OTHER, 0) for mid in mids[:3]
    ]
    await spool.close()


async def test_a_copy_in_hand_is_dropped_and_counts_no_more(folder: Path, clock: FakeClock) -> None:
    spool = await Spool.open(folder, clocks=clock.machine)
    mids = [await put(spool, b"%d" % number) for number in range(4)]
    await claim_all(spool, clock)
    assert (await ordered(spool, DropCopies(OLD_ONES))).copies == 4
    await spool.defer(mids[0], next_at=spool.now() + 3_600, reason="451")
    await spool.dead(mids[1], reason="554")
    spool.unclaim([mids[2]])
    await spool.delivered(mids[3], reply="250 it was under way")
    facts = spool.facts()
    assert (facts.queued, facts.dead, facts.bytes) == (0, 0, 0)
    assert await claim_all(spool, clock) == []
    spool = await reopened(spool, folder, clock)
    assert spool.facts().bytes == 0
    assert [event.what for event in await spool.history(mids[0])] == ["taken", "dropped"]
    await spool.close()


async def test_an_order_that_cannot_be_written_is_done_when_it_can(
    folder: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = await Spool.open(folder, clocks=clock.machine)
    await put(spool)
    fails = True
    write = Database.write

    def failing(database: Database, batch: object) -> None:
        if fails and batch.orders:  # type: ignore[attr-defined]
            raise DatabaseFault("the disk is gone")
        write(database, batch)  # type: ignore[arg-type]

    monkeypatch.setattr(Database, "write", failing)
    answer = await ordered(spool, MoveCopies(OLD_ONES, OTHER))
    assert "the disk is gone; the order is carried out as soon as it is" in answer.refused
    assert spool.facts().unhealthy
    fails = False
    async with asyncio.timeout(8):
        while spool.facts().unhealthy:
            await asyncio.sleep(0.05)
    assert (await ordered(spool, MoveCopies(OLD_ONES, OTHER))).copies == 1, "done before"
    assert [copy.intake for copy in await claim_all(spool, clock)] == [OTHER]
    await spool.close()
    spool = await Spool.open(folder, clocks=clock.machine)
    assert [copy.intake for copy in await claim_all(spool, clock)] == [OTHER]
    await spool.close()


async def test_orders_are_logged_with_who_asked(folder: Path) -> None:
    out = io.StringIO()
    log = TdcLog(stream=out)
    log.configure("info", "text")
    spool = await Spool.open(folder)
    await put(spool, b"12345")
    order = QueueOrder("1", "ann\n", DropCopies(EVERY))
    kicks: list[bool] = []
    await queue_work.perform(order, spool, SETTINGS, log, lambda: kicks.append(True))
    assert kicks == [True]
    await spool.close()
    log.close()
    text = "Operator ann\\x0a dropped waiting and dead copies for all intakes: 1 copies, 5 bytes."
    assert text in out.getvalue()


async def test_copies_that_a_run_killed_are_brought_back(spool: Spool, clock: FakeClock) -> None:
    mids = [await killed(spool, clock) for _ in range(3)]
    revived = await spool.orders.revive([], INTAKE, "Message Refused", "the intake was at fault")
    assert revived.copies == 3
    assert sorted(copy.mid for copy in await claim_all(spool, clock)) == mids
    spool.unclaim(mids)
    await claim_all(spool, clock)
    await spool.dead(mids[0], reason="Too old")
    await spool.dead(mids[1], reason="Too old")
    assert (await spool.orders.revive([mids[1]], "", "", "why")).copies == 1
    assert (await spool.orders.revive([], INTAKE, "Message Refused", "why")).copies == 0
    assert spool.facts().dead == 1


@contextlib.asynccontextmanager
async def longest_pause() -> AsyncIterator[list[float]]:
    """Measure for how long the event loop serves nothing else."""
    longest = [0.0]

    async def tick() -> None:
        before = time.monotonic()
        while True:
            await asyncio.sleep(0.001)
            now = time.monotonic()
            longest[0], before = max(longest[0], now - before), now

    task = asyncio.ensure_future(tick())
    await asyncio.sleep(0)
    yield longest
    task.cancel()


async def filled(folder: Path, clock: FakeClock, copies: int) -> None:
    """Make a spool with so many copies that wait, the quick way."""
    spool = await Spool.open(folder, clocks=clock.machine)
    for _ in range(copies // 1_000):
        await asyncio.gather(*(put(spool, b"x" * 50) for _ in range(1_000)))
    await spool.close()


@pytest.mark.proves("F15")
async def test_a_large_queue_is_moved_and_dropped_without_a_pause(
    folder: Path, clock: FakeClock
) -> None:
    copies = 100_000
    await filled(folder, clock, copies)
    begun = time.monotonic()
    spool = await Spool.open(folder, clocks=clock.machine)
    assert time.monotonic() - begun < 10
    async with longest_pause() as pause:
        answer = await ordered(spool, MoveCopies(OLD_ONES, OTHER))
        assert answer.copies == copies
        new = await put(spool)
        assert (
            await ordered(spool, DropCopies(Selection(OTHER, waiting=True)), "2")
        ).copies == copies
        await put(spool)
    assert spool.facts().unhealthy is None
    assert pause[0] < 1.0
    assert spool.facts().queued == 2
    assert new in [copy.mid for copy in await claim_all(spool, clock)]
    await spool.close()


async def test_a_large_order_is_written_in_parts_and_counted_whole(
    spool: Spool, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "PART", 3)
    for number in range(7):
        await put(spool, b"%d" % number)
    held = [copy.mid for copy in await spool.claim(spool.now(), 2)]
    first = await ordered(spool, MoveCopies(OLD_ONES, OTHER))
    assert (first.copies, first.bytes) == (7, 7)
    assert await ordered(spool, MoveCopies(OLD_ONES, OTHER)) == first
    spool.unclaim(held)
    copies = await claim_all(spool, clock)
    assert [copy.intake for copy in copies] == [OTHER] * 7
    spool.unclaim([copy.mid for copy in copies])
    assert (await ordered(spool, DropCopies(EVERY), "2")).copies == 7
    assert (spool.facts().queued, spool.facts().bytes) == (0, 0)


@pytest.mark.parametrize("damage", ["CAST(x'ff41' AS TEXT)", "x'ff41'", "7", "CAST(x'00' AS TEXT)"])
async def test_a_dead_copy_whose_row_is_damaged_is_listed_retried_and_dropped(
    folder: Path, clock: FakeClock, damage: str
) -> None:
    from tests.spool.test_spool_damage import change  # noqa: PLC0415

    spool = await Spool.open(folder, clocks=clock.machine)
    mid = await killed(spool, clock)
    await spool.close()
    change(folder, f"UPDATE copies SET intake = {damage}, report_id = {damage}, reason = {damage}")
    spool = await Spool.open(folder, clocks=clock.machine)
    [dead] = (await ordered(spool, ListDead(DEAD))).dead
    assert dead.mid == mid
    f"{dead}".encode()
    assert (await ordered(spool, RetryCopies(DEAD))).copies == 1
    assert await claim_all(spool, clock) == [], "it is damaged still"
    assert spool.facts().dead == 1
    assert (await ordered(spool, DropCopies(DEAD), "2")).copies == 1
    assert (spool.facts().dead, spool.facts().bytes, spool.backlogs()) == (0, 0, {})
    await swept(spool)
    await spool.close()


async def test_copies_that_are_being_read_for_delivery_are_chosen_when_they_are(
    folder: Path, clock: FakeClock
) -> None:
    spool = await Spool.open(folder, clocks=clock.machine)
    for number in range(3):
        await put(spool, b"%d" % number)
    spool = await reopened(spool, folder, clock)
    claiming = asyncio.ensure_future(claim_all(spool, clock))
    await asyncio.sleep(0)
    answer = await ordered(spool, MoveCopies(OLD_ONES, OTHER))
    copies = await claiming
    assert answer.copies == len(copies) == 3
    assert not any(spool.may_send(copy) for copy in copies)
    spool.unclaim([copy.mid for copy in copies])
    assert [copy.intake for copy in await claim_all(spool, clock)] == [OTHER] * 3
    await spool.close()


async def test_no_copy_is_claimed_while_a_part_of_an_order_is_not_written(
    folder: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be read from the file as it was, and sent to the intake of before."""
    monkeypatch.setattr(orders, "PART", 2)
    spool = await Spool.open(folder, clocks=clock.machine)
    for number in range(20):
        await put(spool, b"%d" % number)
    spool = await reopened(spool, folder, clock)
    moving = asyncio.ensure_future(ordered(spool, MoveCopies(OLD_ONES, OTHER)))
    claimed: list[Copy] = []
    while OTHER not in spool.backlogs():
        await asyncio.sleep(0)
    assert not moving.done(), "memory leads, the file follows"
    while not moving.done():
        claimed += await claim_all(spool, clock)
        await asyncio.sleep(0)
    claimed += await claim_all(spool, clock)
    assert moving.result().copies == 20
    assert len(claimed) == 20
    assert {copy.intake for copy in claimed} == {OTHER}
    await spool.close()
