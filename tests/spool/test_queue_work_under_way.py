"""Orders that meet other work: copies in hand, a disk that fails, large queues, damaged rows."""

from __future__ import annotations

import asyncio
import io
import time
from pathlib import Path

import pytest
from tdc.node_agent import queue_work
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.spool import orders
from tdc.node_agent.spool.database import Database
from tdc.node_agent.spool.faults import DatabaseFault
from tdc.node_agent.spool.spool import Spool
from tdc.node_agent.spool.values import Copy
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
    EVERY,
    OLD_ONES,
    SETTINGS,
    filled,
    killed,
    longest_pause,
    ordered,
    reopened,
    spool,
    swept,
)
from tests.spool.test_spool import INTAKE, OTHER, claim_all, put
from tests.surroundings import in_time

__all__ = ["spool"]  # a fixture


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
    text = "Operator ann\\x0a dropped waiting and dead copies for all intakes: 1 copy, 5 bytes."
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


@pytest.mark.slow
@pytest.mark.proves("F15")
async def test_a_large_queue_is_moved_and_dropped_without_a_pause(
    folder: Path, clock: FakeClock
) -> None:
    copies = 100_000
    await filled(folder, clock, copies)
    begun = time.monotonic()
    spool = await Spool.open(folder, clocks=clock.machine)
    assert in_time(time.monotonic() - begun, 10)
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


@pytest.mark.slow
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
