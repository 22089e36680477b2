"""A store with some history, a view of it, and what a hand in etcd can do to each of its keys."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.follow import FollowOptions
from tdc.manager.etcd.values import Delete, Put
from tdc.manager.levels.changes import AddGroup, AddMachine, Edit
from tdc.manager.levels.fleet import LevelKey, new_cluster
from tdc.manager.levels.plan import make_plan
from tdc.manager.levels.suspensions import SuspensionOrder, Suspensions, ordered
from tdc.manager.store import identity, keys
from tdc.manager.store.commit import CommitStore
from tdc.manager.store.documents import pack_head
from tdc.manager.store.encoding import pack, unpack
from tdc.manager.store.joins import JoinStore, JoinToken
from tdc.manager.store.maintenance import Maintenance
from tdc.manager.store.record import CommitRecord, Signature, chained, pack_record, read_record
from tdc.manager.store.replay import replayed
from tdc.manager.store.suspensions import SuspensionStore
from tdc.manager.view.fleet import FleetView
from tdc.shared.edge.tasks import running
from tdc.shared.settings.values import Level
from tdc.shared.sync.suspension import Suspended

from tests.fakes.etcd import external_etcd
from tests.stage.stored_clusters import MADE, set_values

SOON = FollowOptions(silence=2.0, compare_every=1.0)
MACHINE, GROUP = LevelKey(Level.MACHINE, "mx1"), LevelKey(Level.GROUP, "g1")
WEST = LevelKey(Level.CLUSTER, "west")

ONE_OF_EACH = {
    "store": keys.STORE,
    "head": keys.head_key("west"),
    "cluster": keys.cluster_key("west"),
    "groups": keys.group_key("west", "g1"),
    "machines": keys.machine_key("west", "mx1"),
    "commit": keys.commit_key("west", 3),
    "newest commit": keys.commit_key("west", 6),
    "snapshot": keys.snapshot_key("west", 5, keys.head_key("west")),
    "request": keys.request_key("west", "r5"),
    "join token": keys.join_token_key("hash"),
    "enrolment": keys.enrolment_key("west", "mx1"),
    "draft": keys.draft_key("west", "ana"),
    "suspensions": keys.suspensions_key("west"),
    "cluster name": keys.cluster_name_key("arctic"),
    "people": keys.PEOPLE_HEAD,
    "user": keys.user_key("ann"),
    "session": keys.session_key("s" * 64),
    "API token": keys.api_token_key("t" * 64),
    "operator": keys.operator_key("a" * 64),
    "audit entry": keys.audit_key(2),
    "audit head": keys.AUDIT_HEAD,
    "audit anchor": keys.AUDIT_ANCHOR,
    "maintenance": keys.MAINTENANCE,
    "manager": keys.manager_key("m1"),
    "owner": keys.owner_key("maintenance"),
    "place": keys.PLACE,
    "authority": keys.AUTHORITY,
}
"""A key of each family in `store.keys`."""

EDITS: dict[str, Callable[[dict[str, object]], object]] = {
    "store": lambda it: it.update(id="f" * 32),
    "head": lambda it: it.update(request_id="another"),
    "cluster": lambda it: it.update(settings={"max_message_size": 77}),
    "groups": lambda it: _first_entry(it["groups"]).update(settings={"max_message_size": 77}),
    "machines": lambda it: _first_entry(it["machines"]).update(group="Main_Group"),
    "commit": lambda it: it.update(author="mallory"),
    "newest commit": lambda it: it.update(levels=[]),
    "snapshot": lambda it: it.update(request_id="another"),
    "request": lambda it: it.update(revision=2),
    "join token": lambda it: it.update(machine="mx9"),
    "enrolment": lambda it: it.update(id="a thief's"),
    "suspensions": lambda it: _first_entry(it["machines"]).pop("delivery"),
    "maintenance": lambda it: it.update(at=1.0),
}
"""What somebody changes in a value of each family, all of it well-formed."""


def edited(name: str, raw: bytes) -> bytes:
    document = unpack(raw)
    EDITS[name](document)
    return pack(document)


def _first_entry(entries: object) -> dict[str, object]:
    assert isinstance(entries, dict)
    (entry, *_) = entries.values()
    assert isinstance(entry, dict)
    return entry


def signed(request_id: str) -> Signature:
    return Signature("ann", "", request_id)


class House:
    """A store with some history, and a view of it."""

    def __init__(self, etcd: EtcdClient, views: contextlib.AsyncExitStack) -> None:
        self.etcd = etcd
        self._views = views
        self.values: dict[str, list[bytes]] = {}
        self.view: FleetView

    async def commit(self, edit: Edit, request_id: str) -> None:
        cluster = self.view.find_cluster("west")
        plan = make_plan(cluster, [edit])
        await CommitStore(self.etcd, settle_within=3).commit(plan, signed(request_id), MADE)
        assert await self.view.at_least("west", plan.after.revision, 5)

    async def fill(self) -> None:
        """Five revisions, and of each key a value that came before the present one."""
        await CommitStore(self.etcd).create_cluster(new_cluster("west"), signed("r1"), MADE)
        assert await self.view.at_least("west", 1, 5)
        await self._remember()
        await self.commit(AddGroup("g1"), "r2")
        await self.commit(AddMachine("mx1", "g1"), "r3")
        joins = JoinStore(self.etcd)
        for name in ("first", "hash"):
            await joins.add(name, JoinToken("west", "g1", "mx1", 2e9, born=3))
            await self._remember()
            await joins.redeem(name, 1e9, f"of {name}")
        for at in (1e9, 1e9 + 60):
            await self.suspend(at)
            await self._remember()
        await Maintenance(self.etcd, own_member=False).round_if_due(1e9)
        await self._remember()
        await Maintenance(self.etcd, own_member=False).round_if_due(1e9 + 4_000)
        for number, (key, size) in enumerate([(MACHINE, 1), (GROUP, 2)], 4):
            await self._remember()
            await self.commit(set_values(key, max_message_size=size), f"r{number}")
        await self.commit(set_values(WEST, max_message_size=3), "r6")
        await self._remember()
        await identity.adopt(self.etcd)

    async def suspend(self, at: float) -> None:
        """Suspend delivery on mx1, as a reason of this moment."""
        part = Suspended("ann", f"since {at}", at)
        order = SuspensionOrder(("mx1",), ("delivery",), part, "ann", at, f"at {at}")
        machines = self.view.find_cluster("west").machines

        def change(stored: Suspensions) -> Suspensions:
            return ordered(stored, order, machines, "f")[0]

        known = self.view.suspensions("west")
        made = await SuspensionStore(self.etcd).change("west", known, change)
        assert await self.view.has_suspensions("west", made.number, 5)

    async def _remember(self) -> None:
        for name, key in ONE_OF_EACH.items():
            item = await self.etcd.get(key)
            if item is not None:
                self.values.setdefault(name, []).append(item.value)

    async def hurt(self, name: str, how: str) -> bytes:
        """Do it by hand; return what was there."""
        item = await self.etcd.get(ONE_OF_EACH[name])
        assert item is not None
        if how == "deleted":
            await self.etcd.txn([], [Delete(item.key)])
            return item.value
        older = [value for value in self.values[name] if value != item.value]
        match how:
            case "set back":
                assert older, "the fixture has no older value"
                changed = older[-1]
            case "edited":
                changed = edited(name, item.value)
            case "edited, without its seal":
                document = unpack(edited(name, item.value))
                assert document.pop("seal")
                changed = pack(document)
            case "damaged":
                changed = b"\x01no value of ours"
            case _:
                raise AssertionError(how)
        await self.etcd.txn([], [Put(item.key, changed)])
        return item.value

    async def of_before_seals(self) -> None:
        """Make it what managers left that sealed nothing."""
        before, records = "", list[CommitRecord]()
        for revision in range(1, 7):
            key = keys.commit_key("west", revision)
            item = await self.etcd.get(key)
            assert item is not None
            record = chained(replace(read_record(key, item.value), sealed=0, chain=""), before)
            before = record.chain
            records.append(record)
        head, values = replayed("west", records)
        values[keys.head_key("west")] = pack_head("west", head)
        for record in records:
            values[keys.commit_key("west", record.revision)] = pack_record("west", record)
        await self.etcd.txn([], [Put(key, value) for key, value in values.items()])
        # A view that knows seals doubts a store that has none: one that starts does not.
        self.view = await self._views.enter_async_context(viewed(self.etcd))

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(8):
            while not holds():
                await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def viewed(etcd: EtcdClient) -> AsyncIterator[FleetView]:
    view = FleetView(etcd, await identity.store_id(etcd), options=SOON)
    async with running(view.run(), name="view"):
        await view.ready(10)
        yield view


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with (
        external_etcd(tmp_path / "etcd") as server,
        EtcdClient(server.options) as etcd,
        contextlib.AsyncExitStack() as views,
    ):
        made = House(etcd, views)
        made.view = await views.enter_async_context(viewed(etcd))
        await made.fill()
        await made.until(lambda: made.view.store_id != "")
        yield made
