"""PURE. A cluster as frozen values: what each level stores, and which machine is in which group.

Nothing here compares levels (`resolve`) or changes them (`edit`). Names are judged here, because
what may be called what depends on nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TypeVar

from tdc.manager.levels.by_name import ByName, Draft
from tdc.shared.settings.values import Level, Settings

FIRST_GROUP = "Main_Group"
"""The group that every new cluster has."""

MAX_NAME = 63
"""Longest name, in characters: the length of a DNS label (RFC 1035 2.3.4)."""

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_RESERVED = frozenset({"all", "default"})

_NO_SETTINGS = Settings()

T = TypeVar("T")


class FleetError(ValueError):
    """A name or level that is not valid. One sentence for the operator."""


class UnknownLevel(FleetError):
    """A level that the cluster does not have."""


@dataclass(frozen=True, slots=True)
class LevelKey:
    """One level of one cluster: its kind, and the name of the cluster, group or machine."""

    level: Level
    name: str

    def __str__(self) -> str:
        return f"{self.level} {self.name}"


def _frozen(mapping: Mapping[str, T]) -> Mapping[str, T]:
    if isinstance(mapping, MappingProxyType):
        return mapping
    return MappingProxyType(dict(mapping))


@dataclass(frozen=True, slots=True)
class StoredSettings:
    """The settings present at one level, and for each the revision that set it there."""

    settings: Settings = _NO_SETTINGS  # one for all: those of most machines, compared often
    set_by: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        object.__setattr__(self, "set_by", _frozen(self.set_by))


NOTHING_STORED = StoredSettings()
"""What a level without settings stores."""


@dataclass(frozen=True, slots=True)
class Group:
    """A group, without its machines: each machine names its group.

    `slot` is the name by which reaches know it; empty if that is its own (`identities`). `born` is
    the revision that created it; 0 if that was not kept.
    """

    name: str
    stored: StoredSettings = NOTHING_STORED
    slot: str = ""
    born: int = 0


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine (gateway) and the one group it is in.

    `born` is the revision that created it; 0 if that was not kept. A machine that is removed and
    created again has the name of the other, and none of its rights. `slot` is the name under which
    its enrolments are kept; empty if that is its own (`identities`).
    """

    name: str
    group: str
    stored: StoredSettings = NOTHING_STORED
    born: int = 0
    slot: str = ""


@dataclass(frozen=True, slots=True)
class RemovedMachine:
    """That revision `revision` removed a machine, and whether its agent is to stop copying.

    `slot` and `born` are as they were of the machine; `born` is None where that was not kept.
    """

    revision: int
    stops_copying: bool = False
    slot: str = ""
    born: int | None = None


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster as of one revision. Invariant: each machine's group is in `groups`.

    Groups and machines are in name order (`by_name`): a cluster made of another by `replace` and
    drafts costs what it changes, however many machines there are.
    `removed` are the machines that were removed last, each by a key of its own (`identities`).
    `deleted`: its newest commit removed it; it has no groups, no machines and no settings.
    `place` is the name that its keys have, empty if that is its own; `former` are the names that it
    had, the latest last (`identities`). `born` is the revision that created it; 0 if that was not
    kept.
    """

    name: str
    revision: int
    stored: StoredSettings
    groups: Mapping[str, Group]
    machines: Mapping[str, Machine]
    removed: Mapping[str, RemovedMachine] = field(default_factory=dict)
    deleted: bool = False
    place: str = ""
    former: tuple[str, ...] = ()
    born: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "groups", ByName.of(self.groups))
        object.__setattr__(self, "machines", ByName.of(self.machines))
        object.__setattr__(self, "removed", _frozen(self.removed))

    @property
    def home(self) -> str:
        """The name that its keys have: its first one, whatever it is called."""
        return self.place or self.name

    def stored_at(self, key: LevelKey) -> StoredSettings:
        """Look up what a level stores; raises UnknownLevel."""
        match key.level:
            case Level.MACHINE if key.name in self.machines:
                return self.machines[key.name].stored
            case Level.GROUP if key.name in self.groups:
                return self.groups[key.name].stored
            case Level.CLUSTER if key.name == self.name:
                return self.stored
        raise UnknownLevel(f"cluster {self.name} has no {key}")

    def machines_of(self, group: str) -> tuple[Machine, ...]:
        """List the machines of a group in name order; raises UnknownLevel."""
        if group not in self.groups:
            raise UnknownLevel(f"cluster {self.name} has no group {group}")
        members = (machine for machine in self.machines.values() if machine.group == group)
        return tuple(sorted(members, key=lambda machine: machine.name))

    def level_keys(self) -> Iterable[LevelKey]:
        """Yield the key of every level: machines, then groups, then the cluster."""
        yield from (LevelKey(Level.MACHINE, name) for name in self.machines)
        yield from (LevelKey(Level.GROUP, name) for name in self.groups)
        yield LevelKey(Level.CLUSTER, self.name)

    def with_stored(self, stored: Mapping[LevelKey, StoredSettings]) -> Cluster:
        """Copy the cluster with these levels replaced; raises UnknownLevel."""
        machines, groups, own = Draft(self.machines), Draft(self.groups), self.stored
        for key, settings in stored.items():
            self.stored_at(key)
            if key.level is Level.MACHINE:
                machines[key.name] = replace(machines[key.name], stored=settings)
            elif key.level is Level.GROUP:
                groups[key.name] = replace(groups[key.name], stored=settings)
            else:
                own = settings
        return replace(self, stored=own, groups=groups, machines=machines)


def new_cluster(name: str, there: Iterable[str] = (), *, revision: int = 1) -> Cluster:
    """Make a cluster with the group `Main_Group`, by its first revision; raises FleetError.

    `there` are the names of the clusters that there are. One that has just this name is no fault
    of the name.
    """
    check_group_name(FIRST_GROUP, cluster=check_name(Level.CLUSTER, name))
    alike = {each for each in there if same_name(each, name)}
    if alike and name not in alike:
        raise FleetError(f"there is a cluster {alike.pop()}, and {name} differs only in case")
    return Cluster(
        name=name,
        revision=revision,
        stored=StoredSettings(),
        groups={FIRST_GROUP: Group(FIRST_GROUP, born=revision)},
        machines={},
        born=revision,
    )


def check_name(kind: str, text: str) -> str:
    """Return `text` if a cluster, group or machine may have this name; raises FleetError."""
    if not _NAME.fullmatch(text):
        raise FleetError(
            f"{_shown(text)} is not a valid {kind} name: use 1 to {MAX_NAME} letters, digits, "
            "'.', '_' or '-', with a letter or digit at both ends"
        )
    if text.lower() in _RESERVED:
        raise FleetError(f"{text!r} is a reserved word and can't be a {kind} name")
    return text


def check_group_name(text: str, *, cluster: str) -> str:
    """Return `text` if it is a valid name for a group of `cluster`; raises FleetError.

    A group named like its cluster invites people to edit the one and mean the other.
    """
    check_name(Level.GROUP, text)
    if same_name(text, cluster):
        raise FleetError(f"a group must not have the name of its cluster ({cluster})")
    return text


def same_name(one: str, other: str) -> bool:
    """Names that differ only in case count as the same: people mix them up."""
    return one.lower() == other.lower()


def _shown(text: str) -> str:
    return repr(text if len(text) <= MAX_NAME else text[:40] + "…")
