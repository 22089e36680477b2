"""PURE. Which machine or cluster is which, whatever it is called.

The policy
----------
A machine keeps its certificate when it is renamed, and another one that gets the name which became
free gets nothing of it. So a machine is known by two facts that never change: the revision that
created it (`born`), and its *slot*, the name under which its enrolments and join tokens are kept.

The slot is the machine's first name, for as long as no other machine there has it. A machine that
is created by a name that is still the slot of a renamed machine, or of a removed one that is
remembered, gets a slot of its own: `NAME~REVISION`, which no machine can be called. So the
enrolment of a removed machine stays what it was, and its agent hears how it was removed though
another machine has its name since. Removed machines are remembered by keys of the same form, of the
name and the revision that removed it; those of before `born` was kept of them, by the name alone.

A group has a slot and `born` in the same way. People's reaches know it by the slot alone: one that
is created by the name of a removed group is reached by who reached that.

A cluster is known by its *place*, the name in its keys. That is its first name, or `NAME~2`,
`NAME~3` … for one that is created by a name which a renamed cluster has as its place. A cluster
that is created by the name of a deleted one has its place, and another `born`.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TypeVar

from tdc.manager.levels.fleet import (
    Cluster,
    FleetError,
    Group,
    LevelKey,
    Machine,
    RemovedMachine,
    check_name,
)
from tdc.shared.settings.values import Level

Entry = TypeVar("Entry", Machine, Group)

Identity = tuple[str, int]
"""Slot, of a cluster its place, and the revision that created it."""


def slot_of(entry: Machine | Group) -> str:
    """The name under which a machine's enrolments and join tokens are kept, and a group's reach."""
    return entry.slot or entry.name


def identity_of(entry: Machine | Group) -> Identity:
    """What no other machine has, or no other group, at any time."""
    return slot_of(entry), entry.born


def identity_at(cluster: Cluster, key: LevelKey) -> Identity | None:
    """Which level has this name now; None where there is none."""
    if key.level is Level.CLUSTER:
        return (cluster.home, cluster.born) if key.name == cluster.name else None
    entries: Mapping[str, Machine | Group] = (
        cluster.machines if key.level is Level.MACHINE else cluster.groups
    )
    there = entries.get(key.name)
    return identity_of(there) if there is not None else None


def name_of(cluster: Cluster, level: Level, identity: Identity | None) -> str:
    """What the level is called now that has this identity; empty if it is not there."""
    if identity is None:
        return ""
    if level is Level.CLUSTER:
        return cluster.name if identity == (cluster.home, cluster.born) else ""
    entries: Mapping[str, Machine | Group] = (
        cluster.machines if level is Level.MACHINE else cluster.groups
    )
    return next((each.name for each in entries.values() if identity_of(each) == identity), "")


def slots_in(cluster: Cluster) -> frozenset[str]:
    """The slots that are not the names of their machines now."""
    return frozenset(each.slot for each in cluster.machines.values() if each.slot)


def slots_taken(cluster: Cluster) -> frozenset[str]:
    """The slots that a new machine can't have: also those of removed machines."""
    gone = (each.slot or name_removed(key) for key, each in cluster.removed.items())
    return slots_in(cluster) | frozenset(gone)


def created(name: str, group: str, born: int, slots: Container[str]) -> Machine:
    """Make a machine that is new at revision `born`; `slots` as there were before it."""
    return Machine(name, group, born=born, slot=f"{name}~{born}" if name in slots else "")


def created_group(name: str, born: int, before: Cluster) -> Group:
    """Make a group that is new at revision `born` of the cluster that was `before`."""
    taken = any(each.slot == name for each in before.groups.values())
    return Group(name, slot=f"{name}~{born}" if taken else "", born=born)


def group_at(cluster: Cluster, slot: str) -> Group | None:
    """The group that has this slot."""
    known = cluster.groups.get(slot)
    if known is not None and not known.slot:
        return known
    return next((each for each in cluster.groups.values() if each.slot == slot), None)


def renamed(entry: Entry, name: str) -> Entry:
    """The same machine or group by another name."""
    slot = slot_of(entry)
    return replace(entry, name=name, slot="" if slot == name else slot)


MOST_FORMER = 16
"""Names that a cluster had, the latest, by which its history is found."""


def cluster_called(cluster: Cluster, name: str) -> Cluster:
    """The same cluster by another name."""
    former = tuple(each for each in cluster.former if each != name)
    if cluster.name != name:
        former = (*former, cluster.name)[-MOST_FORMER:]
    place = "" if cluster.home == name else cluster.home
    return replace(cluster, name=name, place=place, former=former)


def free_place(name: str, taken: Container[str]) -> str:
    """The place of a cluster that is created by `name`; empty if that is its name."""
    number, place = 1, name
    while place in taken:
        number += 1
        place = f"{name}~{number}"
    return "" if place == name else place


def is_place(text: str) -> bool:
    """Whether keys may have this for a cluster's name."""
    name, mark, number = text.partition("~")
    if mark and not (number.isascii() and number.isdigit() and number == str(int(number))):
        return False
    try:
        check_name(Level.CLUSTER, name)
    except FleetError:
        return False
    return True


def removed(machine: Machine, revision: int, *, stops_copying: bool) -> RemovedMachine:
    """What is remembered of a machine that this revision removes."""
    return RemovedMachine(revision, stops_copying, machine.slot, machine.born)


def removed_key(name: str, revision: int) -> str:
    """The key by which a machine of this name is remembered that the revision removes."""
    return f"{name}~{revision}"


def name_removed(key: str) -> str:
    """What the removed machine was called that is remembered by this key."""
    return key.partition("~")[0]


def removed_from(cluster: Cluster, slot: str, born: int) -> str:
    """The key of the removed machine that had this slot and was created at `born`; or empty.

    Where `born` was not kept, it is the first that had the slot and was removed since.
    """
    had = {
        key: each
        for key, each in cluster.removed.items()
        if (each.slot or name_removed(key)) == slot and each.revision > born
    }
    exact = [key for key, each in had.items() if each.born == born]
    since = {each.revision: key for key, each in had.items() if each.born is None}
    return exact[0] if exact else since[min(since)] if since else ""


def removed_last(cluster: Cluster, name: str) -> RemovedMachine | None:
    """How the last one was removed that was called so; None if none is remembered."""
    had = [each for key, each in cluster.removed.items() if name_removed(key) == name]
    return max(had, key=lambda each: each.revision, default=None)


def renames(before: Cluster, after: Cluster, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Of these names, those that are another's or nobody's now, each with the name since."""
    names = tuple(names)
    were = {identity_of(each): name for name in names if (each := before.machines.get(name))}
    for name in names:
        machine = after.machines.get(name)
        old = were.get(identity_of(machine), name) if machine is not None else name
        if old != name:
            yield old, name
