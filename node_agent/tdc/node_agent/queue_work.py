"""Performs the work on the queue that an operator asks for: list, retry, move, drop.

In: an order. Out: the answer for the manager. Promise: an order is done whole or not at all, and
once, however often it is sent; what it did is in the file before it is answered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

from tdc.node_agent.journal.headers import read_headers
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.spool.orders import Orders
from tdc.node_agent.spool.rows import readable
from tdc.node_agent.spool.spool import Spool
from tdc.node_agent.spool.values import (
    Change,
    Counted,
    DeadLetter,
    Drop,
    Move,
    Retry,
    SpoolUnavailable,
)
from tdc.shared.connector.intake import intakes_in_force
from tdc.shared.connector.settings import ConnectorSettings
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
)


async def perform(
    order: QueueOrder,
    spool: Spool,
    settings: ConnectorSettings,
    log: TdcLog,
    kick: Callable[[], None],
) -> QueueAnswer:
    """Do `order` on the spool; never raises.

    `settings` are those in force; `kick` has delivery look at once, destinations on hold included.
    """
    intakes = tuple(intake.address for intake in intakes_in_force(settings))
    refused = _refusal(order, intakes)
    if refused:
        return QueueAnswer(order.id, refused=refused, intakes=intakes)
    try:
        if isinstance(order.work, ListDead):
            return await _listed(order.id, order.work.selection, spool.orders, intakes)
        if order.count_only:
            counted = await spool.orders.count(order.work.selection)
        else:
            counted = await _changed(order, order.work, spool.orders, log)
            kick()
    except SpoolUnavailable as error:
        return QueueAnswer(order.id, refused=str(error), intakes=intakes)
    return QueueAnswer(order.id, counted.copies, counted.bytes, intakes=intakes)


def _refusal(order: QueueOrder, intakes: tuple[str, ...]) -> str:
    work = order.work
    if isinstance(work, MoveCopies) and work.to_intake not in intakes:
        known = ", ".join(intakes) or "none"
        return f"{work.to_intake} is not an intake in force on this machine; in force: {known}"
    if not order.id and not isinstance(work, ListDead):
        return "the order has no id, so it could be done twice"
    return ""


async def _listed(
    order_id: str, selection: Selection, orders: Orders, intakes: tuple[str, ...]
) -> QueueAnswer:
    counted = await orders.count(Selection(selection.intake, selection.mids, dead=True))
    letters = await orders.dead_letters(selection, MOST_LISTED, _message_id)
    listed = tuple(map(_dead_copy, letters))
    return QueueAnswer(order_id, counted.copies, counted.bytes, dead=listed, intakes=intakes)


def _dead_copy(letter: DeadLetter) -> DeadCopy:
    """For the wire, which has no place for bytes that are not UTF-8."""
    facts = asdict(letter)
    for name in ("report_id", "message_id", "intake", "sender", "reason"):
        facts[name] = readable(facts[name])
    facts["recipients"] = tuple(map(readable, letter.recipients))
    return DeadCopy(**facts)


def _message_id(start: bytes) -> str:
    return read_headers(start).message_id_raw.decode("utf-8", "replace")


async def _changed(
    order: QueueOrder, work: RetryCopies | MoveCopies | DropCopies, orders: Orders, log: TdcLog
) -> Counted:
    counted = await orders.change(_change(order.operator, work), work.selection, order.id)
    log.queue_work(order.operator, described(work), counted.copies, counted.bytes)
    return counted


def _change(operator: str, work: RetryCopies | MoveCopies | DropCopies) -> Change:
    by = f"by {operator}"
    match work:
        case RetryCopies():
            return Retry(by)
        case MoveCopies(_, to):
            return Move(by, to)
        case DropCopies():
            return Drop(by)


def described(work: RetryCopies | MoveCopies | DropCopies) -> str:
    """What the log says was done."""
    chosen = _in_words(work.selection)
    match work:
        case RetryCopies():
            return f"retried {chosen}"
        case MoveCopies(_, to):
            return f"moved {chosen} to {to}"
        case DropCopies():
            return f"dropped {chosen}"


def _in_words(selection: Selection) -> str:
    wanted = {"waiting": selection.waiting, "dead": selection.dead}
    states = " and ".join(word for word, is_wanted in wanted.items() if is_wanted)
    numbers = " with chosen MIDs" if selection.mids else ""
    return f"{states or 'no'} copies for {selection.intake or 'all intakes'}{numbers}"
