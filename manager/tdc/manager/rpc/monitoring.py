"""tdc.v1.Monitoring: how machines do, as this manager knows it."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp
from tdc.manager.intent.monitoring import (
    MachineDelivery,
    MachineStatusRow,
    MonitoringOperations,
    StatusAsked,
)
from tdc.manager.rpc.entry import Context, actor_of
from tdc.shared.sync.health import Problem
from tdc.shared.sync.report import MachineReport
from tdc.shared.wire.moments import timestamp
from tdc.shared.wire.report import counters_to_wire, destination_to_wire, missed_to_wire
from tdc.shared.wire.suspension import part_to_wire, state_to_wire
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
            machines=[_status_row(row) for row in status.machines],
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
            rows=[row for each in delivery.machines for row in _delivery_rows(each)],
            warnings=delivery.warnings,
        )


def _status_row(row: MachineStatusRow) -> operators_pb2.MachineRowStatus:
    return operators_pb2.MachineRowStatus(
        name=row.name,
        group=row.group,
        cluster=row.cluster,
        state=row.state,
        wanted_revision=row.wanted_revision,
        applied_revision=row.applied_revision,
        since=_moment(row.since),
        copying=row.copying,
        queued=row.queued,
        reason=row.reason,
        warnings=row.warnings,
        agent_version=row.agent_version,
        health=row.health,
        problems=[_problem(each) for each in row.problems],
        copies=None if row.report is None else _copies(row.report),
        suspension=state_to_wire(row.suspension),
        unknown_settings=row.unknown_settings,
        manager=row.manager,
    )


def _problem(problem: Problem) -> operators_pb2.HealthProblem:
    return operators_pb2.HealthProblem(
        kind=problem.kind,
        severity=problem.severity,
        text=problem.text,
        since=_moment(problem.since),
    )


def _copies(report: MachineReport) -> operators_pb2.CopyFacts:
    return operators_pb2.CopyFacts(
        dead=report.dead,
        missed=[missed_to_wire(each) for each in report.missed],
        delivered_at=_moment(report.delivered_at),
        oldest_queued=_moment(report.oldest_queued),
        spool_full=report.spool_full,
    )


def _moment(seconds: float | None) -> Timestamp | None:
    return None if seconds is None else timestamp(seconds)


def _delivery_rows(delivery: MachineDelivery) -> list[operators_pb2.DeliveryRow]:
    time, counters = timestamp(delivery.time), counters_to_wire(delivery.counters)
    return [
        operators_pb2.DeliveryRow(
            machine=delivery.machine,
            cluster=delivery.cluster,
            time=time,
            destination=destination_to_wire(each),
            counters=counters,
            suspended=part_to_wire(delivery.suspended),
        )
        for each in delivery.destinations
    ]
