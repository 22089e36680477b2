"""Three members: one may die, and no commit or change is lost."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.errors import EtcdUnavailable

from tests.fakes.etcd import ExternalEtcd, of_all
from tests.fakes.follower import following
from tests.stage.stored_clusters import CLUSTER, commit, set_values, stored, west


@pytest.mark.proves("F44", "P13")
async def test_a_member_that_dies_costs_no_commit_and_no_change(
    members: list[ExternalEtcd],
) -> None:
    async with EtcdClient(of_all(members)) as etcd, following(etcd, "/tdc/v1/") as follower:
        cluster = await west(etcd)
        await members[0].stop()  # the one in use
        edit = set_values(CLUSTER, max_message_size=1)
        async with asyncio.timeout(5):
            while True:
                with contextlib.suppress(EtcdUnavailable):  # certainly not made: make it again
                    assert (await commit(etcd, cluster, edit, request_id="one")).revision == 3
                    break
                await asyncio.sleep(0.1)
        assert (await stored(etcd)).stored.settings["max_message_size"] == 1
        await follower.until(lambda: "/tdc/v1/commits/west/000000000003" in follower.values)
