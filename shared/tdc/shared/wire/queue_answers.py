"""A manager's answers about queues (tdc.v1.Queue) -> the documents of the JSON contract.

Raises BadMessage for an invalid time; nothing is guessed or left out.
"""

from __future__ import annotations

from tdc.shared.wire import queue_documents as documents
from tdc.shared.wire.moments import rfc3339
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
        taken_at=rfc3339(message.taken_at) if message.HasField("taken_at") else None,
        dead_at=rfc3339(message.dead_at) if message.HasField("dead_at") else None,
        attempts=message.attempts,
        reason=message.reason,
    )
