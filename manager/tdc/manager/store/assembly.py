"""PURE. A cluster put together from its documents, and again from those that changed.

A commit writes the head and one or two shards. What they make of the cluster that was known costs
what they hold, not what the cluster does; where anything is missing or can't be read, and where
groups come or go, all is put together from the start.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from tdc.manager.levels.by_name import ByName
from tdc.manager.levels.fleet import Cluster, Group, Machine, RemovedMachine
from tdc.manager.store.documents import Document, Head, Unreadable
from tdc.manager.store.keys import DocumentKey, Part

Entry = TypeVar("Entry", Group, Machine)


@dataclass(frozen=True, slots=True)
class Assembled:
    """A cluster put together. `cluster` is None if its head or its level can't be read.

    Machines whose group can't be read are in `unreadable`, not in the cluster: what is in force
    on them is not known.
    """

    cluster: Cluster | None
    unreadable: tuple[Unreadable, ...]


NOTHING_ASSEMBLED = Assembled(None, ())


def assemble(name: str, documents: Iterable[Document]) -> Assembled:
    """Put the cluster at a place together from its documents, all as of one etcd revision."""
    documents = tuple(documents)
    unreadable = [trouble for document in documents for trouble in document.unreadable]
    head = next((found.head for found in documents if found.head is not None), None)
    stored = next((found.stored for found in documents if found.stored is not None), None)
    if head is None or stored is None:
        unreadable.extend(_missing(name, documents))
        return Assembled(None, tuple(unreadable))
    groups = {group.name: group for found in documents for group in found.groups.values()}
    machines: dict[str, Machine] = {}
    for found in documents:
        for machine in found.machines.values():
            if machine.group in groups:
                machines[machine.name] = machine
            else:
                reason = f"its group {machine.group!r} can't be read or is missing"
                unreadable.append(Unreadable(str(found.key), machine.name, reason))
    cluster = Cluster(name, head.revision, stored, groups, machines, _removed(documents))
    cluster = headed(cluster, head)
    return Assembled(cluster, tuple(unreadable))


def headed(cluster: Cluster, head: Head) -> Cluster:
    """The cluster with what its head says of it."""
    name, place = (head.called, cluster.home) if head.called else (cluster.home, "")
    return replace(
        cluster,
        name=name,
        place=place,
        former=head.former,
        revision=head.revision,
        deleted=head.deleted,
        born=head.born,
    )


def _missing(name: str, documents: tuple[Document, ...]) -> Iterator[Unreadable]:
    there = {document.key.part for document in documents}
    for part in (Part.HEAD, Part.CLUSTER):
        if part not in there:
            yield Unreadable(str(DocumentKey(name, part)), None, "it is missing")


def reassembled(
    name: str, known: Assembled, before: Mapping[str, Document], now: Mapping[str, Document]
) -> Assembled:
    """What `assemble` makes of the documents `now`, where `known` is what it made of `before`."""
    changed = {key for key in before.keys() | now.keys() if before.get(key) is not now.get(key)}
    pairs = [(before.get(key), now.get(key)) for key in sorted(changed)]
    cluster = None
    if known.cluster is not None and not known.unreadable and all(map(_stays_whole, pairs)):
        cluster = _with_documents(known.cluster, pairs)
    if cluster is None:
        return assemble(name, now.values())
    if any(old is None or new is None or old.removed != new.removed for old, new in pairs):
        cluster = replace(cluster, removed=_removed(now.values()))
    return Assembled(cluster, ())


_Pair = tuple[Document | None, Document | None]


def _stays_whole(pair: _Pair) -> bool:
    """Whether a document changed in a way after which the others mean what they did."""
    old, new = pair
    if new is not None and new.unreadable:
        return False
    part = next(each.key.part for each in pair if each is not None)
    if part is Part.MACHINES:
        return True
    if old is None or new is None or old.groups.keys() != new.groups.keys():
        return False
    return (old.head is None) == (new.head is None) and (old.stored is None) == (new.stored is None)


def _with_documents(cluster: Cluster, pairs: Iterable[_Pair]) -> Cluster | None:
    """The cluster with what changed; None if a machine's group is not there."""
    groups: dict[str, Group | None] = {}
    machines: dict[str, Machine | None] = {}
    for old, new in pairs:
        if old is not None:
            machines |= dict.fromkeys(old.machines)
        if new is None:
            continue
        if new.head is not None:
            cluster = headed(cluster, new.head)
        if new.stored is not None:
            cluster = replace(cluster, stored=new.stored)
        groups |= new.groups
        machines |= new.machines
    if any(each is not None and each.group not in cluster.groups for each in machines.values()):
        return None
    return replace(
        cluster,
        groups=ByName.of(cluster.groups).changed(_unequal(cluster.groups, groups)),
        machines=ByName.of(cluster.machines).changed(_unequal(cluster.machines, machines)),
    )


def _unequal(
    known: Mapping[str, Entry], changes: Mapping[str, Entry | None]
) -> dict[str, Entry | None]:
    """Without those that are as they were: what is shared is compared at no cost."""
    return {name: value for name, value in changes.items() if known.get(name) != value}


def _removed(documents: Iterable[Document]) -> dict[str, RemovedMachine]:
    return {name: each for found in documents for name, each in found.removed.items()}
