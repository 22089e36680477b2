"""AgentFacts -> the status message that the manager gets."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.timestamp_pb2 import Timestamp
from tdc.node_agent.counters import Counters
from tdc.node_agent.deliver.facts import DestinationFacts
from tdc.node_agent.facts import AgentFacts, MissedFacts
from tdc.shared.sync.report import ReportedBacklog
from tdc.shared.wire.audit import witness_to_wire
from tdc.shared.wire.moments import timestamp
from tdc.shared.wire.report import backlog_to_wire
from tdc.shared.wire.stream import (
    MAX_AGENT_MESSAGE,
    MAX_BACKLOGS,
    MAX_DESTINATIONS,
    MAX_TEXT,
    attempt_to_wire,
    running_to_wire,
)
from tdc.shared.wire.suspension import suspension_to_wire
from tdc.v1 import agents_pb2


def status_to_wire(facts: AgentFacts) -> agents_pb2.MachineStatus:
    """The message, never longer than a manager accepts (MAX_AGENT_MESSAGE)."""
    status = agents_pb2.MachineStatus(
        running=running_to_wire(facts.running),
        copying=facts.copying,
        queued=facts.spool.queued + facts.spool.held,
        spool_unhealthy=facts.spool.unhealthy or "",
        counters=counters_to_wire(facts.counters),
        warnings=[warning[:MAX_TEXT] for warning in facts.warnings],
        dead=facts.spool.dead,
        missed=[missed_to_wire(each) for each in facts.missed],
        delivered_at=_moment(facts.delivered_at),
        time=timestamp(facts.time),
        spool_full=facts.spool_full or "",
        refuses_originals=facts.refuses_originals,
        oldest_queued=_moment(facts.spool.oldest),
        backlogs=[backlog_to_wire(each) for each in _largest(facts.backlogs)],
        refuses_manager=facts.refuses_manager[:MAX_TEXT],
        next_hop_trouble=facts.next_hop.reason[:MAX_TEXT] if facts.next_hop else "",
        next_hop_since=_moment(facts.next_hop.since if facts.next_hop else None),
        suspension=suspension_to_wire(facts.suspension),
        audit=witness_to_wire(facts.witness),
        certificate_ends=_moment(facts.certificate_ends),
        ca_trusted=facts.ca_trusted,
        ca_issuer=facts.ca_issuer,
    )
    if facts.last_attempt is not None:
        status.last_attempt.CopyFrom(attempt_to_wire(facts.last_attempt))
    _add_destinations(status, [destination_to_wire(each) for each in facts.destinations])
    return status


def _largest(backlogs: Sequence[ReportedBacklog]) -> list[ReportedBacklog]:
    """Those that fit into a status: the ones with the most copies."""
    by_size = sorted(backlogs, key=lambda each: (-each.waiting, -each.dead, each.intake))
    return by_size[:MAX_BACKLOGS]


def _add_destinations(
    status: agents_pb2.MachineStatus, rows: Sequence[agents_pb2.Destination]
) -> None:
    """Add the rows that fit into the message; a warning counts those left out."""
    room = MAX_AGENT_MESSAGE - status.ByteSize() - 1_024  # the warning, and what frames a status
    kept = 0
    for row in rows[:MAX_DESTINATIONS]:
        room -= row.ByteSize() + 8  # its tag and length
        if room < 0:
            break
        kept += 1
    status.destinations.extend(rows[:kept])
    if kept < len(rows):
        status.warnings.append(f"only {kept} of {len(rows)} destinations fit into this status")


def counters_to_wire(counters: Counters) -> agents_pb2.Counters:
    """The totals; both sides have the same names."""
    return agents_pb2.Counters(
        **{
            field.name: getattr(counters, field.name)
            for field in agents_pb2.Counters.DESCRIPTOR.fields
        }
    )


def missed_to_wire(missed: MissedFacts) -> agents_pb2.Missed:
    """A run of misses for one reason."""
    return agents_pb2.Missed(
        reason=missed.reason,
        count=missed.count,
        since=timestamp(missed.since),
        last=timestamp(missed.last),
    )


def destination_to_wire(facts: DestinationFacts) -> agents_pb2.Destination:
    """One destination; texts from peers are cut at MAX_TEXT."""
    return agents_pb2.Destination(
        domain=facts.domain,
        intake_domain=facts.intake_domain,
        host_status=facts.host_status,
        latest_host=facts.latest_host,
        active_recipients=facts.active_recipients,
        connections_out=facts.connections_out,
        delivered=facts.delivered,
        deferred=facts.deferred,
        dead=facts.dead,
        last_reply=facts.last_reply[:MAX_TEXT],
        last_tls_version=facts.last_tls_version,
        held_reason=facts.held_reason[:MAX_TEXT],
        oldest_queued=_moment(facts.oldest_queued),
        held_since=_moment(facts.held_since),
        next_probe=_moment(facts.next_probe),
    )


def _moment(seconds: float | None) -> Timestamp | None:
    return None if seconds is None else timestamp(seconds)
