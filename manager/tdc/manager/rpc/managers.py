"""tdc.v1.Managers: the managers of this store, for operators."""

from __future__ import annotations

from tdc.manager.intent.managers import ManagerOperations, ManagerRow
from tdc.manager.rpc.entry import Context, actor_of
from tdc.shared.wire.moments import timestamp
from tdc.v1 import managers_pb2, managers_pb2_grpc


class ManagersService(managers_pb2_grpc.ManagersServicer):
    """The service; what it raises becomes a status in `guard`."""

    def __init__(self, managers: ManagerOperations) -> None:
        self._managers = managers

    async def ListManagers(  # noqa: N802
        self, request: managers_pb2.ListManagersRequest, context: Context
    ) -> managers_pb2.ListManagersResponse:
        """List all managers."""
        rows = await self._managers.list_managers(actor_of(context))
        return managers_pb2.ListManagersResponse(managers=map(_row, rows))

    async def GetManagerStatus(  # noqa: N802
        self, request: managers_pb2.ManagerStatusRequest, context: Context
    ) -> managers_pb2.ManagerStatusResponse:
        """Read how this manager and its etcd do."""
        status = await self._managers.read_status(actor_of(context))
        etcd = status.etcd
        return managers_pb2.ManagerStatusResponse(
            manager=_row(status.manager),
            endpoints=status.endpoints,
            embedded=not status.endpoints,
            etcd_problem=status.etcd_problem,
            etcd_version=etcd.version if etcd else "",
            size=etcd.size if etcd else 0,
            size_in_use=etcd.size_in_use if etcd else 0,
            quota=etcd.quota if etcd else None,
            alarms=etcd.alarms if etcd else (),
            members=status.members,
            writes=status.writes,
            watched=status.watched,
            writes_per_agent_hour=status.per_agent_hour,
            warnings=status.warnings,
        )


def _row(row: ManagerRow) -> managers_pb2.Manager:
    known = row.announced
    return managers_pb2.Manager(
        id=known.id,
        name=known.name,
        address=known.address,
        version=known.version,
        started=timestamp(known.started),
        certificate_ends=timestamp(known.certificate_ends),
        asked=row.asked,
        answers=row.answers,
        problem=row.problem,
        machines=row.machines,
        clock_ahead=row.clock_ahead,
        owns=row.owns,
    )
