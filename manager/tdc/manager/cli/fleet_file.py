"""A fleet as a document, without I/O: what `tdc export` prints, and what `tdc apply` makes of one.

A level that the document gives `settings` for holds exactly those afterwards; one without the key
`settings` keeps what it has. A group or machine that it names exists afterwards, a machine in the
group under which it stands. What it does not name stays, or goes with `prune`.

Edits go machines first, then groups, then the cluster: the disable rule acts at the edit of a
machine, and what the document says of the levels above it comes after and wins.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tdc.manager.cli.errors import WrongUsage
from tdc.shared.settings.canonical import plain_settings
from tdc.shared.settings.check import checked
from tdc.shared.settings.schema import SettingError
from tdc.shared.settings.values import Settings
from tdc.shared.wire.settings import settings_from_wire, settings_to_wire
from tdc.v1 import fleet_pb2

_NOTHING = "Nothing was changed."

FIRST_GROUP = "Main_Group"
"""The group that every new cluster has."""


@dataclass(frozen=True, slots=True)
class MachineWanted:
    """A machine; `settings` is None where the document says nothing of them."""

    settings: Settings | None = None


@dataclass(frozen=True, slots=True)
class GroupWanted:
    """A group with its machines, by name."""

    settings: Settings | None = None
    machines: Mapping[str, MachineWanted] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClusterWanted:
    """A cluster with its groups, by name."""

    settings: Settings | None = None
    groups: Mapping[str, GroupWanted] = field(default_factory=dict)


Fleet = Mapping[str, ClusterWanted]
"""Clusters by name."""


# -- reading -------------------------------------------------------------------------------------


def fleet_of(document: object, file: str) -> dict[str, ClusterWanted]:
    """Read a document; raises WrongUsage, which names the file and the place in it."""
    if document is None:  # what a command that failed gives, too
        raise WrongUsage(f"{file} is empty; no clusters at all are `clusters: {{}}`. {_NOTHING}")
    top = _mapping(document, f"{file}: ", ("clusters",))
    clusters = _names(top.get("clusters"), f"{file}: clusters")
    return {name: _cluster(entry, f"{file}: cluster {name}: ") for name, entry in clusters.items()}


def merged(fleets: Sequence[Mapping[str, ClusterWanted]]) -> Fleet:
    """Put the documents of several files together; raises WrongUsage where two name one cluster.

    And where the names of two clusters differ only in case: the manager, which plans each of them
    by itself, would refuse the second one when the first is made.
    """
    whole: dict[str, ClusterWanted] = {}
    for fleet in fleets:
        twice = sorted(whole.keys() & fleet.keys())
        if twice:
            raise WrongUsage(f"Cluster {twice[0]} is in two files: keep each in one. {_NOTHING}")
        whole |= fleet
    alike: dict[str, str] = {}
    for name in whole:
        other = alike.setdefault(name.lower(), name)
        if other != name:
            raise WrongUsage(f"Clusters {other} and {name} differ only in case. {_NOTHING}")
    return whole


def _cluster(entry: object, where: str) -> ClusterWanted:
    fields = _mapping(entry, where, ("settings", "groups"))
    groups = {
        name: _group(each, f"{where}group {name}: ")
        for name, each in _names(fields.get("groups"), f"{where}groups").items()
    }
    seen: dict[str, str] = {}
    for name, group in groups.items():
        for machine in group.machines:
            if machine in seen:
                raise _wrong(where, f"machine {machine} is in groups {seen[machine]} and {name}")
            seen[machine] = name
    return ClusterWanted(_settings(fields, where), groups)


def _group(entry: object, where: str) -> GroupWanted:
    fields = _mapping(entry, where, ("settings", "machines"))
    machines = {
        name: MachineWanted(_settings(_mapping(each, at, ("settings",)), at))
        for name, each in _names(fields.get("machines"), f"{where}machines").items()
        for at in [f"{where}machine {name}: "]
    }
    return GroupWanted(_settings(fields, where), machines)


def _settings(fields: Mapping[str, object], where: str) -> Settings | None:
    if "settings" not in fields:
        return None
    present = _names(fields["settings"], f"{where}settings")
    try:
        return checked(present)
    except SettingError as error:
        raise _wrong(where, str(error)) from None


def _mapping(entry: object, where: str, keys: Sequence[str]) -> dict[str, object]:
    """A mapping with some of these keys; nothing at all counts as an empty one."""
    fields = _names(entry, where.rstrip(": "))
    for key in fields:
        if key not in keys:
            near = difflib.get_close_matches(key, keys, n=1)
            meant = f"did you mean {near[0]}?" if near else f"it has {', '.join(keys)}"
            raise _wrong(where, f"unknown key {key!r}; {meant}")
    return fields


def _names(entry: object, where: str) -> dict[str, object]:
    if entry is None:
        return {}
    if not isinstance(entry, dict):
        raise _wrong(f"{where}: ", f"must be a mapping, as in `name: {{}}`, not {entry!r:.60}")
    for name in entry:
        if not isinstance(name, str):
            raise _wrong(f"{where}: ", f"{name!r} is not a string: put it in quotes")
    return entry


def _wrong(where: str, why: str) -> WrongUsage:
    return WrongUsage(f"{where}{why}{'' if why.endswith('?') else '.'} {_NOTHING}")


# -- writing -------------------------------------------------------------------------------------


def document_of(clusters: Sequence[fleet_pb2.ClusterSnapshot]) -> dict[str, object]:
    """The document of clusters as they are; `fleet_of` reads it back."""
    return {"clusters": {each.cluster: _plain_cluster(each) for each in clusters}}


def _plain_cluster(cluster: fleet_pb2.ClusterSnapshot) -> dict[str, object]:
    groups = {
        group.name: {
            "settings": _plain(group),
            "machines": {each.name: {"settings": _plain(each)} for each in group.machines},
        }
        for group in cluster.groups
    }
    return {"settings": _plain(cluster), "groups": groups}


def _plain(
    level: fleet_pb2.ClusterSnapshot | fleet_pb2.GroupSnapshot | fleet_pb2.MachineSnapshot,
) -> dict[str, object]:
    return dict(plain_settings(settings_from_wire(level.settings)))


# -- applying ------------------------------------------------------------------------------------


def edits_for(
    name: str, wanted: ClusterWanted, now: fleet_pb2.ClusterSnapshot, *, prune: bool
) -> list[fleet_pb2.Edit]:
    """The edits that make of a cluster what the document says; what is so already is no edit."""
    pruned = _pruned(wanted, now) if prune else ()
    return [*_topology(wanted, now), *_replacing(name, wanted), *pruned]


def _topology(wanted: ClusterWanted, now: fleet_pb2.ClusterSnapshot) -> Iterator[fleet_pb2.Edit]:
    there = {group.name for group in now.groups}
    for name in sorted(wanted.groups.keys() - there):
        yield fleet_pb2.Edit(add_group=fleet_pb2.AddGroup(name=name))
    places = {each.name: group.name for group in now.groups for each in group.machines}
    for group, its in sorted(wanted.groups.items()):
        for machine in sorted(its.machines):
            if machine not in places:
                yield fleet_pb2.Edit(add_machine=fleet_pb2.AddMachine(name=machine, group=group))
            elif places[machine] != group:
                move = fleet_pb2.MoveMachine(name=machine, group=group)
                yield fleet_pb2.Edit(move_machine=move)


def _replacing(name: str, wanted: ClusterWanted) -> Iterator[fleet_pb2.Edit]:
    for _, group in sorted(wanted.groups.items()):
        for machine, its in sorted(group.machines.items()):
            if its.settings is not None:
                yield _replace(fleet_pb2.LEVEL_MACHINE, machine, name, its.settings)
    for group_name, group in sorted(wanted.groups.items()):
        if group.settings is not None:
            yield _replace(fleet_pb2.LEVEL_GROUP, group_name, name, group.settings)
    if wanted.settings is not None:
        yield _replace(fleet_pb2.LEVEL_CLUSTER, name, name, wanted.settings)


def _replace(level: fleet_pb2.Level, name: str, cluster: str, settings: Settings) -> fleet_pb2.Edit:
    ref = fleet_pb2.LevelRef(level=level, name=name, cluster=cluster)
    replace = fleet_pb2.ReplaceSettings(level=ref, settings=settings_to_wire(settings))
    return fleet_pb2.Edit(replace=replace)


def _pruned(wanted: ClusterWanted, now: fleet_pb2.ClusterSnapshot) -> Iterator[fleet_pb2.Edit]:
    """Machines before their groups."""
    named = {machine for group in wanted.groups.values() for machine in group.machines}
    for group in now.groups:
        for machine in group.machines:
            if machine.name not in named:
                yield fleet_pb2.Edit(remove_machine=fleet_pb2.RemoveMachine(name=machine.name))
    for group in now.groups:
        if group.name not in wanted.groups:
            yield fleet_pb2.Edit(remove_group=fleet_pb2.RemoveGroup(name=group.name))
