"""What keeps the store small, by one manager at a time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.errors import Compacted, EtcdRefused, Reason
from tdc.manager.etcd.values import Delete, EtcdStatus, Put
from tdc.manager.levels.fleet import new_cluster
from tdc.manager.store import commit as commit_module
from tdc.manager.store.commit import CommitStore
from tdc.manager.store.errors import TokenUnknown, TokenUsed, UnreadableStore
from tdc.manager.store.history import MAX_AGE, History
from tdc.manager.store.identity import store_id
from tdc.manager.store.joins import JoinStore, JoinToken
from tdc.manager.store.keys import STORE
from tdc.manager.store.maintenance import EVERY, TOKENS_KEPT, Maintenance
from tdc.manager.store.seal import pack_sealed

from tests.fakes.etcd import full_etcd
from tests.stage.etcds import shared_by_module
from tests.stage.stored_clusters import (
    CLUSTER,
    MADE,
    commit,
    history_of,
    set_values,
    signed,
    stored,
    west,
)

pytestmark = shared_by_module


async def test_of_several_managers_one_does_the_round(etcd: EtcdClient) -> None:
    managers = [Maintenance(etcd, own_member=False) for _ in range(4)]
    rounds = await asyncio.gather(*(each.round_if_due(MADE) for each in managers))
    assert len([done for done in rounds if done is not None]) == 1
    assert await managers[0].round_if_due(MADE + EVERY - 1) is None
    assert await managers[0].round_if_due(MADE + EVERY) is not None


async def test_a_wrong_clock_of_another_manager_does_not_stop_maintenance(
    small_etcd: EtcdClient,
) -> None:
    maintenance = Maintenance(small_etcd, own_member=False)
    await maintenance.round_if_due(MADE + 1e9)
    assert await maintenance.round_if_due(MADE) is not None


async def test_a_round_compacts_to_the_round_before(small_etcd: EtcdClient) -> None:
    await west(small_etcd)
    maintenance = Maintenance(small_etcd, own_member=False)
    first = await maintenance.round_if_due(MADE)
    assert first is not None
    assert first.compacted is None
    between = (await small_etcd.txn([], [Put("/tdc/t/a", b"1")])).revision
    second = await maintenance.round_if_due(MADE + EVERY)
    assert second is not None
    assert second.compacted == between - 2  # the store as the first round found it, then claimed
    with pytest.raises(Compacted):
        async for _ in small_etcd.watch("/tdc/", second.compacted - 1, deadline=3):
            pass
    async for message in small_etcd.watch("/tdc/", between, deadline=3):
        if message.events:
            assert message.events[0].mod_revision == between
            break


class _Restricted(EtcdClient):
    """As etcd is to a user who is not root, in its stricter versions."""

    async def status(self) -> EtcdStatus:
        raise EtcdRefused(Reason.PERMISSION, "denied")

    async def compact(self, revision: int, *, wait: bool = False) -> None:
        raise EtcdRefused(Reason.PERMISSION, "denied")


async def test_history_and_tokens_are_trimmed_where_etcd_keeps_the_rest_to_root(
    small_etcd: EtcdClient, caplog: pytest.LogCaptureFixture
) -> None:
    await west(small_etcd)
    async with _Restricted(small_etcd.options) as restricted:
        await JoinStore(restricted).add("h", JoinToken("west", "g2", "mx3", MADE))
        maintenance = Maintenance(restricted, own_member=False)
        await maintenance.round_if_due(MADE)
        done = await maintenance.round_if_due(MADE + TOKENS_KEPT + 1)
        assert done is not None
        assert (done.compacted, done.tokens) == (None, 1)
        assert "The etcd user may not compact" in caplog.text
        for _ in range(2):
            await maintenance.repair()
    assert caplog.text.count("The etcd user may not read how full") == 1


async def test_old_commits_go_with_their_request_ids_but_never_the_newest(
    small_etcd: EtcdClient,
) -> None:
    await west(small_etcd)
    edit = set_values(CLUSTER, max_message_size=1)
    newest = await commit(
        small_etcd, await stored(small_etcd), edit, request_id="newest", later=MAX_AGE + EVERY
    )
    maintenance = Maintenance(small_etcd, own_member=False)
    kept = await maintenance.round_if_due(MADE + MAX_AGE)
    assert kept is not None
    assert (kept.commits, kept.requests) == (0, 0)
    done = await maintenance.round_if_due(MADE + MAX_AGE + EVERY)
    assert done is not None
    assert (done.commits, done.requests) == (2, 2)
    assert await history_of(small_etcd) == [newest.revision]
    assert await History(small_etcd).find_request("west", "newest") is not None
    assert (await stored(small_etcd)).revision == newest.revision


async def test_history_of_many_pages_is_trimmed_to_the_last_one(small_etcd: EtcdClient) -> None:
    await west(small_etcd)
    cluster = await stored(small_etcd)
    for number in range(1, 60):
        edit = set_values(CLUSTER, max_message_size=number)
        later = 0.0 if number < 59 else 2 * MAX_AGE
        await commit(small_etcd, cluster, edit, request_id=f"r{number}", later=later)
        cluster = await stored(small_etcd)
    maintenance = Maintenance(small_etcd, own_member=False)
    done = await maintenance.round_if_due(MADE + 2 * MAX_AGE)
    assert done is not None
    assert (done.commits, done.requests) == (60, 60)
    assert await history_of(small_etcd) == [61]


async def test_a_clock_far_ahead_makes_no_history_old(small_etcd: EtcdClient) -> None:
    """Age counts from the newest commit, which this manager's clock had no part in."""
    await west(small_etcd)
    maintenance = Maintenance(small_etcd, own_member=False)
    done = await maintenance.round_if_due(MADE + 10 * MAX_AGE)
    assert done is not None
    assert (done.commits, done.requests) == (0, 0)
    assert await history_of(small_etcd) == [2, 1]


