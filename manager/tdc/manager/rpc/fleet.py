"""tdc.v1.Fleet: clusters, groups, machines, join tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tdc.manager.intent.commands import Commands
from tdc.manager.intent.tokens import Tokens
from tdc.manager.levels.fleet import Cluster, Machine
from tdc.manager.rpc.changes import made_to_wire
from tdc.manager.rpc.guard import author
from tdc.manager.store.history import Signature
from tdc.manager.view.fleet import FleetView
from tdc.shared.wire.moments import timestamp
from tdc.v1 import operators_pb2, operators_pb2_grpc


class Fleet(operators_pb2_grpc.FleetServicer):
    """The service; `enrol_address` gives host:port of the enrolment port."""

    def __init__(
        self,
        view: FleetView,
        commands: Commands,
        tokens: Tokens,
        enrol_address: Callable[[], str],
    ) -> None:
        self._view = view
        self._commands = commands
        self._tokens = tokens
        self._enrol_address = enrol_address

    async def CreateCluster(  # noqa: N802
        self, request: operators_pb2.CreateClusterRequest, context: object
    ) -> operators_pb2.CommitResponse:
        """Create a cluster with its first group."""
        signature = Signature(author(), request.comment, request.request_id)
        return made_to_wire(await self._commands.create_cluster(request.name, signature))

    async def ListClusters(  # noqa: N802
        self, request: operators_pb2.ListClustersRequest, context: object
    ) -> operators_pb2.ListClustersResponse:
        """Return clusters in name order."""
        return operators_pb2.ListClustersResponse(
            clusters=[
                operators_pb2.ClusterRow(
                    name=each.name,
                    revision=each.revision,
                    groups=len(each.groups),
                    machines=len(each.machines),
                )
                for each in clusters_in(self._view, request.name)
            ]
        )

    async def ListGroups(  # noqa: N802
        self, request: operators_pb2.ListGroupsRequest, context: object
    ) -> operators_pb2.ListGroupsResponse:
        """Return groups by name, then cluster."""
        if request.name:
            self._view.find_group(request.name, request.cluster)
        rows = [
            operators_pb2.GroupRow(
                name=name,
                cluster=cluster.name,
                machines=[machine.name for machine in cluster.machines_of(name)],
            )
            for cluster in clusters_in(self._view, request.cluster)
            for name in cluster.groups
            if request.name in ("", name)
        ]
        rows.sort(key=lambda row: (row.name, row.cluster))
        return operators_pb2.ListGroupsResponse(groups=rows)

    async def ListMachines(  # noqa: N802
        self, request: operators_pb2.ListMachinesRequest, context: object
    ) -> operators_pb2.ListMachinesResponse:
        """Return machines by name, then cluster."""
        chosen = machines_in(self._view, request.cluster, request.group, request.name)
        return operators_pb2.ListMachinesResponse(
            machines=[
                operators_pb2.MachineRow(
                    name=machine.name,
                    group=machine.group,
                    cluster=cluster.name,
                    enrolled=self._view.enrolment(cluster.name, machine.name) is not None,
                    overrides=list(machine.stored.settings),
                )
                for cluster, machine in chosen
            ]
        )

    async def CreateJoinToken(  # noqa: N802
        self, request: operators_pb2.CreateJoinTokenRequest, context: object
    ) -> operators_pb2.CreateJoinTokenResponse:
        """Return a one-use join token for a machine that exists."""
        made = await self._tokens.make(request.machine, request.cluster, request.lifetime, author())
        return operators_pb2.CreateJoinTokenResponse(
            token=made.text,
            expires=timestamp(made.expires),
            enrol_address=self._enrol_address(),
        )


def clusters_in(view: FleetView, name: str) -> Iterable[Cluster]:
    """Return the named cluster, or all in name order; raises UnknownName."""
    return [view.cluster(name)] if name else [view.clusters[each] for each in sorted(view.clusters)]


def machines_in(
    view: FleetView, cluster: str, group: str = "", name: str = ""
) -> list[tuple[Cluster, Machine]]:
    """Return the machines that fit, by name, then cluster; raises UnknownName, AmbiguousName.

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
