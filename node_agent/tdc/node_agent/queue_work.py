"""Performs the work on the queue that an operator asks for (`tdc delivery ...`).

In: an order. Out: the answer for the manager. Promise: an order is done whole or not at all, and
once, however often it is sent; what it did is in the file before it is answered.
"""

from __future__ import annotations

from collections.abc import Callable

from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.spool.spool import Spool
from tdc.node_agent.spool.values import DeadLetter, SpoolUnavailable
from tdc.shared.connector.intake import intakes_in_force
from tdc.shared.connector.settings import ConnectorSettings
from tdc.shared.sync.queue_work import (
    MOST_LISTED,
    DeadCopy,
    ListDead,
    MoveCopies,
    QueueAnswer,
    QueueOrder,
)


async def perform(
    order: QueueOrder,
    spool: Spool,
    settings: ConnectorSettings,
    log: TdcLog,
    kick: Callable[[], None],
) -> QueueAnswer:
    """Do `order` on the spool; never raises.

    `settings` are those in force, `kick` has delivery look again at once, destinations on hold
    included.
    """
    intakes = tuple(intake.address for intake in intakes_in_force(settings))
    work = order.work
    if isinstance(work, MoveCopies) and work.to_intake not in intakes:
        refused = f"{work.to_intake} is not an intake in force on this machine"
        return QueueAnswer(order.id, refused=refused, intakes=intakes)
    try:
        return await _perform(order, spool, log, kick)
    except SpoolUnavailable as error:
        return QueueAnswer(order.id, refused=str(error), intakes=intakes)


async def _perform(
    order: QueueOrder, spool: Spool, log: TdcLog, kick: Callable[[], None]
) -> QueueAnswer:
    work = order.work
    if not isinstance(work, ListDead):
        return QueueAnswer(order.id, refused="this version can only list dead copies")
    letters = await spool.dead_letters(MOST_LISTED)
    return QueueAnswer(order.id, spool.facts().dead, dead=tuple(map(_dead_copy, letters)))


def _dead_copy(letter: DeadLetter) -> DeadCopy:
    return DeadCopy(
        mid=letter.mid,
        report_id=letter.report_id,
        message_id="",
        intake=letter.intake,
        sender=letter.sender,
        recipients=letter.recipients,
        size=letter.size,
        taken_at=letter.taken_at,
        dead_at=letter.taken_at,
        attempts=letter.attempts,
        reason=letter.reason,
    )
