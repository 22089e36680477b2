"""Repair where history no longer goes back to the first commit."""

from __future__ import annotations

import pytest
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.values import Delete, KeyValue, Put
from tdc.manager.levels.changes import AddMachine
from tdc.manager.store import commit as commits
from tdc.manager.store import keys, snapshots
from tdc.manager.store.history import MAX_AGE
from tdc.manager.store.identity import store_id
from tdc.manager.store.maintenance import EVERY, Maintenance
from tdc.manager.store.repair import repair
from tdc.manager.store.snapshots import newest_snapshot

from tests.stage.etcds import shared_by_module
from tests.stage.stored_clusters import (
    CLUSTER,
    GROUP,
    MADE,
    commit,
    history_of,
    set_values,
    stored,
    west,
)

pytestmark = shared_by_module


async def _documents(etcd: EtcdClient) -> dict[str, KeyValue]:
    return {item.key: item for item in (await etcd.range(keys.cluster_prefix("west"))).items}


async def _maintained(etcd: EtcdClient, later: float) -> None:
    assert await Maintenance(etcd, own_member=False).round_if_due(MADE + later)


async def _trimmed(etcd: EtcdClient) -> None:
    """A cluster of five commits over 700 days, of which history has the last."""
    await store_id(etcd)
    await west(etcd)
    await _maintained(etcd, 0)
    for number, later in enumerate((0.0, 0.6 * MAX_AGE, 1.7 * MAX_AGE)):
        key = (GROUP, CLUSTER, GROUP)[number]
        edits = [set_values(key, max_message_size=number + 1)]
        if number == 2:
            edits.append(AddMachine("mx4", "g2"))  # type: ignore[arg-type]
        await commit(etcd, await stored(etcd), *edits, request_id=f"r{number}", later=later)
        await _maintained(etcd, later + EVERY + number)
    assert await history_of(etcd) == [5]
    base = await newest_snapshot(etcd, "west")
    assert base is not None
    assert base.head.revision == 4


async def test_every_document_is_put_right_though_the_first_commits_are_gone(
    small_etcd: EtcdClient,
) -> None:
    """Deleted, and set back to what it was before the last commit."""
    await _trimmed(small_etcd)
    before = await _documents(small_etcd)
    last = [set_values(CLUSTER, max_message_size=9), set_values(GROUP, max_message_size=8)]
    cluster = await stored(small_etcd)
    await commit(small_etcd, cluster, *last, request_id="last", later=1.8 * MAX_AGE)
    good = await _documents(small_etcd)
    assert len(good) >= 4
    for key, item in good.items():
        older = before[key].value
        for hurt in (Delete(key), Put(key, older)):
            await small_etcd.txn([], [hurt])
            found = await repair(small_etcd, write=True)
            unharmed = isinstance(hurt, Put) and older == item.value
            assert [each.right for each in found] == ([] if unharmed else [True])
            assert (await _documents(small_etcd))[key].value == item.value
    assert await repair(small_etcd, write=True) == ()


async def test_a_snapshot_is_made_before_the_number_of_commits_trims_history(
    small_etcd: EtcdClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commits, "MAX_COMMITS", 8)
    monkeypatch.setattr(snapshots, "EVERY_COMMITS", 2)
    await store_id(small_etcd)
    await west(small_etcd)
    for number in range(12):
        edit = set_values(CLUSTER, max_message_size=number + 1)
        await commit(small_etcd, await stored(small_etcd), edit, request_id=f"r{number}")
        await _maintained(small_etcd, number * EVERY)
    assert await history_of(small_etcd) == list(range(14, 6, -1))
    kept = (await small_etcd.range(keys.snapshots_prefix("west"), keys_only=True)).items
    assert len({keys.parse_snapshot_key("west", item.key) for item in kept}) == len(kept)
    assert len({item.key.split("/")[5] for item in kept}) == 1, "one snapshot, the newest"
    good = await _documents(small_etcd)
    await small_etcd.txn([], [Delete(key) for key in good if not key.endswith("/head")])
    found = await repair(small_etcd, write=True)
    assert all(each.right for each in found), found
    assert {key: item.value for key, item in (await _documents(small_etcd)).items()} == {
        key: item.value for key, item in good.items()
    }


async def test_a_snapshot_that_is_not_whole_is_not_used(small_etcd: EtcdClient) -> None:
    """A manager was killed while it made it: the one before counts, and the next round repairs."""
    await _trimmed(small_etcd)
    (item, *_) = (await small_etcd.range(keys.snapshots_prefix("west"))).items
    parsed = keys.parse_snapshot_key("west", item.key)
    assert parsed is not None
    await small_etcd.txn([], [Put(keys.snapshot_key("west", 5, parsed[1]), item.value)])
    base = await newest_snapshot(small_etcd, "west")
    assert base is not None
    assert base.head.revision == 4
    older = item.value.replace(b'"revision":4', b'"revision":3')
    for hurt in (Delete(item.key), Put(item.key, older)):
        await small_etcd.txn([], [hurt])
        assert await newest_snapshot(small_etcd, "west") is None
    await small_etcd.txn([], [Put(item.key, item.value)])
    assert await newest_snapshot(small_etcd, "west") is not None
    await small_etcd.txn([], [Delete(item.key)])
    assert await newest_snapshot(small_etcd, "west") is None


async def test_no_snapshot_is_made_of_what_was_changed_by_hand(small_etcd: EtcdClient) -> None:
    await west(small_etcd)
    group = keys.group_key("west", "g2")
    await small_etcd.txn([], [Delete(group)])
    assert not await snapshots.keep_if_due(small_etcd, "west", 2, MADE + 1)
    await repair(small_etcd, write=True)
    assert await snapshots.keep_if_due(small_etcd, "west", 2, MADE + 1)
    assert not await snapshots.keep_if_due(small_etcd, "west", 2, MADE + 1)
