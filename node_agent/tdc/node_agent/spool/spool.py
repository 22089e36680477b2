"""The durable queue of copies: what ingest, deliver and status call.

Promises: `hold` returns when the copy survives kill -9 and power loss; a copy leaves the spool
only by `delivered` or `discard`; nobody claims a copy twice; while the file can't be opened or
written nothing is taken and nothing is claimed, and it heals by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.spool.database import (
    MAX_CONTENT,
    Batch,
    Damage,
    Database,
)
from tdc.node_agent.spool.errors import SpoolFull, SpoolUnavailable
from tdc.node_agent.spool.health import NOT_OPEN, Bounds, Health
from tdc.node_agent.spool.ledger import Ledger
from tdc.node_agent.spool.opening import Opened
from tdc.node_agent.spool.suspects import Step, Suspects
from tdc.node_agent.spool.values import (
    Copy,
    CopyState,
    Destination,
    Event,
    Setaside,
    SpoolFacts,
)
from tdc.node_agent.spool.writer import WRITE_TIMEOUT, Writer
from tdc.shared.edge.clock import Clock, monotonic, wall
from tdc.shared.mail.envelope import Envelope

RELEASE_MARK_DELAY = 1.0
"""Seconds that the mark of a release may wait; a copy delivered sooner never needs it."""
CLOCK_STEP = 10.0
"""Seconds back that count as the clock being set; less is drift, and only delays by itself."""
_STOPPING = "the agent is stopping"


class Spool:
    """One folder with one SQLite file. All methods are called from one event loop."""

    arrived: asyncio.Event
    """Set by release, unclaim and recovery: there may be something to claim. The scheduler
    clears it before it looks."""

    def __init__(self, folder: Path, clock: Clock, log: TdcLog | None) -> None:
        """Make it, not open yet; `open` is the way to get one."""
        self.arrived = asyncio.Event()
        self._clock = clock
        self._clock_lead = clock() - monotonic()
        self._log = log or TdcLog()
        self._bounds = Bounds(max_messages=500_000, max_bytes=10 * 1024**3)
        self._health = Health(NOT_OPEN)
        self._told_unhealthy = False
        self._warning: str | None = None
        self._ledger = Ledger()
        self._suspects = Suspects()
        self._mid = 0
        self._unmarked: set[int] = set()
        self._mark_timer: asyncio.TimerHandle | None = None
        self._writer = Writer(folder, clock, self._opened, self._lost, self._fault_changed)

    @classmethod
    async def open(cls, folder: Path, *, clock: Clock = wall, log: TdcLog | None = None) -> Spool:
        """Open or make the spool in `folder`.

        If that fails the spool is there all the same, unhealthy with the reason: it takes and
        gives nothing, and the file is tried again every few seconds, for originals must not wait
        for it. Only SpoolLocked (names the other's pid) is raised: another agent serves there.

        A copy that was held when the agent died becomes due: the original may have been
        accepted, and a copy twice is better than none. A file that can't be read is renamed to
        ``spool.damaged-<time>`` and shown as a warning in `facts`.
        """
        spool = cls(folder, clock, log)
        try:
            await spool._writer.start()
        except BaseException:
            await spool.close()
            raise
        if spool._health.fault == NOT_OPEN:
            spool._tell_unhealthy(NOT_OPEN)
        return spool

    async def close(self) -> None:
        """Write what is waiting, close the file, let go of the lock."""
        if self._mark_timer is not None:
            self._mark_timer.cancel()
        self._mark_released()
        self._health.fault = _STOPPING
        await self._writer.close()

    def set_limits(self, max_messages: int, max_bytes: int) -> None:
        """Set the bounds (settings `spool.max_messages`, `spool.max_bytes`)."""
        self._bounds = Bounds(max_messages, max_bytes)

    # Taking

    async def hold(self, envelope: Envelope, content: bytes, intake: str, report_id: str) -> int:
        """Take a copy; it is durable when its MID is returned.

        Raises SpoolFull, SpoolUnavailable; then, and when cancelled, there is no copy.
        """
        self._check_health()
        size = len(content)
        if size > MAX_CONTENT:
            raise SpoolFull(f"a copy of {size} bytes is more than the spool can hold")
        ledger = self._ledger
        free = self._writer.free_bytes
        refusal = self._bounds.refusal(ledger.messages, ledger.bytes, size, free)
        if refusal is not None:
            raise SpoolFull(f"the spool is full: {refusal}")
        self._mid += 1
        now = self._clock()
        copy = Copy(self._mid, report_id, intake, envelope, content, now)
        ledger.add(size)
        try:
            await self._writer.hold(copy)
        except TimeoutError:
            self._forget_hold(copy)
            raise SpoolUnavailable(f"no write returned within {WRITE_TIMEOUT:.0f} s") from None
        except SpoolUnavailable:
            ledger.remove(size)
            raise
        except BaseException:
            self._forget_hold(copy)
            raise
        ledger.hold(copy)
        return copy.mid

    def release(self, mid: int) -> None:
        """The next hop accepted the original: the copy is due now.

        The row is marked within a second, unless the copy is delivered before. A crash before
        that changes nothing: a held row becomes due at open.
        """
        self._ledger.release(mid, self._clock())
        self._unmarked.add(mid)
        if self._mark_timer is None:
            loop = asyncio.get_running_loop()
            self._mark_timer = loop.call_later(RELEASE_MARK_DELAY, self._mark_released)
        self.arrived.set()

    async def discard(self, mid: int) -> None:
        """The next hop refused the original: the copy goes away, durably."""
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

        Behind the copy that reaches `max_bytes` of content none is read from the file: a
        backlog of large messages must not fill the memory. A damaged row is set aside and the
        others flow. Empty while the file can't be written: what is delivered then could not be
        marked, and would be delivered again and again.
        """
        if self._unhealthy() is not None:
            return []
        self._notice_clock()
        ledger = self._ledger
        popped = ledger.due.pop_due(now, limit, exclude_intakes)
        missing = [mid for _, mid, _ in popped if not ledger.is_recent(mid)]
        read: dict[int, Copy | Damage] = {}
        if missing:
            try:
                with ledger.reading(intake for intake, _, _ in popped):
                    read = await self._writer.ask(
                        lambda database: _read_within(database, missing, max_bytes, self._suspects)
                    )
            except BaseException as error:
                for intake, mid, due_at in popped:
                    ledger.due.push(intake, mid, due_at)
                if isinstance(error, SpoolUnavailable):
                    return []
                raise
        copies = []
        for intake, mid, due_at in popped:
            copy = ledger.recall(mid) or read.get(mid)
            if copy is None:
                ledger.due.push(intake, mid, due_at)
            elif isinstance(copy, Damage):
                self._set_aside_damaged(copy)
            else:
                ledger.claim(copy, due_at)
                copies.append(copy)
        return copies

    def building(self, mid: int) -> AbstractContextManager[None]:
        """Return what notes that a claimed copy's report is built while the body runs.

        A copy during which the agent dies again and again is set aside at open. The body must
        not await.
        """
        return self._suspects.marked(Step.BUILDING, mid)

    def unclaim(self, mids: Iterable[int]) -> None:
        """Give claimed copies back, due as before; no attempt is counted."""
        now = self._clock()
        for mid in mids:
            self._ledger.unclaim(mid, now)
        self.arrived.set()

    def delivered(self, mid: int, *, reply: str, tls_version: str = "") -> asyncio.Future[None]:
        """The intake accepted the report: the copy is removed; await it to know that durably.

        Like discard, defer and dead it does not raise when the file fails: the mark is kept
        and is the first thing written when the file is back.
        """
        self._ledger.finish(mid)
        text = f"{reply} ({tls_version})" if tls_version else reply
        return self._finished(mid, "delivered", text)

    async def defer(self, mid: int, *, next_at: float, reason: str) -> None:
        """An attempt failed: count it, and try again at `next_at` (Unix seconds)."""
        defer = (mid, self._clock(), next_at, _clean(reason), "deferred")
        self._unmarked.discard(mid)
        try:
            await self._writer.mark(lambda batch: batch.defers.append(defer))
        finally:  # it waits again even if its scheduler is being stopped
            self._ledger.put_off(mid, next_at)
            self.arrived.set()

    async def dead(self, mid: int, *, reason: str) -> None:
        """No more attempts: onto the dead-letter list, durably."""
        self._ledger.put_aside(mid, CopyState.DEAD)
        self._unmarked.discard(mid)
        aside = (mid, self._clock(), CopyState.DEAD, _clean(reason), CopyState.DEAD)
        await self._writer.mark(lambda batch: batch.asides.append(aside))

    def next_due(
        self, now: float, *, exclude_intakes: frozenset[str] = frozenset()
    ) -> float | None:
        """Return when the next copy is due (`now` if one is due already), or None."""
        self._notice_clock()
        next_at = self._ledger.due.next_at(exclude_intakes)
        return None if next_at is None else max(now, next_at)

    # Looking

    def facts(self) -> SpoolFacts:
        """Return what status shows, from memory."""
        ledger = self._ledger
        ages = [age for age in self._writer.oldest.values() if age is not None]
        waiting = bool(ledger.held or ledger.queued)
        return SpoolFacts(
            queued=ledger.queued,
            held=ledger.held,
            dead=ledger.aside[CopyState.DEAD],
            damaged=ledger.aside[CopyState.DAMAGED],
            bytes=ledger.bytes,
            oldest=min(ages, default=None) if waiting else None,
            newest=ledger.newest if waiting else None,
            unhealthy=self._unhealthy(),
            warning=self._warning,
        )

    def destinations(self) -> Mapping[str, Destination]:
        """Return intake domain -> what waits for it, copies being delivered included."""
        return self._ledger.destinations(self._writer.oldest)

    async def history(self, mid: int) -> list[Event]:
        """Return what happened to a copy, oldest first; empty if the MID is not known.

        Raises SpoolUnavailable.
        """
        return await self._writer.ask(lambda database: database.history(mid))

    async def dead_letters(self, limit: int = 1_000) -> list[Setaside]:
        """Return the dead-letter list, oldest first; raises SpoolUnavailable."""
        return await self._writer.ask(lambda database: database.listing(CopyState.DEAD, limit))

    async def damaged(self, limit: int = 1_000) -> list[Setaside]:
        """Return the copies whose row is damaged; raises SpoolUnavailable."""
        return await self._writer.ask(lambda database: database.listing(CopyState.DAMAGED, limit))

    # Inside

    def _notice_clock(self) -> None:
        """Bring all times forward if the wall clock was set back: nobody waits for it to return."""
        lead = self._clock() - monotonic()
        if lead < self._clock_lead - CLOCK_STEP:
            self._ledger.due.bring_forward(self._clock_lead - lead)
        elif lead <= self._clock_lead:
            return
        self._clock_lead = lead

    def _unhealthy(self) -> str | None:
        since = self._writer.busy_since
        return self._health.reason(0.0 if since is None else monotonic() - since)

    def _check_health(self) -> None:
        reason = self._unhealthy()
        if reason is not None:
            raise SpoolUnavailable(reason)

    def _opened(self, opened: Opened) -> None:
        """The file is open for the first time: nothing was taken or claimed before."""
        self._ledger = opened.ledger
        self._mid = opened.highest_mid
        self._warning = opened.warning
        self._suspects = opened.suspects
        if opened.warning is not None:
            self._log.error(opened.warning)
        for mid, reason in opened.damaged.items():
            self._log.damaged(mid, reason)
        if opened.were_held:
            self._log.warning(
                f"{opened.were_held} copies were waiting for the next hop's answer when the agent "
                "ended; they are delivered, and may be repeated if the gateway sends them again"
            )

    def _lost(self, warning: str) -> None:
        """A new file had to be begun while we run: give it the copies that are in memory."""
        copies, released = self._ledger.lose_file()
        self._warning = warning
        self._log.error(f"{warning}; {len(copies)} copies of the last moments are kept")

        def add(batch: Batch) -> None:
            batch.holds += copies
            batch.releases += released

        self._writer.submit(add)

    def _fault_changed(self, fault: str | None) -> None:
        if self._health.fault == _STOPPING:
            return
        self._health.fault = fault
        if fault is not None:
            self._tell_unhealthy(fault)
            return
        if self._told_unhealthy:
            self._log.spool_healthy()
        self.arrived.set()

    def _tell_unhealthy(self, reason: str) -> None:
        self._told_unhealthy = True
        self._log.spool_unhealthy(reason)

    def _forget_hold(self, copy: Copy) -> None:
        """Remove a copy whose taker went away; the group may have been committed or not."""
        self._ledger.remove(len(copy.content))
        finish = (copy.mid, self._clock(), "discarded", "its taker went away")
        self._writer.submit(lambda batch: batch.finishes.append(finish))

    def _mark_released(self) -> None:
        self._mark_timer = None
        if self._unmarked:
            mids, self._unmarked = list(self._unmarked), set()
            self._writer.submit(lambda batch: batch.releases.extend(mids))

    def _finished(self, mid: int, outcome: str, text: str) -> asyncio.Future[None]:
        self._unmarked.discard(mid)
        finish = (mid, self._clock(), outcome, _clean(text))
        return self._writer.mark(lambda batch: batch.finishes.append(finish))

    def _set_aside_damaged(self, damage: Damage) -> None:
        self._log.damaged(damage.mid, damage.reason)
        self._unmarked.discard(damage.mid)
        self._ledger.aside[CopyState.DAMAGED] += 1
        aside = (damage.mid, self._clock(), CopyState.DAMAGED, damage.reason, CopyState.DAMAGED)
        self._writer.submit(lambda batch: batch.asides.append(aside))


def _read_within(
    database: Database, mids: Iterable[int], max_bytes: int, suspects: Suspects
) -> dict[int, Copy | Damage]:
    """Return the copies up to the one, the first at least, that reaches `max_bytes`."""
    read: dict[int, Copy | Damage] = {}
    room = max_bytes
    for mid in mids:
        with suspects.marked(Step.READING, mid):
            found = read[mid] = database.read(mid)
        room -= len(found.content) if isinstance(found, Copy) else 0
        if room <= 0:
            break
    return read


def _clean(text: str) -> str:
    """Return text that SQLite can store: bytes that were not UTF-8 (surrogates) are escaped."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
