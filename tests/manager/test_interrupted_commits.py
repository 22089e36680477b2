"""Calls that end before their answer: history has each commit once, and the documents agree."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import grpc
import grpc.aio
import pytest
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.store.repair import repair
from tdc.v1 import fleet_pb2, operators_pb2

from tests.fakes.etcd import ExternalEtcd
from tests.stage.manager import Api, put

STATUS = grpc.StatusCode
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


async def _made(api: Api, request: operators_pb2.CommitRequest) -> int:
    return int((await api.changes.MakeCommit(request)).revision)
