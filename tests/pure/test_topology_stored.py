"""Topology in the store: it reads as its plan says, and history makes it again."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from tdc.manager.levels.changes import (
    AddGroup,
    AddMachine,
    Edit,
    MoveMachine,
    RemoveCluster,
    RemoveMachine,
    RenameGroup,
    RenameMachine,
)
from tdc.manager.levels.fleet import Cluster, RemovedMachine, StoredSettings, new_cluster
from tdc.manager.levels.identities import identity_of, name_removed, removed_from, slot_of
from tdc.manager.levels.plan import Plan, make_plan
from tdc.manager.store.assembly import assemble
from tdc.manager.store.documents import (
    MOST_REMOVED,
    Document,
    Unreadable,
    pack_head,
    read_document,
)
from tdc.manager.store.keys import COMMITS, DocumentKey, Part, commit_key, head_key, machine_key
from tdc.manager.store.record import (
    CommitRecord,
    Signature,
    chained,
    pack_record,
    read_record,
    topology_of,
)
from tdc.manager.store.replay import replayed
from tdc.manager.store.rewrite import rewritten, touched
from tdc.manager.view.last_known import KnownClusters

from tests.pure.topology_edits import MACHINE_NAMES, valid_edits
from tests.stage.clusters import CLUSTER, put

Stored = dict[str, bytes]


def _documents(stored: Stored) -> dict[str, Document]:
    read = {key: read_document(key, raw) for key, raw in stored.items()}
    return {key: each for key, each in read.items() if isinstance(each, Document)}


class Store:
    """Documents and history of one cluster, as commits write them."""

    def __init__(self) -> None:
        first = new_cluster("c1")
        self.cluster, self.values, self.records = first, Stored(), list[CommitRecord]()
        self.head = b""  # as it was stored; empty if it was not
        record = CommitRecord(1, _signed(1), 1.0, (), topology_of(first), 0, sealed=1)
        self._write(first, record)

    def create_again(self) -> None:
        after = new_cluster("c1", revision=self.cluster.revision + 1)
        number = after.revision
        record = CommitRecord(number, _signed(number), 1.0, (), topology_of(after), 0, sealed=1)
        self._write(after, record)
        self.cluster = replace(after, removed=self.found.removed)

    @property
    def found(self) -> Cluster:
        """The cluster as it is read, by its head as history makes it."""
        head, values = replayed("c1", self.records)
        assert values == self.values
        read = [*_documents(values).values(), Document(DocumentKey("c1", Part.HEAD), head=head)]
        found = assemble("c1", read)
        assert found.cluster is not None
        assert not found.unreadable
        return found.cluster

    def commit(self, *edits: Edit) -> Plan:
        plan = make_plan(self.cluster, edits)
        if not plan.changes_nothing:
            number = plan.after.revision
            record = CommitRecord(
                number, _signed(number), 1.0, plan.levels, plan.topology, 0, sealed=1
            )
            self._write(plan.after, record)
        return plan

    def _write(self, after: Cluster, record: CommitRecord) -> None:
        changed = touched(record.levels, record.topology, after)
        self.values |= rewritten(_documents(self.values), after, changed)
        before = self.records[-1].chain if self.records else ""
        raw = pack_record("c1", chained(record, before))
        self.records.append(read_record(commit_key("c1", record.revision), raw))
        self.cluster = after


def _signed(number: int) -> Signature:
    return Signature("ann", "", f"r{number}")


@given(st.data())
def test_each_commit_is_stored_and_made_again_from_history(data: st.DataObject) -> None:
    store = Store()
    store.commit(AddMachine("mx1", "Main_Group"), AddMachine("mx2", "Main_Group"))
    for _ in range(data.draw(st.integers(1, 4))):
        plan = store.commit(*data.draw(valid_edits(store.cluster, renaming=True)))
        documents = _documents(store.values).values()
        found = assemble("c1", documents)
        groups = {name: group for each in documents for name, group in each.groups.items()}
        machines = {name: its for each in documents for name, its in each.machines.items()}
        assert not found.unreadable or found.cluster is None  # there is no head here
        assert (groups, machines) == (dict(plan.after.groups), dict(plan.after.machines))
        removed = {name: its for each in documents for name, its in each.removed.items()}
        assert removed == dict(plan.after.removed)
    _, values = replayed("c1", store.records)
    assert values == store.values


class Follows:
    """A view of a store, which is told what changed with each commit."""

    def __init__(self, store: Store) -> None:
        self._store, self._before = store, Stored()
        self.known = KnownClusters()

    def commit(self, *edits: Edit) -> None:
        self._store.commit(*edits)
        head, values = replayed("c1", self._store.records)
        now = {**values, head_key("c1"): pack_head("c1", head)}
        changed = {key: raw for key, raw in now.items() if self._before.get(key) != raw}
        self.known.take(changed, all_of_it=False)
        self._before = now
        machines = self._store.cluster.machines
        slots = {slot_of(each): each for each in machines.values()}
        assert len(slots) == len(machines)
        for name in {*slots, *MACHINE_NAMES}:
            assert self.known.called("c1", name) == slots.get(name)


@given(st.data())
def test_a_view_that_follows_finds_each_machine_by_its_slot(data: st.DataObject) -> None:
    """Slots are kept from commit to commit; they are those that all machines have together."""
    store = Store()
    follows = Follows(store)
    follows.commit(AddMachine("mx1", "Main_Group"), AddMachine("mx2", "Main_Group"))
    for _ in range(data.draw(st.integers(1, 5))):
        follows.commit(*data.draw(valid_edits(store.cluster, renaming=True)))


def test_a_machine_that_is_called_as_before_is_found_by_its_slot() -> None:
    store = Store()
    follows = Follows(store)
    follows.commit(AddMachine("mx1", "Main_Group"))
    follows.commit(RenameMachine("mx1", "mx2"))
    follows.commit(RenameMachine("mx2", "mx1"))
    assert follows.known.called("c1", "mx1") == store.cluster.machines["mx1"]


def test_a_machine_of_the_same_name_is_another_one() -> None:
    store = Store()
    store.commit(AddMachine("mx1", "Main_Group"))
    first = store.cluster.machines["mx1"].born
    store.commit(RemoveMachine("mx1", stop_copying=True))
    gone = RemovedMachine(3, stops_copying=True, born=2)
    assert store.cluster.removed == {"mx1~3": gone}
    store.commit(AddMachine("mx1", "Main_Group"))
    made = store.cluster.machines["mx1"]
    assert (made.born, made.slot) == (4, "mx1~4")
    assert first == 2
    assert store.cluster.removed == {"mx1~3": gone}
    documents = _documents(store.values)
    found = documents[machine_key("c1", "mx1")]
    assert (found.machines["mx1"], dict(found.removed)) == (made, {"mx1~3": gone})


def test_a_deleted_cluster_leaves_nothing_but_its_history_and_who_was_removed() -> None:
    store = Store()
    store.commit(AddMachine("mx1", "Main_Group"), put(CLUSTER, log__level="debug"))
    store.commit(RemoveMachine("mx1", stop_copying=True))
    plan = store.commit(RemoveCluster("c1"))
    assert plan.after.deleted
    assert store.found == plan.after
    assert (store.found.groups, store.found.stored) == ({}, StoredSettings())
    store.create_again()
    assert store.found.deleted is store.cluster.deleted is False
    assert store.found.groups.keys() == {"Main_Group"}
    assert store.found.born == store.found.groups["Main_Group"].born == 5
    gone = {"mx1~3": RemovedMachine(3, stops_copying=True, born=2)}
    assert store.found.removed == gone
    store.commit(AddMachine("mx1", "Main_Group"))
    assert store.found.machines["mx1"].born == store.cluster.revision == 6
    assert store.found.removed == gone


def test_a_moved_machine_and_one_of_a_renamed_group_stay_the_same_machine() -> None:
    store = Store()
    store.commit(AddMachine("mx1", "Main_Group"))
    store.commit(RenameGroup("Main_Group", "edge"))
    plan = store.commit(MoveMachine("mx1", "edge"))
    assert plan.changes_nothing
    assert store.cluster.machines["mx1"].born == 2
    assert store.cluster.machines["mx1"].group == "edge"


def test_a_group_that_was_renamed_before_slots_were_kept_is_as_it_was_stored() -> None:
    """History of before says nothing of slots, so it makes the documents again as they were."""
    store = Store()
    store.commit(AddGroup("g1"))
    store.commit(RenameGroup("g1", "g2"))
    renamed = store.records[-1]
    assert (renamed.topology[0].slot, store.cluster.groups["g2"].slot) == ("g1", "g1")
    old = replace(renamed, topology=(replace(renamed.topology[0], slot=""),), chain="")
    history = [*store.records[:-1], chained(old, store.records[-2].chain)]
    _, values = replayed("c1", history)
    groups = [each for document in _documents(values).values() for each in document.groups.values()]
    assert {each.name: each.slot for each in groups} == {"Main_Group": "", "g2": ""}
    read = read_record("k", pack_record("c1", replace(renamed, sealed=0)))
    assert read.topology == renamed.topology


def _before_born() -> Store:
    """A store as the version wrote it that kept `born` of machines alone."""
    text = Path(__file__).with_name("stored_before_born.json").read_text()
    raw = {key: base64.b64decode(value) for key, value in json.loads(text).items()}
    store = Store()
    records = [read_record(key, each) for key, each in raw.items() if key.startswith(COMMITS)]
    store.records = sorted(records, key=lambda each: each.revision)
    store.values = {key: each for key, each in raw.items() if not key.startswith(COMMITS)}
    store.head = store.values.pop(head_key("c1"))
    store.cluster = store.found
    return store


def test_a_store_of_before_is_read_repaired_and_goes_on() -> None:
    store = _before_born()
    head, values = replayed("c1", store.records)
    assert (values, pack_head("c1", head)) == (store.values, store.head)
    found = store.cluster
    assert (found.born, {each.born for each in found.groups.values()}) == (0, {0})
    assert found.removed["mx4"] == RemovedMachine(16, stops_copying=True)
    assert removed_from(found, "mx4", 15) == "mx4"
    edge = RemovedMachine(12, stops_copying=True, slot="mx2")
    assert found.removed["edge"] == edge
    store.commit(AddMachine("mx4", "g1"), AddGroup("g2"), RenameMachine("mx2", "edge"))
    machines = store.cluster.machines
    assert identity_of(machines["mx4"]) == ("mx4~17", 17)
    assert store.cluster.groups["g2"].born == 17
    assert removed_from(store.cluster, "mx4", 15) == "mx4"
    assert store.cluster.removed["edge"] == edge, "nothing is forgotten for a name that is used"
    assert store.found == store.cluster
    store.commit(RemoveMachine("mx4"), RemoveMachine("edge", stop_copying=True))
    assert store.found == store.cluster
    assert store.cluster.removed.keys() >= {"mx4", "mx4~18", "edge", "edge~18"}
    store.commit(RemoveCluster("c1"))
    store.create_again()
    assert (store.found.born, store.found.groups["Main_Group"].born) == (20, 20)


def test_of_those_that_had_a_slot_each_is_known_by_what_created_it() -> None:
    gone = {
        "a": RemovedMachine(5, slot="mx1"),
        "b": RemovedMachine(9, slot="mx1"),
        "c~9": RemovedMachine(9, slot="mx1", born=7),
        "mx1~12": RemovedMachine(12, born=10),
    }
    cluster = replace(new_cluster("c1"), removed=gone)
    found = {born: removed_from(cluster, "mx1", born) for born in (2, 6, 7, 10, 12)}
    assert found == {2: "a", 6: "b", 7: "c~9", 10: "mx1~12", 12: ""}


def test_a_shard_remembers_only_so_many_removed_machines() -> None:
    store, shard = Store(), machine_key("c1", "mx0")
    names = [name for name in (f"mx{n}" for n in range(20_000)) if machine_key("c1", name) == shard]
    names = names[: MOST_REMOVED + 5]
    store.commit(*(AddMachine(name, "Main_Group") for name in names))
    for name in names:
        store.commit(RemoveMachine(name))
    found = read_document(shard, store.values[shard])
    assert not isinstance(found, Unreadable)
    assert sorted(map(name_removed, found.removed)) == sorted(names[-MOST_REMOVED:])
    _, values = replayed("c1", store.records)
    assert values == store.values


def test_of_one_commit_it_forgets_none() -> None:
    """Else an agent that was to take no more copies would never hear of it."""
    store, shard = Store(), machine_key("c1", "mx0")
    names = [name for name in (f"mx{n}" for n in range(20_000)) if machine_key("c1", name) == shard]
    first, *many = names[: MOST_REMOVED + 5]
    store.commit(*(AddMachine(name, "Main_Group") for name in (first, *many)))
    store.commit(RemoveMachine(first))
    store.commit(*(RemoveMachine(name, stop_copying=True) for name in many))
    found = read_document(shard, store.values[shard])
    assert not isinstance(found, Unreadable)
    assert sorted(map(name_removed, found.removed)) == sorted(many)
    _, values = replayed("c1", store.records)
    assert values == store.values
