"""Calls that end before their answer: history has each commit once, and the documents agree."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import grpc
import grpc.aio
import pytest
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.store.history import History, MadeRequest
from tdc.manager.store.repair import repair
from tdc.v1 import fleet_pb2, operators_pb2

from tests.fakes.etcd import ExternalEtcd
from tests.stage.manager import Api, add_group, add_machine, put, remove_machine, rename_group

STATUS = grpc.StatusCode


def _edit(**kind: Any) -> fleet_pb2.Edit:
    return fleet_pb2.Edit(**kind)


SIZES = range(1_000_001, 1_000_021)


async def _asked(api: Api, size: int, request_id: str) -> operators_pb2.CommitRequest:
    edit = put("cluster", "c1", max_message_size=size)
    plan = await api.plan(edit)
    return operators_pb2.CommitRequest(
        edits=[edit], fingerprint=plan.fingerprint, request_id=request_id
    )


async def _history(api: Api) -> Sequence[fleet_pb2.Commit]:
    """All commits, oldest first."""
    request = operators_pb2.ListCommitsRequest(cluster="c1", limit=200)
    return list((await api.changes.ListCommits(request)).commits)[::-1]


async def _check(api: Api, etcd: ExternalEtcd, sizes: Sequence[int]) -> None:
    """History is the creation and one commit for each size, in order, and it is what is stored."""
    history = await _history(api)
    assert [each.revision for each in history] == list(range(1, len(sizes) + 2))
    whole = [
        await api.changes.GetCommit(
            operators_pb2.GetCommitRequest(cluster="c1", revision=each.revision)
        )
        for each in history[1:]
    ]
    assert [each.levels[0].after.max_message_size for each in whole] == list(sizes)
    async with EtcdClient(etcd.options) as client:
        assert await repair(client, write=False) == ()


@pytest.mark.proves("B91")
async def test_a_commit_that_is_cancelled_at_any_moment_is_made_once_or_not_at_all(
    api: Api, etcd: ExternalEtcd
) -> None:
    await api.create_cluster("c1")
    made = 0
    for number, size in enumerate(SIZES):
        request = await _asked(api, size, f"cancelled-{number}")
        call: Any = api.changes.MakeCommit(request)
        await asyncio.sleep(number * 0.0005)
        made += not call.cancel()
        await asyncio.wait([asyncio.ensure_future(call.code())])
        # What became of it is not known to who cancels: he asks again, and it is there once.
        again = await api.changes.MakeCommit(request)
        assert again.revision == number + 2
    assert made < len(SIZES)
    await _check(api, etcd, SIZES)


@pytest.mark.proves("B91")
async def test_a_commit_whose_time_is_up_at_once_is_made_once_or_not_at_all(
    api: Api, etcd: ExternalEtcd
) -> None:
    await api.create_cluster("c1")
    for number, timeout in enumerate((0, 0.000_001, 0.002)):
        request = await _asked(api, SIZES[number], f"late-{number}")
        call: Any = api.changes.MakeCommit(request, timeout=timeout)
        code = await call.code()
        assert code is STATUS.DEADLINE_EXCEEDED or (timeout >= 0.002 and code is STATUS.OK)
        again = await api.changes.MakeCommit(request)
        assert again.revision == number + 2
    await _check(api, etcd, SIZES[:3])


@pytest.mark.proves("B91")
async def test_a_request_id_that_is_replayed_changes_nothing_whenever_it_comes(
    api: Api, etcd: ExternalEtcd
) -> None:
    """At once, later, and when another value is in force by then."""
    await api.create_cluster("c1")
    request = await _asked(api, SIZES[0], "replayed")
    at_once = await asyncio.gather(*(_made(api, request) for _ in range(8)))
    assert set(at_once) == {2}
    await _made(api, await _asked(api, SIZES[1], "between"))
    assert await _made(api, request) == 2
    request.comment = "another comment"
    assert await _made(api, request) == 2
    await _check(api, etcd, SIZES[:2])


@pytest.mark.parametrize(
    "edits",
    [
        [remove_machine("mx1")],
        [_edit(move_machine=fleet_pb2.MoveMachine(name="mx1", group="g2"))],
        [rename_group("g1", "edge")],
        [_edit(remove_group=fleet_pb2.RemoveGroup(name="g1", move_to="g2"))],
        [
            put("group", "g1", enabled=False),
            rename_group("g1", "edge"),
        ],
        [add_machine("mx9", "g1")],
    ],
    ids=lambda edits: edits[0].WhichOneof("kind"),
)
@pytest.mark.parametrize("cluster", ["", "c1"])
@pytest.mark.proves("B91")
async def test_a_change_of_the_topology_that_is_sent_again_has_the_same_answer(
    api: Api, edits: list[fleet_pb2.Edit], cluster: str
) -> None:
    """Though the machine that it removed, or the group that it renamed, is unknown by then."""
    await api.create_cluster("c0")
    await api.create_cluster("c1")
    fill = [add_group("g1"), add_group("g2"), add_machine("mx1", "g1")]
    await api.commit(*fill, cluster="c1")
    plan = await api.plan(*edits, cluster=cluster)
    for _ in range(2):
        made = await api.commit_as_planned(plan, *edits, cluster=cluster, request_id="again")
        assert (made.cluster, made.revision, made.committed) == ("c1", 3, True)
    with pytest.raises(grpc.aio.AioRpcError):  # with an id of its own it is a request of its own
        await api.commit_as_planned(plan, *edits, cluster=cluster)
    plan.fingerprint = "of another plan"
    with pytest.raises(grpc.aio.AioRpcError):
        await api.commit_as_planned(plan, *edits, cluster=cluster, request_id="again")


@pytest.mark.parametrize(
    "edit", [put("cluster", "c1", max_message_size=SIZES[0]), add_group("g1")], ids=["set", "add"]
)
@pytest.mark.proves("B91")
async def test_a_commit_that_lands_while_it_is_sent_again_is_no_refusal_of_the_second(
    api: Api, edit: fleet_pb2.Edit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second looked for it just before, and plans on a fleet that has it."""
    await api.create_cluster("c1")
    plan = await api.plan(edit)
    await api.commit_as_planned(plan, edit, request_id="again")
    find, asked = History.find_request, list[str]()

    async def too_early(history: History, cluster: str, request_id: str) -> MadeRequest | None:
        asked.append(request_id)
        return await find(history, cluster, request_id) if len(asked) > 1 else None

    monkeypatch.setattr(History, "find_request", too_early)
    again = await api.commit_as_planned(plan, edit, request_id="again")
    assert (again.revision, again.committed) == (2, True)


async def _made(api: Api, request: operators_pb2.CommitRequest) -> int:
    return int((await api.changes.MakeCommit(request)).revision)
