"""What a request is about: names as operators give them -> clusters, levels and machines.

A name that means nothing, or too much, is refused here; so are edits that contradict each other.
No I/O: everything is looked up in the fleet.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tdc.manager.intent.errors import BadRequest
from tdc.manager.intent.within import Fleet
from tdc.manager.levels.changes import (
    AddGroup,
    AddMachine,
    CopyValues,
    DeleteValues,
    Edit,
    MoveMachine,
    RemoveCluster,
    RemoveGroup,
    RemoveMachine,
    RenameCluster,
    RenameGroup,
    RenameMachine,
    ReplaceValues,
    SetValues,
    UnsetValues,
)
from tdc.manager.levels.fleet import Cluster, LevelKey, Machine
from tdc.manager.store.errors import ClusterExists
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
class ReplaceAt:
    """Let a level hold exactly these settings."""

    level: LevelAsked
    settings: Settings


@dataclass(frozen=True, slots=True)
class DeleteAt:
    """Remove every setting from a level."""

    level: LevelAsked


@dataclass(frozen=True, slots=True)
class CopyAt:
    """Set at `target` what `source` has of these settings; all that it has without names.

    With `move` they are removed from the source.
    """

    source: LevelAsked
    target: LevelAsked
    names: tuple[str, ...] = ()
    move: bool = False


@dataclass(frozen=True, slots=True)
class RestoreTo:
    """Set every level's settings to what they were at a revision of the cluster."""

    revision: int


@dataclass(frozen=True, slots=True)
class RevertTo:
    """Undo what one revision changed, and nothing that came after it."""

    revision: int


FromHistory = RestoreTo | RevertTo
"""Edits that history says what they are. Such a one is the only edit of its commit."""

EditAsked = (
    SetAt
    | UnsetAt
    | ReplaceAt
    | DeleteAt
    | CopyAt
    | AddGroup
    | RenameGroup
    | RemoveGroup
    | AddMachine
    | MoveMachine
    | RenameMachine
    | RemoveMachine
    | RemoveCluster
    | RenameCluster
    | FromHistory
)


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


def deletes_cluster(asked: ChangeAsked) -> bool:
    """Whether a change removes a cluster."""
    return any(isinstance(each, RemoveCluster) for each in asked.edits)


def renames_cluster(asked: ChangeAsked) -> bool:
    """Whether a change gives a cluster another name."""
    return any(isinstance(each, RenameCluster) for each in asked.edits)


def clusters_named(asked: ChangeAsked) -> frozenset[str]:
    """The clusters that a change names itself; none if its levels have to be looked up."""
    levels = [level for each in asked.edits for level in _levels(each)]
    whole = {each.name for each in asked.edits if isinstance(each, RemoveCluster | RenameCluster)}
    return frozenset({asked.cluster, *(level.cluster_named for level in levels), *whole} - {""})


def target_of(fleet: Fleet, asked: ChangeAsked) -> tuple[Cluster, tuple[Edit | FromHistory, ...]]:
    """Find the one cluster that a change is about, and its edits there.

    Raises BadRequest, UnknownName for a level that does not exist and is not created by an earlier
    edit, AmbiguousName if the names fit several clusters.
    """
    edits, named = _edits(asked), _cluster_named(asked)
    if named:
        fleet.find_cluster(named)
    homes = {cluster.name: cluster for cluster in _homes(fleet, edits, named)}
    if len(homes) > 1:
        raise BadRequest(
            f"the edits belong to clusters {', '.join(sorted(homes))}; a commit changes only one"
        )
    cluster = next(iter(homes.values())) if homes else fleet.find_cluster(named)
    return cluster, edits


def target_to_create(
    view: FleetView, asked: ChangeAsked
) -> tuple[Cluster, tuple[Edit | FromHistory, ...]]:
    """Make the cluster that does not exist yet, as it would be created, and its edits there.

    There may be none. Raises BadRequest, ClusterExists, FleetError for a name that it can't have.
    """
    edits = _edits(asked) if asked.edits else ()
    cluster = view.new_cluster(_cluster_named(asked))
    there = view.clusters.get(cluster.name)
    if there is not None:
        raise ClusterExists(f"cluster {there.name!r} already exists, at revision {there.revision}")
    return cluster, edits


def level_of(fleet: Fleet, key: LevelKey, cluster: str) -> tuple[Cluster, LevelKey]:
    """Find a level's cluster, and name a nameless cluster; raises UnknownName, AmbiguousName."""
    match key.level:
        case Level.MACHINE:
            return fleet.find_machine(key.name, cluster)[0], key
        case Level.GROUP:
            return fleet.find_group(key.name, cluster)[0], key
        case _:
            found = fleet.find_cluster(key.name or cluster)
            if cluster and found.name != cluster:
                raise AmbiguousName(
                    f"the request names two clusters, {found.name!r} and {cluster!r}"
                )
            return found, LevelKey(Level.CLUSTER, found.name)


