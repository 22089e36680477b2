"""The audit log's head, and what an agent saw of it: tdc.v1 messages <-> values."""

from __future__ import annotations

from tdc.shared.sync.audit import MOST_EARLIER, NO_ENTRY, AuditHead, Witness
from tdc.shared.wire.moments import timestamp, unix_seconds
from tdc.shared.wire.printable import MOST_WORD, cut
from tdc.v1 import agents_pb2


def head_to_wire(head: AuditHead) -> agents_pb2.AuditHead:
    """A head as a message."""
    return agents_pb2.AuditHead(number=head.number, chain=head.chain)


def head_of(message: agents_pb2.AuditHead) -> AuditHead:
    """A head; none where the message names none."""
    head = AuditHead(message.number, cut(message.chain, MOST_WORD))
    return head if head else NO_ENTRY


def witness_to_wire(witness: Witness) -> agents_pb2.AuditSeen | None:
    """What an agent saw as a message; None if it saw nothing."""
    if not witness.newest:
        return None
    return agents_pb2.AuditSeen(
        store_id=witness.store_id,
        newest=head_to_wire(witness.newest),
        time=timestamp(witness.at),
        earlier=[head_to_wire(each) for each in witness.earlier],
    )


def witness_of(message: agents_pb2.AuditSeen) -> Witness:
    """What an agent says to have seen; raises BadMessage for a time that is not valid."""
    return Witness(
        cut(message.store_id, MOST_WORD),
        head_of(message.newest),
        unix_seconds(message.time),
        tuple(map(head_of, message.earlier[:MOST_EARLIER])),
    )