async def test_a_commit_beyond_the_bound_drops_the_oldest(
    small_etcd: EtcdClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit_module, "MAX_COMMITS", 3)
    await west(small_etcd)
    for number in range(4):
        edit = set_values(CLUSTER, max_message_size=number + 1)
        await commit(small_etcd, await stored(small_etcd), edit, request_id=f"r{number}")
    assert await history_of(small_etcd) == [6, 5, 4]


async def test_used_tokens_are_told_apart_for_a_day(small_etcd: EtcdClient) -> None:
    joins, maintenance = JoinStore(small_etcd), Maintenance(small_etcd, own_member=False)
    token = JoinToken("west", "Main_Group", "mx1", MADE + 600)
    await joins.add("used", token)
    await joins.add("unused", replace(token, machine="mx2", expires=MADE + 2 * TOKENS_KEPT))
    await joins.redeem("used", MADE, "id")
    await maintenance.round_if_due(MADE + TOKENS_KEPT)
    with pytest.raises(TokenUsed):
        await joins.redeem("used", MADE, "other")
    done = await maintenance.round_if_due(MADE + TOKENS_KEPT + EVERY)
    assert done is not None
    assert done.tokens == 1
    with pytest.raises(TokenUnknown):
        await joins.redeem("used", MADE, "other")
    assert (await joins.redeem("unused", MADE, "id")).machine == "mx2"


async def test_every_manager_reads_the_same_store_id(etcd: EtcdClient) -> None:
    ids = await asyncio.gather(*(store_id(etcd) for _ in range(4)))
    assert len(set(ids)) == 1
    await etcd.txn([], [Delete(STORE)])
    assert await store_id(etcd) != ids[0]


async def test_the_first_manager_to_write_makes_the_stores_id(
    etcd: EtcdClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where both had found none: another id would part the machines of the first."""
    await etcd.txn([], [Delete(STORE)])
    write, first = etcd.txn, list[str]()

    async def after_another(*transaction: Any) -> Any:
        monkeypatch.setattr(etcd, "txn", write)
        first.append(await store_id(etcd))
        return await write(*transaction)

    monkeypatch.setattr(etcd, "txn", after_another)
    assert [await store_id(etcd)] == first


async def test_a_store_of_a_newer_version_is_not_touched(small_etcd: EtcdClient) -> None:
    newer = pack_sealed(STORE, {"id": "x", "schema": 2})
    await small_etcd.txn([], [Put(STORE, newer)])
    with pytest.raises(UnreadableStore, match="schema 2"):
        await store_id(small_etcd)


async def test_size_and_quota_are_shown(small_etcd: EtcdClient) -> None:
    await CommitStore(small_etcd).create_cluster(new_cluster("west"), signed("a"), MADE)
    usage = await Maintenance(small_etcd, own_member=True).usage()
    assert 0 < usage.size_in_use <= usage.size
    assert not usage.nearly_full


async def test_an_embedded_member_that_is_full_repairs_itself(tmp_path: Path) -> None:
    async with full_etcd(tmp_path / "etcd") as client:
        maintenance = Maintenance(client, own_member=True)
        assert (await maintenance.usage()).nearly_full
        await maintenance.repair()
        await client.txn([], [Put("/tdc/t/a", b"1")])
        assert (await maintenance.usage()).alarms == ()
