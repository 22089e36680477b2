"""The durable queue of copies: what ingest, deliver and status call.

A copy's life:

    hold            release            claim ... delivered
    -----> held ------------> queued ----------------------> gone
             |                 ^  |
     discard |        defer    |  | claim ... dead
             v     (deferred)  |  v
            gone            claim  dead

**Acknowledged means durable.** `hold` returns the MID when the copy and the names of its files are
synced to the disk; only then may the front end answer the MTA. All writes go through one thread,
in order, in groups that share an fsync (`writer`).

**At each moment the gateway still has the original, or we have the copy.** What a kill -9 or a
loss of power leaves:

| moment | in the file | after the restart |
|---|---|---|
| before a hold is committed | nothing | the MTA got no answer: it sends the message again |
| held, the next hop has not answered | held | queued: the original may have been accepted |
| released, the mark is not written | held | the same, so that mark need not be durable |
| discarded | nothing | nothing: a refused message must not be reported |
| sent, `delivered` is not written | queued | sent again, with the same report id |
| deferred or dead, not written | queued | tried again, sooner than it had to be |

A copy too many is harmless, a missing one is not: each doubtful case ends in a copy.

**When the file fails, delivery stops too.** What is delivered but can't be marked would be
delivered again after each restart. So while the file can't be opened or written nothing is taken
and nothing is claimed. Marks of what has already happened are kept in memory and written first,
and the file is tried again by itself. Originals do not wait for it: the front end passes or
refuses them, as the setting `spool.when_full` says.

**Exclusive.** A lock on the folder keeps a second agent out; a claim keeps two connections from
sending the same copy. All methods are called from one event loop and need no locks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.spool.database import MAX_CONTENT, Batch, DamagedCopy
from tdc.node_agent.spool.health import NOT_OPEN, SLOW_DISK, Bounds, Health
from tdc.node_agent.spool.ledger import Ledger
from tdc.node_agent.spool.opening import OpenedSpool
from tdc.node_agent.spool.rows import storable
from tdc.node_agent.spool.suspects import Hazard, Suspects
from tdc.node_agent.spool.values import (
    Backlog,
    Copy,
    CopyEvent,
    DeadLetter,
    SpoolFacts,
    SpoolFull,
    SpoolUnavailable,
)
from tdc.node_agent.spool.writer import Writer
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
        """Make it, not open yet; use `open` to get one."""
        self.arrived = asyncio.Event()
        self._clock = clock
        self._clock_lead = clock() - monotonic()
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
        self._writer = Writer(folder, clock, self._opened, self._lost, self._fault_changed)

    @classmethod
    async def open(cls, folder: Path, *, clock: Clock = wall, log: TdcLog | None = None) -> Spool:
        """Open or make the spool in `folder`.

        If that fails the spool is unhealthy, with the reason: it takes and gives nothing, and the
        file is tried again every few seconds. Only SpoolLocked is raised (it names the other's
        pid): another agent serves there. A file that can't be read is renamed to
        ``spool.damaged-<time>`` and shown as a warning in `facts`.
        """
        spool = cls(folder, clock, log)
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
        self._ledger.release(mid, self._clock())
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
        self._notice_clock()
        ledger = self._ledger
        popped = ledger.due.pop_due(now, limit, exclude_intakes)
        missing = [mid for _, mid, _ in popped if not ledger.is_recent(mid)]
        read: dict[int, Copy | DamagedCopy] = {}
        if missing:
            try:
                with ledger.reading(intake for intake, _, _ in popped):
                    read = await self._writer.ask(
                        lambda database: database.read_up_to(max_bytes, missing, self._suspects)
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
            elif isinstance(copy, DamagedCopy):
                self._mark_damaged_dead(copy)
            else:
                ledger.claim(copy, due_at)
                copies.append(copy)
        return copies

    def building(self, mid: int) -> AbstractContextManager[None]:
        """Note, while the body runs, that a claimed copy's report is being built.

        A copy during which the agent dies again and again is dead at the next open. The body must
        not await.
        """
        return self._suspects.marked(Hazard.BUILDING, mid)

    def unclaim(self, mids: Iterable[int]) -> None:
        """Return claimed copies to the queue, due as before; no attempt is counted."""
        now = self._clock()
        for mid in mids:
            self._ledger.unclaim(mid, now)
        self.arrived.set()

    def delivered(self, mid: int, *, reply: str, tls_version: str = "") -> asyncio.Future[None]:
        """The intake accepted the report: the copy leaves the spool; await it to know that durably.

        Like discard, defer and dead it does not raise when the file fails: the mark is kept, and is
        the first thing written when the file is back.
        """
        self._ledger.deliver(mid)
        text = f"{reply} ({tls_version})" if tls_version else reply
        return self._finished(mid, "delivered", text)

    async def defer(self, mid: int, *, next_at: float, reason: str) -> None:
        """An attempt failed: count it, and try again at `next_at` (Unix seconds)."""
        deferral = (mid, self._clock(), storable(reason), next_at)
        self._unmarked.discard(mid)
        try:
            await self._writer.mark(lambda batch: batch.deferred.append(deferral))
        finally:  # it waits again even if its scheduler is being stopped
            self._ledger.defer(mid, next_at)
            self.arrived.set()

    async def dead(self, mid: int, *, reason: str) -> None:
        """No more attempts: onto the dead-letter list, durably."""
        self._ledger.mark_dead(mid)
        self._unmarked.discard(mid)
        death = (mid, self._clock(), storable(reason))
        await self._writer.mark(lambda batch: batch.dead.append(death))

    def next_due(
        self, now: float, *, exclude_intakes: frozenset[str] = frozenset()
    ) -> float | None:
        """When the next copy is due (`now` if a copy is due already), or None."""
        self._notice_clock()
        next_at = self._ledger.due.next_at(exclude_intakes)
        return None if next_at is None else max(now, next_at)

    # Looking

    def facts(self) -> SpoolFacts:
        """What status shows, from memory."""
        ledger = self._ledger
        ages = [age for age in self._writer.oldest.values() if age is not None]
        waiting = bool(ledger.held or ledger.queued)
        return SpoolFacts(
            queued=ledger.queued,
            held=ledger.held,
            dead=ledger.dead,
            bytes=ledger.bytes,
            oldest=min(ages, default=None) if waiting else None,
            newest=ledger.newest if waiting else None,
            unhealthy=self._unhealthy(),
            warning=self._warning,
        )

    def destinations(self) -> Mapping[str, Backlog]:
        """Intake domain -> what waits for it, copies being delivered included."""
        return self._ledger.destinations(self._writer.oldest)

    async def history(self, mid: int) -> list[CopyEvent]:
        """What happened to a copy, oldest first; empty if the MID is not known.

        Raises SpoolUnavailable.
        """
        return await self._writer.ask(lambda database: database.history(mid))

    async def dead_letters(self, limit: int = 1_000) -> list[DeadLetter]:
        """The dead copies, oldest first for each intake; raises SpoolUnavailable."""
        return await self._writer.ask(lambda database: database.dead_letters(limit))

    # Inside

    def _notice_clock(self) -> None:
        """Bring all times forward if the wall clock was set back: no copy waits."""
        lead = self._clock() - monotonic()
        if lead < self._clock_lead - CLOCK_STEP:
            self._ledger.due.bring_forward(self._clock_lead - lead)
        elif lead <= self._clock_lead:
            return
        self._clock_lead = lead

    def _unhealthy(self) -> str | None:
        writer, since = self._writer, self._writer.busy_since
        takes = 0.0 if since is None else monotonic() - since
        return self._health.reason(takes, writer.busy_bytes)

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

        self._writer.submit(add)

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

    def _mark_damaged_dead(self, damaged: DamagedCopy) -> None:
        self._log.dead(damaged.mid, damaged.reason)
        self._unmarked.discard(damaged.mid)
        self._ledger.mark_dead(damaged.mid)
        death = (damaged.mid, self._clock(), damaged.reason)
        self._writer.submit(lambda batch: batch.dead.append(death))
