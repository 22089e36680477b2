"""Work on queues through a real manager, over real streams; the agents' queues are in memory."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from tdc.manager.intent import queue_machines
from tdc.node_agent.spool.values import IntakeBacklog
from tdc.shared.wire.stream import MAX_AGENT_MESSAGE
from tdc.v1 import agents_pb2, operators_pb2

from tests.manager.queue_orders import (
    STATUS,
    Machine,
    by_name,
    connected,
    drop,
    fleet,
    move,
    newest,
    scope,
    whole,
)
from tests.stage.manager import Api, put
from tests.stage.manager import refused as refused_with
from tests.stage.queues import INTAKE, TYPO, MemoryQueue, dead_copy

__all__ = ["fleet"]  # a fixture


# -- listing -------------------------------------------------------------------------------------


async def test_dead_copies_are_listed_from_each_connected_machine(
    api: Api, fleet: dict[str, Machine]
) -> None:
    fleet["mx1"].queue.dead = {7: dead_copy(7), 8: dead_copy(8, TYPO)}
    async with connected(api, fleet["mx1"]):
        answer = await api.queue.ListDead(operators_pb2.ListDeadRequest())
        of_typo = await api.queue.ListDead(operators_pb2.ListDeadRequest(intake=TYPO))
    rows = by_name(answer)
    assert set(rows) == {"mx1", "mx2"}, "a machine that never enrolled has no queue"
    assert [(copy.mid, copy.message_id) for copy in rows["mx1"].dead] == [
        (7, "<7@example.com>"),
        (8, "<8@example.com>"),
    ]
    assert (rows["mx1"].copies, rows["mx1"].problem) == (2, "")
    assert rows["mx2"].problem.startswith("offline: ")
    assert [copy.mid for copy in by_name(of_typo)["mx1"].dead] == [8]
    assert fleet["mx1"].queue.orders[0].operator == "ana"


async def test_a_list_that_is_too_long_is_cut_and_its_count_tells_of_all(
    api: Api, fleet: dict[str, Machine]
) -> None:
    """An answer has room in one message of an agent, whatever peers wrote."""
    long = "x" * 3_000
    fleet["mx1"].queue.dead = {n: dead_copy(n, reason=long) for n in range(1, 2_001)}
    async with connected(api, fleet["mx1"]) as side:
        row = by_name(await api.queue.ListDead(operators_pb2.ListDeadRequest(scope=scope("mx1"))))
        assert row["mx1"].copies == 2_000
        assert 50 < len(row["mx1"].dead) < 150
        assert row["mx1"].ByteSize() < MAX_AGENT_MESSAGE
        assert side.stream.connected


# -- work ----------------------------------------------------------------------------------------


async def test_copies_are_moved_and_the_history_says_who_what_and_how_many(
    api: Api, fleet: dict[str, Machine]
) -> None:
    queue = fleet["mx1"].queue
    queue.waiting, queue.dead = {1: TYPO, 2: INTAKE}, {3: dead_copy(3, TYPO)}
    async with connected(api, fleet["mx1"]) as side:
        plan = await api.queue.CountCopies(move("mx1"))
        assert (plan.committed, plan.revision, by_name(plan)["mx1"].copies) == (False, 0, 2)
        assert queue.waiting == {1: TYPO, 2: INTAKE}, "counting changes nothing"
        applied = side.in_force.running
        done = await api.queue.DoWork(move("mx1"))
        await asyncio.sleep(0.3)
        assert side.in_force.running == applied, "nothing was pushed"
    assert queue.waiting == {1: INTAKE, 2: INTAKE, 3: INTAKE}
    assert (done.committed, done.cluster, by_name(done)["mx1"].copies) == (True, "c1", 2)
    listed, commit = await newest(api), await whole(api, done.revision)
    assert (listed.revision, listed.author, listed.comment) == (done.revision, "ana", "typo")
    assert (listed.work.kind, listed.work.from_intake, listed.work.to_intake) == (
        "move",
        TYPO,
        INTAKE,
    )
    assert (listed.work.copies, len(listed.work.machines)) == (2, 0)
    assert [(each.machine, each.copies, each.bytes) for each in commit.work.machines] == [
        ("mx1", 2, 2_000)
    ]
    assert (len(commit.levels), commit.machines_changed) == (0, 0)


async def test_the_history_is_written_before_a_machine_is_told(
    api: Api, fleet: dict[str, Machine]
) -> None:
    """A machine that hangs, or a manager that dies then, leaves a record of what was ordered."""
    queue = fleet["mx1"].queue
    queue.waiting = {1: TYPO}
    async with connected(api, fleet["mx1"]):
        await api.queue.CountCopies(drop("mx1"))
        asking = asyncio.ensure_future(api.queue.DoWork(drop("mx1")))
        while not [order for order in queue.orders if not order.count_only]:
            await asyncio.sleep(0.01)
        assert (await newest(api)).work.kind == "drop"
        await asking


async def test_dead_copies_are_brought_back(api: Api, fleet: dict[str, Machine]) -> None:
    queue = fleet["mx1"].queue
    queue.dead = {7: dead_copy(7), 8: dead_copy(8)}
    work = agents_pb2.RetryCopies(selection=agents_pb2.CopySelection(mids=[8], dead=True))
    request = operators_pb2.QueueWorkRequest(scope=scope("mx1"), retry=work, request_id="r")
    async with connected(api, fleet["mx1"]):
        await api.queue.DoWork(request)
    assert (set(queue.dead), queue.waiting) == ({7}, {8: INTAKE})


async def test_where_delivery_is_suspended_a_retry_says_that_nothing_is_tried(
    api: Api, fleet: dict[str, Machine]
) -> None:
    queue = fleet["mx1"].queue
    queue.dead = {7: dead_copy(7)}
    suspend = operators_pb2.SuspendRequest(
        machines=["mx1"], delivery=True, reason="disk change", request_id=str(uuid.uuid4())
    )
    await api.fleet.SuspendMachines(suspend)
    work = agents_pb2.RetryCopies(selection=agents_pb2.CopySelection(dead=True))
    request = operators_pb2.QueueWorkRequest(scope=scope("mx1"), retry=work, request_id="r")
    async with connected(api, fleet["mx1"]):
        for call in (api.queue.CountCopies, api.queue.DoWork):
            (row,) = (await call(request)).machines
            assert (row.copies, row.problem) == (1, "")
            assert "delivery is suspended there by ana (disk change)" in row.waits
        drops = agents_pb2.DropCopies(selection=agents_pb2.CopySelection(mids=[7], waiting=True))
        (row,) = (
            await api.queue.CountCopies(
                operators_pb2.QueueWorkRequest(scope=scope("mx1"), drop=drops)
            )
        ).machines
        assert row.waits == ""


async def test_the_same_request_id_does_its_work_once(api: Api, fleet: dict[str, Machine]) -> None:
    """An answer was lost; meanwhile other copies came for that intake, which nobody agreed to."""
    queue = fleet["mx1"].queue
    queue.waiting = {1: TYPO}
    async with connected(api, fleet["mx1"]):
        first = await api.queue.DoWork(drop("mx1"))
        queue.waiting = {2: TYPO}
        again = await api.queue.DoWork(drop("mx1"))
        assert (again.revision, by_name(again)["mx1"].copies) == (first.revision, 1)
        assert queue.waiting == {2: TYPO}
        async with refused_with(STATUS.INVALID_ARGUMENT, "request id"):
            await api.queue.DoWork(move("mx1"))
        assert (await newest(api)).revision == first.revision


async def test_machines_that_are_away_are_named_and_left_out(
    api: Api, fleet: dict[str, Machine]
) -> None:
    for machine in fleet.values():
        machine.queue.waiting = {1: TYPO}
    async with connected(api, fleet["mx1"]):
        done = by_name(await api.queue.DoWork(drop("mx1", "mx2")))
    assert done["mx1"].copies == 1
    assert "offline" in done["mx2"].problem
    assert fleet["mx2"].queue.waiting == {1: TYPO}
    commit = await whole(api, (await newest(api)).revision)
    assert [each.machine for each in commit.work.machines] == ["mx1"]


async def test_without_anything_to_do_nothing_is_recorded(
    api: Api, fleet: dict[str, Machine]
) -> None:
    before = (await newest(api)).revision
    async with connected(api, fleet["mx1"]):
        done = await api.queue.DoWork(drop("mx1", "mx2"))
    assert (done.committed, done.revision) == (False, 0)
    assert (await newest(api)).revision == before


async def test_a_target_that_is_not_in_force_is_refused_with_those_that_are(
    api: Api, fleet: dict[str, Machine]
) -> None:
    fleet["mx1"].queue.waiting = {1: TYPO}
    async with connected(api, fleet["mx1"]):
        for call in (api.queue.CountCopies, api.queue.DoWork):
            row = by_name(await call(move("mx1", to="other@intake.example")))["mx1"]
            assert "not in force" in row.problem
            assert list(row.intakes) == [INTAKE]
    assert fleet["mx1"].queue.waiting == {1: TYPO}


@pytest.mark.parametrize("what", ["count", "work"])
async def test_a_machine_that_does_not_answer_is_named_in_time(
    api: Api, fleet: dict[str, Machine], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """And what it does is said to be not known; the others are not kept waiting for it."""
    monkeypatch.setattr(queue_machines, "ANSWER_WAIT", 0.4)
    for machine in fleet.values():
        machine.queue.waiting = {1: TYPO}
    async with connected(api, fleet["mx1"]) as side, connected(api, fleet["mx2"]):
        slow = fleet["mx1"].queue
        if what == "count":
            slow.hangs = asyncio.Event()
            rows = by_name(await api.queue.CountCopies(drop("mx1", "mx2")))
        else:
            rows = by_name(await _hanging_after_the_count(api, slow))
        assert "did not answer within 0.4 s" in rows["mx1"].problem
        assert (rows["mx2"].copies, rows["mx2"].problem) == (1, "")
        busy = by_name(await api.queue.CountCopies(drop("mx1")))["mx1"]
        assert "busy with an order before" in busy.problem
        await asyncio.sleep(0.5)
        assert side.stream.connected, "an order never harms the stream"
        assert slow.hangs is not None
        slow.hangs.set()
        await asyncio.sleep(0.3)
        slow.hangs = None
        slow.waiting = {2: TYPO}
        assert by_name(await api.queue.CountCopies(drop("mx1")))["mx1"].problem == ""


async def _hanging_after_the_count(api: Api, slow: MemoryQueue) -> operators_pb2.QueueResponse:
    asking = asyncio.ensure_future(api.queue.DoWork(drop("mx1", "mx2")))
    while not slow.orders:
        await asyncio.sleep(0)
    slow.hangs = asyncio.Event()
    return await asking


async def test_settings_reach_a_machine_while_an_order_is_under_way(
    api: Api, fleet: dict[str, Machine]
) -> None:
    queue = fleet["mx1"].queue
    queue.waiting = {1: TYPO}
    async with connected(api, fleet["mx1"]) as side:
        queue.hangs = asyncio.Event()
        asking = asyncio.ensure_future(api.queue.CountCopies(drop("mx1")))
        while not queue.orders:
            await asyncio.sleep(0.01)
        await api.commit(put("cluster", "c1", max_message_size=12_345))
        async with asyncio.timeout(3):
            while side.in_force.current().max_message_size != 12_345:
                await asyncio.sleep(0.02)
        queue.hangs.set()
        await asking


async def test_an_agent_of_an_older_protocol_is_named_and_never_sent_an_order(
    api: Api, fleet: dict[str, Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tdc.node_agent.sync.saying.PROTOCOL", 1)
    async with connected(api, fleet["mx1"]):
        row = by_name(await api.queue.CountCopies(drop("mx1")))["mx1"]
    assert "upgrade the agent" in row.problem
    assert fleet["mx1"].queue.orders == []


async def test_a_performer_that_fails_is_answered_in_words(
    api: Api, fleet: dict[str, Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(_: object) -> None:
        raise RuntimeError("the disk is gone")

    monkeypatch.setattr(fleet["mx1"].queue, "perform", fails)
    async with connected(api, fleet["mx1"]) as side:
        row = by_name(await api.queue.CountCopies(drop("mx1")))["mx1"]
        assert side.stream.connected
    assert "the disk is gone" in row.problem


# -- names ---------------------------------------------------------------------------------------


def _drop(intake: str = "", *, mids: tuple[int, ...] = ()) -> operators_pb2.QueueWorkRequest:
    selection = agents_pb2.CopySelection(intake=intake, mids=mids, dead=True)
    work = agents_pb2.DropCopies(selection=selection)
    return operators_pb2.QueueWorkRequest(scope=scope("mx1"), drop=work)


async def test_an_intake_that_no_machine_knows_is_refused_and_those_with_copies_are_named(
    api: Api, fleet: dict[str, Machine]
) -> None:
    """A typo must not look as if its copies were gone already."""
    await api.commit(put("cluster", "c1", intake_address=INTAKE))
    held = {TYPO: IntakeBacklog(2, 0, 1_000.0)}
    async with connected(api, fleet["mx1"], held):

        async def reported() -> bool:
            status = await api.monitoring.GetStatus(operators_pb2.StatusRequest(machine="mx1"))
            return status.machines[0].HasField("copies")

        async with asyncio.timeout(10):
            while not await reported():
                await asyncio.sleep(0.02)
        async with refused_with(
            STATUS.NOT_FOUND, "has copies for foo@nowhere.example", f"copies there: {TYPO}"
        ):
            await api.queue.CountCopies(_drop("foo@nowhere.example"))
        for known in (INTAKE, TYPO):
            assert by_name(await api.queue.CountCopies(_drop(known)))["mx1"].copies == 0
    async with refused_with(STATUS.INVALID_ARGUMENT, "'foo' is not an address"):
        await api.queue.CountCopies(_drop("foo"))
    async with refused_with(STATUS.INVALID_ARGUMENT, "'foo' is not an address"):
        await api.queue.CountCopies(move("mx1", to="foo"))
    async with refused_with(STATUS.INVALID_ARGUMENT, "'foo' is not an address"):
        await api.queue.ListDead(operators_pb2.ListDeadRequest(intake="foo"))


async def test_a_copy_that_a_machine_does_not_have_is_refused(
    api: Api, fleet: dict[str, Machine]
) -> None:
    fleet["mx1"].queue.waiting = {99: TYPO}
    no_such = refused_with(STATUS.NOT_FOUND, "mx1 has no dead copy 99")
    async with connected(api, fleet["mx1"]), no_such:
        await api.queue.CountCopies(_drop(mids=(99,)))
