"""What one manager alone does: owned by a lease, fenced, and taken over by another at once."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.values import Put
from tdc.manager.store.keys import MAINTENANCE, owner_key
from tdc.manager.store.lease import HeldLease
from tdc.manager.store.maintenance import EVERY, Maintenance
from tdc.manager.store.ownership import Holder, Ownership
from tdc.shared.edge.clock import monotonic
from tdc.shared.edge.tasks import running

from tests.fakes.etcd import full_etcd
from tests.stage.etcds import shared_by_module
from tests.stage.stored_clusters import MADE
from tests.surroundings import in_time

pytestmark = shared_by_module

KEY = owner_key("maintenance")


@dataclass
class Contender:
    """A manager that would do the work; `asleep` is time of which its process knows nothing."""

    lease: HeldLease
    ownership: Ownership
    asleep: float = 0.0


@contextlib.asynccontextmanager
async def contender(etcd: EtcdClient, name: str) -> AsyncIterator[Contender]:
    made: Contender

    def clock() -> float:
        return monotonic() + made.asleep

    lease = HeldLease(etcd, clock, ttl=3)
    made = Contender(lease, Ownership(etcd, "maintenance", lease, Holder(name, "run")))
    async with lease.held(), running(made.ownership.run(), name=name):
        yield made


async def until(holds: Callable[[], bool], *, within: float = 10) -> None:
    async with asyncio.timeout(within):
        while not holds():
            await asyncio.sleep(0.01)


async def test_one_owns_and_another_at_once_when_it_stops(small_etcd: EtcdClient) -> None:
    async with contextlib.AsyncExitStack() as first_runs:
        first = await first_runs.enter_async_context(contender(small_etcd, "first"))
        await until(lambda: first.ownership.fence is not None)
        async with contender(small_etcd, "second") as second:
            await until(lambda: second.ownership.owner == "first")
            await asyncio.sleep(0.3)
            assert second.ownership.fence is None
            await first_runs.aclose()
            began = time.monotonic()
            await until(lambda: second.ownership.fence is not None)
            assert in_time(time.monotonic() - began, 1.0)


async def test_who_lost_the_work_without_knowing_writes_nothing(small_etcd: EtcdClient) -> None:
    """Frozen, say: by its own clock its lease is good, and another is the owner."""
    async with contender(small_etcd, "first") as first:
        await until(lambda: first.ownership.fence is not None)
        fence = first.ownership.fence
        assert fence is not None
        assert (await small_etcd.txn([fence], [Put("/tdc/t/a", b"1")])).succeeded
        await small_etcd.txn([], [Put(KEY, b'{"schema":1,"manager":"other","instance":"x"}')])
        assert not (await small_etcd.txn([fence], [Put("/tdc/t/a", b"2")])).succeeded
        maintenance = Maintenance(small_etcd, own_member=False, ownership=first.ownership)
        assert await maintenance.round_if_due(MADE) is None
        await until(lambda: first.ownership.fence is None)
        assert await small_etcd.get(MAINTENANCE) is None


async def test_a_lease_that_may_be_over_owns_nothing(small_etcd: EtcdClient) -> None:
    async with contender(small_etcd, "first") as first:
        await until(lambda: first.ownership.fence is not None)
        first.asleep = 60.0
        assert first.ownership.fence is None
        assert first.lease.id == 0


async def test_what_was_deleted_by_hand_is_taken_again(small_etcd: EtcdClient) -> None:
    async with contender(small_etcd, "first") as first:
        await until(lambda: first.ownership.fence is not None)
        before = first.ownership.fence
        await small_etcd.revoke(first.lease.id)  # by hand, too: the key goes with it
        await until(lambda: first.ownership.fence not in (None, before))


async def test_the_owner_alone_does_rounds(small_etcd: EtcdClient) -> None:
    async with (
        contender(small_etcd, "first") as first,
        contender(small_etcd, "second") as second,
    ):
        await until(lambda: bool(first.ownership.fence) != bool(second.ownership.fence))
        both = (first, second) if first.ownership.fence else (second, first)
        owner, other = (
            Maintenance(small_etcd, own_member=False, ownership=each.ownership) for each in both
        )
        assert await other.round_if_due(MADE) is None
        assert await owner.round_if_due(MADE) is not None
        assert await owner.round_if_due(MADE + EVERY - 1) is None


async def test_a_full_store_is_maintained_although_nobody_can_own_that(tmp_path: Path) -> None:
    """It grants no lease and takes no claim; deleting and compacting are what helps."""
    async with full_etcd(tmp_path / "etcd") as etcd, contender(etcd, "first") as first:
        await until(lambda: first.lease.full)
        assert first.lease.trouble
        maintenance = Maintenance(etcd, own_member=True, ownership=first.ownership)
        assert await maintenance.round_if_due(MADE) is not None
        assert await maintenance.round_if_due(MADE + 60) is None, "once an hour, too"
        await maintenance.repair()
        await etcd.txn([], [Put("/tdc/t/after", b"1")])
        await until(lambda: first.ownership.fence is not None)
