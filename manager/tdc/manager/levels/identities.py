"""PURE. Which machine or cluster is which, whatever it is called.

The policy
----------
A machine keeps its certificate when it is renamed, and another one that gets the name which became
free gets nothing of it. So a machine is known by two facts that never change: the revision that
created it (`born`), and its *slot*, the name under which its enrolments and join tokens are kept.

The slot is the machine's first name, for as long as no other machine there has it. A machine that
is created by a name that a renamed machine still has as its slot gets a slot of its own:
`NAME~REVISION`, which no machine can be called. Machines that were removed are told apart by
`born`, since their slots are used again.

A group has a slot in the same way, by which people's reaches know it. It has no `born`: one that is
created by the name of a removed group is reached by who reached that.

A cluster is known by its *place*, the name in its keys. That is its first name, or `NAME~2`,
`NAME~3` … for one that is created by a name which a renamed cluster has as its place.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import replace
from typing import TypeVar

from tdc.manager.levels.fleet import Cluster, FleetError, Group, Machine, RemovedMachine, check_name
from tdc.shared.settings.values import Level

Entry = TypeVar("Entry", Machine, Group)

Identity = tuple[str, int]
"""Slot, and the revision that created the machine."""


def slot_of(entry: Machine | Group) -> str:
    """The name under which a machine's enrolments and join tokens are kept, and a group's reach."""
    return entry.slot or entry.name


def identity_of(machine: Machine) -> Identity:
    """What no other machine has, at any time."""
    return slot_of(machine), machine.born


def slots_in(cluster: Cluster) -> frozenset[str]:
    """The slots that are not the names of their machines now."""
    return frozenset(each.slot for each in cluster.machines.values() if each.slot)


def created(name: str, group: str, born: int, slots: Container[str]) -> Machine:
    """Make a machine that is new at revision `born`; `slots` as there were before it."""
    return Machine(name, group, born=born, slot=f"{name}~{born}" if name in slots else "")


def created_group(name: str, born: int, before: Cluster) -> Group:
    """Make a group that is new at revision `born` of the cluster that was `before`."""
    taken = any(each.slot == name for each in before.groups.values())
    return Group(name, slot=f"{name}~{born}" if taken else "")


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
    return RemovedMachine(revision, stops_copying, machine.slot)


def removed_from(cluster: Cluster, slot: str, born: int) -> str:
    """What the removed machine was called that had this slot and was created at `born`; or empty.

    Of those that had the slot, one after the other, it is the first that was removed since.
    """
    since = {
        each.revision: name
        for name, each in cluster.removed.items()
        if (each.slot or name) == slot and each.revision > born
    }
    return since[min(since)] if since else ""


def renames(before: Cluster, after: Cluster, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Of these names, those that are another's or nobody's now, each with the name since."""
    names = tuple(names)
    were = {identity_of(each): name for name in names if (each := before.machines.get(name))}
    for name in names:
        machine = after.machines.get(name)
        old = were.get(identity_of(machine), name) if machine is not None else name
        if old != name:
            yield old, name
