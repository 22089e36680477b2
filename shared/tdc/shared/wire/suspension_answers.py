"""What is suspended on machines: a manager's answers (tdc.v1) -> documents of the JSON contract.

Raises BadMessage for an invalid time.
"""

from __future__ import annotations

from google.protobuf.message import Message
from tdc.shared.wire import suspension_documents as documents
from tdc.shared.wire.moments import rfc3339_in
from tdc.v1 import agents_pb2, operators_pb2


def suspension_in(
    row: operators_pb2.MachineRowStatus | operators_pb2.ExplainResponse,
) -> documents.SuspensionDocument | None:
    """What is suspended, and what should be; None if nothing is said of it."""
    if not row.HasField("suspension"):
        return None
    state = row.suspension
    return documents.SuspensionDocument(
        copying=part_in(state, "copying"),
        delivery=part_in(state, "delivery"),
        wanted_copying=part_in(state, "wanted_copying"),
        wanted_delivery=part_in(state, "wanted_delivery"),
        in_force=state.in_force,
        pending=state.pending,
        resumed_by=state.resumed_by,
        resumed_at=rfc3339_in(state, "resumed_at"),
    )


def part_in(message: Message, field: str) -> documents.SuspendedPartDocument | None:
    """The part of the work that a field says to be suspended; None if it is absent."""
    if not message.HasField(field):
        return None
    part: agents_pb2.SuspendedPart = getattr(message, field)
    return documents.SuspendedPartDocument(
        by=part.by,
        reason=part.reason,
        since=rfc3339_in(part, "since"),
        until=rfc3339_in(part, "until"),
    )


def suspensions(
    reply: operators_pb2.SuspensionResponse, *, done: bool
) -> documents.SuspensionsDocument:
    """What became of machines, or would; `done` says which."""
    return documents.SuspensionsDocument(
        cluster=reply.cluster,
        done=done,
        machines=tuple(
            documents.SuspensionRowDocument(
                machine=row.machine,
                changed=row.changed,
                copying=part_in(row.suspension, "copying"),
                delivery=part_in(row.suspension, "delivery"),
                waits=row.waits,
            )
            for row in reply.machines
        ),
    )
