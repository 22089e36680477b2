"""The view: what it tells listeners, what it resolves, what it keeps when a value is damaged."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.levels.changes import AddGroup, AddMachine, Edit, SetValues, UnsetValues
from tdc.manager.levels.fleet import Cluster, LevelKey, new_cluster
from tdc.manager.levels.plan import make_plan
from tdc.manager.levels.resolve import resolve
from tdc.manager.store.commit import CommitStore
from tdc.manager.store.identity import store_id
from tdc.manager.store.record import Signature
from tdc.manager.view.effective import SharedResolves
from tdc.manager.view.fleet import FleetView, NotReady
from tdc.manager.view.names import AmbiguousName, UnknownName
from tdc.shared.edge.tasks import running
from tdc.shared.settings.check import checked
from tdc.shared.settings.values import Level

from tests.fakes.etcd import ExternalEtcd, external_etcd

MACHINES = [f"mx{number}" for number in range(6)]


def sets(level: Level, name: str, **values: object) -> SetValues:
    return SetValues(LevelKey(level, name), checked(values))


class Fleet:
    """A view over a real etcd, and a way to commit to it."""

    def __init__(self, etcd: EtcdClient, first_id: str) -> None:
        self.view = FleetView(etcd, first_id)
        self.store = CommitStore(etcd)
        self.told: list[frozenset[tuple[str, str]]] = []
        self.view.on_change(self.told.append)
        self._requests = 0

    async def create(self, name: str) -> None:
        await self.store.create_cluster(new_cluster(name), self._signature(), 1.0)
        assert await self.view.at_least(name, 1, 5)

    async def commit(self, *edits: Edit, cluster: str = "c1") -> None:
        """Commit and wait until the view has it; `told` is what that commit told."""
        self.told.clear()
        plan = make_plan(self.view.find_cluster(cluster), edits)
        made = await self.store.commit(plan, self._signature(), 1.0)
        assert await self.view.at_least(cluster, made.revision, 5)

    def _signature(self) -> Signature:
        self._requests += 1
        return Signature(author="ana", comment="", request_id=f"r{self._requests}")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ExternalEtcd]:
    async with external_etcd(tmp_path / "etcd") as etcd:
        yield etcd


@contextlib.asynccontextmanager
async def followed(server: ExternalEtcd) -> AsyncIterator[Fleet]:
    async with EtcdClient(server.options) as client:
        fleet = Fleet(client, await store_id(client))
        async with running(fleet.view.run(), name="view"):
            await fleet.view.ready(10)
            yield fleet


@pytest.fixture
async def fleet(server: ExternalEtcd) -> AsyncIterator[Fleet]:
    async with followed(server) as made:
        await made.create("c1")
        await made.commit(
            AddGroup("g1"), AddGroup("g2"), *(AddMachine(name, "g1") for name in MACHINES[:3]),
            *(AddMachine(name, "g2") for name in MACHINES[3:]),
        )  # fmt: skip
        yield made


async def test_only_machines_whose_effective_settings_changed_are_told(fleet: Fleet) -> None:
    await fleet.commit(sets(Level.MACHINE, "mx0", enabled=False))
    assert fleet.told == [], "false is the default: nothing changed in force"
    await fleet.commit(sets(Level.MACHINE, "mx1", max_message_size=9))
    assert fleet.told == [{("c1", "mx1")}]
    await fleet.commit(sets(Level.GROUP, "g1", max_message_size=7))
    assert fleet.told == [{("c1", "mx0"), ("c1", "mx2")}], "mx1 has its own"
    await fleet.commit(AddMachine("mx9", "g2"))
    assert fleet.told == [{("c1", "mx9")}]


async def test_machines_with_equal_settings_share_one_message(fleet: Fleet) -> None:
    await fleet.commit(sets(Level.GROUP, "g1", max_message_size=7))
    first, second = fleet.view.wanted("c1", "mx0"), fleet.view.wanted("c1", "mx1")
    other = fleet.view.wanted("c1", "mx3")
    assert first is not None
    assert other is not None
    assert first is second
    assert first is fleet.view.wanted("c1", "mx0")
    assert (first.revision, first.store_id) == (3, fleet.view.store_id)
    assert first.hash == fleet.view.content_hash("c1", "mx0")
    assert first.hash == resolve(fleet.view.find_cluster("c1"), "mx0").content_hash
    assert other.hash != first.hash


async def test_clusters_with_equal_settings_keep_a_message_each(fleet: Fleet) -> None:
    """Else asking for machines of both in turn would serialise each time."""
    await fleet.create("c2")
    await fleet.commit(AddMachine("my0", "Main_Group"), cluster="c2")
    await fleet.commit(sets(Level.GROUP, "Main_Group", max_message_size=7), cluster="c2")
    await fleet.commit(sets(Level.GROUP, "g1", max_message_size=7))
    one, other = fleet.view.wanted("c1", "mx0"), fleet.view.wanted("c2", "my0")
    assert one is not None
    assert other is not None
    assert (one.hash, one.revision, other.revision) == (other.hash, 3, 3)
    assert one is fleet.view.wanted("c1", "mx0")
    assert other is fleet.view.wanted("c2", "my0")
    await fleet.commit(sets(Level.MACHINE, "mx3", max_message_size=7))
    assert (newer := fleet.view.wanted("c1", "mx0")) is not None
    assert newer.revision == 4
    assert other is fleet.view.wanted("c2", "my0")


async def test_a_revision_that_changes_nothing_in_force_is_told_to_nobody_but_offered(
    fleet: Fleet,
) -> None:
    """The hash is what an agent goes by; the newest revision goes with the next offer."""
    before = fleet.view.wanted("c1", "mx3")
    await fleet.commit(sets(Level.MACHINE, "mx0", max_message_size=5))
    after = fleet.view.wanted("c1", "mx3")
    assert before is not None
    assert after is not None
    assert before.hash == after.hash
    assert (before.revision, after.revision) == (2, 3)


async def test_what_is_unknown_has_no_wanted_settings(fleet: Fleet) -> None:
    """Never defaults for a machine that the view does not have."""
    assert fleet.view.wanted("c1", "nobody") is None
    assert fleet.view.wanted("elsewhere", "mx0") is None
    assert fleet.view.content_hash("c1", "nobody") is None
    assert fleet.view.enrolment("c1", "nobody") is None
    assert fleet.view.revision("elsewhere") == 0
    with pytest.raises(UnknownName, match="nobody"):
        fleet.view.find_machine("nobody", "c1")


async def test_two_clusters_keep_their_machines_apart(fleet: Fleet) -> None:
    await fleet.create("c2")
    await fleet.commit(AddMachine("mx0", "Main_Group"), cluster="c2")
    await fleet.commit(sets(Level.CLUSTER, "c2", max_message_size=4), cluster="c2")
    assert fleet.told == [{("c2", "mx0")}]
    with pytest.raises(AmbiguousName, match="c1, c2"):
        fleet.view.find_machine("mx0")
    assert fleet.view.find_machine("mx0", "c2")[0].name == "c2"


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_random_commits_leave_the_view_as_the_plan_said_and_tell_whom_they_touch(
    fleet: Fleet, seed: int
) -> None:
    """Against the dumb twin: after each commit, resolve every machine again and compare."""
    chance = random.Random(seed)
    for _ in range(25):
        before = _hashes(fleet.view.find_cluster("c1"))
        edits = _random_edits(chance)
        plan = make_plan(fleet.view.find_cluster("c1"), edits)
        if plan.changes_nothing:
            continue
        await fleet.commit(*edits)
        cluster = fleet.view.find_cluster("c1")
        assert cluster == plan.after
        after = _hashes(cluster)
        assert after == {name: fleet.view.content_hash("c1", name) for name in after}
        told = {machine for each in fleet.told for _, machine in each}
        assert told == {name for name in after if before.get(name) != after[name]}
        assert told == {change.machine for change in plan.machines}


async def test_a_view_that_starts_later_sees_the_same(fleet: Fleet, server: ExternalEtcd) -> None:
    await fleet.commit(sets(Level.GROUP, "g2", max_message_size=7))
    async with followed(server) as later:
        assert later.view.clusters == fleet.view.clusters
        assert all(
            later.view.content_hash("c1", name) == fleet.view.content_hash("c1", name)
            for name in MACHINES
        )


async def test_without_etcd_the_view_is_not_ready_and_says_why(server: ExternalEtcd) -> None:
    await server.stop()
    async with EtcdClient(server.options) as client:
        view = FleetView(client, "store-1", clock=lambda: 1e9)
        async with running(view.run(), name="view"):
            with pytest.raises(NotReady, match="etcd within 1 s"):
                await view.ready(1)
            (problem,) = view.problems
            assert problem.startswith(
                "etcd has been unreachable since 2001-09-09 01:46:40Z: no connection to "
            )


async def test_another_store_in_the_place_of_the_first_goes_by_its_own_id(
    fleet: Fleet, server: ExternalEtcd
) -> None:
    """Its revisions begin again: under the old id agents would refuse them as older."""
    before = fleet.view.store_id
    assert before
    await server.stop()
    (server.folder / "data").rename(server.folder / "lost")
    await server.start()
    async with asyncio.timeout(10):
        while fleet.view.clusters:
            await asyncio.sleep(0.02)
    await fleet.create("c1")
    await fleet.commit(AddMachine("mx0", "Main_Group"))
    wanted = fleet.view.wanted("c1", "mx0")
    assert wanted is not None
    assert wanted.store_id == fleet.view.store_id != before
    async with EtcdClient(server.options) as client:
        assert await store_id(client) == wanted.store_id


async def test_waiting_for_a_revision_that_does_not_come_is_bounded(fleet: Fleet) -> None:
    assert await fleet.view.at_least("c1", 2, 0.05)
    assert not await fleet.view.at_least("c1", 99, 0.05)
    waiting = asyncio.gather(*(fleet.view.at_least("c1", 3, 5) for _ in range(3)))
    await fleet.commit(sets(Level.MACHINE, "mx0", max_message_size=5))
    assert await waiting == [True] * 3


def _hashes(cluster: Cluster) -> dict[str, str]:
    return {name: resolve(cluster, name).content_hash for name in cluster.machines}


def _random_edits(chance: random.Random) -> list[Edit]:
    """A few edits that are valid on the fixture's fleet."""
    levels = [
        *(LevelKey(Level.MACHINE, name) for name in MACHINES),
        *(LevelKey(Level.GROUP, name) for name in ("g1", "g2")),
        LevelKey(Level.CLUSTER, "c1"),
    ]
    edits: list[Edit] = []
    for _ in range(chance.randint(1, 3)):
        level = chance.choice(levels)
        values = {"max_message_size": chance.randint(1, 2), "enabled": chance.random() < 0.3}
        name = chance.choice(sorted(values))
        if chance.random() < 0.3:
            edits.append(UnsetValues(level, (name,)))
        else:
            edits.append(SetValues(level, checked({name: values[name]})))
    return edits


