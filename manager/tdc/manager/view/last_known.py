"""PURE. The stored clusters as far as they could ever be read, one document at a time.

In: keys and bytes, as the store hands them on. Out: clusters, and what can't be read.
Promise: a value that can't be read, that was deleted or set back though no commit did it, leaves
what was last known in its place, and is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from tdc.manager.levels.by_name import ByName
from tdc.manager.levels.fleet import Cluster, Group, Machine
from tdc.manager.levels.identities import name_removed, slot_of
from tdc.manager.store import by_hand
from tdc.manager.store.assembly import NOTHING_ASSEMBLED, Assembled, reassembled
from tdc.manager.store.documents import Document, Head, Unreadable, read_document
from tdc.manager.store.keys import (
    DocumentKey,
    Part,
    cluster_key,
    group_key,
    head_key,
    machine_key,
)

Entry = TypeVar("Entry", Group, Machine)


@dataclass(frozen=True, slots=True)
class ClusterChange:
    """What new documents made of the cluster at `place`; `machines` are those that may be affected.

    A superset: machines whose own entry, group, or cluster level was written again or is gone, and
    all of a cluster that has another name.
    """

    place: str
    before: Cluster | None
    after: Cluster | None
    machines: frozenset[str]


@dataclass(slots=True)
class KnownClusters:
    """The documents of all clusters, and the clusters they make.

    Callers name a cluster as it is called; what is kept here is kept by its place.
    """

    clusters: dict[str, Cluster] = field(default_factory=dict)
    deleted: dict[str, Cluster] = field(default_factory=dict)
    """What is left of clusters whose newest commit removed them."""
    _documents: dict[str, dict[str, Document]] = field(default_factory=dict)
    _trusted: dict[str, dict[str, Document]] = field(default_factory=dict)
    _assembled: dict[str, Assembled] = field(default_factory=dict)  # of those that are trusted
    _slots: dict[str, dict[str, str]] = field(default_factory=dict)  # -> name, where it is another
    _places: dict[str, str] = field(default_factory=dict)  # by name, also of what was deleted
    _at: dict[str, Cluster] = field(default_factory=dict)  # by place, also what was deleted
    _strange: dict[str, Unreadable] = field(default_factory=dict)
    _troubles: dict[str, tuple[Unreadable, ...]] = field(default_factory=dict)
    _beside: Mapping[str, tuple[Head, Unreadable]] = field(default_factory=dict)
    _lost: Mapping[str, Unreadable] = field(default_factory=dict)

    def judge(
        self, beside: Mapping[str, tuple[Head, Unreadable]], lost: Mapping[str, Unreadable]
    ) -> None:
        """Take, by cluster, which head does not agree with its history, and which have only that.

        To be called before the documents are taken.
        """
        self._beside, self._lost = beside, lost

    def take(
        self, values: Mapping[str, bytes | None], *, all_of_it: bool, replaced: bool = False
    ) -> list[ClusterChange]:
        """Take new values (None: deleted); with `all_of_it`, what is not among them is gone.

        `replaced`: the store is another than before, or a restored one, so nothing is known of it.
        """
        if replaced:
            return self._replace(values)
        if all_of_it:
            values = {**dict.fromkeys(self._keys()), **values}
        touched: dict[str, set[DocumentKey]] = {}
        for key, raw in values.items():
            document_key = self._take_one(key, raw)
            if document_key is not None:
                touched.setdefault(document_key.cluster, set()).add(document_key)
        # First all of them leave their names: one may have got the name that another left.
        before = {place: self._leave(place) for place in touched}
        return [self._reassembled(each, keys, before[each]) for each, keys in touched.items()]

    def place(self, name: str) -> str:
        """The name in the keys of the cluster that is called so; `name` where there is none."""
        return self._places.get(name, name)

    def places(self) -> frozenset[str]:
        """All places, also of what can't be read."""
        return frozenset(self._documents) | frozenset(self._lost)

    def at(self, place: str) -> Cluster | None:
        """The cluster at a place, also one that was deleted."""
        return self._at.get(place)

    def _leave(self, place: str) -> Cluster | None:
        found = self._at.pop(place, None)
        if found is not None:
            self._places.pop(found.name, None)
            self.deleted.pop(found.name, None)
        return self.clusters.pop(found.name, None) if found is not None else None

    def _replace(self, values: Mapping[str, bytes | None]) -> list[ClusterChange]:
        """Forget all that is known, and take `values` for the store."""
        before = {each.home: each for each in self.clusters.values()}
        self.clusters, self.deleted, self._documents, self._trusted = {}, {}, {}, {}
        self._places, self._at = {}, {}
        self._assembled, self._slots, self._strange, self._troubles = {}, {}, {}, {}
        changes = {change.place: change for change in self.take(values, all_of_it=True)}
        for place, known in before.items():
            after = self.at(place)
            after = None if after is None or after.deleted else after
            machines = _machines(known) | _machines(after)
            changes[place] = ClusterChange(place, known, after, machines)
        return list(changes.values())

    def chain(self, cluster: str) -> str:
        """The history's chain value at the cluster's revision; empty where there is none."""
        head = self._head(self.place(cluster))
        return head.chain if head is not None else ""

    def all_sealed(self, cluster: str) -> bool:
        """Whether every commit of the cluster sealed what it wrote, from the first on."""
        return self.sealed_at(self.place(cluster))

    def sealed_at(self, place: str) -> bool:
        """The same of the cluster at a place."""
        head = self._head(place)
        return head is not None and head.sealed == 1

    def _head(self, place: str) -> Head | None:
        document = self._trusted.get(place, {}).get(head_key(place))
        return document.head if document is not None else None

    def unreadable(self) -> tuple[Unreadable, ...]:
        """What can't be read, in the order of its keys."""
        troubles = [trouble for each in self._troubles.values() for trouble in each]
        lost = [each for name, each in self._lost.items() if not self._documents.get(name)]
        return tuple(sorted([*troubles, *lost, *self._strange.values()], key=str))

    def unreadable_in(self, cluster: str) -> tuple[Unreadable, ...]:
        """What can't be read of one cluster."""
        return self._troubles.get(self.place(cluster), ())

    def outdated(self, cluster: str) -> frozenset[str]:
        """Machines whose settings are partly last known, not what is stored now."""
        known = self.clusters.get(cluster)
        troubles = self.unreadable_in(cluster)
        if known is None or not troubles:
            return frozenset()
        return frozenset(
            name
            for trouble in troubles
            for name, machine in known.machines.items()
            if _concerns(trouble, known.home, machine)
        )

    def machine(self, cluster: str, name: str) -> Machine | None:
        """What is known of a machine itself, though its group or its cluster can't be read."""
        place = self.place(cluster)
        document = self._trusted.get(place, {}).get(machine_key(place, name))
        return document.machines.get(name) if document is not None else None

    def called(self, cluster: str, slot: str) -> Machine | None:
        """The machine whose enrolment is kept as `slot`; None if there is none."""
        known = self.clusters.get(cluster)
        if known is None:
            return None
        name = self._slots.get(known.home, {}).get(slot, slot)
        machine = known.machines.get(name)
        return machine if machine is not None and slot_of(machine) == slot else None

    def may_have(self, cluster: str, name: str) -> bool:
        """Whether a machine may be there: it is, or what would tell can't be read.

        What can't be read of others tells nothing of it.
        """
        if cluster in self.deleted:
            return False
        place = self.place(cluster)
        key = machine_key(place, name)
        document = self._trusted.get(place, {}).get(key)
        if document is None:
            head = self._head(place)
            return head is None or head.sealed != 1 or key in head.written
        if name in document.machines:
            return True
        hidden = any(trouble.entry in (None, name) for trouble in document.unreadable)
        return hidden and name not in map(name_removed, document.removed)

    def _keys(self) -> list[str]:
        documents = [key for each in self._documents.values() for key in each]
        return [*documents, *self._strange]

    def _take_one(self, key: str, raw: bytes | None) -> DocumentKey | None:
        self._strange.pop(key, None)
        if raw is None:
            return self._forget(key)
        read = read_document(key, raw)
        if isinstance(read, Unreadable):
            self._strange[key] = read
            return None
        known = self._trusted.get(read.key.cluster, {}).get(key)
        documents = self._documents.setdefault(read.key.cluster, {})
        documents[key] = _with_last_known(read, known)
        return read.key

    def _forget(self, key: str) -> DocumentKey | None:
        """Keep what a deleted key held: no commit deletes one. None if it held nothing of use."""
        for name, documents in self._documents.items():
            if key in documents:
                known = self._trusted.get(name, {}).get(key)
                if known is None or known.nothing_read:
                    return documents.pop(key).key
                gone = by_hand.deleted(key, known.revision)
                documents[key] = replace(known, unreadable=(gone,), whole=False)
                return known.key
        return None

    def _reassembled(
        self, name: str, touched: set[DocumentKey], before: Cluster | None
    ) -> ClusterChange:
        documents = self._documents.get(name, {})
        before_it = self._trusted.get(name, {})
        faults = self._faults(name, documents, before_it)
        doubted = {fault.key for fault in faults}
        trusted = {key: each for key, each in documents.items() if key not in doubted}
        trusted |= {key: before_it[key] for key in doubted & before_it.keys()}
        damage = [each for key in doubted & documents.keys() for each in documents[key].unreadable]
        self._trusted[name] = trusted
        known = self._assembled.get(name, NOTHING_ASSEMBLED)
        assembled = self._assembled[name] = reassembled(name, known, before_it, trusted)
        missing = [each for each in assembled.unreadable if each.key not in doubted or each.entry]
        after = assembled.cluster
        if after is not None and after.name in self._places:
            missing.append(Unreadable(head_key(name), None, _two_of_a_name(after, self._places)))
            after = None
        self._troubles[name] = tuple(dict.fromkeys((*faults, *damage, *missing)))
        if after is not None:
            self._places[after.name], self._at[name] = name, after
        if after is not None and after.deleted:
            self.deleted[after.name], after = after, None
        elif after is not None:
            self.clusters[after.name] = after
        affected = _affected(before, after, touched)
        self._slots[name] = _slots(self._slots.get(name, {}), before, after, affected)
        return ClusterChange(name, before, after, affected)

    def _faults(
        self, name: str, documents: Mapping[str, Document], trusted: Mapping[str, Document]
    ) -> tuple[Unreadable, ...]:
        """What is not as commits left it; where the head is not, by the head that was known."""
        key = head_key(name)
        found = documents.get(key)
        if found is None or found.head is None:
            return ()
        sealed = any(each.sealed for each in trusted.values())
        fault = by_hand.fault_of_head(name, found.head, documents.values(), sealed=sealed)
        judged, beside = self._beside.get(name, (None, None))
        if fault is None and beside is not None and judged == found.head:
            fault = beside
        known = trusted.get(key)
        head: Head | None = found.head
        if fault is not None and fault.key == key:
            head = known.head if known is not None else None
        keys = dict.fromkeys((*(head.written if head is not None else ()), *documents))
        keys.pop(key)
        beside_it = by_hand.faults_beside(head, documents, keys) if head is not None else ()
        return (fault, *beside_it) if fault is not None else beside_it


