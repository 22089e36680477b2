"""PURE. What differs between two revisions of a cluster: at levels, in force on machines.

It is what one commit would show that led from the first to the second: the same net changes, and
the same work on what they do on machines. What was renamed in between is the same group or machine.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tdc.manager.levels.changes import LevelChange, Place, TopologyChange
from tdc.manager.levels.fleet import Cluster, LevelKey
from tdc.manager.levels.impact import MachineChange, impact_of
from tdc.shared.settings.values import Level, Settings, same_value


@dataclass(frozen=True, slots=True)
class Difference:
    """The net changes from `before` to `after`, whichever of the two is older."""

    before: Cluster
    after: Cluster
    levels: tuple[LevelChange, ...]
    topology: tuple[TopologyChange, ...]
    machines: tuple[MachineChange, ...]
    stop_copying: tuple[str, ...]
    start_copying: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Renames:
    """Groups and machines that have another name: by the one name, the other."""

    groups: Mapping[str, str] = field(default_factory=dict)
    machines: Mapping[str, str] = field(default_factory=dict)

    @property
    def back(self) -> Renames:
        """The same the other way round."""
        return Renames(
            {to: name for name, to in self.groups.items()},
            {to: name for name, to in self.machines.items()},
        )


@dataclass(frozen=True, slots=True)
class _Was:
    """What is there before and after: by the name after, that before."""

    groups: Mapping[str, str]
    machines: Mapping[str, str]


def _same(
    before: Container[str], after: Iterable[str], renames: Mapping[str, str]
) -> dict[str, str]:
    there = tuple(after)
    was = {name: name for name in there if name in before and name not in renames}
    return was | {to: name for name, to in renames.items() if name in before and to in there}


def _renamed(newest_first: Iterable[Iterable[TopologyChange]], level: Level) -> dict[str, str]:
    """What of a level commits gave other names: by the name before the oldest, that after all.

    What one of the commits created or removed is left out.
    """
    names: dict[str, str | None] = {}  # by the name at the step that was come to: the last one
    for topology in newest_first:
        changes = [each for each in topology if each.level is level]
        older = dict(names)
        for each in changes:
            older.pop(each.name, None)
        for each in changes:
            if each.removed:
                older[each.name] = None
            elif each.before is not None:
                older[each.before.name] = names.get(each.name, each.name)
        names = older
    return {before: after for before, after in names.items() if after and after != before}


def renamed(newest_first: Iterable[Iterable[TopologyChange]]) -> Renames:
    """What commits gave other names: by the name before the oldest of them, that after all."""
    steps = [tuple(topology) for topology in newest_first]
    return Renames(_renamed(steps, Level.GROUP), _renamed(steps, Level.MACHINE))


def difference(before: Cluster, after: Cluster, renames: Renames) -> Difference:
    """Work it out. `renames` have the names before, with those after."""
    was = _Was(
        _same(before.groups, after.groups, renames.groups),
        _same(before.machines, after.machines, renames.machines),
    )
    topology = tuple(_topology(before, after, was))
    levels = tuple(_levels(before, after, was))
    impact = impact_of(before, after, levels, topology)
    return Difference(
        before,
        after,
        levels,
        topology,
        tuple(impact.machines),
        tuple(impact.stop_copying),
        tuple(impact.start_copying),
    )


def _topology(before: Cluster, after: Cluster, was: _Was) -> Iterator[TopologyChange]:
    for name in sorted(after.groups):
        if name not in was.groups:
            yield TopologyChange(Level.GROUP, name, slot=after.groups[name].slot)
        elif was.groups[name] != name:
            place, slot = Place(was.groups[name]), after.groups[name].slot
            yield TopologyChange(Level.GROUP, name, before=place, slot=slot)
    for name, machine in sorted(after.machines.items()):
        called = was.machines.get(name)
        if called is None:
            yield TopologyChange(Level.MACHINE, name, machine.group)
        elif called != name or was.groups.get(machine.group) != before.machines[called].group:
            place = Place(called, before.machines[called].group)
            yield TopologyChange(Level.MACHINE, name, machine.group, place)
    for name in sorted(before.machines.keys() - set(was.machines.values())):
        yield TopologyChange(Level.MACHINE, name, before.machines[name].group, removed=True)
    for name in sorted(before.groups.keys() - set(was.groups.values())):
        yield TopologyChange(Level.GROUP, name, removed=True)
    if before.name != after.name:
        yield TopologyChange(Level.CLUSTER, after.name, before=Place(before.name))


def _levels(before: Cluster, after: Cluster, was: _Was) -> Iterator[LevelChange]:
    """Nearest level first, then by name; of one that is gone, each setting goes.

    Unless another has its name by then, of which that would be said.
    """
    machines = _pairs(before.machines, after.machines, was.machines)
    yield from _set_otherwise(Level.MACHINE, machines, before, after)
    groups = _pairs(before.groups, after.groups, was.groups)
    yield from _set_otherwise(Level.GROUP, groups, before, after)
    yield from _set_otherwise(Level.CLUSTER, [(before.name, after.name)], before, after)


def _pairs(
    before: Mapping[str, object], after: Mapping[str, object], was: Mapping[str, str]
) -> list[tuple[str, str]]:
    """Names before and after, "" where there is none, in order."""
    gone = before.keys() - set(was.values()) - after.keys()
    pairs = [(was.get(name, ""), name) for name in after] + [(name, "") for name in gone]
    return sorted(pairs, key=lambda pair: pair[1] or pair[0])


def _set_otherwise(
    level: Level, names: Iterable[tuple[str, str]], before: Cluster, after: Cluster
) -> Iterator[LevelChange]:
    """The settings that differ between levels of `before` and of `after`; "" is none."""
    for name_before, name_after in names:
        old = _settings(before, level, name_before)
        new = _settings(after, level, name_after)
        for name in sorted(old.keys() | new.keys()):
            if not same_value(old.get(name), new.get(name)):
                key = LevelKey(level, name_after or name_before)
                yield LevelChange(key, name, old.get(name), new.get(name))


def _settings(cluster: Cluster, level: Level, name: str) -> Settings:
    known: Mapping[Level, Mapping[str, object]] = {
        Level.MACHINE: cluster.machines,
        Level.GROUP: cluster.groups,
    }
    if level is Level.CLUSTER:
        return cluster.stored.settings
    there = name in known[level]
    return cluster.stored_at(LevelKey(level, name)).settings if there else Settings()
