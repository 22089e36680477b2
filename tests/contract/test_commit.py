"""One plan, one transaction, once: on real etcds, with answers lost and races lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from unittest.mock import AsyncMock

import pytest
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.errors import EtcdAnswerLost, EtcdError, EtcdUnavailable
from tdc.manager.etcd.values import Operation, Put, Read, TxnResult, Unchanged
from tdc.manager.levels.changes import AddMachine
from tdc.manager.levels.fleet import new_cluster
from tdc.manager.levels.plan import make_plan
from tdc.manager.levels.undo import undone
from tdc.manager.store.commit import CommitStore, Committed
from tdc.manager.store.encoding import unpack
from tdc.manager.store.errors import (
    ClusterExists,
    CommitTooLarge,
    CommitUnsettled,
    LostRace,
    NothingToCommit,
    UnknownCluster,
    UnreadableTouched,
)
from tdc.manager.store.history import History
from tdc.manager.store.keys import cluster_key, commits_prefix, group_key, head_key, machine_key
from tdc.manager.store.record import CommitRecord

from tests.fakes.etcd_proxy import TXN, EtcdProxy
from tests.stage.clusters import machine
from tests.stage.etcds import Server, shared_by_module
from tests.stage.stored_clusters import (
    CLUSTER,
    GROUP,
    MADE,
    assembled,
    commit,
    history_of,
    resealed,
    set_values,
    signed,
    stored,
    west,
)

pytestmark = shared_by_module


async def test_what_the_plan_says_is_what_is_stored(etcd: EtcdClient) -> None:
    before = await west(etcd)
    plan = make_plan(before, [set_values(machine("mx1"), enabled=False)])
    committed = await CommitStore(etcd).commit(plan, signed("off"), MADE)
    assert committed == Committed(3, already=False)
    assert await stored(etcd) == plan.after
    record = await History(etcd).commit_record("west", 3)
    assert isinstance(record, CommitRecord)
    assert record.levels == plan.levels
    assert record.signature == signed("off")
    assert record.time == 1_795_000_000.5
    assert record.machines_changed == 3


async def test_a_machine_level_disable_and_its_rollback_are_one_revision_each(
    etcd: EtcdClient,
) -> None:
    before = await west(etcd)
    await commit(etcd, before, set_values(machine("mx1"), enabled=False), request_id="off")
    now = await stored(etcd)
    assert [now.stored_at(key).settings["enabled"] for key in (CLUSTER, GROUP)] == [False, False]
    records = await History(etcd).records_between("west", 2, 3)
    steps = [(each.levels, each.topology) for each in records if isinstance(each, CommitRecord)]
    await commit(etcd, now, undone(now, 2, steps), request_id="back")
    after = await stored(etcd)
    assert after.revision == 4
    assert {key: after.stored_at(key).settings for key in after.level_keys()} == {
        key: before.stored_at(key).settings for key in before.level_keys()
    }


@pytest.mark.proves("F52", "P13")
async def test_of_two_commits_on_one_revision_one_loses_the_race(etcd: EtcdClient) -> None:
    before = await west(etcd)
    results = await asyncio.gather(
        commit(etcd, before, set_values(CLUSTER, max_message_size=1), request_id="one"),
        commit(etcd, before, set_values(GROUP, max_message_size=2), request_id="two"),
        return_exceptions=True,
    )
    assert sorted(type(result).__name__ for result in results) == ["Committed", "LostRace"]
    assert (await stored(etcd)).revision == 3
    assert await history_of(etcd) == [3, 2, 1]


async def test_a_plan_on_an_old_revision_is_refused_and_changes_nothing(
    small_etcd: EtcdClient,
) -> None:
    old = await west(small_etcd)
    await commit(small_etcd, old, set_values(CLUSTER, max_message_size=1), request_id="one")
    now = await stored(small_etcd)
    with pytest.raises(LostRace, match="at revision 3, the plan was made on 2"):
        await commit(small_etcd, old, set_values(GROUP, max_message_size=2), request_id="two")
    assert await stored(small_etcd) == now


async def test_a_request_id_commits_once(etcd: EtcdClient) -> None:
    before = await west(etcd)
    edit = set_values(CLUSTER, max_message_size=1)
    first = await commit(etcd, before, edit, request_id="same")
    await commit(etcd, await stored(etcd), AddMachine("mx9", "g2"), request_id="other")
    again = await commit(etcd, before, edit, request_id="same")
    assert (first, again) == (Committed(3, already=False), Committed(3, already=True))
    assert await history_of(etcd) == [4, 3, 2, 1]
    made = await History(etcd).find_request("west", "same")
    assert made is not None
    assert made.revision == 3
    assert await History(etcd).find_request("west", "never") is None


@pytest.mark.proves("F50")
async def test_a_lost_answer_is_settled_as_committed(
    proxy: EtcdProxy, lossy: EtcdClient, small_etcd: EtcdClient
) -> None:
    """Defect 8: a transaction that had succeeded was sent again and reported as failed."""
    before = await west(small_etcd)
    proxy.lose_answers = 1
    sent = proxy.calls[TXN]
    committed = await commit(
        lossy, before, set_values(CLUSTER, max_message_size=1), request_id="one"
    )
    assert committed == Committed(3, already=False)
    assert await history_of(small_etcd) == [3, 2, 1]
    assert proxy.calls[TXN] - sent == 3  # read, write (answer lost), read: written once


async def test_a_lost_request_is_sent_again_and_committed_once(
    proxy: EtcdProxy, lossy: EtcdClient, small_etcd: EtcdClient
) -> None:
    before = await west(small_etcd)
    proxy.lose_requests = 2
    edit = set_values(CLUSTER, max_message_size=1)
    assert await commit(lossy, before, edit, request_id="one") == Committed(3, already=False)
    assert await history_of(small_etcd) == [3, 2, 1]


async def test_a_lost_answer_and_a_commit_of_another_manager_are_told_apart(
    proxy: EtcdProxy, lossy: EtcdClient, small_etcd: EtcdClient
) -> None:
    before = await west(small_etcd)

    async def other_manager() -> None:
        now = await stored(small_etcd)
        await commit(small_etcd, now, set_values(GROUP, max_message_size=9), request_id="theirs")

    proxy.after_lost, proxy.lose_answers = other_manager, 1
    edit = set_values(CLUSTER, max_message_size=1)
    assert await commit(lossy, before, edit, request_id="ours") == Committed(3, already=False)
    assert (await stored(small_etcd)).revision == 4
    proxy.after_lost, proxy.lose_requests = None, 1
    with pytest.raises(LostRace):
        await commit(lossy, before, edit, request_id="late")


async def test_an_etcd_that_stays_away_leaves_a_commit_unsettled_and_repeatable(
    proxy: EtcdProxy, lossy: EtcdClient, small_etcd: EtcdClient
) -> None:
    before = await west(small_etcd)
    edit = set_values(CLUSTER, max_message_size=1)
    proxy.lose_requests = 1_000
    with pytest.raises(CommitUnsettled, match="never applied twice"):
        await commit(lossy, before, edit, request_id="one", within=0.5)
    proxy.lose_requests = 0
    assert await commit(lossy, before, edit, request_id="one") == Committed(3, already=False)
    assert await history_of(small_etcd) == [3, 2, 1]


async def test_a_frozen_etcd_executes_a_commit_at_most_once(
    server: Server, etcd: EtcdClient
) -> None:
    """The transaction waits in the frozen server's socket while the commit is being settled."""
    before = await west(etcd)

    class Freezing(EtcdClient):
        frozen = 0

        async def txn(
            self,
            compares: Sequence[Unchanged],
            then: Sequence[Operation],
            otherwise: Sequence[Operation] = (),
        ) -> TxnResult:
            if not self.frozen:
                server.pause()
                asyncio.get_running_loop().call_later(1.2, server.resume)
            self.frozen += 1
            return await super().txn(compares, then, otherwise)

    async with Freezing(replace(server.options, timeout=1.0)) as freezing:
        edit = set_values(CLUSTER, max_message_size=1)
        committed = await commit(freezing, before, edit, request_id="one")
    assert committed == Committed(3, already=False)
    assert freezing.frozen
    assert await history_of(etcd) == [3, 2, 1]


