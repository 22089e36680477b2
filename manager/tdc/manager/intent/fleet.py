"""Lists of what the installation has: clusters, groups, machines.

All of it comes from the view, so it is answered while etcd is unreachable too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tdc.manager.intent.actor import Actor
from tdc.manager.intent.permissions import operation
from tdc.manager.intent.targets import clusters_in, machines_in
from tdc.manager.intent.within import within
from tdc.manager.view.fleet import FleetView


@dataclass(frozen=True, slots=True)
class ClusterRow:
    """A cluster, with the number of its groups and machines."""

    name: str
    revision: int
    groups: int
    machines: int


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A group, with the names of its machines in order."""

    name: str
    cluster: str
    machines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MachineRow:
    """A machine; `overrides` are the settings that it stores itself."""

    name: str
    group: str
    cluster: str
    enrolled: bool
    overrides: tuple[str, ...]


class FleetOperations:
    """Lists. An empty argument fits all; a name that is given must exist."""

    def __init__(self, view: FleetView) -> None:
        self._view = view

    @operation("fleet.list_clusters")
    async def list_clusters(self, actor: Actor, name: str) -> Sequence[ClusterRow]:
        """List clusters by name; raises UnknownName."""
        return [
            ClusterRow(each.name, each.revision, len(each.groups), len(each.machines))
            for each in clusters_in(within(self._view, actor), name)
        ]

    @operation("fleet.list_groups")
    async def list_groups(self, actor: Actor, cluster: str, name: str) -> Sequence[GroupRow]:
        """List groups by name, then cluster; raises UnknownName, AmbiguousName."""
        fleet = within(self._view, actor)
        if name:
            fleet.find_group(name, cluster)
        rows = [
            GroupRow(group, each.name, tuple(known.name for known in each.machines_of(group)))
            for each in clusters_in(fleet, cluster)
            for group in each.groups
            if name in ("", group)
        ]
        return sorted(rows, key=lambda row: (row.name, row.cluster))

    @operation("fleet.list_machines")
    async def list_machines(
        self, actor: Actor, cluster: str, group: str, name: str
    ) -> Sequence[MachineRow]:
        """List machines by name, then cluster; raises UnknownName, AmbiguousName."""
        return [
            MachineRow(
                name=machine.name,
                group=machine.group,
                cluster=found.name,
                enrolled=self._view.enrolment(found.name, machine.name) is not None,
                overrides=tuple(machine.stored.settings),
            )
            for found, machine in machines_in(within(self._view, actor), cluster, group, name)
        ]
