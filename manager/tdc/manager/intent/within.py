"""What an actor reaches of the fleet: names are looked up there, and a change is held to it.

The policy
----------
Who reaches everything asks the view itself. For anybody else the rest is not there: a list leaves
it out, and a name in it is unknown, so nobody learns from an answer what else there is. Of a
cluster of which only groups are in reach there are just these groups and their machines; what the
cluster itself stores can be read, for it is in force on them.

A change is planned on the whole cluster, since its outcome must be right there, and is then refused
if it reaches further than its actor does: settings of a group or machine need the group, all else
needs the cluster. So the disable rule takes nobody across his border. Edits of anything but
settings are refused before they are planned: why one can't be made names what is there.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Protocol

from tdc.manager.intent.actor import Actor
from tdc.manager.intent.errors import NotPermitted
from tdc.manager.levels.changes import SetValues, UnsetValues
from tdc.manager.levels.fleet import Cluster, Group, Machine
from tdc.manager.levels.plan import Plan
from tdc.manager.people.reach import Reach
from tdc.manager.view import names
from tdc.manager.view.fleet import FleetView
from tdc.shared.settings.values import Level


class Fleet(Protocol):
    """Clusters and what is in them, by name: the view, or the part of it that is in reach."""

    @property
    def clusters(self) -> Mapping[str, Cluster]:
        """All clusters, by name."""

    @property
    def deleted(self) -> Mapping[str, Cluster]:
        """Clusters that were deleted and not created again, by name."""

    def find_cluster(self, name: str) -> Cluster:
        """Find a cluster, without a name the only one; raises UnknownName, AmbiguousName."""

    def find_history(self, name: str) -> Cluster:
        """Find a cluster, also one that was deleted; raises UnknownName, AmbiguousName."""

    def find_group(self, name: str, cluster: str = "") -> tuple[Cluster, Group]:
        """Find a group and its cluster; raises UnknownName, AmbiguousName."""

    def find_machine(self, name: str, cluster: str = "") -> tuple[Cluster, Machine]:
        """Find a machine and its cluster; raises UnknownName, AmbiguousName."""


def within(view: FleetView, actor: Actor) -> Fleet:
    """The fleet as far as an actor reaches."""
    return view if actor.reach.everywhere else _Part(view, actor.reach)


def part_of(cluster: Cluster, reach: Reach) -> Cluster:
    """PURE. A cluster with the groups and machines that are in reach only."""
    if reach.has_cluster(cluster.name):
        return cluster
    groups = reach.groups_in(cluster.name)
    return replace(
        cluster,
        groups={name: each for name, each in cluster.groups.items() if name in groups},
        machines={name: each for name, each in cluster.machines.items() if each.group in groups},
        removed={},
    )


class _Part:
    """The part of a view that is in reach, as of now."""

    def __init__(self, view: FleetView, reach: Reach) -> None:
        self._view = view
        self._reach = reach

    @functools.cached_property
    def clusters(self) -> Mapping[str, Cluster]:
        """Those of which anything is in reach."""
        found = self._view.clusters.items()
        return MappingProxyType(
            {name: part_of(each, self._reach) for name, each in found if self._reach.touches(name)}
        )

    @functools.cached_property
    def deleted(self) -> Mapping[str, Cluster]:
        """Those that were in reach as a whole."""
        found = self._view.deleted.items()
        return MappingProxyType(
            {name: each for name, each in found if self._reach.has_cluster(name)}
        )

    def find_cluster(self, name: str) -> Cluster:
        if name in self.deleted:
            return self._view.find_cluster(name)  # which says what became of it
        return names.find_cluster(self.clusters, name)

    def find_history(self, name: str) -> Cluster:
        return self.deleted.get(name) or names.find_history(self.clusters, name)

    def find_group(self, name: str, cluster: str = "") -> tuple[Cluster, Group]:
        return names.find_group(self.clusters, name, cluster)

    def find_machine(self, name: str, cluster: str = "") -> tuple[Cluster, Machine]:
        return names.find_machine(self.clusters, name, cluster)


def require_cluster(actor: Actor, cluster: str, what: str) -> None:
    """Raise NotPermitted unless all of a cluster is in an actor's reach."""
    if not actor.reach.has_cluster(cluster):
        raise NotPermitted(
            f"{what} needs the whole cluster {cluster!r}, and {actor.name} reaches {actor.reach}. "
            "Nothing was changed. Ask somebody who reaches the cluster"
        )


def require_everywhere(actor: Actor, what: str) -> None:
    """Raise NotPermitted unless the whole installation is in an actor's reach."""
    if not actor.reach.everywhere:
        raise NotPermitted(
            f"{what} needs the whole installation, and {actor.name} reaches {actor.reach}. Nothing "
            "was changed. Ask an administrator of the whole installation"
        )


def require_edits(actor: Actor, cluster: str, edits: Sequence[object]) -> None:
    """Raise NotPermitted if edits need the whole cluster, whatever they would come to.

    Asked before they are planned: why groups and machines can't be changed so, or a revision can't
    be restored, tells of those that are out of reach.
    """
    if actor.reach.has_cluster(cluster):
        return
    if not all(isinstance(each, SetValues | UnsetValues) for each in edits):
        raise NotPermitted(
            f"this changes which groups and machines cluster {cluster!r} has, or goes by its "
            f"history, and {actor.name} reaches {actor.reach}. Nothing was changed. Ask somebody "
            "who reaches the cluster"
        )


def require_plan(actor: Actor, plan: Plan) -> None:
    """Raise NotPermitted if a plan changes what is out of an actor's reach."""
    beyond = next(beyond_reach(plan, actor.reach), "")
    if beyond:
        raise NotPermitted(
            f"this changes {beyond}, and {actor.name} reaches {actor.reach}. Nothing was changed. "
            "Ask somebody who reaches the cluster"
        )


def beyond_reach(plan: Plan, reach: Reach) -> Iterator[str]:
    """PURE. Which settings a plan changes out of reach, without a name that is out of it itself.

    Edits that change groups and machines don't come this far: see `require_edits`.
    """
    cluster = plan.cluster_name
    if reach.has_cluster(cluster):
        return
    for change in plan.levels:
        match change.key.level:
            case Level.MACHINE:
                machine = plan.after.machines.get(change.key.name)
                there = machine is not None and reach.has_group(cluster, machine.group)
            case Level.GROUP:
                there = reach.has_group(cluster, change.key.name)
            case _:
                there = False
        if there:
            continue
        if change.key.level is not Level.CLUSTER:
            yield f"other groups of cluster {cluster!r}"
        elif change.by_disable_rule:
            yield (
                f"cluster {cluster!r} by the disable rule: {change.setting} = false at a machine "
                "sets it at the machine's group and cluster too (`tdc machine suspend` takes out "
                "one machine alone)"
            )
        else:
            yield f"settings of cluster {cluster!r} itself"