async def test_ten_thousand_machines_are_created_and_changed_in_one_transaction_each(
    small_etcd: EtcdClient,
) -> None:
    """etcd's default limits: 128 operations and 1.5 MiB a request."""
    before = await west(small_etcd)
    names = [f"mx{number:05d}.gateways.example.com" for number in range(10_000)]
    await commit(small_etcd, before, *(AddMachine(name, "g2") for name in names), request_id="add")
    added = await stored(small_etcd)
    assert len(added.machines) == 10_003
    edits = [
        set_values(
            machine(name), report_from=f"tdc-{number}@example.com", retry__initial=number + 1
        )
        for number, name in enumerate(names)
    ]
    plan = make_plan(added, edits)
    await CommitStore(small_etcd).commit(plan, signed("set"), MADE)
    assert await stored(small_etcd) == plan.after
    record = await History(small_etcd).commit_record("west", 4)
    assert isinstance(record, CommitRecord)
    assert record.levels == plan.levels


async def test_a_commit_beyond_one_transaction_is_refused_as_a_whole(
    small_etcd: EtcdClient,
) -> None:
    before = await west(small_etcd)
    names = [f"{number}.{number * 7919 % 100_003}.example.com" for number in range(150_000)]
    edit = set_values(CLUSTER, incoming_domains=names)
    with pytest.raises(CommitTooLarge, match="nothing was changed"):
        await commit(small_etcd, before, edit, request_id="huge")
    assert await stored(small_etcd) == before


