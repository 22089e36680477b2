"""Every kind of key deleted by hand, and set back to an older value: noticed, named, put right."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.follow import FollowOptions
from tdc.manager.etcd.values import Delete, Put
from tdc.manager.levels.changes import AddGroup, AddMachine, Edit
from tdc.manager.levels.fleet import LevelKey, new_cluster
from tdc.manager.levels.plan import make_plan
from tdc.manager.store import identity, keys
from tdc.manager.store.commit import CommitStore
from tdc.manager.store.documents import Unreadable
from tdc.manager.store.errors import StoreError, TokenUsed, UnreadableStore, UnreadableTouched
from tdc.manager.store.history import History, Signature
from tdc.manager.store.joins import JoinStore, JoinToken
from tdc.manager.store.maintenance import Maintenance
from tdc.manager.store.repair import repair
from tdc.manager.view.fleet import FleetView
from tdc.shared.edge.tasks import running
from tdc.shared.settings.values import Level

from tests.fakes.etcd import ExternalEtcd, external_etcd
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
    "newest commit": keys.commit_key("west", 5),
    "snapshot": keys.snapshot_key("west", 5, keys.head_key("west")),
    "request": keys.request_key("west", "r5"),
    "join token": keys.join_token_key("hash"),
    "enrolment": keys.enrolment_key("west", "mx1"),
    "maintenance": keys.MAINTENANCE,
}
"""A key of each family in `store.keys`."""

DOCUMENTS = ("head", "cluster", "groups", "machines")
TOUCHING = {
    "head": set_values(MACHINE, max_message_size=9),
    "cluster": set_values(WEST, max_message_size=9),
    "groups": set_values(GROUP, max_message_size=9),
    "machines": set_values(MACHINE, max_message_size=9),
}


def test_no_family_of_keys_is_left_out() -> None:
    families = {
        value
        for name, value in vars(keys).items()
        if name.isupper() and isinstance(value, str) and value.startswith(keys.ROOT)
    } - {keys.ROOT}
    assert {each for each in families if any(k.startswith(each) for k in ONE_OF_EACH.values())} == (
        families
    )
    parts = {
        document.part for k in ONE_OF_EACH.values() if (document := keys.parse_document_key(k))
    }
    assert parts == set(keys.Part)


class House:
    """A store with some history, and a view of it."""

    def __init__(self, etcd: EtcdClient) -> None:
        self.etcd = etcd
        self.values: dict[str, list[bytes]] = {}
        self.view: FleetView

    async def commit(self, edit: Edit, request_id: str) -> None:
        cluster = self.view.find_cluster("west")
        plan = make_plan(cluster, [edit])
        await CommitStore(self.etcd, settle_within=3).commit(plan, _signed(request_id), MADE)
        assert await self.view.at_least("west", plan.after.revision, 5)

    async def fill(self) -> None:
        """Five revisions, and of each key a value that came before the present one."""
        await CommitStore(self.etcd).create_cluster(new_cluster("west"), _signed("r1"), MADE)
        assert await self.view.at_least("west", 1, 5)
        await self._remember()
        await self.commit(AddGroup("g1"), "r2")
        await self.commit(AddMachine("mx1", "g1"), "r3")
        joins = JoinStore(self.etcd)
        for name in ("first", "hash"):
            await joins.add(name, JoinToken("west", "g1", "mx1", 2e9))
            await self._remember()
            await joins.redeem(name, 1e9, f"of {name}")
        await Maintenance(self.etcd, own_member=False).round_if_due(1e9)
        await self._remember()
        await Maintenance(self.etcd, own_member=False).round_if_due(1e9 + 4_000)
        for number, (key, size) in enumerate([(MACHINE, 1), (GROUP, 2)], 4):
            await self._remember()
            await self.commit(set_values(key, max_message_size=size), f"r{number}")
        await self.commit(set_values(WEST, max_message_size=3), "r6")
        await self._remember()
        await identity.adopt(self.etcd)

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
        else:
            older = [value for value in self.values[name] if value != item.value]
            assert older, "the fixture has no older value"
            await self.etcd.txn([], [Put(item.key, older[-1])])
        return item.value

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(8):
            while not holds():
                await asyncio.sleep(0.02)


def _signed(request_id: str) -> Signature:
    return Signature("ann", "", request_id)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ExternalEtcd]:
    async with external_etcd(tmp_path / "etcd") as etcd:
        yield etcd


@contextlib.asynccontextmanager
async def viewed(etcd: EtcdClient) -> AsyncIterator[FleetView]:
    view = FleetView(etcd, await identity.store_id(etcd), options=SOON)
    async with running(view.run(), name="view"):
        await view.ready(10)
        yield view


@pytest.fixture
async def house(server: ExternalEtcd) -> AsyncIterator[House]:
    async with EtcdClient(server.options) as etcd:
        made = House(etcd)
        async with viewed(etcd) as made.view:
            await made.fill()
            await made.until(lambda: made.view.store_id != "")
            yield made


@pytest.mark.parametrize("how", ["deleted", "set back"])
@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.proves("F51", "P13")
async def test_a_document_is_noticed_kept_refused_at_once_and_put_right(
    house: House, name: str, how: str
) -> None:
    key, known = ONE_OF_EACH[name], house.view.find_cluster("west")
    good = await house.hurt(name, how)
    await house.until(lambda: any(key in each and how in each for each in house.view.problems))
    assert house.view.find_cluster("west") == known, "the last known one is served"
    began = time.monotonic()
    with pytest.raises(UnreadableTouched, match=f"{key} was {how} by hand.*repair.*othing was ch"):
        await house.commit(TOUCHING[name], "after")
    assert time.monotonic() - began < 2

    async with viewed(house.etcd) as later:
        assert any(key in each for each in later.problems) or name == "cluster"
        assert not _sees(later, name), "what was set back is not taken for the truth"

    found = await repair(house.etcd, write=False)
    assert [(key in each.text, each.right) for each in found] == [(True, True)]
    await repair(house.etcd, write=True)
    item = await house.etcd.get(key)
    assert item is not None
    assert item.value == good, "byte for byte as the commits left it"
    await house.until(lambda: not house.view.problems)
    await house.commit(TOUCHING[name], "after")
    assert house.view.revision("west") == known.revision + 1
    assert await repair(house.etcd, write=True) == ()


def _sees(view: FleetView, name: str) -> bool:
    """Whether a view believes what it could only have from a document that is not right."""
    if "west" not in view.clusters:
        return False
    cluster = view.clusters["west"]
    return {"groups": "g1" in cluster.groups, "machines": "mx1" in cluster.machines}.get(name, True)


async def test_a_document_that_no_commit_touches_hinders_no_other_commit(house: House) -> None:
    await house.hurt("machines", "deleted")
    await house.commit(set_values(WEST, max_message_size=8), "beside")
    assert house.view.find_cluster("west").machines["mx1"].stored.settings["max_message_size"] == 1


async def test_the_head_is_put_right_also_where_history_is_trimmed(house: House) -> None:
    """Not the documents: their history is gone. That is said, and nothing is guessed."""
    first, last = keys.commit_key("west", 0), keys.commit_key("west", 4)
    await house.etcd.txn([], [Delete(first, last)])
    good = await house.hurt("head", "deleted")
    found = await repair(house.etcd, write=True)
    assert [each.right for each in found] == [True]
    item = await house.etcd.get(ONE_OF_EACH["head"])
    assert item is not None
    assert item.value == good
    await house.hurt("groups", "deleted")
    (lost,) = await repair(house.etcd, write=True)
    assert not lost.right
    assert "restore a backup" in lost.text


@pytest.mark.parametrize("how", ["deleted", "set back"])
@pytest.mark.proves("F49")
async def test_the_stores_id_is_noticed_and_the_known_one_kept(house: House, how: str) -> None:
    async with viewed(house.etcd) as view:
        known = view.store_id
        await house.hurt("store", how)
        await house.until(lambda: any(f"{keys.STORE} was {how}" in each for each in view.problems))
        assert view.store_id == known
        if how == "deleted":
            with pytest.raises(UnreadableStore, match="tdc-manager adopt"):
                await identity.store_id(house.etcd)
        made = await identity.adopt(house.etcd)
        await house.until(lambda: view.store_id == made.id and not view.problems)


async def test_a_commit_record_that_is_gone_is_a_row_and_a_refusal(house: House) -> None:
    await house.hurt("commit", "deleted")
    listed = await History(house.etcd).commits("west")
    assert [type(each) is Unreadable for each in listed] == [
        False,
        False,
        False,
        True,
        False,
        False,
    ]
    assert "was deleted by hand" in str(listed[3])
    await house.commit(set_values(WEST, max_message_size=8), "r7")


async def test_a_commit_record_of_another_revision_is_named(house: House) -> None:
    other = await house.etcd.get(keys.commit_key("west", 2))
    assert other is not None
    await house.etcd.txn([], [Put(ONE_OF_EACH["commit"], other.value)])
    found = await History(house.etcd).commit_record("west", 3)
    assert "record of revision 2" in str(found)


async def test_a_request_that_made_the_last_commit_is_known_without_its_key(house: House) -> None:
    edit = set_values(MACHINE, max_message_size=7)
    before = house.view.find_cluster("west")
    await house.commit(edit, "r7")
    await house.etcd.txn([], [Delete(keys.request_key("west", "r7"))])
    plan = make_plan(before, [edit])
    again = await CommitStore(house.etcd).commit(plan, _signed("r7"), MADE)
    assert (again.revision, again.already) == (7, True)


async def test_a_join_token_that_is_set_back_enrols_nobody_again(house: House) -> None:
    await house.hurt("join token", "set back")
    with pytest.raises(TokenUsed, match="set it back in etcd by hand"):
        await JoinStore(house.etcd).redeem("hash", 1e9, "a thief's")
    await house.hurt("join token", "deleted")
    with pytest.raises(StoreError, match="unknown join token"):
        await JoinStore(house.etcd).redeem("hash", 1e9, "a thief's")


async def test_an_enrolment_that_is_set_back_brings_no_old_certificate_back(house: House) -> None:
    await house.hurt("enrolment", "set back")
    await house.until(lambda: any("mx1" in p and "set back" in p for p in house.view.problems))
    assert house.view.enrolment("west", "mx1") == "of hash"
    await house.hurt("enrolment", "deleted")
    await house.until(lambda: any("mx1" in p and "deleted" in p for p in house.view.problems))
    assert house.view.enrolment("west", "mx1") is None, "deny by default"
    await JoinStore(house.etcd).add("new", JoinToken("west", "g1", "mx1", 2e9))
    await JoinStore(house.etcd).redeem("new", 1e9, "again")
    await house.until(lambda: not house.view.problems)
    assert house.view.enrolment("west", "mx1") == "again"


@pytest.mark.parametrize("how", ["deleted", "set back"])
async def test_the_mark_of_the_last_round_does_no_harm(house: House, how: str) -> None:
    await house.hurt("maintenance", how)
    assert await Maintenance(house.etcd, own_member=False).round_if_due(1.2e9) is not None
    await house.commit(set_values(WEST, max_message_size=8), "r7")
    assert not house.view.problems
