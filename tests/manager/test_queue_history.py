"""Work on queues that is refused, its place in history, and the plans that count what waits."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tdc.node_agent.spool.values import IntakeBacklog
from tdc.v1 import agents_pb2, operators_pb2

from tests.fakes.etcd import ExternalEtcd
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
from tests.stage.manager import Api, add_machine, manager, put, restore
from tests.stage.manager import refused as refused_with
from tests.stage.queues import INTAKE, TYPO

__all__ = ["fleet"]  # a fixture


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (operators_pb2.QueueWorkRequest(scope=scope("mx1"), request_id="r"), "names no work"),
        (drop(), "machines that are named"),
        (move("mx1", to=TYPO), "to itself"),
        (move("mx1", to=""), "a move needs the intake"),
        (drop("mx1", request_id=""), "request id"),
        (
            operators_pb2.QueueWorkRequest(
                scope=scope("mx1"), request_id="r", drop=agents_pb2.DropCopies()
            ),
            "chooses no copies",
        ),
        (
            operators_pb2.QueueWorkRequest(
                scope=scope("mx1"),
                request_id="r",
                drop=agents_pb2.DropCopies(selection=agents_pb2.CopySelection(dead=True)),
            ),
            "never drops them all",
        ),
        (
            operators_pb2.QueueWorkRequest(
                scope=scope("mx1", "mx2"),
                request_id="r",
                retry=agents_pb2.RetryCopies(
                    selection=agents_pb2.CopySelection(mids=[1], dead=True)
                ),
            ),
            "name one machine",
        ),
    ],
)
async def test_work_that_contradicts_itself_is_refused(
    api: Api, fleet: dict[str, Machine], request_: operators_pb2.QueueWorkRequest, words: str
) -> None:
    async with refused_with(STATUS.INVALID_ARGUMENT, words):
        await api.queue.DoWork(request_)


async def test_machines_of_two_clusters_are_refused_and_unknown_ones_too(
    api: Api, fleet: dict[str, Machine]
) -> None:
    await api.create_cluster("c2")
    await api.commit(add_machine("mx9", "Main_Group"), cluster="c2")
    async with refused_with(STATUS.INVALID_ARGUMENT, "c1, c2", "one cluster at a time"):
        await api.queue.DoWork(drop("mx1", "mx9"))
    async with refused_with(STATUS.NOT_FOUND, "mx7"):
        await api.queue.ListDead(operators_pb2.ListDeadRequest(scope=scope("mx7")))


async def test_work_is_refused_while_its_record_can_not_be_written(
    api: Api, fleet: dict[str, Machine], etcd: ExternalEtcd
) -> None:
    fleet["mx1"].queue.waiting = {1: TYPO}
    async with connected(api, fleet["mx1"]):
        await etcd.stop()
        async with asyncio.timeout(20):
            while not (await api.monitoring.GetStatus(operators_pb2.StatusRequest())).warnings:
                await asyncio.sleep(0.1)
        assert by_name(await api.queue.CountCopies(drop("mx1")))["mx1"].copies == 1
        async with refused_with(STATUS.UNAVAILABLE, "etcd is unreachable"):
            await api.queue.DoWork(drop("mx1"))
    assert fleet["mx1"].queue.waiting == {1: TYPO}


async def test_a_rollback_goes_past_work_and_to_it(api: Api, fleet: dict[str, Machine]) -> None:
    fleet["mx1"].queue.waiting = {1: TYPO}
    first = await api.commit(put("cluster", "c1", max_message_size=1_000))
    async with connected(api, fleet["mx1"]):
        worked = (await api.queue.DoWork(drop("mx1"))).revision
    assert worked == first + 1
    await api.commit(put("cluster", "c1", max_message_size=2_000))
    await api.commit(restore(worked))
    await api.commit(put("cluster", "c1", max_message_size=3_000))
    await api.commit(restore(first))
    effective = await api.settings.GetEffective(operators_pb2.GetEffectiveRequest(machine="mx1"))
    assert effective.settings.max_message_size == 1_000


async def test_work_and_commits_at_the_same_time_each_have_a_revision_of_their_own(
    api: Api, fleet: dict[str, Machine]
) -> None:
    fleet["mx1"].queue.waiting = {1: INTAKE}
    work = agents_pb2.RetryCopies(selection=agents_pb2.CopySelection(waiting=True))

    async def retried(number: int) -> int:
        request = operators_pb2.QueueWorkRequest(
            scope=scope("mx1"), retry=work, request_id=f"w{number}"
        )
        return (await api.queue.DoWork(request)).revision

    async def committed(number: int) -> int:
        return await api.commit(put("machine", f"mx{number}", max_message_size=1_000 + number))

    async with connected(api, fleet["mx1"]):
        revisions = await asyncio.gather(
            *(retried(number) for number in (1, 2, 3)), *(committed(number) for number in (1, 2, 3))
        )
    assert len(set(revisions)) == 6
    assert (await newest(api)).revision == max(revisions)


async def test_a_record_outlives_the_manager_that_wrote_it(
    api: Api, fleet: dict[str, Machine], etcd: ExternalEtcd, tmp_path: Path
) -> None:
    fleet["mx1"].queue.waiting = {1: TYPO}
    async with connected(api, fleet["mx1"]):
        revision = (await api.queue.DoWork(move("mx1"))).revision
    async with manager(tmp_path / "other", etcd_endpoints=etcd.options.endpoints) as other:
        commit = await whole(other, revision)
    assert (commit.work.kind, commit.work.copies, commit.work.machines[0].machine) == (
        "move",
        1,
        "mx1",
    )


async def test_a_plan_says_how_many_copies_wait_for_an_intake_that_changes_or_goes(
    api: Api, fleet: dict[str, Machine]
) -> None:
    board = {"name": "b", "action": "custom", "recipients": ["board@corp.example"]}
    policies = [{**board, "intake_address": "board@intake.example"}]
    await api.commit(put("cluster", "c1", enabled=True, intake_address=TYPO, policies=policies))
    backlogs = {
        TYPO: IntakeBacklog(12, 1, 1_795_425_302.25),
        "board@intake.example": IntakeBacklog(3, 0, 1_795_425_302.25),
        "gone@intake.example": IntakeBacklog(5, 0, None),
        "empty@intake.example": IntakeBacklog(0, 9, None),
    }
    async with connected(api, fleet["mx1"], backlogs):
        await asyncio.sleep(0.5)
        renamed = await api.plan(put("cluster", "c1", intake_address=INTAKE))
        rerouted = await api.plan(put("cluster", "c1", smtp_route=["relay.example:25"]))
        beside = await api.plan(put("cluster", "c1", max_message_size=5_000))
    assert [(each.machine, each.intake, each.copies, each.goes) for each in renamed.backlogs] == [
        ("mx1", TYPO, 12, True)
    ]
    assert renamed.backlogs[0].oldest.seconds == 1_795_425_302
    assert [(each.intake, each.copies, each.goes) for each in rerouted.backlogs] == [
        ("board@intake.example", 3, False),
        (TYPO, 12, False),
    ]
    assert not beside.backlogs
    alone = await api.plan(put("cluster", "c1", intake_address=INTAKE))
    assert alone.fingerprint == renamed.fingerprint, "what waits is no part of the outcome"