def clusters_in(fleet: Fleet, name: str) -> Sequence[Cluster]:
    """Find the named cluster, or all in name order; raises UnknownName."""
    if name:
        return [fleet.find_cluster(name)]
    return [fleet.clusters[each] for each in sorted(fleet.clusters)]


def machines_in(
    fleet: Fleet, cluster: str, group: str = "", name: str = ""
) -> list[tuple[Cluster, Machine]]:
    """Find the machines that fit, by name, then cluster; raises UnknownName, AmbiguousName.

    An empty argument fits all; a name that is given must exist.
    """
    if group:
        cluster = fleet.find_group(group, cluster)[0].name
    if name:
        found, machine = fleet.find_machine(name, cluster)
        return [(found, machine)] if group in ("", machine.group) else []
    chosen = [
        (each, machine)
        for each in clusters_in(fleet, cluster)
        for machine in each.machines.values()
        if group in ("", machine.group)
    ]
    return sorted(chosen, key=lambda pair: (pair[1].name, pair[0].name))


def _cluster_named(asked: ChangeAsked) -> str:
    """The one cluster that a change names, itself or at its levels; empty if it names none."""
    clusters = clusters_named(asked)
    if len(clusters) > 1:
        raise BadRequest(
            f"the request names clusters {', '.join(sorted(clusters))}; a commit changes only one"
        )
    return next(iter(clusters), "")


def _edits(asked: ChangeAsked) -> tuple[Edit | FromHistory, ...]:
    if not asked.edits:
        raise BadRequest("there is nothing to plan: the request has no edits")
    # Restoring sets every level: beside another edit, their order would silently decide.
    if len(asked.edits) > 1 and any(isinstance(each, FromHistory) for each in asked.edits):
        raise BadRequest("restoring or undoing a revision must be the only edit of its commit")
    if len(asked.edits) > 1 and deletes_cluster(asked):
        raise BadRequest("removing a cluster must be the only edit of its commit")
    if len(asked.edits) > 1 and renames_cluster(asked):
        raise BadRequest("renaming a cluster must be the only edit of its commit")
    return tuple(_edit(each) for each in asked.edits)


def _levels(asked: EditAsked) -> tuple[LevelAsked, ...]:
    """The levels that an edit names."""
    match asked:
        case SetAt(level) | UnsetAt(level) | ReplaceAt(level) | DeleteAt(level):
            return (level,)
        case CopyAt(source, target):
            return (source, target)
        case _:
            return ()


def _edit(asked: EditAsked) -> Edit | FromHistory:
    match asked:
        case SetAt(level, settings):
            return SetValues(_named_level(level), settings)
        case UnsetAt(level, names):
            return UnsetValues(_named_level(level), names)
        case ReplaceAt(level, settings):
            return ReplaceValues(_named_level(level), settings)
        case DeleteAt(level):
            return DeleteValues(_named_level(level))
        case CopyAt(source, target, names, move):
            return CopyValues(_named_level(source), _named_level(target), names, move)
        case _:
            return asked


def _named_level(asked: LevelAsked) -> LevelKey:
    key = level_key(asked)
    if not key.name:
        raise BadRequest("an edit of a cluster must name it")
    return key


def _homes(fleet: Fleet, edits: Iterable[Edit | FromHistory], named: str) -> list[Cluster]:
    """Find the cluster of each edit that names an existing level."""
    homes: list[Cluster] = []
    created: set[LevelKey] = set()
    for edit in edits:
        uses, creates = _named_in(edit)
        homes += [level_of(fleet, key, named)[0] for key in uses if key not in created]
        created |= creates
    return homes


def _named_in(edit: Edit | FromHistory) -> tuple[list[LevelKey], set[LevelKey]]:
    """The levels that an edit needs, and those that there are after it by a new name."""
    match edit:
        case SetValues(key) | UnsetValues(key) | ReplaceValues(key) | DeleteValues(key):
            return [key], set()
        case CopyValues(source, target):
            return [source, target], set()
        case AddGroup(name):
            return [], {LevelKey(Level.GROUP, name)}
        case RenameGroup(name, to):
            return [LevelKey(Level.GROUP, name)], {LevelKey(Level.GROUP, to)}
        case RemoveGroup(name, move_to):
            return [LevelKey(Level.GROUP, each) for each in (name, move_to) if each], set()
        case AddMachine(name, group):
            return [LevelKey(Level.GROUP, group)], {LevelKey(Level.MACHINE, name)}
        case MoveMachine(name, group):
            return [LevelKey(Level.MACHINE, name), LevelKey(Level.GROUP, group)], set()
        case RenameMachine(name, to):
            return [LevelKey(Level.MACHINE, name)], {LevelKey(Level.MACHINE, to)}
        case RemoveMachine(name):
            return [LevelKey(Level.MACHINE, name)], set()
        case RemoveCluster(name) | RenameCluster(name):
            return [LevelKey(Level.CLUSTER, name)], set()
        case _:
            return [], set()
