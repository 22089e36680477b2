"""Three members: one may die, and a member cut off from the others is not believed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tdc.manager.etcd.channel import EtcdOptions
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.errors import EtcdUnavailable
from tdc.manager.etcd.follow import Away
from tdc.manager.etcd.values import Put

from tests.contract.test_watch import following
from tests.fakes.etcd import ExternalEtcd, etcd_cluster
from tests.stage.stored_clusters import CLUSTER, commit, set_values, stored, west


@pytest.fixture
async def members(tmp_path: Path) -> AsyncIterator[list[ExternalEtcd]]:
    async with etcd_cluster(tmp_path) as running:
        yield running


def of_all(members: list[ExternalEtcd]) -> EtcdOptions:
    return EtcdOptions(tuple(each.options.endpoints[0] for each in members), timeout=3.0)


async def test_a_member_that_dies_costs_no_commit_and_no_change(
    members: list[ExternalEtcd],
) -> None:
    async with EtcdClient(of_all(members)) as etcd, following(etcd, "/tdc/v1/") as follower:
        cluster = await west(etcd)
        await members[0].stop()  # the one in use
        edit = set_values(CLUSTER, max_message_size=1)
        async with asyncio.timeout(5):
            while True:
                with contextlib.suppress(EtcdUnavailable):  # certainly not made: made anew
                    assert (await commit(etcd, cluster, edit, request_id="one")).revision == 3
                    break
                await asyncio.sleep(0.1)
        assert (await stored(etcd)).stored.settings["max_message_size"] == 1
        await follower.until(lambda: "/tdc/v1/commits/west/000000000003" in follower.values)


async def test_a_member_without_its_leader_ends_the_watch(members: list[ExternalEtcd]) -> None:
    """It would answer signs of life for ever; `hasleader` makes it say that it is cut off."""
    async with EtcdClient(members[0].options) as etcd, following(etcd) as follower:
        for other in members[1:]:
            other.pause()
        await follower.until(lambda: bool(follower.of(Away)))
        for other in members[1:]:
            other.resume()
        async with EtcdClient(of_all(members[1:])) as elsewhere:
            async with asyncio.timeout(8):
                while True:
                    with contextlib.suppress(EtcdUnavailable):
                        await elsewhere.get("/tdc/")
                        break
            await elsewhere.txn([], [Put("/tdc/t/a", b"1")])
        await follower.has("/tdc/t/a", b"1")
