"""Renamed clusters in the store: a name is one cluster's, and repair knows what each is called."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tdc.manager.backup import verbs
from tdc.manager.backup.save import save
from tdc.manager.doctor import look
from tdc.manager.etcd.values import Delete, Operation, Put
from tdc.manager.intent.actor import Actor
from tdc.manager.intent.changes import ChangeOperations
from tdc.manager.intent.targets import ChangeAsked, LevelAsked, SetAt
from tdc.manager.levels.changes import AddGroup, RenameCluster
from tdc.manager.levels.fleet import Cluster, new_cluster
from tdc.manager.levels.plan import Plan, make_plan
from tdc.manager.people.reach import EVERYWHERE, Role
from tdc.manager.store import identity
from tdc.manager.store.audit_reading import AuditReader
from tdc.manager.store.commit import CommitStore, Committed
from tdc.manager.store.errors import ClusterExists, LostRace, UnreadableTouched
from tdc.manager.store.history import History
from tdc.manager.store.keys import cluster_name_key, head_key
from tdc.manager.store.record import Signature
from tdc.manager.store.repair import repair
from tdc.manager.store.seal import pack_sealed
from tdc.manager.store.snapshots import keep
from tdc.manager.view.chains import KnownChains
from tdc.manager.view.names import UnknownName
from tdc.manager.view.presence import Presence
from tdc.shared.settings.check import checked
from tdc.shared.settings.values import Level
from tdc.shared.sync.values import Running

from tests.contract.test_backup import ORIGIN
from tests.stage.house import House, signed, viewed
from tests.stage.stored_clusters import MADE


async def _create(house: House, cluster: Cluster, request_id: str) -> Committed:
    return await CommitStore(house.etcd).create_cluster(cluster, signed(request_id), MADE)


async def _commit(house: House, plan: Plan, request_id: str) -> Committed:
    return await CommitStore(house.etcd).commit(plan, signed(request_id), MADE)


def _renamed(house: House, name: str, to: str) -> Plan:
    return make_plan(house.view.find_cluster(name), [RenameCluster(name, to)])


async def _rename(house: House, name: str, to: str) -> None:
    await _commit(house, _renamed(house, name, to), f"{name} to {to}")
    await house.until(lambda: to in house.view.clusters)


async def test_of_two_that_want_a_name_at_once_one_gets_it(house: House) -> None:
    """Each knows only what there was before: another rename, a cluster that is created, its own."""
    for number, name in enumerate(("east", "south")):
        await _create(house, new_cluster(name), f"c{number}")
    await house.until(lambda: len(house.view.clusters) == 3)
    wanting = [_renamed(house, name, "north") for name in ("west", "east", "south")]
    made = await asyncio.gather(
        *(_commit(house, plan, f"n{number}") for number, plan in enumerate(wanting)),
        _create(house, new_cluster("north"), "n9"),
        return_exceptions=True,
    )
    lost = [each for each in made if isinstance(each, BaseException)]
    assert len(lost) == 3
    assert all(isinstance(each, ClusterExists) for each in lost)
    await house.until(lambda: "north" in house.view.clusters)
    assert house.view.problems == ()


async def test_a_name_that_was_left_is_free_and_the_place_of_another_is_not(house: House) -> None:
    await _rename(house, "west", "a")
    await _rename(house, "a", "b")
    with pytest.raises(ClusterExists):
        await _create(house, new_cluster("b"), "b")
    await _create(house, house.view.new_cluster("west"), "again")
    await house.until(lambda: "west" in house.view.clusters)
    assert house.view.find_cluster("west").home == "west~2"
    with pytest.raises(ClusterExists):
        await _commit(
            house, make_plan(house.view.find_cluster("b"), [RenameCluster("b", "west")]), "w"
        )
    await _rename(house, "west", "a")
    await _rename(house, "b", "west")
    homes = {name: each.home for name, each in house.view.clusters.items()}
    assert homes == {"a": "west~2", "west": "west"}
    assert await house.etcd.get(cluster_name_key("west")) is None
    assert len(await History(house.etcd, house.view).commits("a")) == 2
    assert await repair(house.etcd, write=False) == ()


@pytest.mark.parametrize("how", ["deleted", "set back", "edited", "damaged"])
async def test_repair_gives_a_cluster_the_name_that_it_had(house: House, how: str) -> None:
    await _rename(house, "west", "arctic")
    await house._remember()
    good = await house.hurt("head", how)
    await house.until(lambda: bool(house.view.problems))
    assert house.view.clusters.keys() == {"arctic"}, "it is served by the name that was known"
    await repair(house.etcd, write=True)
    item = await house.etcd.get(head_key("west"))
    assert item is not None
    assert item.value == good
    await house.until(lambda: not house.view.problems)
    async with viewed(house.etcd) as later:
        assert (list(later.clusters), later.problems) == (["arctic"], ())
        assert later.find_history("west").name == "arctic"


async def test_a_snapshot_keeps_the_name(house: House) -> None:
    await _rename(house, "west", "arctic")
    await keep(house.etcd, "west")
    plan = make_plan(house.view.find_cluster("arctic"), [RenameCluster("arctic", "polar")])
    await _commit(house, plan, "polar")
    assert await repair(house.etcd, write=False) == ()


async def test_a_claim_that_can_not_be_read_is_nobody_s(house: House) -> None:
    key = cluster_name_key("arctic")
    await house.etcd.txn([], [Put(key, b"{}")])
    with pytest.raises(UnreadableTouched, match="which cluster has that name is not certain"):
        await _commit(house, _renamed(house, "west", "arctic"), "r")
    assert house.view.clusters.keys() == {"west"}


@pytest.mark.parametrize("how", ["deleted", "edited", "damaged", "of nobody"])
async def test_repair_puts_claims_right_by_what_clusters_are_called(house: House, how: str) -> None:
    await _rename(house, "west", "arctic")
    key = cluster_name_key("polar" if how == "of nobody" else "arctic")
    good = await house.etcd.get(key)
    bad: dict[str, list[Operation]] = {
        "deleted": [Delete(key)],
        "edited": [Put(key, pack_sealed(key, {"place": "east"}))],
    }
    await house.etcd.txn([], bad.get(how, [Put(key, b"\1")]))
    assert house.view.clusters.keys() == {"arctic"}
    for write in (False, True):
        (finding,) = await repair(house.etcd, write=write)
        assert (key in finding.text, finding.right) == (True, True)
    now = await house.etcd.get(key)
    assert (now and now.value) == (good and good.value)
    assert await repair(house.etcd, write=False) == ()


async def test_a_claim_is_left_alone_while_a_head_can_not_be_read(house: House) -> None:
    await _create(house, new_cluster("east"), "c")
    await house.until(lambda: "east" in house.view.clusters)
    await _rename(house, "west", "arctic")
    await house.etcd.txn([], [Put(head_key("west"), b"\1")])
    found = await repair(house.etcd, write=False)
    assert [cluster_name_key("arctic") in each.text for each in found] == [False]


async def test_what_looks_at_stores_from_outside_names_clusters_as_they_are_called(
    house: House, tmp_path: Path
) -> None:
    """A backup, `doctor`, and the audit log, for which commits speak."""
    await _rename(house, "west", "arctic")
    await _create(house, house.view.new_cluster("west"), "again")
    await house.until(lambda: "west" in house.view.clusters)
    saved = await save(house.etcd, tmp_path / "backup", ORIGIN)
    assert saved.contents.faults == []
    lines = verbs._summary(saved.contents)
    assert [each.split(":")[0] for each in lines[:2]] == ["cluster arctic", "cluster west"]
    assert ["revision 7" in each for each in lines[:2]] == [True, False]
    assert (await look._newest(house.etcd)).keys() == {"arctic", "west"}
    words = await AuditReader(house.etcd).commits_words(house.view.clusters.values())
    assert {each.who.removesuffix(" came after") for each in words} == {
        "revision 1 of cluster west",
        *(f"revision {number} of cluster arctic" for number in range(2, 8)),
    }


async def test_an_agent_s_history_is_compared_with_that_of_its_own_cluster(house: House) -> None:
    """It is read once; another cluster may have that name by then."""
    chains = KnownChains(house.view, History(house.etcd, house.view))
    store_id = await identity.store_id(house.etcd)
    await house.until(lambda: house.view.store_id == store_id)
    running = Running(1, "", store_id, "a chain")
    before = await chains.at("west", running)
    await _rename(house, "west", "arctic")
    await _create(house, house.view.new_cluster("west"), "again")
    await house.until(lambda: "west" in house.view.clusters)
    await _commit(house, make_plan(house.view.find_cluster("west"), [AddGroup("g9")]), "r")
    await house.until(lambda: house.view.revision("west") == 2)
    other = await chains.at("west", running)
    assert await chains.at("arctic", running) == before != other
    assert "" not in (before, other)


async def test_a_commit_that_lost_a_race_is_not_made_in_another_cluster_of_the_name(
    house: House,
) -> None:
    """Who reaches the one need not reach the other."""
    asked = ChangeAsked("west", (SetAt(LevelAsked(Level.CLUSTER, "west"), _SETTINGS),))
    commits = _Overtaken(house)
    does = ChangeOperations(
        house.view, Presence(house.view), commits, History(house.etcd, house.view)
    )
    await _rename(house, "west", "arctic")
    await _create(house, house.view.new_cluster("west"), "first")
    await house.until(lambda: "west" in house.view.clusters)
    plan = await does.plan(_ANA, asked)
    with pytest.raises(UnknownName, match="another one is called so"):
        await does.commit(_ANA, asked, fingerprint=plan.fingerprint, comment="", request_id="r")
    assert (commits.tries, house.view.revision("west")) == (1, 1)


_ANA = Actor("ana", Role.ADMINISTRATOR, EVERYWHERE, "here")
_SETTINGS = checked({"max_message_size": 7})


class _Overtaken(CommitStore):
    """Another commit comes first: its cluster is renamed, and the next one gets its name."""

    def __init__(self, house: House) -> None:
        super().__init__(house.etcd)
        self._house = house
        self.tries = 0

    async def commit(self, plan: Plan, signature: Signature, now: float) -> Committed:
        self.tries += 1
        house = self._house
        await _rename(house, "west", "polar")
        await _create(house, house.view.new_cluster("west"), "second")
        await house.until(lambda: "west" in house.view.clusters)
        raise LostRace("it was overtaken")
