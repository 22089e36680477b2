"""tdc.v1.Monitoring: how machines do, as this manager knows it."""

from __future__ import annotations

from tdc.manager.intent.monitoring import MonitoringOperations, StatusAsked
from tdc.manager.messages.monitoring import delivery_rows, status_row
from tdc.manager.rpc.entry import Context, actor_of
from tdc.v1 import operators_pb2, operators_pb2_grpc


class MonitoringService(operators_pb2_grpc.MonitoringServicer):
    """The service; what it raises becomes a status in `guard`."""

    def __init__(self, monitoring: MonitoringOperations) -> None:
        self._monitoring = monitoring

    async def GetStatus(  # noqa: N802
        self, request: operators_pb2.StatusRequest, context: Context
    ) -> operators_pb2.StatusResponse:
        """Read the sync state of machines, and what this manager can't do now."""
        asked = StatusAsked(
            request.cluster,
            request.group,
            request.machine,
            tuple(request.states),
            request.limit,
            request.after,
        )
        status = await self._monitoring.read_status(actor_of(context), asked)
        return operators_pb2.StatusResponse(
            machines=[status_row(row) for row in status.machines],
            warnings=status.warnings,
            next=status.next,
            by_state=status.by_state,
        )

    async def GetDelivery(  # noqa: N802
        self, request: operators_pb2.DeliveryRequest, context: Context
    ) -> operators_pb2.DeliveryResponse:
        """Read delivery by machine and destination, from each machine's last status."""
        delivery = await self._monitoring.read_delivery(
            actor_of(context), request.cluster, request.machine
        )
        return operators_pb2.DeliveryResponse(
            rows=[row for each in delivery.machines for row in delivery_rows(each)],
            warnings=delivery.warnings,
        )
