"""Work on queues: tdc.v1 messages <-> the pure values of `tdc.shared.sync.queue_work`.

An agent's answer is judged as it is read: whatever does not hold raises BadMessage. An answer that
is written has room in one message of an agent, because dead copies are left out from the end.
"""

from __future__ import annotations

from collections.abc import Iterable

from tdc.shared.sync.queue_work import (
    MOST_LISTED,
    DeadCopy,
    DropCopies,
    ListDead,
    MoveCopies,
    QueueAnswer,
    QueueOrder,
    RetryCopies,
    Selection,
    Work,
)
from tdc.shared.wire.errors import BadMessage
from tdc.shared.wire.moments import timestamp, unix_seconds
from tdc.shared.wire.stream import MAX_AGENT_MESSAGE, MAX_TEXT
from tdc.v1 import agents_pb2

MOST_MIDS = 1_000
"""Copies that one order can name."""
MOST_RECIPIENTS = 100
"""Recipients of a dead copy in an answer; the rest is cut off."""
_FRAME = 1_024
"""Bytes of an answer beside its lists: id, counts, tags."""


# --- orders -------------------------------------------------------------------------------


def order_to_wire(order: QueueOrder) -> agents_pb2.QueueOrder:
    """An order as a message."""
    message = agents_pb2.QueueOrder(
        id=order.id, operator=order.operator, count_only=order.count_only
    )
    match order.work:
        case ListDead(selection):
            message.list_dead.selection.CopyFrom(_selection_to_wire(selection))
        case RetryCopies() as retry:
            message.retry.CopyFrom(retry_to_wire(retry))
        case MoveCopies() as move:
            message.move.CopyFrom(move_to_wire(move))
        case DropCopies() as drop:
            message.drop.CopyFrom(drop_to_wire(drop))
    return message


def order_of(message: agents_pb2.QueueOrder) -> QueueOrder:
    """Read an order; raises BadMessage for work that this version does not know."""
    match message.WhichOneof("work"):
        case "list_dead":
            work: Work = ListDead(_selection(message.list_dead.selection))
        case "retry":
            work = retry_of(message.retry)
        case "move":
            work = move_of(message.move)
        case "drop":
            work = drop_of(message.drop)
        case _:
            raise BadMessage("this agent does not know that work on its queue: upgrade the agent")
    return QueueOrder(message.id, message.operator, work, message.count_only)


def retry_to_wire(work: RetryCopies) -> agents_pb2.RetryCopies:
    """Copies to try, as a message."""
    return agents_pb2.RetryCopies(selection=_selection_to_wire(work.selection))


def retry_of(message: agents_pb2.RetryCopies) -> RetryCopies:
    """Read which copies are to be tried; raises BadMessage."""
    return RetryCopies(_selection(message.selection))


def move_to_wire(work: MoveCopies) -> agents_pb2.MoveCopies:
    """Copies to move, as a message."""
    selection = _selection_to_wire(work.selection)
    return agents_pb2.MoveCopies(selection=selection, to_intake=work.to_intake)


def move_of(message: agents_pb2.MoveCopies) -> MoveCopies:
    """Read which copies are to be moved, and where to; raises BadMessage."""
    return MoveCopies(_selection(message.selection), message.to_intake)


def drop_to_wire(work: DropCopies) -> agents_pb2.DropCopies:
    """Copies to delete, as a message."""
    return agents_pb2.DropCopies(selection=_selection_to_wire(work.selection))


def drop_of(message: agents_pb2.DropCopies) -> DropCopies:
    """Read which copies are to be deleted; raises BadMessage."""
    return DropCopies(_selection(message.selection))


def _selection_to_wire(selection: Selection) -> agents_pb2.CopySelection:
    return agents_pb2.CopySelection(
        intake=selection.intake,
        mids=selection.mids,
        waiting=selection.waiting,
        dead=selection.dead,
    )


def _selection(message: agents_pb2.CopySelection) -> Selection:
    if len(message.mids) > MOST_MIDS:
        raise BadMessage(f"{len(message.mids)} copies are named; at most {MOST_MIDS} can be")
    mids = tuple(message.mids)
    return Selection(message.intake, mids, waiting=message.waiting, dead=message.dead)


# --- answers ------------------------------------------------------------------------------


def answer_to_wire(answer: QueueAnswer) -> agents_pb2.QueueAnswer:
    """An answer as a message of at most MAX_AGENT_MESSAGE bytes; lists are cut to fit."""
    message = agents_pb2.QueueAnswer(
        id=answer.id,
        copies=answer.copies,
        bytes=answer.bytes,
        refused=answer.refused[:MAX_TEXT],
    )
    room = MAX_AGENT_MESSAGE - message.ByteSize() - _FRAME
    for intake in answer.intakes:
        room -= len(intake.encode()) + 4
        if room < 0:
            return message
        message.intakes.append(intake)
    for copy in answer.dead[:MOST_LISTED]:
        row = dead_to_wire(copy)
        room -= row.ByteSize() + 8  # its tag and length
        if room < 0:
            return message
        message.dead.append(row)
    return message


def answer_of(message: agents_pb2.QueueAnswer) -> QueueAnswer:
    """Read an answer; raises BadMessage for one that does not hold."""
    if message.copies < 0 or message.bytes < 0 or len(message.dead) > MOST_LISTED:
        raise BadMessage(
            f"the agent answered {message.copies} copies of {message.bytes} bytes, and lists "
            f"{len(message.dead)}; none is negative, and at most {MOST_LISTED} are listed"
        )
    return QueueAnswer(
        id=message.id,
        copies=message.copies,
        bytes=message.bytes,
        dead=tuple(_dead_copies(message.dead)),
        refused=message.refused[:MAX_TEXT],
        intakes=tuple(message.intakes),
    )


def dead_to_wire(copy: DeadCopy) -> agents_pb2.DeadCopy:
    """A dead copy as a message; what its original or a peer wrote is cut at MAX_TEXT."""
    return agents_pb2.DeadCopy(
        mid=copy.mid,
        report_id=copy.report_id,
        message_id=copy.message_id[:MAX_TEXT],
        intake=copy.intake,
        sender=copy.sender[:MAX_TEXT],
        recipients=[each[:MAX_TEXT] for each in copy.recipients[:MOST_RECIPIENTS]],
        size=copy.size,
        taken_at=timestamp(copy.taken_at),
        dead_at=timestamp(copy.dead_at),
        attempts=copy.attempts,
        reason=copy.reason[:MAX_TEXT],
    )


def _dead_copies(messages: Iterable[agents_pb2.DeadCopy]) -> Iterable[DeadCopy]:
    for each in messages:
        yield DeadCopy(
            mid=each.mid,
            report_id=each.report_id,
            message_id=each.message_id[:MAX_TEXT],
            intake=each.intake,
            sender=each.sender[:MAX_TEXT],
            recipients=tuple(each.recipients[:MOST_RECIPIENTS]),
            size=each.size,
            taken_at=unix_seconds(each.taken_at),
            dead_at=unix_seconds(each.dead_at),
            attempts=each.attempts,
            reason=each.reason[:MAX_TEXT],
        )
