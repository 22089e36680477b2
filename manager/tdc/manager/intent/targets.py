"""Which cluster a request is about; a name that means nothing, or too much, is refused here.

Pure but for the view it is handed.
"""

from __future__ import annotations

from dataclasses import dataclass

from tdc.manager.intent.errors import BadRequest
from tdc.manager.levels.changes import AddGroup, AddMachine, Edit, SetValues, UnsetValues
from tdc.manager.levels.fleet import Cluster, LevelKey
from tdc.manager.view.fleet import FleetView
from tdc.manager.view.names import AmbiguousName
from tdc.shared.settings.values import Level


@dataclass(frozen=True, slots=True)
class RestoreTo:
    """Set every level's settings to what they were at a revision of the cluster."""

    revision: int


@dataclass(frozen=True, slots=True)
class Asked:
    """Edits as an operator asks for them; `clusters` are the clusters that the request names."""

    edits: tuple[Edit | RestoreTo, ...]
    clusters: frozenset[str] = frozenset()


def cluster_of(view: FleetView, asked: Asked) -> Cluster:
    """Return the cluster that `asked` is about.

    Raises UnknownName for a level that does not exist and is not created by an earlier edit,
    AmbiguousName if the names fit several clusters, BadRequest if they fit no single one.
    """
    if not asked.edits:
        raise BadRequest("there is nothing to plan: the request has no edits")
    if len(asked.clusters) > 1:
        raise BadRequest(
            f"the request names clusters {', '.join(sorted(asked.clusters))}; "
            "a commit is of one cluster"
        )
    named = next(iter(asked.clusters), "")
    if named:
        view.cluster(named)
    homes = {cluster.name: cluster for cluster in _homes(view, asked, named)}
    if len(homes) > 1:
        raise BadRequest(
            f"the edits are of clusters {', '.join(sorted(homes))}; a commit is of one cluster"
        )
    return next(iter(homes.values())) if homes else view.cluster(named)


def level_of(view: FleetView, key: LevelKey, cluster: str) -> tuple[Cluster, LevelKey]:
    """Return a level's cluster; raises UnknownName, AmbiguousName."""
    match key.level:
        case Level.MACHINE:
            return view.find_machine(key.name, cluster)[0], key
        case Level.GROUP:
            return view.find_group(key.name, cluster)[0], key
        case _:
            found = view.cluster(key.name or cluster)
            if cluster and found.name != cluster:
                raise AmbiguousName(
                    f"the request names cluster {found.name!r} and, beside it, {cluster!r}"
                )
            return found, LevelKey(Level.CLUSTER, found.name)


def _homes(view: FleetView, asked: Asked, named: str) -> list[Cluster]:
    """Return the cluster of each edit that names a level which is there already."""
    homes: list[Cluster] = []
    created: set[LevelKey] = set()
    for edit in asked.edits:
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
