"""What a request is about: names as operators give them -> clusters, levels and machines.

A name that means nothing, or too much, is refused here; so are edits that contradict each other.
No I/O: everything is looked up in the view.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tdc.manager.intent.errors import BadRequest
from tdc.manager.levels.changes import AddGroup, AddMachine, Edit, SetValues, UnsetValues
from tdc.manager.levels.fleet import Cluster, LevelKey, Machine
from tdc.manager.view.fleet import FleetView
from tdc.manager.view.names import AmbiguousName
from tdc.shared.settings.values import Level, Settings

# -- requests ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LevelAsked:
    """A level as a request gives it. `cluster` may be empty if the name is in one cluster only.

    A cluster without a name means `cluster`, or the only one there is. `level` is None if the
    request has none.
    """

    level: Level | None
    name: str = ""
    cluster: str = ""

    @property
    def cluster_named(self) -> str:
        """The cluster that this names; empty if none."""
        return self.name if self.level is Level.CLUSTER and self.name else self.cluster


@dataclass(frozen=True, slots=True)
class SetAt:
    """Set each of `settings` at a level."""

    level: LevelAsked
    settings: Settings


@dataclass(frozen=True, slots=True)
class UnsetAt:
    """Remove settings from a level."""

    level: LevelAsked
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RestoreTo:
    """Set every level's settings to what they were at a revision of the cluster."""

    revision: int


EditAsked = SetAt | UnsetAt | AddGroup | AddMachine | RestoreTo


@dataclass(frozen=True, slots=True)
class ChangeAsked:
    """Edits of one cluster, applied in order. `cluster` may be empty if they name levels."""

    cluster: str
    edits: tuple[EditAsked, ...]


# -- what they mean ------------------------------------------------------------------------------


def level_key(asked: LevelAsked) -> LevelKey:
    """Read which level is asked for, a cluster's name perhaps empty; raises BadRequest."""
    if asked.level is None or asked.level is Level.DEFAULT:
        raise BadRequest("the request must name a level: machine, group or cluster")
    name = asked.cluster_named if asked.level is Level.CLUSTER else asked.name
    if not name and asked.level is not Level.CLUSTER:
        raise BadRequest(f"the request has a {asked.level} without a name")
    return LevelKey(asked.level, name)


def target_of(view: FleetView, asked: ChangeAsked) -> tuple[Cluster, tuple[Edit | RestoreTo, ...]]:
    """Find the one cluster that a change is about, and its edits there.

    Raises BadRequest, UnknownName for a level that does not exist and is not created by an earlier
    edit, AmbiguousName if the names fit several clusters.
    """
    edits = _edits(asked)
    levels = [each.level for each in asked.edits if isinstance(each, SetAt | UnsetAt)]
    clusters = {asked.cluster, *(level.cluster_named for level in levels)} - {""}
    if len(clusters) > 1:
        raise BadRequest(
            f"the request names clusters {', '.join(sorted(clusters))}; a commit changes only one"
        )
    named = next(iter(clusters), "")
    if named:
        view.find_cluster(named)
    homes = {cluster.name: cluster for cluster in _homes(view, edits, named)}
    if len(homes) > 1:
        raise BadRequest(
            f"the edits belong to clusters {', '.join(sorted(homes))}; a commit changes only one"
        )
    cluster = next(iter(homes.values())) if homes else view.find_cluster(named)
    return cluster, edits


def level_of(view: FleetView, key: LevelKey, cluster: str) -> tuple[Cluster, LevelKey]:
    """Find a level's cluster, and name a nameless cluster; raises UnknownName, AmbiguousName."""
    match key.level:
        case Level.MACHINE:
            return view.find_machine(key.name, cluster)[0], key
        case Level.GROUP:
            return view.find_group(key.name, cluster)[0], key
        case _:
            found = view.find_cluster(key.name or cluster)
            if cluster and found.name != cluster:
                raise AmbiguousName(
                    f"the request names two clusters, {found.name!r} and {cluster!r}"
                )
            return found, LevelKey(Level.CLUSTER, found.name)


def clusters_in(view: FleetView, name: str) -> Sequence[Cluster]:
    """Find the named cluster, or all in name order; raises UnknownName."""
    if name:
        return [view.find_cluster(name)]
    return [view.clusters[each] for each in sorted(view.clusters)]


def machines_in(
    view: FleetView, cluster: str, group: str = "", name: str = ""
) -> list[tuple[Cluster, Machine]]:
    """Find the machines that fit, by name, then cluster; raises UnknownName, AmbiguousName.

    An empty argument fits all; a name that is given must exist.
    """
    if group:
        cluster = view.find_group(group, cluster)[0].name
    if name:
        found, machine = view.find_machine(name, cluster)
        return [(found, machine)] if group in ("", machine.group) else []
    chosen = [
        (each, machine)
        for each in clusters_in(view, cluster)
        for machine in each.machines.values()
        if group in ("", machine.group)
    ]
    return sorted(chosen, key=lambda pair: (pair[1].name, pair[0].name))


def _edits(asked: ChangeAsked) -> tuple[Edit | RestoreTo, ...]:
    if not asked.edits:
        raise BadRequest("there is nothing to plan: the request has no edits")
    # Restoring sets every level: beside another edit, their order would silently decide.
    if len(asked.edits) > 1 and any(isinstance(each, RestoreTo) for each in asked.edits):
        raise BadRequest("restoring a revision must be the only edit of its commit")
    return tuple(_edit(each) for each in asked.edits)


def _edit(asked: EditAsked) -> Edit | RestoreTo:
    match asked:
        case SetAt(level, settings):
            return SetValues(_named_level(level), settings)
        case UnsetAt(level, names):
            return UnsetValues(_named_level(level), names)
        case _:
            return asked


def _named_level(asked: LevelAsked) -> LevelKey:
    key = level_key(asked)
    if not key.name:
        raise BadRequest("an edit of a cluster must name it")
    return key


def _homes(view: FleetView, edits: Iterable[Edit | RestoreTo], named: str) -> list[Cluster]:
    """Find the cluster of each edit that names an existing level."""
    homes: list[Cluster] = []
    created: set[LevelKey] = set()
    for edit in edits:
        match edit:
            case SetValues(key=key) | UnsetValues(key=key) if key not in created:
                homes.append(level_of(view, key, named)[0])
            case AddGroup(name=name):
                created.add(LevelKey(Level.GROUP, name))
            case AddMachine(name=name, group=group):
                if LevelKey(Level.GROUP, group) not in created:
                    homes.append(view.find_group(group, named)[0])
                created.add(LevelKey(Level.MACHINE, name))
            case _:
                pass
    return homes
