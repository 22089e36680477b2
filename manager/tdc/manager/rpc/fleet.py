"""tdc.v1.Fleet: clusters, groups, machines, join tokens."""

from __future__ import annotations

from tdc.manager.intent.changes import ChangeOperations
from tdc.manager.intent.fleet import FleetOperations
from tdc.manager.intent.suspensions import Asked, Outcome, SuspensionOperations
from tdc.manager.intent.tokens import TokenOperations
from tdc.manager.messages import wire
from tdc.manager.rpc.entry import Context, actor_of
from tdc.shared.wire.moments import timestamp, unix_seconds
from tdc.shared.wire.suspension import suspension_to_wire
from tdc.v1 import operators_pb2, operators_pb2_grpc


class FleetService(operators_pb2_grpc.FleetServicer):
    """The service; what it raises becomes a status in `guard`."""

    def __init__(
        self,
        fleet: FleetOperations,
        changes: ChangeOperations,
        suspensions: SuspensionOperations,
        tokens: TokenOperations,
    ) -> None:
        self._fleet = fleet
        self._changes = changes
        self._suspensions = suspensions
        self._tokens = tokens

    async def CreateCluster(  # noqa: N802
        self, request: operators_pb2.CreateClusterRequest, context: Context
    ) -> operators_pb2.CommitResponse:
        """Create a cluster with its first group."""
        made = await self._changes.create_cluster(
            actor_of(context), request.name, comment=request.comment, request_id=request.request_id
        )
        return wire.made_to_wire(made)

    async def ListClusters(  # noqa: N802
        self, request: operators_pb2.ListClustersRequest, context: Context
    ) -> operators_pb2.ListClustersResponse:
        """List clusters in name order."""
        rows = await self._fleet.list_clusters(actor_of(context), request.name)
        return operators_pb2.ListClustersResponse(
            clusters=[
                operators_pb2.ClusterRow(
                    name=row.name, revision=row.revision, groups=row.groups, machines=row.machines
                )
                for row in rows
            ]
        )

    async def ListGroups(  # noqa: N802
        self, request: operators_pb2.ListGroupsRequest, context: Context
    ) -> operators_pb2.ListGroupsResponse:
        """List groups by name, then cluster."""
        rows = await self._fleet.list_groups(actor_of(context), request.cluster, request.name)
        return operators_pb2.ListGroupsResponse(
            groups=[
                operators_pb2.GroupRow(name=row.name, cluster=row.cluster, machines=row.machines)
                for row in rows
            ]
        )

    async def ListMachines(  # noqa: N802
        self, request: operators_pb2.ListMachinesRequest, context: Context
    ) -> operators_pb2.ListMachinesResponse:
        """List machines by name, then cluster."""
        rows = await self._fleet.list_machines(
            actor_of(context), request.cluster, request.group, request.name
        )
        return operators_pb2.ListMachinesResponse(
            machines=[
                operators_pb2.MachineRow(
                    name=row.name,
                    group=row.group,
                    cluster=row.cluster,
                    enrolled=row.enrolled,
                    overrides=row.overrides,
                )
                for row in rows
            ]
        )

    async def CreateJoinToken(  # noqa: N802
        self, request: operators_pb2.CreateJoinTokenRequest, context: Context
    ) -> operators_pb2.CreateJoinTokenResponse:
        """Make a one-use join token for a machine that exists."""
        made = await self._tokens.create(
            actor_of(context), request.machine, request.cluster, request.lifetime
        )
        return operators_pb2.CreateJoinTokenResponse(
            token=made.text, expires=timestamp(made.expires), enrol_address=made.enrol_address
        )

    async def WithdrawCertificate(  # noqa: N802
        self, request: operators_pb2.WithdrawCertificateRequest, context: Context
    ) -> operators_pb2.WithdrawCertificateResponse:
        """Withdraw a machine's certificate, at every manager."""
        gone = await self._tokens.withdraw(
            actor_of(context), request.machine, request.cluster, request.reason
        )
        return operators_pb2.WithdrawCertificateResponse(
            machine=gone.machine, cluster=gone.cluster, unheard=gone.unheard
        )

    async def SuspendMachines(  # noqa: N802
        self, request: operators_pb2.SuspendRequest, context: Context
    ) -> operators_pb2.SuspensionResponse:
        """Suspend work on machines."""
        outcome = await self._suspensions.suspend(
            actor_of(context),
            _asked(request),
            reason=request.reason,
            lifetime=request.lifetime,
            until=unix_seconds(request.until) if request.HasField("until") else None,
        )
        return _suspended(outcome)

    async def ResumeMachines(  # noqa: N802
        self, request: operators_pb2.ResumeRequest, context: Context
    ) -> operators_pb2.SuspensionResponse:
        """End suspensions."""
        return _suspended(await self._suspensions.resume(actor_of(context), _asked(request)))


def _asked(request: operators_pb2.SuspendRequest | operators_pb2.ResumeRequest) -> Asked:
    return Asked(
        machines=tuple(request.machines),
        copying=request.copying,
        delivery=request.delivery,
        cluster=request.cluster,
        request_id=request.request_id,
        check_only=request.check_only,
    )


def _suspended(outcome: Outcome) -> operators_pb2.SuspensionResponse:
    return operators_pb2.SuspensionResponse(
        cluster=outcome.cluster,
        machines=[
            operators_pb2.SuspensionRow(
                machine=row.machine,
                changed=row.changed,
                suspension=suspension_to_wire(row.suspension),
                waits=row.waits,
            )
            for row in outcome.machines
        ],
    )
