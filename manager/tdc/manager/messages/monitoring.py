"""How machines do -> tdc.v1 messages: their status, and their delivery by destination."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp
from tdc.manager.intent.monitoring import MachineDelivery, MachineStatusRow
from tdc.shared.sync.health import Problem
from tdc.shared.sync.report import MachineReport
from tdc.shared.wire.moments import timestamp
from tdc.shared.wire.report import counters_to_wire, destination_to_wire, missed_to_wire
from tdc.shared.wire.suspension import part_to_wire, state_to_wire
from tdc.v1 import operators_pb2


def status_row(row: MachineStatusRow) -> operators_pb2.MachineRowStatus:
    """One machine's state as a message."""
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


def delivery_rows(delivery: MachineDelivery) -> list[operators_pb2.DeliveryRow]:
    """One machine's delivery as messages, one for each destination."""
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
