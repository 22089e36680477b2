"""PURE. Which documents a change of a cluster touches, and what they hold afterwards.

A commit rewrites the documents it touches on what is stored, never on what a view believes: the
entries beside the touched ones, unreadable ones included, stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from tdc.manager.levels.changes import LevelChange, TopologyChange
from tdc.manager.levels.fleet import Cluster, Group, Machine, RemovedMachine
from tdc.manager.levels.identities import name_removed
from tdc.manager.store.documents import (
    Document,
    pack_cluster_level,
    pack_groups,
    pack_machines,
)
from tdc.manager.store.keys import Part, cluster_key, group_key, machine_key
from tdc.shared.settings.values import Level

T = TypeVar("T", Group, Machine)


class Untouchable(Exception):
    """A touched value is stored in a form that can't be read; the text names it."""


@dataclass(frozen=True, slots=True)
class Touched:
    """What a change touches of a cluster: the cluster level, groups, machines."""

    cluster: bool
    groups: frozenset[str]
    machines: frozenset[str]
    created: frozenset[str] = frozenset()
    """Those of `machines` of which there was none by that name: it creates or renames them."""

    def keys(self, name: str) -> tuple[str, ...]:
        """The keys of the documents that hold these, of the cluster at place `name`, in order."""
        own = {cluster_key(name)} if self.cluster else set()
        groups = {group_key(name, group) for group in self.groups}
        machines = {machine_key(name, machine) for machine in self.machines}
        return tuple(sorted(own | groups | machines))


def touched(
    levels: Iterable[LevelChange], topology: Iterable[TopologyChange], after: Cluster | None
) -> Touched:
    """The parts of a cluster that these changes are of, which make it `after`.

    The machines of a renamed group are written again, for each names its group; without `after`
    they are left out.
    """
    topology = tuple(topology)
    changed = {(change.key.level, change.key.name) for change in levels}
    changed |= {(change.level, name) for change in topology for name in change.names}
    renamed = {each.name for each in topology if each.level is Level.GROUP and each.before}
    if renamed and after is not None:
        members = (each.name for each in after.machines.values() if each.group in renamed)
        changed |= {(Level.MACHINE, name) for name in members}
    return Touched(
        cluster=any(level is Level.CLUSTER for level, _ in changed),
        groups=frozenset(name for level, name in changed if level is Level.GROUP),
        machines=frozenset(name for level, name in changed if level is Level.MACHINE),
        created=frozenset(
            change.name
            for change in topology
            if change.level is Level.MACHINE and (change.created or len(change.names) > 1)
        ),
    )


def rewritten(
    stored: Mapping[str, Document], after: Cluster, changed: Touched, *, sealed: bool = True
) -> dict[str, bytes]:
    """Key -> new bytes of the touched documents; `stored` has those that exist.

    `sealed`: with seals, as commits write them; those of before there were seals had none. Raises
    Untouchable if a document, or a touched entry of one, is stored unreadable.
    """
    for document in stored.values():
        _check(document, changed)
    values, revision = dict[str, bytes](), after.revision
    if changed.cluster:
        key = cluster_key(after.home)
        seal_for = key if sealed else ""
        values[key] = pack_cluster_level(after.stored, revision, seal_for=seal_for)
    for key, names in _by_key(changed.groups, lambda name: group_key(after.home, name)).items():
        groups, kept = (stored[key].groups, stored[key].kept) if key in stored else ({}, {})
        new_groups, seal_for = _updated(groups, after.groups, names), key if sealed else ""
        values[key] = pack_groups(new_groups, kept, revision, seal_for=seal_for)
    for key, names in _by_key(changed.machines, lambda name: machine_key(after.home, name)).items():
        machines, kept = (stored[key].machines, stored[key].kept) if key in stored else ({}, {})
        new_machines, seal_for = _updated(machines, after.machines, names), key if sealed else ""
        removed = _removed(stored[key].removed if key in stored else {}, after, names)
        values[key] = pack_machines(
            new_machines, kept, revision, removed=removed, seal_for=seal_for
        )
    return values


def _by_key(names: Iterable[str], key_of: Callable[[str], str]) -> dict[str, set[str]]:
    shards: dict[str, set[str]] = {}
    for name in names:
        shards.setdefault(key_of(name), set()).add(name)
    return shards


def _updated(stored: Mapping[str, T], after: Mapping[str, T], names: set[str]) -> list[T]:
    """What is stored with the named entries as in `after`, or gone."""
    beside = [value for name, value in stored.items() if name not in names]
    return beside + [after[name] for name in names if name in after]


def _removed(
    stored: Mapping[str, RemovedMachine], after: Cluster, names: set[str]
) -> dict[str, RemovedMachine]:
    """The removed machines of a shard, with those that this commit removes.

    A commit of before `born` was kept of them forgets those that have the names it touches.
    """
    kept = {key: each for key, each in stored.items() if key not in names or key in after.removed}
    new = {
        key: each
        for key, each in after.removed.items()
        if each.revision == after.revision and name_removed(key) in names
    }
    return kept | new


def _check(document: Document, changed: Touched) -> None:
    names = changed.groups if document.key.part is Part.GROUPS else changed.machines
    for trouble in document.unreadable:
        if trouble.entry is None or trouble.entry in names:
            raise Untouchable(str(trouble))
    # The plan did not know of it: its group can't be read. Its settings must not be overwritten.
    for name in sorted(changed.created & document.machines.keys()):
        raise Untouchable(
            f"machine {name!r} already exists ({document.key}), in group "
            f"{document.machines[name].group!r}, which can't be read or is missing"
        )
