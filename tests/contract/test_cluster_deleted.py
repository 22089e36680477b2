"""A deleted cluster in the store: found whole by repair, made again where a hand hurt it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tdc.manager.levels.changes import RemoveCluster, RemoveMachine
from tdc.manager.levels.fleet import new_cluster
from tdc.manager.levels.plan import make_plan
from tdc.manager.store.commit import CommitStore
from tdc.manager.store.errors import ClusterExists, LostRace, UnknownCluster
from tdc.manager.store.repair import repair

from tests.stage.house import WEST, House, signed, viewed
from tests.stage.stored_clusters import MADE, set_values


async def _deleted(house: House) -> int:
    """Delete the cluster; its last revision."""
    await house.commit(RemoveMachine("mx1"), "removed")
    await house.commit(RemoveCluster("west"), "deleted")
    return house.view.deleted["west"].revision


async def _created(house: House, revision: int) -> None:
    again = replace(new_cluster("west"), revision=revision + 1)
    await CommitStore(house.etcd).create_cluster(again, signed(f"again{revision}"), MADE)
    await house.until(lambda: "west" in house.view.clusters)


async def test_it_is_as_history_says_and_so_is_the_one_that_follows(house: House) -> None:
    revision = await _deleted(house)
    assert dict(house.view.clusters) == {}
    assert await repair(house.etcd, write=False) == ()
    async with viewed(house.etcd) as later:
        assert (dict(later.clusters), later.problems) == ({}, ())
    await _created(house, revision)
    assert await repair(house.etcd, write=False) == ()
    assert house.view.find_cluster("west").groups.keys() == {"Main_Group"}
    assert house.view.problems == ()


@pytest.mark.parametrize("how", ["deleted", "set back", "edited", "damaged"])
async def test_a_head_that_was_hurt_is_put_right_and_brings_no_cluster_back(
    house: House, how: str
) -> None:
    await _deleted(house)
    good = await house.hurt("head", how)
    await house.until(lambda: bool(house.view.problems))
    assert dict(house.view.clusters) == {}
    await repair(house.etcd, write=True)
    item = await house.etcd.get("/tdc/v1/clusters/west/head")
    assert item is not None
    assert item.value == good
    await house.until(lambda: not house.view.problems)
    assert dict(house.view.clusters) == {}


async def test_a_commit_that_comes_late_makes_nothing_of_it(house: House) -> None:
    before = house.view.find_cluster("west")
    late = make_plan(before, [set_values(WEST, max_message_size=9)])
    revision = await _deleted(house)
    store = CommitStore(house.etcd)
    with pytest.raises(UnknownCluster, match=f"was deleted by revision {revision}"):
        await store.commit(late, signed("late"), MADE)
    with pytest.raises(LostRace):  # a manager that did not know of the cluster
        await store.create_cluster(new_cluster("west"), signed("new"), MADE)
    await _created(house, revision)
    again = replace(new_cluster("west"), revision=revision + 1)
    with pytest.raises(ClusterExists):
        await store.create_cluster(again, signed("twice"), MADE)
