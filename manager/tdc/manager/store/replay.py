"""What a cluster's documents must hold, from its history alone.

A commit record has every change of its commit, so the records make the documents again, from the
first on or on top of a snapshot, byte for byte as the commits wrote them, but for entries that
could not be read even then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from tdc.manager.levels import identities
from tdc.manager.levels.by_name import Draft
from tdc.manager.levels.changes import LevelChange, TopologyChange
from tdc.manager.levels.fleet import (
    Cluster,
    Group,
    LevelKey,
    Machine,
    StoredSettings,
)
from tdc.manager.store.assembly import assemble, headed
from tdc.manager.store.documents import Document, Head, Unreadable, read_document
from tdc.manager.store.keys import DocumentKey, Part
from tdc.manager.store.record import CommitRecord, fits_chain
from tdc.manager.store.rewrite import rewritten, touched
from tdc.manager.store.snapshots import Snapshot
from tdc.shared.settings.values import Level, Settings


class HistoryBroken(Exception):
    """History does not say what the documents held; the text says where it ends."""


def replayed(
    name: str, records: Iterable[CommitRecord | Unreadable], base: Snapshot | None = None
) -> tuple[Head, dict[str, bytes]]:
    """The head and the documents by key, from all records after `base`, oldest first.

    Raises HistoryBroken.
    """
    cluster = Cluster(name, 0, StoredSettings(), {}, {})
    head, values = Head(0, ""), dict[str, bytes]()
    if base is not None:
        head, values = base.head, dict(base.values)
        known = assemble(name, [Document(DocumentKey(name, Part.HEAD), head=head), *_all(values)])
        cluster = known.cluster or replace(cluster, revision=head.revision)
    for each in records:
        record = _next(name, head, each)
        cluster = _after(cluster, record)
        changed = touched(record.levels, record.topology, cluster)
        made = rewritten(
            _read(values, changed.keys(name)), cluster, changed, sealed=record.sealed > 0
        )
        values |= made
        head = Head(
            record.revision,
            record.signature.request_id,
            record.chain,
            {**head.written, **dict.fromkeys(made, record.revision)},
            record.sealed,
            cluster.deleted,
            cluster.name if cluster.place else "",
            cluster.former,
            cluster.born,
        )
    return head, values


def called_by(
    place: str, records: Iterable[CommitRecord | Unreadable], base: Snapshot | None = None
) -> tuple[str, tuple[str, ...], int]:
    """What the cluster at a place is called, empty if that is its place; its former names; `born`.

    As far as the records after `base` can be read, oldest first.
    """
    cluster = Cluster(place, 0, StoredSettings(), {}, {})
    if base is not None:
        cluster = headed(cluster, base.head)
    for record in records:
        for change in record.topology if isinstance(record, CommitRecord) else ():
            if change.level is Level.CLUSTER:
                cluster = replace(_named_by(cluster, change), born=change.born or 0)
    return cluster.name if cluster.place else "", cluster.former, cluster.born


def _next(name: str, head: Head, record: CommitRecord | Unreadable) -> CommitRecord:
    if isinstance(record, Unreadable):
        raise HistoryBroken(str(record))
    if record.revision != head.revision + 1:
        raise HistoryBroken(
            f"history of cluster {name!r} has no commit {head.revision + 1}: it is older than "
            "history is kept, or its record was deleted by hand"
        )
    if not fits_chain(record, head.chain):
        raise HistoryBroken(f"commit {record.revision} of cluster {name!r} was changed by hand")
    return record


def _all(values: Mapping[str, bytes]) -> Iterable[Document]:
    return _read(values, values).values()


def _read(values: Mapping[str, bytes], keys: Iterable[str]) -> dict[str, Document]:
    read = {key: read_document(key, values[key]) for key in keys if key in values}
    return {key: each for key, each in read.items() if isinstance(each, Document)}


def _after(cluster: Cluster, record: CommitRecord) -> Cluster:
    old = any(each.created and each.level is Level.MACHINE and each.born is None
              for each in record.topology)  # fmt: skip
    slots = identities.slots_in(cluster) if old else frozenset[str]()
    for topology in record.topology:
        cluster = _with_topology(cluster, topology, record, slots)
    stored: dict[LevelKey, StoredSettings] = {}
    gone = {LevelKey(each.level, each.name) for each in record.topology if each.removed}
    for change in record.levels:
        if change.key in gone:
            continue
        before = stored.get(change.key) or cluster.stored_at(change.key)
        stored[change.key] = _with_value(before, change, record.revision)
    return replace(cluster.with_stored(stored), revision=record.revision)


def _with_topology(
    cluster: Cluster, change: TopologyChange, record: CommitRecord, slots: frozenset[str]
) -> Cluster:
    match change.level:
        case Level.GROUP:
            return _with_group(cluster, change)
        case Level.MACHINE:
            return _with_machine(cluster, change, record, slots)
        case _ if change.before is not None:
            return _named_by(cluster, change)
        case _ if change.removed:
            return replace(cluster, deleted=True, stored=StoredSettings())
        case _:
            made = _named_by(cluster, change)
            return replace(made, deleted=False, stored=StoredSettings(), born=change.born or 0)


def _named_by(cluster: Cluster, change: TopologyChange) -> Cluster:
    """The cluster as it is called after a change of the cluster itself."""
    if change.removed:
        return cluster
    called = identities.cluster_called(cluster, change.name)
    return replace(called, former=()) if change.created else called


def _with_group(cluster: Cluster, change: TopologyChange) -> Cluster:
    groups, machines, was = Draft(cluster.groups), Draft(cluster.machines), change.before
    group = groups.pop(
        was.name if was is not None else change.name, Group(change.name, born=change.born or 0)
    )
    if not change.removed:
        groups[change.name] = replace(group, name=change.name, slot=change.slot)
    if was is not None:
        machines.update(
            (each.name, replace(each, group=change.name))
            for each in cluster.machines.values()
            if each.group == was.name
        )
    return replace(cluster, groups=groups, machines=machines)


def _with_machine(
    cluster: Cluster, change: TopologyChange, record: CommitRecord, slots: frozenset[str]
) -> Cluster:
    machines, removed = Draft(cluster.machines), dict(cluster.removed)
    if change.removed:
        gone = machines.pop(change.name, Machine(change.name, change.group))
        each = identities.removed(gone, record.revision, stops_copying=change.stops_copying)
        if change.born is not None:
            removed[identities.removed_key(change.name, record.revision)] = each
        else:
            removed[change.name] = replace(each, born=None)
    else:
        # Commits that sealed nothing did not keep when a machine was created, either.
        born = record.revision if record.sealed else 0
        known = machines.pop(change.name if change.before is None else change.before.name, None)
        if known is None and change.born is not None:
            known = Machine(change.name, change.group, born=change.born, slot=change.slot)
        elif known is None:
            known = identities.created(change.name, change.group, born, slots)
        elif known.name != change.name:
            known = identities.renamed(known, change.name)
        machines[change.name] = replace(known, group=change.group)
        if change.born is None:
            removed.pop(change.name, None)
    return replace(cluster, machines=machines, removed=removed)


def _with_value(before: StoredSettings, change: LevelChange, revision: int) -> StoredSettings:
    values, set_by = dict(before.settings), dict(before.set_by)
    values.pop(change.setting, None)
    set_by.pop(change.setting, None)
    if change.after is not None:
        values[change.setting], set_by[change.setting] = change.after, revision
    return StoredSettings(Settings.of(values), set_by)