async def test_a_cluster_is_created_once(etcd: EtcdClient) -> None:
    store = CommitStore(etcd)
    first = await store.create_cluster(new_cluster("west"), signed("a"), MADE)
    again = await store.create_cluster(new_cluster("west"), signed("a"), MADE)
    assert (first, again) == (Committed(1, already=False), Committed(1, already=True))
    with pytest.raises(ClusterExists):
        await store.create_cluster(new_cluster("west"), signed("b"), MADE)
    assert await stored(etcd) == new_cluster("west")


async def test_a_commit_to_a_cluster_that_is_not_stored_is_refused(small_etcd: EtcdClient) -> None:
    with pytest.raises(UnknownCluster):
        await commit(small_etcd, new_cluster("west"), AddMachine("a", "Main_Group"), request_id="x")


async def test_a_plan_without_changes_makes_no_revision(small_etcd: EtcdClient) -> None:
    before = await west(small_etcd)
    with pytest.raises(NothingToCommit):
        await commit(small_etcd, before, set_values(CLUSTER, enabled=True), request_id="same")


async def test_an_unreadable_machine_is_named_and_the_rest_is_served_and_changed(
    etcd: EtcdClient,
) -> None:
    before = await west(etcd)
    key = machine_key("west", "mx1")
    item = await etcd.get(key)
    assert item is not None
    document = unpack(item.value)
    document["machines"]["mx1"]["settings"]["from_the_future"] = 1  # type: ignore[index]
    await etcd.txn([], [Put(key, resealed(key, document))])
    found = await assembled(etcd)
    assert [(each.key, each.entry) for each in found.unreadable] == [(key, "mx1")]
    assert "from_the_future" in found.unreadable[0].reason
    assert found.cluster is not None
    assert set(found.cluster.machines) == {"mx2", "mx3"}
    with pytest.raises(UnreadableTouched, match="from_the_future"):
        await commit(etcd, before, set_values(machine("mx1"), max_message_size=1), request_id="no")
    await commit(
        etcd, found.cluster, set_values(machine("mx2"), max_message_size=1), request_id="y"
    )
    kept = await etcd.get(key)
    assert kept is not None
    if key == machine_key("west", "mx2"):
        kept_entry = json.loads(kept.value)["machines"]["mx1"]
        assert kept_entry == document["machines"]["mx1"]  # type: ignore[index]


