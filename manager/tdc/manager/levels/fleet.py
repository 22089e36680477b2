"""PURE. Frozen values of a cluster: what is stored at each level, and which machine is where.

Nothing here compares levels (`resolve`) or changes them (`edit`); this file knows only what a
cluster is made of, and what its parts may be called.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TypeVar

from tdc.shared.settings.values import Level, Settings

FIRST_GROUP = "Main_Group"
"""The group that every new cluster has (DESIGN section 2)."""

MAX_NAME = 63
"""Longest name, in characters; the length of a DNS label (RFC 1035 2.3.4)."""

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_RESERVED = frozenset({"all", "default"})

T = TypeVar("T")


class FleetError(ValueError):
    """A cluster, group or machine that can't be; one sentence for the operator."""


class UnknownLevel(FleetError):
    """A level that the cluster does not have."""


@dataclass(frozen=True, slots=True)
class LevelKey:
    """One level of one cluster: which kind, and the name of the cluster, group or machine."""

    level: Level
    name: str

    def __str__(self) -> str:
        return f"{self.level} {self.name}"


@dataclass(frozen=True, slots=True)
class StoredSettings:
    """What one level stores. `set_by` has, for each present setting, the revision that set it."""

    settings: Settings = field(default_factory=Settings)
    set_by: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        object.__setattr__(self, "set_by", _frozen(self.set_by))


@dataclass(frozen=True, slots=True)
class Group:
    """A group of machines."""

    name: str
    stored: StoredSettings = field(default_factory=StoredSettings)


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine (gateway) and the name of the one group that it is in."""

    name: str
    group: str
    stored: StoredSettings = field(default_factory=StoredSettings)


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster as of one revision. Invariant: each machine's group is in `groups`."""

    name: str
    revision: int
    stored: StoredSettings
    groups: Mapping[str, Group]
    machines: Mapping[str, Machine]

    def __post_init__(self) -> None:
        object.__setattr__(self, "groups", _frozen(self.groups))
        object.__setattr__(self, "machines", _frozen(self.machines))

    def stored_at(self, key: LevelKey) -> StoredSettings:
        """Return what the level `key` stores; raises UnknownLevel."""
        match key.level:
            case Level.MACHINE if key.name in self.machines:
                return self.machines[key.name].stored
            case Level.GROUP if key.name in self.groups:
                return self.groups[key.name].stored
            case Level.CLUSTER if key.name == self.name:
                return self.stored
        raise UnknownLevel(f"cluster {self.name} has no {key}")

    def machines_of(self, group: str) -> tuple[Machine, ...]:
        """Return the machines of a group, in name order; raises UnknownLevel."""
        if group not in self.groups:
            raise UnknownLevel(f"cluster {self.name} has no group {group}")
        members = (machine for machine in self.machines.values() if machine.group == group)
        return tuple(sorted(members, key=lambda machine: machine.name))

    def level_keys(self) -> Iterable[LevelKey]:
        """Yield the key of every level: the machines, the groups, the cluster."""
        yield from (LevelKey(Level.MACHINE, name) for name in self.machines)
        yield from (LevelKey(Level.GROUP, name) for name in self.groups)
        yield LevelKey(Level.CLUSTER, self.name)

    def with_stored(self, stored: Mapping[LevelKey, StoredSettings]) -> Cluster:
        """Return a copy in which these levels store this; raises UnknownLevel."""
        machines, groups, own = dict(self.machines), dict(self.groups), self.stored
        for key, settings in stored.items():
            self.stored_at(key)
            if key.level is Level.MACHINE:
                machines[key.name] = replace(machines[key.name], stored=settings)
            elif key.level is Level.GROUP:
                groups[key.name] = replace(groups[key.name], stored=settings)
            else:
                own = settings
        return replace(self, stored=own, groups=groups, machines=machines)


def new_cluster(name: str) -> Cluster:
    """Return a cluster at revision 1, with the group `Main_Group`; raises FleetError."""
    check_group_name(FIRST_GROUP, cluster=check_name(Level.CLUSTER, name))
    return Cluster(
        name=name,
        revision=1,
        stored=StoredSettings(),
        groups={FIRST_GROUP: Group(FIRST_GROUP)},
        machines={},
    )


def check_name(kind: str, text: str) -> str:
    """Return `text` if a cluster, group or machine (`kind`) may carry it; raises FleetError."""
    if not _NAME.fullmatch(text):
        raise FleetError(
            f"{_shown(text)} can't be the name of a {kind}: use 1 to {MAX_NAME} letters, digits, "
            "'.', '_' and '-', beginning and ending with a letter or digit"
        )
    if text.lower() in _RESERVED:
        raise FleetError(f"{text!r} is a reserved word and can't be the name of a {kind}")
    return text


def check_group_name(text: str, *, cluster: str) -> str:
    """Return `text` if a group of `cluster` may carry it; raises FleetError.

    A group with its cluster's name makes people edit the one and mean the other.
    """
    check_name(Level.GROUP, text)
    if same_name(text, cluster):
        raise FleetError(f"a group may not carry the name of its cluster ({cluster})")
    return text


def same_name(one: str, other: str) -> bool:
    """Say whether two names clash: names that differ only in case are too easily mixed up."""
    return one.lower() == other.lower()


def _shown(text: str) -> str:
    return repr(text if len(text) <= MAX_NAME else text[:40] + "…")


def _frozen(mapping: Mapping[str, T]) -> Mapping[str, T]:
    if isinstance(mapping, MappingProxyType):
        return mapping
    return MappingProxyType(dict(mapping))
