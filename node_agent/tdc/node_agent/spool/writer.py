"""The thread that owns the spool's file: group commit.

Order. Within a group new copies come first, then marks, so that a copy may be held and delivered
in one transaction. Groups are committed in the order in which they were handed over; while one is
under way the next gathers. A future is resolved after its group's commit has returned, never
before: that is what "acknowledged" means here.

The latch. A failed write or fsync closes it. The kernel reports a failed fsync once and then
forgets the lost pages, so trying again on the same file would succeed and acknowledge what is not
there. Instead the file is closed and opened again, about every RETRY seconds, and the latch opens
when a real commit has returned on the fresh connection. While it is closed
- holds fail, with the reason: the front end then passes or refuses the original;
- marks (deferred, dead, delivered, discarded) are kept, for they say what has already happened,
  and are the first transaction after recovery;
- copies whose hold failed are marked as finished as well: their commit may be found in the log
  after all, and a copy that was refused must not appear.

A slow disk closes it too: one write that is late by WRITE_TIMEOUT, beyond the time that its octets
need on a sound disk, and those that follow fail at once instead of after as long a wait each. It
opens when a commit has returned within PROMPT. The file is not open at first: opening it is the
first recovery.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from tdc.node_agent.spool.awake import LOOK_EVERY, Awake
from tdc.node_agent.spool.batch import Batch, OrderMark
from tdc.node_agent.spool.clock import SteadyClock
from tdc.node_agent.spool.database import Database
from tdc.node_agent.spool.group import (
    LINGER,
    LINGER_MARKS,
    Ask,
    CommitGroup,
    Result,
    resolve,
    set_done,
)
from tdc.node_agent.spool.health import NOT_OPEN, SLOW_DISK, SOUND_RATE
from tdc.node_agent.spool.opening import OpenedSpool, SpoolFile
from tdc.node_agent.spool.upkeep import REFRESH, SAVE_CLOCK, SWEEP_PAUSE, Upkeep
from tdc.node_agent.spool.values import Copy, Counted, Move, SpoolLocked, SpoolUnavailable
from tdc.shared.edge.clock import chance, monotonic

RETRY = 2.0
"""Seconds between two tries to open the file, give or take half."""
OPEN_TIMEOUT = 10.0
"""Seconds that the start waits for the file; then mail passes without it until it is open."""
WRITE_TIMEOUT = 10.0
"""Seconds after which a future of a write ends in TimeoutError; the write may still happen. The
octets of its group, and of those before it, have their time at SOUND_RATE besides."""
PROMPT = 1.0
"""Seconds within which the file must be open again and written to, after the disk was slow."""
ASK_TIMEOUT = 30.0
CLOSE_TIMEOUT = 20.0
REFUSED = "refused"
"""Outcome of a copy that was refused because the file failed."""

_T = TypeVar("_T")


class Writer:
    """Owns the file. Public methods belong to the event loop, `_run` and below to the thread.

    Called in the event loop: `on_opened` once, when the file is open for the first time;
    `on_lost(alarm)` when a new file had to be begun; `on_rescued(alarm)` when one was removed and
    made again without loss; `on_fault(reason)` when the file can't be used, else `on_fault(None)`.
    """

    busy_since: float | None = None
    busy_bytes = 0
    """Monotonic time at which the commit under way began, and the octets of its contents."""

    def __init__(
        self,
        path: Path,
        clock: SteadyClock,
        on_opened: Callable[[OpenedSpool], None],
        on_lost: Callable[[str], None],
        on_rescued: Callable[[str], None],
        on_fault: Callable[[str | None], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._clock = clock
        self._awake = Awake()
        post = self._loop.call_soon_threadsafe
        self._file = SpoolFile(
            path,
            clock,
            lambda opened: post(on_opened, opened),
            lambda alarm: post(on_lost, alarm),
            lambda alarm: post(on_rescued, alarm),
        )
        self.upkeep = Upkeep(self._file)
        self._post_fault = on_fault
        self._queue: queue.SimpleQueue[CommitGroup | None] = queue.SimpleQueue()
        self._gathering = CommitGroup()
        self._under_way = 0  # groups handed over and not finished
        self._bytes_under_way = 0
        self._late = False  # somebody waited for a write in vain
        self._slow = False  # that closed the latch
        self._shared = False  # the last group was for more than one caller
        self._lingering: asyncio.Handle | None = None
        self._linger_end = 0.0
        self._closing = False
        self._fault: str | None = NOT_OPEN
        self._retry_at = 0.0
        self._unwritten = Batch()
        self._clock_saved_at = 0.0
        self._begun: asyncio.Future[SpoolLocked | None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name="tdc-spool", daemon=True)

    async def start(self) -> None:
        """Start the thread and wait for the first try to open the file; raises SpoolLocked.

        Any other error is reported by `on_fault`, and the thread keeps trying.
        """
        self._thread.start()
        await asyncio.wait({self._begun}, timeout=OPEN_TIMEOUT)
        refusal = self._begun.result() if self._begun.done() else None
        if refusal is not None:
            raise refusal

    async def close(self) -> None:
        """Write what was submitted, end the thread, close the file, unlock its folder.

        A disk that does not answer is abandoned after CLOSE_TIMEOUT; the file then holds what was
        acknowledged.
        """
        self._closing = True
        if self._lingering is not None:
            self._lingering.cancel()
        self._hand_over()
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join, CLOSE_TIMEOUT)
        if not self._thread.is_alive():
            self._file.close()

    def submit(self, add: Callable[[Batch], None]) -> None:
        """Write what `add` adds with the next group; nobody waits for it."""
        add(self._gathering.batch)
        self._gathered(LINGER_MARKS)

    def mark(self, add: Callable[[Batch], None]) -> asyncio.Future[None]:
        """Write a mark; the future is done when it is durable.

        It never ends in an error: if the file fails, or after WRITE_TIMEOUT, it is done as well.
        The mark is kept then, and is the first thing written when the file is back.
        """
        future: asyncio.Future[None] = self._loop.create_future()
        add(self._gathering.batch)
        self._gathering.marks.append(future)
        self._gathered(LINGER_MARKS)
        return future

    def write_copy(self, copy: Copy) -> asyncio.Future[object]:
        """Write a new copy; the future is done when it is durable.

        It ends in SpoolUnavailable if the file fails, in TimeoutError after WRITE_TIMEOUT.
        """
        group = self._gathering
        group.highest_mid = max(group.highest_mid, copy.mid)
        group.intakes.add(copy.intake)
        group.held_bytes += len(copy.content)
        group.batch.held.append(copy)
        future: asyncio.Future[object] = self._loop.create_future()
        group.futures.append(future)
        self._gathered()
        return future

    def order(self, mark: OrderMark, done: asyncio.Future[Counted]) -> None:
        """Write an order; `mark.written` is called in the event loop when it is in the file.

        `done` ends in SpoolUnavailable if the file fails, in TimeoutError after WRITE_TIMEOUT; the
        order is kept then, like every mark.
        """

        def written(counted: Counted, in_hand: Counted) -> None:
            self._loop.call_soon_threadsafe(mark.written, counted, in_hand)

        if isinstance(mark.change, Move):
            self._gathering.intakes.add(mark.change.to)
        self._gathering.batch.orders.append(replace(mark, written=written))
        self._gathering.futures.append(done)  # type: ignore[arg-type]  # `written` ends it first
        self._gathered()

    async def ask(self, read: Callable[[Database], _T]) -> _T:
        """Return what `read` gives; raises SpoolUnavailable."""
        future: asyncio.Future[_T] = self._loop.create_future()
        self._gathering.asks.append(Ask(read, future))  # type: ignore[arg-type]
        self._gathered()
        try:
            async with asyncio.timeout(ASK_TIMEOUT):
                return await future
        except TimeoutError:
            raise SpoolUnavailable(f"no read returned within {ASK_TIMEOUT:.0f} s") from None

    def busy_for(self) -> float:
        """Seconds that the commit under way has taken, as far as this process ran; else 0."""
        since = self.busy_since
        return 0.0 if since is None else monotonic() - max(since, self._awake.woke_at)

    # Gathering

    def _gathered(self, linger: float = LINGER) -> None:
        group = self._gathering
        group.operations += 1
        if group.expiry is None:  # one timer for all that share the commit
            allowed = WRITE_TIMEOUT + self._bytes_under_way / SOUND_RATE
            group.expires_at = self._loop.time() + allowed
            self._look_again(group, group.expires_at)
        if group.is_full or self._closing:
            self._hand_over()
        elif not self._under_way:
            self._linger(linger)

    def _look_again(self, group: CommitGroup, end: float) -> None:
        due = min(end, self._loop.time() + LOOK_EVERY)
        group.expiry = self._loop.call_at(due, self._expire, group, due)

    def _expire(self, group: CommitGroup, due: float) -> None:
        """End the waits for a group, and close the latch: those who follow need not wait too."""
        now = self._loop.time()
        group.expires_at += self._awake.slept(due, now)
        end = group.expires_at + group.held_bytes / SOUND_RATE
        if now < end:
            self._look_again(group, end)
        elif group.awaited:
            self._late = True
            self._queue.put(CommitGroup())  # the thread is to see it, whatever it does
            self._post_fault(SLOW_DISK)
            group.expire()

    def _linger(self, seconds: float) -> None:
        """Hand the group over soon: after what the loop does now, or in `seconds` if shared."""
        if not self._shared:
            seconds = 0.0
        end = self._loop.time() + seconds
        if self._lingering is not None and self._linger_end <= end:
            return
        if self._lingering is not None:
            self._lingering.cancel()
        self._lingering = self._loop.call_at(end, self._lingered)
        self._linger_end = end

    def _lingered(self) -> None:
        self._lingering = None
        if not self._under_way:
            self._hand_over()

    def _hand_over(self) -> None:
        group, self._gathering = self._gathering, CommitGroup()
        if group.operations:
            self._shared = group.operations > 1
            self._under_way += 1
            self._bytes_under_way += group.held_bytes
            self._queue.put(group)

    def _finished(self, group: CommitGroup, settled: list[Result]) -> None:
        if group.expiry is not None:
            group.expiry.cancel()
        self._under_way -= 1
        self._bytes_under_way -= group.held_bytes
        if self._gathering.operations and not self._under_way:
            urgent = self._gathering.futures or self._gathering.asks
            self._linger(LINGER if urgent else LINGER_MARKS)
        resolve(settled)
        set_done(group.marks)

    # The thread

    def _run(self) -> None:
        self._begin()
        ended = False
        while not (ended and self._queue.empty()):
            group = self._next_group()
            ended |= group is None
            if group is None:
                continue
            self.busy_bytes = group.held_bytes
            self.busy_since = monotonic()
            settled = self._work(group)
            self.busy_since = None
            if group.operations:
                self._loop.call_soon_threadsafe(self._finished, group, settled)
        if self._fault is not None and self._unwritten:
            self._recover()  # a last try: what is not marked now is delivered again
        elif self._fault is None:
            self._try(lambda: self._file.database.write(Batch(clock=self._clock.anchor())))

    def _begin(self) -> None:
        """Open the file for the first time; `start` raises if another agent has it."""
        refusal = None
        self.busy_since = monotonic()
        try:
            self._open()
        except SpoolLocked as error:
            refusal = error
        except Exception as error:  # whatever it is, originals must pass
            self._failed(error)
        else:
            self._set_fault(None)
        self.busy_since = None
        self._loop.call_soon_threadsafe(self._begun.set_result, refusal)

    def _next_group(self) -> CommitGroup | None:
        """Wait for the next group; an empty one now and then without any. None ends."""
        timeout = RETRY / 2 if self._fault is not None else REFRESH
        if self.upkeep.sweeping and self._fault is None:
            timeout = SWEEP_PAUSE
        try:
            return self._queue.get(timeout=timeout)
        except queue.Empty:
            return CommitGroup()

    def _work(self, group: CommitGroup) -> list[Result]:
        """Commit and read for a group; return how each future ends."""
        if self._fault is not None and monotonic() >= self._retry_at:
            self._recover()
        if self._fault is None:
            self._try(lambda: self._write_group(group))
        if self._fault is not None:
            return self._refuse(group)
        settled: list[Result] = [(future, None, None) for future in group.futures]
        settled += [ask.answer(self._file.database) for ask in group.asks]
        if self._late:
            self._slow_disk()
        return settled

    def _slow_disk(self) -> None:
        """Close the latch: what is written is written, but nobody waits so long once more."""
        self._slow = True
        self._set_fault(SLOW_DISK)
        self._retry_at = monotonic() + RETRY * (0.5 + chance())

    def _write_group(self, group: CommitGroup) -> None:
        self._file.rescue()
        now = monotonic()
        self.upkeep.intakes |= group.intakes
        try:
            self._file.folder.reserve(group.highest_mid)
            if now - self._clock_saved_at >= SAVE_CLOCK:
                group.batch.clock = self._clock.anchor()
                self._clock_saved_at = now
            if group.batch:
                self._file.database.write(group.batch)
            self.upkeep.after(group, now)
        finally:
            self._file.folder.note_writes()

    def _refuse(self, group: CommitGroup) -> list[Result]:
        """Fail all who wait; keep the marks of what has already happened."""
        self._unwritten.keep_marks(group.batch, REFUSED)
        refused = SpoolUnavailable(self._fault or "")
        waiting = group.futures + [ask.future for ask in group.asks]
        return [(future, None, refused) for future in waiting]

    def _recover(self) -> None:
        """Open the file (again) and write what was kept; then the latch opens."""
        began = monotonic()
        self._late = False
        if not self._try(self._open):
            return
        if self._slow and monotonic() - began > PROMPT:
            self._slow_disk()
            return
        self._slow = False
        self._set_fault(None)

    def _open(self) -> None:
        self.upkeep.intakes |= self._file.open_or_reopen(self._unwritten)
        self._unwritten = Batch()
        self._clock_saved_at = 0.0
        self.upkeep.refresh()

    def _try(self, work: Callable[[], None]) -> bool:
        """Do `work`; whatever it raises closes the latch, for the thread must live."""
        try:
            work()
        except Exception as error:
            self._failed(error)
            return False
        return True

    def _failed(self, error: Exception) -> None:
        self._set_fault(self._file.failed(error))
        self._retry_at = monotonic() + RETRY * (0.5 + chance())

    def _set_fault(self, fault: str | None) -> None:
        if fault != self._fault:
            self._fault = fault
            self._loop.call_soon_threadsafe(self._post_fault, fault)
