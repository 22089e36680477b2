"""A manager's answers about queues (tdc.v1.Queue) -> the documents of the JSON contract.

Raises BadMessage for an invalid time; nothing is guessed or left out.
"""

from __future__ import annotations

from tdc.shared.wire import queue_documents as documents
from tdc.shared.wire.moments import rfc3339_in
from tdc.shared.wire.suspension_answers import part_in
from tdc.v1 import agents_pb2, operators_pb2


def dead(row: operators_pb2.MachineQueue) -> documents.MachineDeadDocument:
    """A machine's dead copies."""
    return documents.MachineDeadDocument(
        machine=row.machine,
        cluster=row.cluster,
        problem=row.problem,
        copies=row.copies,
        bytes=row.bytes,
        dead=tuple(map(_dead_copy, row.dead)),
    )


def work(
    asked: operators_pb2.QueueWorkRequest, reply: operators_pb2.QueueResponse
) -> documents.WorkDocument:
    """Work as it was asked for, and what became of it."""
    chosen = (asked.retry.selection, asked.move.selection, asked.drop.selection)
    return documents.WorkDocument(
        kind=asked.WhichOneof("work") or "",
        from_intake=next((each.intake for each in chosen if each.intake), ""),
        to_intake=asked.move.to_intake,
        cluster=reply.cluster,
        revision=reply.revision,
        committed=reply.committed,
        machines=tuple(map(_machine, reply.machines)),
    )


def _machine(row: operators_pb2.MachineQueue) -> documents.MachineWorkDocument:
    return documents.MachineWorkDocument(
        machine=row.machine,
        cluster=row.cluster,
        problem=row.problem,
        copies=row.copies,
        bytes=row.bytes,
        intakes=tuple(row.intakes),
        waits=row.waits,
    )


def _dead_copy(message: agents_pb2.DeadCopy) -> documents.DeadCopyDocument:
    return documents.DeadCopyDocument(
        mid=message.mid,
        report_id=message.report_id,
        message_id=message.message_id,
        intake=message.intake,
        sender=message.sender,
        recipients=tuple(message.recipients),
        size=message.size,
        taken_at=rfc3339_in(message, "taken_at"),
        dead_at=rfc3339_in(message, "dead_at"),
        attempts=message.attempts,
        reason=message.reason,
    )


def delivery(row: operators_pb2.DeliveryRow) -> documents.DeliveryDocument:
    """A machine's delivery to one destination."""
    there = row.destination
    return documents.DeliveryDocument(
        machine=row.machine,
        cluster=row.cluster,
        time=rfc3339_in(row, "time"),
        domain=there.domain,
        intake_domain=there.intake_domain,
        host_status=there.host_status,
        latest_host=there.latest_host,
        active_recipients=there.active_recipients,
        connections_out=there.connections_out,
        delivered=there.delivered,
        deferred=there.deferred,
        dead=there.dead,
        oldest_queued=rfc3339_in(there, "oldest_queued"),
        last_reply=there.last_reply,
        last_tls_version=there.last_tls_version,
        held_reason=there.held_reason,
        held_since=rfc3339_in(there, "held_since"),
        next_probe=rfc3339_in(there, "next_probe"),
        counters=_counters(row.counters),
        suspended=part_in(row, "suspended"),
    )


def _counters(message: agents_pb2.Counters) -> documents.CountersDocument:
    return documents.CountersDocument(
        **{name: getattr(message, name) for name in documents.CountersDocument.__struct_fields__}
    )
