"""The one thread that writes the spool's file: group commit.

What is to be written gathers in the event loop and is handed over as one group, which is one
transaction: the cost of an fsync is shared by all who wait for it, and the thread takes the
interpreter lock from the loop once for all of them. Promises: a future is resolved after its
commit, never before; no copy is taken before the file is open, nor after a failed write until a
write on a freshly opened file succeeds; marks of copies that left the spool (delivered, deferred,
dead) are kept meanwhile and written first.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from tdc.node_agent.spool.database import MAX_CONTENT, Batch, Database, Read
from tdc.node_agent.spool.errors import SpoolLocked, SpoolUnavailable
from tdc.node_agent.spool.health import FREE_RESERVE, NOT_OPEN
from tdc.node_agent.spool.opening import Opened, SpoolFile
from tdc.node_agent.spool.values import Copy
from tdc.shared.edge.clock import Clock, chance, monotonic

GROUP_OPERATIONS = 1_000
GROUP_BYTES = 32 * 1024**2
LINGER = 0.001
"""Seconds that a group gathers while there are others to share its commit with. A lone caller
does not wait: what follows a group of one goes at once."""
LINGER_MARKS = 0.004
"""The same for marks alone: only the connection that made one waits for it, and not for each."""
RETRY = 2.0
"""Seconds between two tries to open the file, give or take half."""
OPEN_TIMEOUT = 10.0
"""Seconds that the start waits for the file; then mail passes without it until it is open."""
WRITE_TIMEOUT = 10.0
"""Seconds after which a future of a write ends in TimeoutError; the write may still happen."""
ASK_TIMEOUT = 30.0
CLOSE_TIMEOUT = 20.0
REFUSED = "refused"
"""Outcome of a copy that was refused because the file failed."""

REFRESH = 0.5
"""Seconds that the age of the oldest copy and the free space may lag behind under load."""
LOW_DISK = FREE_RESERVE + 2 * MAX_CONTENT
"""Free bytes below which a copy may be refused. Then nothing may be written any more, so the free
space is looked at again without a write, or a disk that was made room on would stay full to us."""

_Future = asyncio.Future[object]
_Settled = list[tuple[_Future, object, Exception | None]]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Ask:
    """Something to read between two commits."""

    read: Read
    future: _Future


@dataclass(slots=True)
class _Group:
    """One transaction, and what is to be read behind it."""

    batch: Batch = field(default_factory=Batch)
    futures: list[_Future] = field(default_factory=list)
    marks: list[asyncio.Future[None]] = field(default_factory=list)
    asks: list[Ask] = field(default_factory=list)
    intakes: set[str] = field(default_factory=set)
    highest_mid: int = 0
    operations: int = 0
    held_bytes: int = 0
    expiry: asyncio.TimerHandle | None = None

    @property
    def full(self) -> bool:
        return self.operations >= GROUP_OPERATIONS or self.held_bytes >= GROUP_BYTES


class Writer:
    """Owns the file. Public methods belong to the event loop, `_run` and below to the thread.

    Called in the event loop: `on_opened` once, when the file is open for the first time;
    `on_lost(alarm)` when it had to be begun anew; `on_fault(reason or None)` when it can't be
    used, and when it can (again).
    """

    oldest: dict[str, float | None]
    """Intake -> `taken_at` of its oldest copy; replaced by the thread, read anywhere."""

    free_bytes: int
    """Free space on the spool's disk, as fresh as `oldest`."""

    busy_since: float | None = None
    """Monotonic time at which the commit under way began."""

    def __init__(
        self,
        path: Path,
        clock: Clock,
        on_opened: Callable[[Opened], None],
        on_lost: Callable[[str], None],
        on_fault: Callable[[str | None], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._file = SpoolFile(path, clock, self._in_loop(on_opened), self._in_loop(on_lost))
        self._intakes: set[str] = set()
        self._on_fault = self._in_loop(on_fault)
        self._queue: queue.SimpleQueue[_Group | None] = queue.SimpleQueue()
        self._gathering = _Group()
        self._under_way = 0  # groups handed over and not finished
        self._shared = False  # the last group was for more than one caller
        self._lingering: asyncio.Handle | None = None
        self._linger_end = 0.0
        self._closing = False
        self._stale = False
        self._fault: str | None = NOT_OPEN
        self._retry_at = 0.0
        self._unwritten = Batch()
        self._refreshed_at = 0.0
        self.oldest = {}
        self.free_bytes = 0
        self._begun: asyncio.Future[SpoolLocked | None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name="tdc-spool", daemon=True)

    def _in_loop(self, call: Callable[[_T], None]) -> Callable[[_T], None]:
        """Return what the thread calls to have `call` called in the event loop."""

        def post(value: _T) -> None:
            self._loop.call_soon_threadsafe(call, value)

        return post

    async def start(self) -> None:
        """Start the thread and wait for the first try to open the file; raises SpoolLocked.

        Any other trouble is told by `on_fault`, and the thread goes on trying.
        """
        self._thread.start()
        await asyncio.wait({self._begun}, timeout=OPEN_TIMEOUT)
        refusal = self._begun.result() if self._begun.done() else None
        if refusal is not None:
            raise refusal

    async def close(self) -> None:
        """Write what was submitted, end the thread, close the file, let go of its folder.

        A disk that does not answer is left behind after CLOSE_TIMEOUT; what is in the file then
        is what was acknowledged.
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
        """Have it written with the next group, without waiting."""
        add(self._gathering.batch)
        self._gathered(LINGER_MARKS)

    def mark(self, add: Callable[[Batch], None]) -> asyncio.Future[None]:
        """Have a mark written; the future is done when it is durable.

        It never ends in an error: if the file fails, or after WRITE_TIMEOUT, it is done as well;
        the mark is kept then, and is the first thing written when the file is back.
        """
        future: asyncio.Future[None] = self._loop.create_future()
        add(self._gathering.batch)
        self._gathering.marks.append(future)
        self._gathered(LINGER_MARKS)
        return future

    def hold(self, copy: Copy) -> _Future:
        """Have a new copy written; the future is done when it is durable.

        It ends in SpoolUnavailable if the file fails, in TimeoutError after WRITE_TIMEOUT.
        """
        group = self._gathering
        group.highest_mid = max(group.highest_mid, copy.mid)
        group.intakes.add(copy.intake)
        group.held_bytes += len(copy.content)
        group.batch.holds.append(copy)
        future: _Future = self._loop.create_future()
        group.futures.append(future)
        self._gathered()
        return future

    async def ask(self, read: Callable[[Database], _T]) -> _T:
        """Return what `read` gives; raises SpoolUnavailable."""
        future: asyncio.Future[_T] = self._loop.create_future()
        # A future of what `read` gives
        self._gathering.asks.append(Ask(read, future))  # type: ignore[arg-type]
        self._gathered()
        try:
            async with asyncio.timeout(ASK_TIMEOUT):
                return await future
        except TimeoutError:
            raise SpoolUnavailable(f"no read returned within {ASK_TIMEOUT:.0f} s") from None

    # Gathering

    def _gathered(self, linger: float = LINGER) -> None:
        group = self._gathering
        group.operations += 1
        if group.expiry is None:  # one timer for all that share the commit
            group.expiry = self._loop.call_later(WRITE_TIMEOUT, _expire, group)
        if group.full or self._closing:
            self._hand_over()
        elif not self._under_way:
            self._linger(linger)

    def _linger(self, seconds: float) -> None:
        """Hand the group over soon: behind what the loop does now, or in `seconds` if shared."""
        if not self._shared:
            seconds = 0.0
        end = self._loop.time() + seconds
        if self._lingering is not None:
            if self._linger_end <= end:
                return
            self._lingering.cancel()
        self._lingering = self._loop.call_at(end, self._lingered)
        self._linger_end = end

    def _lingered(self) -> None:
        self._lingering = None
        if not self._under_way:
            self._hand_over()

    def _hand_over(self) -> None:
        group, self._gathering = self._gathering, _Group()
        if group.operations:
            self._shared = group.operations > 1
            self._under_way += 1
            self._queue.put(group)

    def _finished(self, group: _Group, settled: _Settled) -> None:
        if group.expiry is None:  # made by the thread itself
            return
        group.expiry.cancel()
        self._under_way -= 1
        if self._gathering.operations and not self._under_way:
            urgent = self._gathering.futures or self._gathering.asks
            self._linger(LINGER if urgent else LINGER_MARKS)
        _resolve(settled)
        _set_done(group.marks)

    # The thread

    def _run(self) -> None:
        self._begin()
        ended = False
        while not (ended and self._queue.empty()):
            group = self._next_group()
            ended |= group is None
            if group is None:
                continue
            self.busy_since = monotonic()
            settled = self._work(group)
            self.busy_since = None
            self._loop.call_soon_threadsafe(self._finished, group, settled)
        if self._fault is not None and self._unwritten:
            self._recover()  # a last try: what is not marked now is delivered again

    def _begin(self) -> None:
        """Open the file for the first time; who started us is told if another agent has it."""
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

    def _next_group(self) -> _Group | None:
        """Wait for the next group; an empty one where there is work without one. None ends."""
        if self._fault is not None:
            timeout: float | None = RETRY / 2
        else:
            timeout = REFRESH if self._stale or self.free_bytes < LOW_DISK else None
        try:
            return self._queue.get(timeout=timeout)
        except queue.Empty:
            return _Group()

    def _work(self, group: _Group) -> _Settled:
        """Commit and read for a group; return how each future ends."""
        if self._fault is not None and monotonic() >= self._retry_at:
            self._recover()
        if self._fault is None:
            self._try(lambda: self._commit(group))
        if self._fault is not None:
            return self._refuse(group)
        settled: _Settled = [(future, None, None) for future in group.futures]
        return settled + [self._answer(ask) for ask in group.asks]

    def _commit(self, group: _Group) -> None:
        self._intakes |= group.intakes
        self._file.folder.reserve(group.highest_mid)
        if group.batch:
            self._file.database.write(group.batch)
        self._stale = group.operations > 1 and monotonic() - self._refreshed_at < REFRESH
        if not self._stale:
            self._refresh()

    def _refresh(self) -> None:
        self._refreshed_at = monotonic()
        self.free_bytes = self._file.folder.free_bytes()
        self.oldest = {intake: self._file.database.oldest(intake) for intake in self._intakes}

    def _refuse(self, group: _Group) -> _Settled:
        """Fail whoever waits; keep the marks of what has already happened."""
        batch, kept = group.batch, self._unwritten
        kept.releases += batch.releases
        kept.defers += batch.defers
        kept.asides += batch.asides
        kept.finishes += batch.finishes
        # A commit whose fsync failed may still be found in the log when the file is opened
        # again; these copies were refused, so they must not appear then.
        kept.finishes += [(copy.mid, copy.taken_at, REFUSED, "") for copy in batch.holds]
        refused = SpoolUnavailable(self._fault or "")
        waiting = group.futures + [ask.future for ask in group.asks]
        return [(future, None, refused) for future in waiting]

    def _recover(self) -> None:
        """Open the file, anew if it was open, and write what was kept; then the latch opens."""
        if self._try(self._open):
            self._set_fault(None)

    def _open(self) -> None:
        self._intakes |= self._file.open(self._unwritten)
        self._unwritten = Batch()
        self._refresh()

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
            self._on_fault(fault)

    def _answer(self, ask: Ask) -> tuple[_Future, object, Exception | None]:
        try:
            return ask.future, ask.read(self._file.database), None
        except Exception as error:  # whatever a damaged row may cause, the thread must live
            return ask.future, None, SpoolUnavailable(str(error) or repr(error))


def _expire(group: _Group) -> None:
    for future in group.futures:
        if not future.done():
            future.set_exception(TimeoutError())
    _set_done(group.marks)


def _set_done(marks: list[asyncio.Future[None]]) -> None:
    for mark in marks:
        if not mark.done():
            mark.set_result(None)


def _resolve(settled: _Settled) -> None:
    for future, value, error in settled:
        if future.done():  # the caller went away
            continue
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(value)
