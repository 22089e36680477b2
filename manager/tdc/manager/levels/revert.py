"""PURE. What undoes one commit and leaves what came after it as it is.

The policy
----------
Each net change of the commit is set back to what was before it. A change that a later commit has
changed again, at the same level and setting or to the same group or machine, can't be undone alone:
the revert is refused and names it, because either answer would be a guess. That holds though all
looks as the commit left it: who set a value again meant it, and a machine that was created by the
name of one that was removed is another (`later`). The disable rule does not act: what it stored in
that commit is set back with the rest.

What the commit created is removed, for that is what it did; the plan says so. What it removed is
created again, and a machine among that has to be enrolled again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from tdc.manager.levels.changes import (
    Edit,
    EditRefused,
    LevelChange,
    RemoveGroup,
    RemoveMachine,
    RestoreLevels,
    Step,
    TopologyChange,
)
from tdc.manager.levels.fleet import Cluster, LevelKey
from tdc.manager.levels.later import Later
from tdc.shared.settings.values import Level, Settings, Value

_SHOWN = 10
"""Changes that a refusal names."""


def reverted(
    cluster: Cluster,
    revision: int,
    levels: Iterable[LevelChange],
    topology: Iterable[TopologyChange],
    since: Iterable[Step],
) -> tuple[Edit, ...]:
    """Work out the edits that undo the commit `revision`; raises EditRefused.

    `since` are all commits after it, newest first.
    """
    levels, topology, later = tuple(levels), tuple(topology), Later.of(since)
    old = next((each for each in topology if each.level is Level.CLUSTER and each.before), None)
    if old is not None and old.before is not None:
        raise EditRefused(
            f"revision {revision} renamed the cluster from {old.before.name} to {old.name}: rename "
            f"it, if it is to have that name again (tdc: tdc cluster rename {cluster.name} "
            f"{old.before.name})"
        )
    found = (
        *_topology_conflicts(cluster, topology, later),
        *_level_conflicts(cluster, levels, topology, later),
        *_later_settings(cluster, levels, topology, later),
    )
    conflicts = list(dict.fromkeys(found))  # each setting of a level that is gone says so
    if conflicts:
        shown = "; ".join(conflicts[:_SHOWN])
        more = f"; and {len(conflicts) - _SHOWN} more" if len(conflicts) > _SHOWN else ""
        raise EditRefused(
            f"revision {revision} can't be undone alone: {shown}{more}. Undo the later commits "
            "first, or set what you want"
        )
    created = [each for each in topology if each.created]
    return (_restoring(cluster, revision, levels, topology), *_removing(created))


def _removing(created: Iterable[TopologyChange]) -> Iterator[Edit]:
    """Machines before their groups."""
    created = tuple(created)
    yield from (RemoveMachine(each.name) for each in created if each.level is Level.MACHINE)
    yield from (RemoveGroup(each.name) for each in created if each.level is Level.GROUP)


def _restoring(
    cluster: Cluster,
    revision: int,
    levels: tuple[LevelChange, ...],
    topology: tuple[TopologyChange, ...],
) -> Edit:
    renames = {
        LevelKey(each.level, each.name): each.before.name
        for each in topology
        if each.before is not None and each.before.name != each.name
    }
    machines = {
        each.before.name: each.before.group
        for each in topology
        if each.level is Level.MACHINE and each.before is not None and _moved(each)
    } | {each.name: each.group for each in topology if each.level is Level.MACHINE and each.removed}
    groups = tuple(each.name for each in topology if each.level is Level.GROUP and each.removed)
    created = {LevelKey(each.level, each.name) for each in topology if each.created}
    present: dict[LevelKey, dict[str, Value]] = {}
    for change in levels:
        if change.key in created:
            continue
        key, now = change.key, dict[str, Value]()
        if key.level is Level.CLUSTER:
            key = LevelKey(Level.CLUSTER, cluster.name)
        if _is_there(cluster, key):
            now = dict(cluster.stored_at(key).settings)
        key = LevelKey(key.level, renames.get(key, key.name))
        values = present.setdefault(key, now)
        values.pop(change.setting, None)
        if change.before is not None:
            values[change.setting] = change.before
    settings = {key: Settings.of(values) for key, values in present.items()}
    return RestoreLevels(revision, settings, renames, groups, machines)


def _level_conflicts(
    cluster: Cluster,
    levels: Iterable[LevelChange],
    topology: Iterable[TopologyChange],
    later: Later,
) -> Iterator[str]:
    removed = {LevelKey(each.level, each.name) for each in topology if each.removed}
    for change in levels:
        if change.key in removed:
            continue
        if not (_is_there(cluster, change.key) and later.is_same(change.key)):
            yield f"{change.key} is no longer there"
        elif (change.key, change.setting) in later.settings:
            yield f"{change.setting} of {change.key} was changed again"


def _later_settings(
    cluster: Cluster,
    levels: tuple[LevelChange, ...],
    topology: Iterable[TopologyChange],
    later: Later,
) -> Iterator[str]:
    """What it created has settings of later commits, which would go with it."""
    given: dict[LevelKey, set[str]] = {}  # once for all: a commit can create 10 000 machines
    for change in levels:
        given.setdefault(change.key, set()).add(change.setting)
    for each in topology:
        key = LevelKey(each.level, each.name)
        if not each.created or each.level is Level.CLUSTER:
            continue
        if not (_is_there(cluster, key) and later.is_same(key)):
            continue
        others = sorted(cluster.stored_at(key).settings.keys() - given.get(key, set()))
        if others:
            yield f"{key} has settings of later commits ({', '.join(others[:_SHOWN])})"


def _topology_conflicts(
    cluster: Cluster, topology: tuple[TopologyChange, ...], later: Later
) -> Iterator[str]:
    groups = [each for each in topology if each.level is Level.GROUP]
    comes_back = {each.name for each in groups if each.removed}
    comes_back |= {each.before.name for each in groups if each.before is not None}
    newcomers = _newcomers(cluster, topology)
    for change in topology:
        key = LevelKey(change.level, change.name)
        there = _is_there(cluster, key)
        if change.level is Level.CLUSTER:
            yield f"it created {key}"
        elif change.removed and there:
            yield f"there is another {key} now"
        elif change.removed and key in later.created:
            yield f"there was another {key} since"
        elif not change.removed and not (there and later.is_same(key)):
            yield f"{key} is no longer there"
        elif not change.removed and key in later.placed:
            yield f"{key} was {later.placed[key]} again"
        elif _name_is_taken(cluster, change):
            yield f"there is another {change.level} {_name_before(change)} now"
        elif change.level is Level.MACHINE:
            yield from _home_is_gone(cluster, change, later, comes_back)
        elif change.created and change.name in newcomers:
            its = ", ".join(newcomers[change.name][:_SHOWN])
            yield f"group {change.name} has machines of later commits ({its})"


def _home_is_gone(
    cluster: Cluster, change: TopologyChange, later: Later, comes_back: set[str]
) -> Iterator[str]:
    """The group is not there any more to which a machine is to go back."""
    if change.created or not (change.removed or _moved(change)):
        return
    home = change.group if change.before is None else change.before.group
    there = home in cluster.groups and later.is_same(LevelKey(Level.GROUP, home))
    if not there and home not in comes_back:
        yield f"group {home}, in which machine {change.name} was, is no longer there"


def _moved(change: TopologyChange) -> bool:
    return change.before is not None and change.before.group != change.group


def _name_before(change: TopologyChange) -> str:
    return change.name if change.before is None else change.before.name


def _name_is_taken(cluster: Cluster, change: TopologyChange) -> bool:
    name = _name_before(change)
    return name != change.name and _is_there(cluster, LevelKey(change.level, name))


def _newcomers(
    cluster: Cluster, topology: tuple[TopologyChange, ...]
) -> Mapping[str, Sequence[str]]:
    """The machines that the commit did not put where they are, in name order, by their groups."""
    its = {each.name for each in topology if each.level is Level.MACHINE}
    found: dict[str, list[str]] = {}
    for name in sorted(cluster.machines.keys() - its):
        found.setdefault(cluster.machines[name].group, []).append(name)
    return found


def _is_there(cluster: Cluster, key: LevelKey) -> bool:
    match key.level:
        case Level.MACHINE:
            return key.name in cluster.machines
        case Level.GROUP:
            return key.name in cluster.groups
        case _:
            return True  # there is one, whatever it was called then
