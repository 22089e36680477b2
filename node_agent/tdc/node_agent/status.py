"""What this machine reports of itself: one message, from facts that other rooms keep."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields

from tdc.node_agent.counters import Counters
from tdc.node_agent.deliver.options import DestinationFacts
from tdc.node_agent.spool.values import SpoolFacts
from tdc.node_agent.sync.apply import InForce
from tdc.shared.wire.moments import timestamp
from tdc.shared.wire.stream import (
    MAX_AGENT_MESSAGE,
    MAX_DESTINATIONS,
    MAX_TEXT,
    attempt_to_wire,
    running_to_wire,
)
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
        warnings=[*in_force.warnings, *([spool.warning] if spool.warning else []), *warnings],
    )
    if in_force.last_attempt is not None:
        status.last_attempt.CopyFrom(attempt_to_wire(in_force.last_attempt))
    _add_destinations(status, [destination_to_wire(each) for each in destinations])
    return status


def _add_destinations(
    status: agents_pb2.MachineStatus, rows: Sequence[agents_pb2.Destination]
) -> None:
    """Add the rows for which a message has room; what is left out is said in a warning."""
    room = MAX_AGENT_MESSAGE - status.ByteSize() - 1_024  # the warning, and what frames a status
    kept = 0
    for row in rows[:MAX_DESTINATIONS]:
        room -= row.ByteSize() + 8  # its tag and length
        if room < 0:
            break
        kept += 1
    status.destinations.extend(rows[:kept])
    if kept < len(rows):
        status.warnings.append(
            f"only {kept} of {len(rows)} destinations are reported here: there is no room for more"
        )


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
        deferred=facts.deferred,
        dead=facts.dead,
        last_reply=facts.last_reply[:MAX_TEXT],
        last_tls_version=facts.last_tls_version,
        held_reason=facts.held_reason[:MAX_TEXT],
    )
    if facts.oldest_queued is not None:
        message.oldest_queued.CopyFrom(timestamp(facts.oldest_queued))
    return message
