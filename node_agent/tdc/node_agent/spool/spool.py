"""The spool as ingest, deliver and status call it; what it promises stands in `__init__`.

All methods are called from one event loop and need no locks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.spool import look
from tdc.node_agent.spool.batch import Batch
from tdc.node_agent.spool.claims import Claims
from tdc.node_agent.spool.clock import MachineClocks, SteadyClock
from tdc.node_agent.spool.database import MAX_CONTENT
from tdc.node_agent.spool.faults import DamagedCopy
from tdc.node_agent.spool.health import NOT_OPEN, SLOW_DISK, Bounds, Health
from tdc.node_agent.spool.intake_book import IntakeBook
from tdc.node_agent.spool.ledger import Ledger
from tdc.node_agent.spool.opening import OpenedSpool
from tdc.node_agent.spool.orders import Orders
from tdc.node_agent.spool.rows import storable
from tdc.node_agent.spool.suspects import Hazard, Suspects
from tdc.node_agent.spool.values import (
    Backlog,
    Copy,
    CopyEvent,
    IntakeBacklog,
    SpoolFacts,
    SpoolFull,
    SpoolUnavailable,
)
from tdc.node_agent.spool.writer import Writer
from tdc.shared.mail.envelope import Envelope

RELEASE_MARK_DELAY = 1.0
"""Seconds that the mark of a release may wait; a copy delivered sooner never needs it."""
_STOPPING = "the agent is stopping"


class Spool:
    """One folder with one SQLite file. All methods are called from one event loop."""

    arrived: asyncio.Event
    """Set by release, unclaim, orders and recovery: there may be something to claim. The scheduler
    clears it before it looks."""

    orders: Orders
    """What operators order."""

    intakes: IntakeBook
    """The facts of each intake that a copy may be for."""

    def __init__(self, folder: Path, clocks: MachineClocks, log: TdcLog | None) -> None:
        """Make it, not open yet; use `open` to get one."""
        self.arrived = asyncio.Event()
        self._clock = SteadyClock(clocks)
        self._log = log or TdcLog()
        self._bounds = Bounds(max_messages=500_000, max_bytes=10 * 1024**3)
        self._health = Health(NOT_OPEN)
        self._reported_unhealthy = False
        self._warning: str | None = None
        self._ledger = Ledger()
        self._suspects = Suspects()
        self._mid = 0
        self._unmarked: set[int] = set()
        self._mark_timer: asyncio.TimerHandle | None = None
        self._writer = Writer(
            folder, self._clock, self._opened, self._lost, self._rescued, self._fault_changed
        )
        submit = self._writer.submit
        self.intakes = IntakeBook(submit, lambda: self._ledger, self._clock, self._log)
        self._claims = Claims(self._writer, self._mark_damaged_dead)
        self.orders = Orders(
            self._writer,
            lambda: self._ledger,
            self._clock,
            self._claims.reading,
            self._mark_released,
            self.arrived.set,
        )

    @classmethod
    async def open(
        cls, folder: Path, *, clocks: MachineClocks | None = None, log: TdcLog | None = None
    ) -> Spool:
        """Open or make the spool in `folder`.

        If that fails the spool is unhealthy, with the reason: it takes and gives nothing, and the
        file is tried again every few seconds. Only SpoolLocked is raised (it names the other's
        pid): another agent serves there. A file that can't be read is renamed to
        ``spool.damaged-<time>`` and shown as a warning in `facts`.
        """
        spool = cls(folder, clocks or MachineClocks(), log)
        try:
            await spool._writer.start()
        except BaseException:
            await spool.close()
            raise
        if spool._health.fault == NOT_OPEN:
            spool._report_unhealthy(NOT_OPEN)
        return spool

    async def close(self) -> None:
        """Write what is waiting, close the file, unlock the folder."""
        if self._mark_timer is not None:
            self._mark_timer.cancel()
        self._mark_released()
        self._health.fault = _STOPPING
        await self._writer.close()

    def set_limits(self, max_messages: int, max_bytes: int) -> None:
        """Set the bounds (settings `spool.max_messages`, `spool.max_bytes`)."""
        self._bounds = Bounds(max_messages, max_bytes)

    def now(self) -> float:
        """The spool's own time (steady.py), by which copies are due and grow old."""
        return self._clock()

    # Taking

    async def hold(self, envelope: Envelope, content: bytes, intake: str, report_id: str) -> int:
        """Take a copy; it is durable when its MID is returned.

        Raises SpoolFull, SpoolUnavailable; then, and when cancelled, there is no copy.
        """
        self._check_health()
        size = len(content)
        if size > MAX_CONTENT:
            raise SpoolFull(f"a copy of {size} bytes is more than the spool can hold")
        if (refusal := self.refusal(size)) is not None:
            raise SpoolFull(f"the spool is full: {refusal}")
        ledger = self._ledger
        self._mid += 1
        now, dated = self._clock(), self._clock.wall()
        copy = Copy(self._mid, report_id, intake, envelope, content, now, dated=dated)
        ledger.add(size)
        try:
            await self._writer.write_copy(copy)
        except TimeoutError:
            self._forget_hold(copy)
            raise SpoolUnavailable(SLOW_DISK) from None
        except SpoolUnavailable:
            ledger.remove(size)
            raise
        except BaseException:
            self._forget_hold(copy)
            raise
        ledger.add_held(copy)
        return copy.mid

    def release(self, mid: int) -> None:
        """The next hop accepted the original: the copy is due now.

        The row is marked within a second, unless the copy is delivered before. A crash before
        that changes nothing: a held row becomes due at open.
        """
        self._ledger.release(mid)
        self._unmarked.add(mid)
        if self._mark_timer is None:
            loop = asyncio.get_running_loop()
            self._mark_timer = loop.call_later(RELEASE_MARK_DELAY, self._mark_released)
        self.arrived.set()

    async def discard(self, mid: int) -> None:
        """The next hop refused the original: the copy leaves the spool, durably."""
        self._ledger.discard(mid)
        await self._finished(mid, "discarded", "the next hop did not take the original")

    # Delivering

    async def claim(
        self,
        now: float,
        limit: int,
        *,
        max_bytes: int = MAX_CONTENT,
        exclude_intakes: frozenset[str] = frozenset(),
    ) -> list[Copy]:
        """Return due copies, oldest first; nobody else gets them until unclaim or defer.

        After the copy that reaches `max_bytes` of content none is read from the file: a backlog of
        large messages must not fill the memory. A damaged copy becomes dead and the others flow.
        Empty while the file can't be written.
        """
        if self._unhealthy() is not None:
            return []
        due, suspects = self._ledger.due, self._suspects
        return await self._claims.claim(
            self._ledger, suspects, lambda: due.pop_due(now, limit, exclude_intakes), max_bytes
        )

    def hasten(self, intake: str) -> bool:
        """Have one waiting copy due now, in memory alone, if none is; False if none waits."""
        return self._ledger.due.hasten(intake, self.now())

    def may_send(self, copy: Copy) -> bool:
        """Whether a claimed copy is still to be sent; if not it must be unclaimed.

        An operator may have moved or dropped it meanwhile.
        """
        return self._ledger.may_send(copy)

    @property
    def recalls(self) -> int:
        """Grows when `may_send` may have become false for a claimed copy."""
        return self._ledger.recalls

    def building(self, mid: int) -> AbstractContextManager[None]:
        """Note, while the body runs, that a claimed copy's report is being built.

        A copy during which the agent dies again and again is dead at the next open. The body must
        not await.
        """
        return self._suspects.marked(Hazard.BUILDING, mid)

    def unclaim(self, mids: Iterable[int]) -> None:
        """Return claimed copies to the queue, due as before; no attempt is counted."""
        for mid in mids:
            self._ledger.unclaim(mid)
        self.arrived.set()

    def delivered(self, mid: int, *, reply: str, tls_version: str = "") -> asyncio.Future[None]:
        """The intake accepted the report: the copy leaves the spool; await it to know that durably.

        Like discard, defer and dead it does not raise when the file fails: the mark is kept, and is
        the first thing written when the file is back.
        """
        self._ledger.deliver(mid)
        return self._finished(mid, "delivered", f"{reply} ({tls_version})".removesuffix(" ()"))

    async def defer(self, mid: int, *, next_at: float, reason: str) -> None:
        """An attempt failed: count it, and try again at `next_at` (steady seconds).

        A copy that an operator moved or dropped meanwhile is only given back; so it is by `dead`.
        """
        if self._ledger.is_recalled(mid):
            self.unclaim([mid])
            return
        deferral = (mid, self._clock(), storable(reason), next_at)
        self._unmarked.discard(mid)
        try:
            await self._writer.mark(lambda batch: batch.deferred.append(deferral))
        finally:  # it waits again even if its scheduler is being stopped
            if self._ledger.is_recalled(mid):
                self._ledger.unclaim(mid)
            else:
                self._ledger.defer(mid, next_at)
            self.arrived.set()

    async def dead(self, mid: int, *, reason: str) -> None:
        """No more attempts: onto the dead-letter list, durably."""
        if self._ledger.is_recalled(mid):
            self.unclaim([mid])
            return
        self._ledger.mark_dead(mid)
        self._unmarked.discard(mid)
        death = (mid, self._clock(), storable(reason))
        await self._writer.mark(lambda batch: batch.dead.append(death))

    def next_due(
        self, now: float, *, exclude_intakes: frozenset[str] = frozenset()
    ) -> float | None:
        """When the next copy is due (`now` if a copy is due already), or None."""
        next_at = self._ledger.due.next_at(exclude_intakes)
        return None if next_at is None else max(now, next_at)

    # Looking

    def refusal(self, size: int) -> str | None:
        """Why a copy of `size` bytes has no room now; None if it has."""
        ledger = self._ledger
        free, reusable = self._writer.upkeep.free_bytes, self._writer.upkeep.reusable_bytes
        return self._bounds.refusal(ledger.messages, ledger.bytes, size, free, reusable)

    def facts(self) -> SpoolFacts:
        """What status shows, from memory."""
        ledger = self._ledger
        ages = [age for age in self._writer.upkeep.oldest.values() if age is not None]
        waiting = bool(ledger.held or ledger.queued)
        oldest, newest = min(ages, default=None), ledger.newest
        return SpoolFacts(
            queued=ledger.queued,
            held=ledger.held,
            dead=ledger.dead,
            bytes=ledger.bytes,
            oldest=self._shown(oldest) if waiting else None,
            newest=self._shown(newest) if waiting else None,
            unhealthy=self._unhealthy(),
            warning=self._warning,
        )

    def destinations(self) -> Mapping[str, Backlog]:
        """Intake domain -> what waits for it, copies being delivered included."""
        return self._ledger.destinations(self._oldest())

    def backlogs(self) -> Mapping[str, IntakeBacklog]:
        """Intake address -> what waits for it, and what is dead."""
        return self._ledger.backlogs(self._oldest())

    def _oldest(self) -> dict[str, float | None]:
        return {intake: self._shown(age) for intake, age in self._writer.upkeep.oldest.items()}

    def _shown(self, at: float | None) -> float | None:
        return None if at is None else self._clock.shown(at)

    async def history(self, mid: int) -> list[CopyEvent]:
        """What happened to a copy, oldest first; empty if the MID is not known.

        Raises SpoolUnavailable.
        """
        events = await self._writer.ask(lambda database: look.history(database, mid))
        return [replace(event, at=self._clock.shown(event.at)) for event in events]

    # Inside

    def _unhealthy(self) -> str | None:
        return self._health.reason(self._writer.busy_for(), self._writer.busy_bytes)

    def _check_health(self) -> None:
        reason = self._unhealthy()
        if reason is not None:
            raise SpoolUnavailable(reason)

    def _opened(self, opened: OpenedSpool) -> None:
        """The file is open for the first time: nothing was taken or claimed before."""
        self._ledger = opened.ledger
        self._mid = opened.highest_mid
        self._warning = opened.warning
        self._suspects = opened.suspects
        self.intakes.opened(opened.intakes)
        if opened.warning is not None:
            self._log.error(opened.warning)
        for mid, reason in opened.found_dead.items():
            self._log.dead(mid, reason)
        if opened.were_held:
            self._log.warning(
                f"{opened.were_held} copies were waiting for the next hop's answer when the agent "
                "died. They are delivered, and again if the gateway sends the messages again"
            )

    def _lost(self, warning: str) -> None:
        """A new file had to be begun while we run: write the copies that are in memory into it."""
        copies, released = self._ledger.lose_file()
        self._warning = warning
        self._log.error(f"{warning}; the {len(copies)} copies still in memory are kept")

        def add(batch: Batch) -> None:
            batch.held += copies
            batch.released += released

        self.intakes.lost()
        self._writer.submit(add)

    def _rescued(self, warning: str) -> None:
        self._warning = warning
        self._log.error(warning)

    def _fault_changed(self, fault: str | None) -> None:
        if self._health.fault == _STOPPING or (fault is not None and fault == self._health.fault):
            return
        self._health.fault = fault
        if fault is not None:
            self._report_unhealthy(fault)
            return
        if self._reported_unhealthy:
            self._log.spool_healthy()
        self.arrived.set()

    def _report_unhealthy(self, reason: str) -> None:
        self._reported_unhealthy = True
        self._log.spool_unhealthy(reason)

    def _forget_hold(self, copy: Copy) -> None:
        """Remove a copy whose taker went away; the group may have been committed or not."""
        self._ledger.remove(len(copy.content))
        end = (copy.mid, self._clock(), "discarded", "its taker went away")
        self._writer.submit(lambda batch: batch.finished.append(end))

    def _mark_released(self) -> None:
        self._mark_timer = None
        if self._unmarked:
            mids, self._unmarked = list(self._unmarked), set()
            self._writer.submit(lambda batch: batch.released.extend(mids))

    def _finished(self, mid: int, outcome: str, text: str) -> asyncio.Future[None]:
        self._unmarked.discard(mid)
        end = (mid, self._clock(), outcome, storable(text))
        return self._writer.mark(lambda batch: batch.finished.append(end))

    def _mark_damaged_dead(self, damaged: DamagedCopy, intake: str) -> None:
        self._log.dead(damaged.mid, damaged.reason)
        self._unmarked.discard(damaged.mid)
        self._ledger.add_dead(intake)
        death = (damaged.mid, self._clock(), damaged.reason)
        self._writer.submit(lambda batch: batch.dead.append(death))
