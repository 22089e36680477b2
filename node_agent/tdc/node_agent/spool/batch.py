"""What one transaction of the spool writes, and what is asked of the file in between."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from tdc.node_agent.spool.steady import Anchor
from tdc.node_agent.spool.values import Change, Copy, Counted

KEEP_INTAKES = 100
"""Intakes that are remembered though neither the settings nor a copy in the spool needs them."""


class IntakeRow(NamedTuple):
    """An intake's facts; `facts` is JSON."""

    address: str
    facts: str
    seen_at: float


@dataclass(frozen=True, slots=True)
class OrderMark:
    """A change to chosen copies: those that wait, those in delivery's hands, and dead ones.

    `written` is called when it is in the file: with how many there were, and how many of them were
    in hand. With an `id` the order is remembered as done.
    """

    id: str
    change: Change
    waiting: array[int]
    in_hand: array[int]
    dead: array[int]
    at: float
    before: Counted
    """What earlier parts of the order came to."""
    written: Callable[[Counted, Counted], None]


@dataclass(slots=True)
class Batch:
    """What one transaction writes, in this order. Times are steady seconds."""

    clock: Anchor | None = None
    intakes: list[IntakeRow] = field(default_factory=list)
    held: list[Copy] = field(default_factory=list)
    released: list[int] = field(default_factory=list)
    deferred: list[tuple[int, float, str, float]] = field(default_factory=list)
    """mid, now, reason, next_at"""
    dead: list[tuple[int, float, str]] = field(default_factory=list)
    """mid, now, reason"""
    finished: list[tuple[int, float, str, str]] = field(default_factory=list)
    """mid, now, outcome, text"""
    orders: list[OrderMark] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(
            self.held
            or self.released
            or self.deferred
            or self.dead
            or self.finished
            or self.intakes
            or self.orders
            or self.clock
        )

    def keep_marks(self, refused: Batch, outcome: str) -> None:
        """Add what has already happened of a batch that could not be written.

        A commit whose fsync failed may still be found in the log when the file is opened again. The
        copies in it were refused, so they must not appear then: they end with `outcome`.
        """
        self.intakes += refused.intakes
        self.released += refused.released
        self.deferred += refused.deferred
        self.dead += refused.dead
        self.finished += refused.finished
        self.finished += [(copy.mid, copy.taken_at, outcome, "") for copy in refused.held]
        self.orders += refused.orders