def _concerns(trouble: Unreadable, cluster: str, machine: Machine) -> bool:
    """Whether an unreadable value affects what is in force on a machine."""
    if trouble.key == machine_key(cluster, machine.name):
        return trouble.entry in (None, machine.name)
    if trouble.key == group_key(cluster, machine.group):
        return trouble.entry in (None, machine.group)
    return trouble.key in (head_key(cluster), cluster_key(cluster))


def _with_last_known(document: Document, before: Document | None) -> Document:
    """Fill what can't be read of `document` with what was known of it before."""
    if before is None:
        return document
    if by_hand.is_older(document, before):
        older = by_hand.set_back(str(document.key), document.revision, before.revision)
        return replace(before, unreadable=(older, *document.unreadable), whole=False)
    if not document.unreadable:
        return document
    if not document.whole:
        return replace(before, unreadable=document.unreadable, whole=False)
    lost = {trouble.entry for trouble in document.unreadable}
    return replace(
        document,
        groups=_kept(document.groups, before.groups, lost),
        machines=_kept(document.machines, before.machines, lost),
    )


def _kept(
    now: Mapping[str, Entry], before: Mapping[str, Entry], lost: set[str | None]
) -> Mapping[str, Entry]:
    return {**{name: value for name, value in before.items() if name in lost}, **now}


