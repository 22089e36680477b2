"""Orders in the file: what one changes, within the transaction of a group, and what it needs read.

Copies are chosen before, in memory (`orders`). So a change names its copies one by one, and can be
written again after a failure: a copy that is no longer in the state that it was chosen in is left
alone.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from tdc.node_agent.spool.batch import OrderMark
from tdc.node_agent.spool.rows import readable
from tdc.node_agent.spool.values import Change, CopyState, Counted, Drop, Move, Retry

KEEP_ORDERS = 1_000
"""Orders that are remembered as done."""

CHUNK = 10_000
"""Copies that one statement changes: a list of them is one text."""


class Statements(Protocol):
    """What a database does with the queries of queries.sql."""

    def run(self, name: str, items: Sequence[object], *more: str | float) -> Iterable[Any]:
        """Execute a query whose first parameter is a list."""

    def ask(self, name: str, *parameters: str | float | None) -> Iterable[Any]:
        """Execute a query."""


def done_order(database: Statements, order_id: str) -> Counted | None:
    """What an order came to that was done before."""
    for copies, size in database.ask("done_order", order_id):
        return Counted(copies, size)
    return None


def dead_mids(database: Statements, intake: str, reason: str = "") -> dict[str, array[int]]:
    """Intake -> dead copies, of one intake or of all, whose reason begins so."""
    rows = (
        database.ask("dead_mids_by_reason", intake, reason)
        if reason
        else database.ask("dead_mids", intake)
    )
    found: dict[str, array[int]] = {}
    for mid, its_intake in rows:
        found.setdefault(readable(its_intake), array("q")).append(mid)
    return found


def count(database: Statements, mids: array[int], state: CopyState) -> Counted:
    """How many of these there are in that state, and their bytes."""
    copies = size = 0
    for chunk in _chunks(mids):
        for more, their_size in database.run("count_chosen", chunk, state):
            copies, size = copies + more, size + their_size
    return Counted(copies, size)


def carry_out(database: Statements, mark: OrderMark) -> tuple[Counted, Counted]:
    """Change the copies of an order, unless it is known as done; within a transaction.

    Returns how many there were, and how many of them were in delivery's hands.
    """
    before = done_order(database, mark.id) if mark.id else None
    if before is not None:
        return before, Counted()
    in_hand = count(database, mark.in_hand, CopyState.QUEUED)
    waiting = count(database, mark.waiting, CopyState.QUEUED)
    counted = in_hand + waiting + count(database, mark.dead, CopyState.DEAD)
    for mids in (mark.in_hand, mark.waiting):
        for chunk in _chunks(mids):
            _change(database, mark.change, chunk, mark.at, dead=False)
    for chunk in _chunks(mark.dead):
        _change(database, mark.change, chunk, mark.at, dead=True)
    if mark.id:
        total = mark.before + counted
        database.ask("insert_order", mark.id, total.copies, total.bytes)
        database.ask("prune_orders", KEEP_ORDERS)
    return counted, in_hand


def _change(
    database: Statements, change: Change, mids: list[int], at: float, *, dead: bool
) -> None:
    match change:
        case Retry(by):
            database.run("retried_events", mids, at, by)
            database.run("revive_dead" if dead else "make_due", mids, at)
        case Move(by, to):
            database.run("moved_events", mids, at, f"{to} {by}")
            database.run("move_copies", mids, at, to)
        case Drop(by):
            database.run("drop_copies", mids, at, by)


def _chunks(mids: array[int]) -> Iterator[list[int]]:
    for start in range(0, len(mids), CHUNK):
        yield mids[start : start + CHUNK].tolist()
