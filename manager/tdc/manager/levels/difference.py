"""PURE. What differs between two revisions of a cluster: at levels, in force on machines.

It is what one commit would show that led from the first to the second: the same net changes, and
the same work on what they do on machines. A group that was renamed in between is the same group.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

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


def renamed(newest_first: Iterable[Iterable[TopologyChange]]) -> dict[str, str]:
    """The groups that commits gave other names: by the name before the oldest, that after all.

    A group that one of the commits created or removed is left out.
    """
    names: dict[str, str | None] = {}  # by the name at the step that was come to: the last one
    for topology in newest_first:
        groups = [each for each in topology if each.level is Level.GROUP]
        older = dict(names)
        for each in groups:
            older.pop(each.name, None)
        for each in groups:
            if each.removed:
                older[each.name] = None
            elif each.before is not None:
                older[each.before.name] = names.get(each.name, each.name)
        names = older
    return {before: after for before, after in names.items() if after and after != before}


def difference(before: Cluster, after: Cluster, renames: Mapping[str, str]) -> Difference:
    """Work it out. `renames` are groups by their names before, with those after."""
    was = {name: name for name in after.groups if name in before.groups and name not in renames}
    was |= {
        to: name for name, to in renames.items() if name in before.groups and to in after.groups
    }
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


def _topology(before: Cluster, after: Cluster, was: Mapping[str, str]) -> Iterator[TopologyChange]:
    for name in sorted(after.groups):
        if name not in was:
            yield TopologyChange(Level.GROUP, name)
        elif was[name] != name:
            yield TopologyChange(Level.GROUP, name, before=Place(was[name]))
    for name, machine in sorted(after.machines.items()):
        known = before.machines.get(name)
        if known is None:
            yield TopologyChange(Level.MACHINE, name, machine.group)
        elif was.get(machine.group) != known.group:
            yield TopologyChange(Level.MACHINE, name, machine.group, Place(name, known.group))
    for name in sorted(before.machines.keys() - after.machines.keys()):
        yield TopologyChange(Level.MACHINE, name, before.machines[name].group, removed=True)
    for name in sorted(before.groups.keys() - set(was.values())):
        yield TopologyChange(Level.GROUP, name, removed=True)


def _levels(before: Cluster, after: Cluster, was: Mapping[str, str]) -> Iterator[LevelChange]:
    """Nearest level first, then by name; of one that is gone, each setting goes.

    Unless another group has its name by then, of which that would be said.
    """
    machines = sorted(before.machines.keys() | after.machines.keys())
    yield from _set_otherwise(Level.MACHINE, [(name, name) for name in machines], before, after)
    gone = before.groups.keys() - set(was.values()) - after.groups.keys()
    groups = [(was.get(name, ""), name) for name in after.groups] + [(name, "") for name in gone]
    groups.sort(key=lambda pair: pair[1] or pair[0])
    yield from _set_otherwise(Level.GROUP, groups, before, after)
    yield from _set_otherwise(Level.CLUSTER, [(before.name, after.name)], before, after)


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
    there = level is Level.CLUSTER or name in known[level]
    return cluster.stored_at(LevelKey(level, name)).settings if there else Settings()
