"""Three members: a member cut off from the others is not believed."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.errors import EtcdUnavailable
from tdc.manager.etcd.follow import Away
from tdc.manager.etcd.values import Put

from tests.fakes.etcd import ExternalEtcd, of_all
from tests.fakes.follower import following


@pytest.mark.proves("P16", "F44")
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
