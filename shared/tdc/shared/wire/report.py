"""A machine's status: tdc.v1 messages <-> `tdc.shared.sync.report`.

An agent's key may have been stolen, so no text of an agent is taken as it comes: each is made
printable, on one line and cut, and a list that is too long says how many were left out.
"""

from __future__ import annotations

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from tdc.shared.sync.identity import MOST_AUTHORITIES
from tdc.shared.sync.report import (
    MachineReport,
    ReportedBacklog,
    ReportedCounters,
    ReportedDestination,
    ReportedMissed,
)
from tdc.shared.wire.audit import witness_of, witness_to_wire
from tdc.shared.wire.moments import timestamp, unix_seconds
from tdc.shared.wire.printable import MOST_WORD, cut
from tdc.shared.wire.stream import running_of, running_to_wire
from tdc.shared.wire.suspension import suspension_of, suspension_to_wire
from tdc.shared.wire.trust import is_fingerprint
from tdc.v1 import agents_pb2

MOST_WARNINGS = 20
"""Warnings of a machine that are kept; an agent has a few."""
MOST_MISSED = 8
"""Reasons for missed copies that are kept; an agent knows three."""


def report_of(message: agents_pb2.MachineStatus) -> MachineReport:
    """Read a status; raises BadMessage for a time that is not valid."""
    return MachineReport(
        running=running_of(message.running),
        copying=message.copying,
        queued=message.queued,
        spool_unhealthy=cut(message.spool_unhealthy),
        warnings=_warnings(message),
        counters=_counters(message.counters),
        destinations=tuple(_destination(each) for each in message.destinations),
        dead=message.dead,
        missed=tuple(_missed(each) for each in message.missed[:MOST_MISSED]),
        delivered_at=_moment(message, "delivered_at"),
        time=_moment(message, "time"),
        spool_full=cut(message.spool_full),
        refuses_originals=message.refuses_originals,
        oldest_queued=_moment(message, "oldest_queued"),
        backlogs=tuple(_backlog(each) for each in message.backlogs),
        refuses_manager=cut(message.refuses_manager),
        next_hop_trouble=cut(message.next_hop_trouble),
        next_hop_since=_moment(message, "next_hop_since"),
        suspension=suspension_of(message.suspension) if message.HasField("suspension") else None,
        audit=witness_of(message.audit) if message.HasField("audit") else None,
        certificate_ends=_moment(message, "certificate_ends"),
        ca_trusted=tuple(filter(is_fingerprint, message.ca_trusted[:MOST_AUTHORITIES])),
        ca_issuer=message.ca_issuer if is_fingerprint(message.ca_issuer) else "",
    )


def report_to_wire(report: MachineReport) -> agents_pb2.MachineStatus:
    """A report as the status that it was read from, for another manager."""
    suspension = report.suspension
    return agents_pb2.MachineStatus(
        running=running_to_wire(report.running),
        copying=report.copying,
        queued=report.queued,
        spool_unhealthy=report.spool_unhealthy,
        warnings=report.warnings,
        counters=counters_to_wire(report.counters),
        destinations=map(destination_to_wire, report.destinations),
        dead=report.dead,
        missed=map(missed_to_wire, report.missed),
        delivered_at=_timestamp(report.delivered_at),
        time=_timestamp(report.time),
        spool_full=report.spool_full,
        refuses_originals=report.refuses_originals,
        oldest_queued=_timestamp(report.oldest_queued),
        backlogs=map(backlog_to_wire, report.backlogs),
        refuses_manager=report.refuses_manager,
        next_hop_trouble=report.next_hop_trouble,
        next_hop_since=_timestamp(report.next_hop_since),
        suspension=None if suspension is None else suspension_to_wire(suspension),
        audit=None if report.audit is None else witness_to_wire(report.audit),
        certificate_ends=_timestamp(report.certificate_ends),
        ca_trusted=report.ca_trusted,
        ca_issuer=report.ca_issuer,
    )


def _timestamp(seconds: float | None) -> Timestamp | None:
    return None if seconds is None else timestamp(seconds)


def _warnings(message: agents_pb2.MachineStatus) -> tuple[str, ...]:
    kept = [cut(warning) for warning in message.warnings[:MOST_WARNINGS]]
    more = len(message.warnings) - len(kept)
    return (*kept, f"{more} more warnings of this machine are not shown") if more else tuple(kept)


def missed_to_wire(missed: ReportedMissed) -> agents_pb2.Missed:
    """Copies missed for one reason as a message."""
    return agents_pb2.Missed(
        reason=missed.reason,
        count=missed.count,
        since=timestamp(missed.since),
        last=timestamp(missed.last),
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
    oldest, held, probe = destination.oldest_queued, destination.held_since, destination.next_probe
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
        held_since=None if held is None else timestamp(held),
        next_probe=None if probe is None else timestamp(probe),
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
    return ReportedDestination(
        domain=cut(message.domain, MOST_WORD),
        intake_domain=cut(message.intake_domain, MOST_WORD),
        host_status=cut(message.host_status, MOST_WORD),
        latest_host=cut(message.latest_host, MOST_WORD),
        active_recipients=message.active_recipients,
        connections_out=message.connections_out,
        delivered=message.delivered,
        deferred=message.deferred,
        dead=message.dead,
        oldest_queued=_moment(message, "oldest_queued"),
        last_reply=cut(message.last_reply),
        last_tls_version=cut(message.last_tls_version, MOST_WORD),
        held_reason=cut(message.held_reason),
        held_since=_moment(message, "held_since"),
        next_probe=_moment(message, "next_probe"),
    )


def _missed(message: agents_pb2.Missed) -> ReportedMissed:
    since, last = unix_seconds(message.since), unix_seconds(message.last)
    return ReportedMissed(cut(message.reason, MOST_WORD), message.count, since, last)


def _moment(message: Message, field: str) -> float | None:
    return unix_seconds(getattr(message, field)) if message.HasField(field) else None
