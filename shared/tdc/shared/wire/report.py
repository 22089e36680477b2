"""A machine's status: tdc.v1 messages <-> `tdc.shared.sync.report`."""

from __future__ import annotations

from tdc.shared.sync.report import (
    MachineReport,
    ReportedBacklog,
    ReportedCounters,
    ReportedDestination,
)
from tdc.shared.wire.moments import timestamp, unix_seconds
from tdc.shared.wire.stream import running_of
from tdc.v1 import agents_pb2


def report_of(message: agents_pb2.MachineStatus) -> MachineReport:
    """Read a status; raises BadMessage for a time that is not valid."""
    return MachineReport(
        running=running_of(message.running),
        copying=message.copying,
        queued=message.queued,
        spool_unhealthy=message.spool_unhealthy,
        warnings=tuple(message.warnings),
        counters=_counters(message.counters),
        destinations=tuple(_destination(each) for each in message.destinations),
        backlogs=tuple(_backlog(each) for each in message.backlogs),
    )


def counters_to_wire(counters: ReportedCounters) -> agents_pb2.Counters:
    """Totals as a message."""
    return agents_pb2.Counters(
        originals_passed=counters.originals_passed,
        originals_refused=counters.originals_refused,
        copies_taken=counters.copies_taken,
        copies_missed=counters.copies_missed,
        copies_not_due=counters.copies_not_due,
        delivered=counters.delivered,
        deferred=counters.deferred,
        dead=counters.dead,
        maybe_duplicate=counters.maybe_duplicate,
    )


def destination_to_wire(destination: ReportedDestination) -> agents_pb2.Destination:
    """Delivery to one destination as a message."""
    oldest = destination.oldest_queued
    return agents_pb2.Destination(
        domain=destination.domain,
        intake_domain=destination.intake_domain,
        host_status=destination.host_status,
        latest_host=destination.latest_host,
        active_recipients=destination.active_recipients,
        connections_out=destination.connections_out,
        delivered=destination.delivered,
        deferred=destination.deferred,
        dead=destination.dead,
        oldest_queued=None if oldest is None else timestamp(oldest),
        last_reply=destination.last_reply,
        last_tls_version=destination.last_tls_version,
        held_reason=destination.held_reason,
    )


def backlog_to_wire(backlog: ReportedBacklog) -> agents_pb2.Backlog:
    """The copies of one intake as a message."""
    return agents_pb2.Backlog(
        intake=backlog.intake,
        waiting=backlog.waiting,
        dead=backlog.dead,
        oldest=None if backlog.oldest is None else timestamp(backlog.oldest),
    )


def _backlog(message: agents_pb2.Backlog) -> ReportedBacklog:
    return ReportedBacklog(
        intake=message.intake,
        waiting=message.waiting,
        dead=message.dead,
        oldest=unix_seconds(message.oldest) if message.HasField("oldest") else None,
    )


def _counters(message: agents_pb2.Counters) -> ReportedCounters:
    return ReportedCounters(
        originals_passed=message.originals_passed,
        originals_refused=message.originals_refused,
        copies_taken=message.copies_taken,
        copies_missed=message.copies_missed,
        copies_not_due=message.copies_not_due,
        delivered=message.delivered,
        deferred=message.deferred,
        dead=message.dead,
        maybe_duplicate=message.maybe_duplicate,
    )


def _destination(message: agents_pb2.Destination) -> ReportedDestination:
    waits = message.HasField("oldest_queued")
    return ReportedDestination(
        domain=message.domain,
        intake_domain=message.intake_domain,
        host_status=message.host_status,
        latest_host=message.latest_host,
        active_recipients=message.active_recipients,
        connections_out=message.connections_out,
        delivered=message.delivered,
        deferred=message.deferred,
        dead=message.dead,
        oldest_queued=unix_seconds(message.oldest_queued) if waits else None,
        last_reply=message.last_reply,
        last_tls_version=message.last_tls_version,
        held_reason=message.held_reason,
    )