def _affected(
    before: Cluster | None, after: Cluster | None, touched: set[DocumentKey]
) -> frozenset[str]:
    parts = {key.part for key in touched}
    if before is None or after is None or before.name != after.name:
        return _machines(before) | _machines(after)
    if before.stored.settings != after.stored.settings:
        return _machines(before) | _machines(after)
    affected: set[str] = set()
    if Part.GROUPS in parts:
        groups = _changed(before.groups, after.groups)
        affected |= {
            machine.name for machine in after.machines.values() if machine.group in groups
        } | {machine.name for machine in before.machines.values() if machine.group in groups}
    if Part.MACHINES in parts or Part.GROUPS in parts:
        affected |= _changed(before.machines, after.machines)
    return frozenset(affected)


def _changed(before: Mapping[str, Entry], after: Mapping[str, Entry]) -> set[str]:
    return ByName.of(before).differing(ByName.of(after))


def _two_of_a_name(cluster: Cluster, places: Mapping[str, str]) -> str:
    return (
        f"it is called {cluster.name!r}, and so is the cluster at {places[cluster.name]!r}: no "
        "commit leaves that; what comes second is not served"
    )


def _slots(
    known: dict[str, str], before: Cluster | None, after: Cluster | None, names: Iterable[str]
) -> dict[str, str]:
    """Keep the slots that are not the names of their machines: of `names` they may be others."""
    were, are = (_slots_of(cluster, names) for cluster in (before, after))
    for slot in were:
        del known[slot]
    return known | are if are else known


def _slots_of(cluster: Cluster | None, names: Iterable[str]) -> dict[str, str]:
    if cluster is None:
        return {}
    there = (cluster.machines.get(name) for name in names)
    return {each.slot: each.name for each in there if each is not None and each.slot}


def _machines(cluster: Cluster | None) -> frozenset[str]:
    return frozenset(cluster.machines) if cluster is not None else frozenset()