async def test_a_machine_whose_group_can_not_be_read_is_not_created_anew(
    small_etcd: EtcdClient,
) -> None:
    await west(small_etcd)
    own = set_values(machine("mx3"), max_message_size=1)
    await commit(small_etcd, await stored(small_etcd), own, request_id="own")
    key = group_key("west", "g2")
    await small_etcd.txn([], [Put(key, json.dumps({"schema": 1, "groups": {"g2": 0}}).encode())])
    found = (await assembled(small_etcd)).cluster
    assert found is not None
    assert "mx3" not in found.machines
    before = await small_etcd.get(machine_key("west", "mx3"))
    with pytest.raises(UnreadableTouched, match="'mx3' already exists"):
        await commit(small_etcd, found, AddMachine("mx3", "Main_Group"), request_id="anew")
    assert await small_etcd.get(machine_key("west", "mx3")) == before


async def test_garbage_beside_readable_entries_survives_a_commit(small_etcd: EtcdClient) -> None:
    before = await west(small_etcd)
    key = machine_key("west", "mx1")
    item = await small_etcd.get(key)
    assert item is not None
    document = unpack(item.value)
    document["machines"]["elsewhere"] = {"what": "is this"}  # type: ignore[index]
    await small_etcd.txn([], [Put(key, resealed(key, document))])
    edit = set_values(machine("mx1"), max_message_size=1)
    await commit(small_etcd, before, edit, request_id="beside")
    after = await small_etcd.get(key)
    assert after is not None
    entries = json.loads(after.value)["machines"]
    assert entries["elsewhere"] == {"what": "is this"}
    assert entries["mx1"]["settings"] == {"max_message_size": 1}


@pytest.mark.parametrize(
    "garbage", [b"", b"\xff\x00", b"\x01not zlib", b"[]", b'{"schema": 2}', b'{"schema": true}']
)
async def test_garbage_in_place_of_a_document_stops_commits_to_it_alone(
    small_etcd: EtcdClient, garbage: bytes
) -> None:
    before = await west(small_etcd)
    await small_etcd.txn([], [Put(cluster_key("west"), garbage)])
    with pytest.raises(UnreadableTouched):
        await commit(small_etcd, before, set_values(CLUSTER, enabled=False), request_id="no")
    edit = set_values(machine("mx3"), max_message_size=1)
    assert (await commit(small_etcd, before, edit, request_id="yes")).revision == 3
    await small_etcd.txn([], [Put(head_key("west"), garbage)])
    assert (await assembled(small_etcd)).cluster is None
    with pytest.raises(UnreadableTouched):
        await commit(small_etcd, before, edit, request_id="head")


async def test_history_is_listed_newest_first_in_pages(small_etcd: EtcdClient) -> None:
    await west(small_etcd)
    for number in range(5):
        now = await stored(small_etcd)
        edit = set_values(CLUSTER, max_message_size=number + 1)
        await commit(small_etcd, now, edit, request_id=f"r{number}")
    await small_etcd.txn([], [Put(f"{commits_prefix('west')}{4:012d}", b"garbage")])
    history = History(small_etcd)
    page = await history.commits("west", before=6, limit=3)
    assert [getattr(record, "revision", "unreadable") for record in page] == [5, "unreadable", 3]
    between = await history.records_between("west", 4, 6)
    assert [getattr(record, "revision", None) for record in between] == [6, 5]
    assert await history.commit_record("west", 99) is None


@pytest.mark.parametrize("error", [EtcdUnavailable, EtcdAnswerLost])
async def test_only_what_was_sent_is_in_doubt(error: type[EtcdError]) -> None:
    """And only that is asked about for as long as it may take."""
    etcd = AsyncMock(spec=EtcdClient)
    etcd.get_many.return_value = {}
    etcd.newest.return_value = Read(0, 0, ())
    etcd.get.return_value = None
    etcd.txn.side_effect = error("etcd did not answer")
    store = CommitStore(etcd, settle_within=0.2)
    sent = error is EtcdAnswerLost
    with pytest.raises(CommitUnsettled if sent else EtcdUnavailable):
        await store.create_cluster(new_cluster("west"), signed("made"), MADE)
    assert (etcd.txn.await_count > 1) is sent
