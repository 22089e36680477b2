"""A machine's queue as `perform` sees it, in memory: what the spool promises of orders."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

from tdc.shared.sync.queue_work import (
    DeadCopy,
    DropCopies,
    ListDead,
    MoveCopies,
    QueueAnswer,
    QueueOrder,
    RetryCopies,
    Selection,
)

TYPO, INTAKE = "typo@intake.example", "in@intake.example"


def dead_copy(mid: int, intake: str = INTAKE, reason: str = "552 5.3.4 too big") -> DeadCopy:
    return DeadCopy(
        mid=mid,
        report_id=f"{mid:032x}",
        message_id=f"<{mid}@example.com>",
        intake=intake,
        sender="ann@example.com",
        recipients=("bob@example.org",),
        size=1_000,
        taken_at=1_795_425_302.25,
        dead_at=1_795_428_131.0,
        attempts=9,
        reason=reason,
    )


@dataclass
class MemoryQueue:
    """Copies by MID: dead ones, and the intake of each that waits."""

    dead: dict[int, DeadCopy] = field(default_factory=dict)
    waiting: dict[int, str] = field(default_factory=dict)
    in_force: tuple[str, ...] = (INTAKE,)
    orders: list[QueueOrder] = field(default_factory=list)
    done: dict[str, QueueAnswer] = field(default_factory=dict)
    hangs: asyncio.Event | None = None
    """While it is there and not set, no order ends."""

    async def perform(self, order: QueueOrder) -> QueueAnswer:
        self.orders.append(order)
        if self.hangs is not None:
            await self.hangs.wait()
        if order.id in self.done:
            return self.done[order.id]
        work = order.work
        if isinstance(work, MoveCopies) and work.to_intake not in self.in_force:
            refused = f"{work.to_intake} is not in force; in force: {', '.join(self.in_force)}"
            return QueueAnswer(order.id, refused=refused, intakes=self.in_force)
        chosen = self._chosen(work.selection)
        answer = QueueAnswer(order.id, len(chosen), 1_000 * len(chosen))
        if not order.count_only:
            answer = self._do(order, chosen, answer)
            self.done[order.id] = answer
        return answer

    def _chosen(self, selection: Selection) -> list[int]:
        found = {mid: each.intake for mid, each in self.dead.items()} if selection.dead else {}
        found |= self.waiting if selection.waiting else {}
        return [
            mid
            for mid, intake in found.items()
            if selection.intake in ("", intake) and (not selection.mids or mid in selection.mids)
        ]

    def _do(self, order: QueueOrder, chosen: list[int], answer: QueueAnswer) -> QueueAnswer:
        match order.work:
            case ListDead():
                return replace(answer, dead=tuple(self.dead[mid] for mid in chosen))
            case RetryCopies():
                for mid in set(chosen) & self.dead.keys():
                    self.waiting[mid] = self.dead.pop(mid).intake
            case MoveCopies(_, to_intake):
                for mid in chosen:
                    self.dead.pop(mid, None)
                    self.waiting[mid] = to_intake
            case DropCopies():
                for mid in chosen:
                    self.dead.pop(mid, None)
                    self.waiting.pop(mid, None)
        return answer