SMALL = st.fixed_dictionaries(
    {},
    optional={
        "enabled": st.booleans(),
        "max_message_size": st.integers(1, 2),
        "log.level": st.sampled_from(["debug", "info"]),
    },
)


@given(cluster=SMALL, groups=st.lists(SMALL, min_size=2, max_size=2), own=st.lists(SMALL, min_size=6, max_size=6))  # fmt: skip # noqa: E501
def test_shared_resolves_are_what_resolving_each_machine_gives(
    cluster: dict[str, object], groups: list[dict[str, object]], own: list[dict[str, object]]
) -> None:
    """Against the dumb twin: resolve every machine by itself; and not more often than needed."""
    made = _cluster(cluster, groups, own)
    shared = SharedResolves()
    found = {name: shared.in_force(made, name) for name in made.machines}
    for name, in_force in found.items():
        twin = resolve(made, name)
        assert in_force.content_hash == twin.content_hash
        assert in_force.values == twin.values()
    inputs = {(machine.group, machine.stored.settings) for machine in made.machines.values()}
    assert shared.resolved <= len(inputs)


def _cluster(
    cluster: dict[str, object], groups: list[dict[str, object]], own: list[dict[str, object]]
) -> Cluster:
    edits: list[Edit] = [AddGroup("g0"), AddGroup("g1")]
    edits += [AddMachine(f"mx{number}", f"g{number % 2}") for number in range(len(own))]
    edits += [sets(Level.MACHINE, f"mx{number}", **each) for number, each in enumerate(own)]
    edits += [sets(Level.GROUP, f"g{number}", **each) for number, each in enumerate(groups)]
    edits += [sets(Level.CLUSTER, "c1", **cluster)]
    return make_plan(new_cluster("c1"), edits).after
