"""Orders of operators: copies are listed, tried again, moved to another intake, or dropped.

How one is done. Dead copies are looked up in the file. Then, in one moment in which no copy is
being read for delivery, the copies that wait are chosen in memory, memory is changed, and the
change is handed to the writer as one mark, MID by MID. Memory leads and the file follows, as with
every other mark: what fails to be written is kept and written first when the file is back. No copy
is claimed until it is written, for what is read then must be as it is now.

Copies in delivery's hands are chosen as well. One whose sending has begun ends that attempt: if the
intake accepts it, it is delivered, and not moved. None that has not begun is sent to the intake of
before (`Ledger.may_send`).
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from typing import NamedTuple

from tdc.node_agent.spool import look, order_rows
from tdc.node_agent.spool.batch import OrderMark
from tdc.node_agent.spool.clock import SteadyClock
from tdc.node_agent.spool.ledger import Chosen, Ledger
from tdc.node_agent.spool.values import (
    Change,
    CopyState,
    Counted,
    DeadLetter,
    Drop,
    Retry,
    SpoolUnavailable,
)
from tdc.node_agent.spool.writer import Writer
from tdc.shared.edge.tasks import finished
from tdc.shared.sync.queue_work import Selection

NOT_WRITTEN = "the order is carried out as soon as it is, unless the agent ends before"


PART = 50_000
"""Copies of each kind that one transaction changes. More are written in parts: new copies wait for
a transaction, and must not wait for so long that originals pass without them."""


class Part(NamedTuple):
    """What one transaction changes of an order."""

    waiting: array[int]
    in_hand: array[int]
    dead: array[int]


class Orders:
    """One order at a time. `ledger` returns the one in use; `reading` is held during a claim.

    `before` hands over marks that an order must find in the file; `arrived` says that there may be
    something to claim.
    """

    def __init__(
        self,
        writer: Writer,
        ledger: Callable[[], Ledger],
        clock: SteadyClock,
        reading: asyncio.Lock,
        before: Callable[[], None],
        arrived: Callable[[], None],
    ) -> None:
        self._writer, self._ledger, self._clock = writer, ledger, clock
        self._reading, self._before, self._arrived = reading, before, arrived
        self._one_at_a_time = asyncio.Lock()

    async def count(self, selection: Selection) -> Counted:
        """How many copies an order would change, and their bytes; raises SpoolUnavailable."""
        async with self._one_at_a_time:
            dead = _all(await self._dead(selection))
            waiting = self._waiting(selection)
            self._before()
            mids = _all(waiting.waiting) + waiting.in_hand
            return await self._writer.ask(
                lambda database: (
                    order_rows.count(database, mids, CopyState.QUEUED)
                    + order_rows.count(database, dead, CopyState.DEAD)
                )
            )

    async def dead_letters(
        self, selection: Selection, limit: int, message_id: Callable[[bytes], str]
    ) -> list[DeadLetter]:
        """The newest dead copies; raises SpoolUnavailable."""
        intake, mids, shown = selection.intake, selection.mids, self._clock.shown
        letters = await self._writer.ask(
            lambda database: look.dead_letters(database, limit, intake, mids, message_id)
        )
        return [
            replace(one, taken_at=shown(one.taken_at), dead_at=shown(one.dead_at))
            for one in letters
        ]

    async def change(self, change: Change, selection: Selection, order_id: str) -> Counted:
        """Change the copies chosen; returns when that is in the file.

        An `order_id` that was done before changes nothing. Raises SpoolUnavailable; then it is done
        when the file can be written again. One of over PART copies is not one transaction: what a
        crash leaves undone of it is done when it is sent again.
        """
        return await finished(self._ordered(change, selection, order_id), name="queue work")

    async def _ordered(self, change: Change, selection: Selection, order_id: str) -> Counted:
        async with self._one_at_a_time:
            done = await self._writer.ask(lambda db: order_rows.done_order(db, order_id))
            if done is not None:
                return done
            dead = await self._dead(selection)
            return await self._change(change, dead, selection, order_id)

    async def revive(self, mids: Iterable[int], intake: str, reason: str, why: str) -> Counted:
        """Queue dead copies again: these, or those of an intake whose reason begins so."""
        selection = Selection(intake, tuple(mids), dead=True)
        return await finished(self._revived(selection, reason, why), name="revive copies")

    async def _revived(self, selection: Selection, reason: str, why: str) -> Counted:
        async with self._one_at_a_time:
            dead = await self._dead(selection, reason)
            return await self._change(Retry(why), dead, selection, "")

    async def _dead(self, selection: Selection, reason: str = "") -> dict[str, array[int]]:
        if not selection.dead:
            return {}
        intake = selection.intake
        found = await self._writer.ask(lambda db: order_rows.dead_mids(db, intake, reason))
        if not selection.mids:
            return found
        wanted = frozenset(selection.mids)
        chosen = {name: array("q", wanted.intersection(mids)) for name, mids in found.items()}
        return {name: mids for name, mids in chosen.items() if mids}

    def _waiting(self, selection: Selection) -> Chosen:
        if not selection.waiting:
            return Chosen()
        mids = frozenset(selection.mids) if selection.mids else None
        return self._ledger().choose(selection.intake, mids)

    async def _change(
        self, change: Change, dead: dict[str, array[int]], selection: Selection, order_id: str
    ) -> Counted:
        async with self._reading:
            # No await between the two: memory, and what is to be written, change alike.
            ledger, now = self._ledger(), self._clock()
            chosen = replace(self._waiting(selection), dead=dead)
            ledger.apply(change, chosen, now)
            self._before()
            try:
                return await self._write(change, list(_parts(chosen)), order_id, now)
            except TimeoutError:
                raise SpoolUnavailable(f"no write returned in time; {NOT_WRITTEN}") from None
            except SpoolUnavailable as error:
                raise SpoolUnavailable(f"{error.reason}; {NOT_WRITTEN}") from None
            finally:
                self._arrived()

    async def _write(self, change: Change, parts: list[Part], order_id: str, now: float) -> Counted:
        """Write all parts, each when the one before is written; a failure stops no other."""
        total, failure = Counted(), None
        for number, part in enumerate(parts, start=1):
            last = number == len(parts)
            done = self._mark(change, part, order_id if last else "", now, total)
            if failure is None or last:
                try:
                    total += await done
                except (TimeoutError, SpoolUnavailable) as error:
                    failure = failure or error
        if failure is not None:
            raise failure
        return total

    def _mark(
        self, change: Change, part: Part, order_id: str, now: float, before: Counted
    ) -> asyncio.Future[Counted]:
        done: asyncio.Future[Counted] = asyncio.get_running_loop().create_future()

        def written(counted: Counted, in_hand: Counted) -> None:
            if isinstance(change, Drop):
                self._ledger().remove_many(counted - in_hand)
            if not done.done():
                done.set_result(counted)

        self._writer.order(OrderMark(order_id, change, *part, now, before, written), done)
        return done


def _parts(chosen: Chosen) -> Iterator[Part]:
    """At most PART of the copies at a time; those in hand, which are few, first."""
    in_hand, waiting, dead = chosen.in_hand, _all(chosen.waiting), _all(chosen.dead)
    for start in range(0, max(len(waiting), len(dead), 1), PART):
        yield Part(waiting[start : start + PART], in_hand, dead[start : start + PART])
        in_hand = array("q")


def _all(by_intake: Mapping[str, array[int]]) -> array[int]:
    return array("q", chain.from_iterable(by_intake.values()))
