"""What this machine reports of itself: one message, from facts that other rooms keep."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields

from tdc.node_agent.counters import Counters
from tdc.node_agent.deliver.options import DestinationFacts
from tdc.node_agent.spool.values import SpoolFacts
from tdc.node_agent.sync.apply import InForce
from tdc.shared.edge.stream_wire import attempt_to_wire, running_to_wire, timestamp
from tdc.v1 import agents_pb2


def machine_status(
    in_force: InForce,
    spool: SpoolFacts,
    destinations: Iterable[DestinationFacts],
    counters: Counters,
    warnings: Sequence[str] = (),
) -> agents_pb2.MachineStatus:
    """Return the status; `warnings` are those of the agent beyond settings and spool."""
    settings = in_force.current()
    status = agents_pb2.MachineStatus(
        running=running_to_wire(in_force.running),
        copying=settings.enabled and spool.unhealthy is None,
        queued=spool.queued + spool.held,
        spool_unhealthy=spool.unhealthy or "",
        counters=counters_to_wire(counters),
        destinations=[destination_to_wire(each) for each in destinations],
        warnings=[*in_force.warnings, *([spool.warning] if spool.warning else []), *warnings],
    )
    if in_force.last_attempt is not None:
        status.last_attempt.CopyFrom(attempt_to_wire(in_force.last_attempt))
    return status


def counters_to_wire(counters: Counters) -> agents_pb2.Counters:
    """Return the totals as a message; the two have the same names."""
    return agents_pb2.Counters(
        **{field.name: getattr(counters, field.name) for field in fields(Counters)}
    )


def destination_to_wire(facts: DestinationFacts) -> agents_pb2.Destination:
    """Return one destination's facts as a message."""
    message = agents_pb2.Destination(
        domain=facts.domain,
        intake_domain=facts.intake_domain,
        host_status=facts.host_status,
        latest_host=facts.latest_host,
        active_recipients=facts.active_recipients,
        connections_out=facts.connections_out,
        delivered=facts.delivered,
        soft_bounced=facts.soft_bounced,
        hard_bounced=facts.hard_bounced,
        last_reply=facts.last_reply,
        last_tls_version=facts.last_tls_version,
        held_reason=facts.held_reason,
    )
    if facts.oldest_queued is not None:
        message.oldest_queued.CopyFrom(timestamp(facts.oldest_queued))
    return message
