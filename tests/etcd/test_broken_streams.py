"""Watches that a server ends or breaks at the worst moment, on a real etcd behind a proxy."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.errors import Compacted
from tdc.manager.etcd.follow import Away, NewValues, Snapshot
from tdc.manager.etcd.values import Put

from tests.fakes.etcd_proxy import WATCH, EtcdProxy
from tests.fakes.follower import following
from tests.stage.etcds import shared_by_module

pytestmark = shared_by_module


async def test_a_stream_that_ends_cleanly_is_opened_again(
    proxy: EtcdProxy, small_etcd: EtcdClient
) -> None:
    """Defect 1: no watcher was told, and the client was of no more use."""
    proxy.end_watches = 2
    async with EtcdClient(proxy.options) as client, following(client) as follower:
        await follower.until(lambda: len(follower.of(Snapshot)) == 3)
        await small_etcd.txn([], [Put("/tdc/t/a", b"1")])
        await follower.has("/tdc/t/a", b"1")
    away = [item for item in follower.news if isinstance(item, Away)]
    assert [item.reason for item in away] == ["etcd ended the watch"] * 2
    assert proxy.calls[WATCH] == 3


async def test_changes_between_created_and_a_break_are_not_lost(
    proxy: EtcdProxy, small_etcd: EtcdClient
) -> None:
    """Defect 7: "created" carries a newer revision than what has been delivered."""

    async def four_puts() -> None:
        for number in range(4):
            await small_etcd.txn([], [Put(f"/tdc/t/{number}", b"1")])

    proxy.before_watch = four_puts
    proxy.break_watches = 1
    async with EtcdClient(proxy.options) as client, following(client) as follower:
        await follower.until(lambda: len(follower.values) == 4)
        await small_etcd.txn([], [Put("/tdc/t/later", b"1")])
        await follower.has("/tdc/t/later", b"1")
    assert follower.of(Away)


async def test_revisions_split_into_fragments_arrive_whole_and_in_order(
    proxy: EtcdProxy, small_etcd: EtcdClient
) -> None:
    """Defect 4: nine megabytes written before the watch began come in pieces of any size."""
    written: list[int] = []

    async def many_megabytes() -> None:
        for _ in range(8):
            puts = [Put(f"/tdc/t/{part}", bytes(380_000)) for part in range(3)]
            written.append((await small_etcd.txn([], puts)).revision)

    proxy.before_watch = many_megabytes
    async with EtcdClient(proxy.options) as client, following(client) as follower:
        await follower.until(lambda: len(follower.of(NewValues)) == 8)
    changes = [item for item in follower.news if isinstance(item, NewValues)]
    assert [change.revision for change in changes] == written
    assert {len(change.values) for change in changes} == {3}
    assert not follower.of(Away)


async def test_a_compacted_revision_is_reported(small_etcd: EtcdClient) -> None:
    first = (await small_etcd.txn([], [Put("/tdc/t/a", b"1")])).revision
    last = (await small_etcd.txn([], [Put("/tdc/t/a", b"2")])).revision
    await small_etcd.compact(last)
    with pytest.raises(Compacted) as caught:
        async for _ in small_etcd.watch("/tdc/t/", first, deadline=5):
            pass
    assert caught.value.revision == last
    await small_etcd.compact(last)  # compacted already: no error


async def test_one_process_holds_the_stubs_and_everything_else_that_speaks_grpc() -> None:
    """Defect 9: two packages that register etcd's messages can't live in one process."""
    script = (
        "import grpc_health.v1.health_pb2, grpc_reflection.v1alpha.reflection_pb2\n"
        "import tdc.v1.agents_pb2, tdc.v1.operators_pb2, tdc.manager.etcd.client\n"
        "from google.protobuf import descriptor_pool\n"
        "pool = descriptor_pool.Default()\n"
        "print(pool.FindMessageTypeByName('mvccpb.KeyValue').file.name)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "tdc/manager/etcd/stubs/kv.proto\n"
