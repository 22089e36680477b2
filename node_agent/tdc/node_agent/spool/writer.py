"""The one thread that writes the spool's file: group commit.

Whatever waits when the thread is free goes into one transaction, so that the cost of an fsync
is shared by all who wait for it. Promises: a future is resolved after its commit, never before;
after a failed write no copy is taken until a write on a freshly opened file succeeds; marks of
copies that left the spool (delivered, deferred, dead) are kept meanwhile and written first.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from tdc.node_agent.spool.database import Batch, Database, DatabaseFault, Read
from tdc.node_agent.spool.errors import SpoolError, SpoolUnavailable
from tdc.node_agent.spool.folder import SpoolFolder
from tdc.node_agent.spool.values import Copy
from tdc.shared.edge.clock import chance, monotonic

GROUP_OPERATIONS = 1_000
GROUP_BYTES = 32 * 1024**2
RETRY = 2.0
"""Seconds between two tries to get a failed file back, give or take half."""
ASK_TIMEOUT = 30.0
CLOSE_TIMEOUT = 20.0
REFUSED = "refused"
"""Outcome of a copy that was refused because the file failed."""

REFRESH = 0.5
"""Seconds that the age of the oldest copy and the free space may lag behind under load."""

_Future = asyncio.Future[object]
_Settled = list[tuple[_Future, object, Exception | None]]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Write:
    """Something to commit: `add` puts it into a batch; `copy` is there when it is a hold."""

    add: Callable[[Batch], None]
    future: _Future | None = None
    copy: Copy | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """Something to read between two commits."""

    read: Read
    future: _Future


@dataclass(slots=True)
class _Group:
    batch: Batch = field(default_factory=Batch)
    futures: list[_Future] = field(default_factory=list)
    asks: list[Ask] = field(default_factory=list)
    highest_mid: int = 0


class Writer:
    """Owns the open file. `submit` and `ask` belong to the event loop, the rest to the thread.

    `on_fault(reason or None)` is called in the event loop when the file fails or is back.
    """

    oldest: dict[str, float | None]
    """Intake -> `taken_at` of its oldest copy; replaced by the thread, read anywhere."""

    free_bytes: int
    """Free space on the spool's disk, as fresh as `oldest`."""

    busy_since: float | None = None
    """Monotonic time at which the commit under way began."""

    def __init__(
        self,
        folder: SpoolFolder,
        database: Database,
        intakes: set[str],
        on_fault: Callable[[str | None], None],
    ) -> None:
        self._folder = folder
        self._database: Database | None = database
        self._intakes = intakes
        self._on_fault = on_fault
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[Write | Ask | None] = queue.SimpleQueue()
        self._fault: str | None = None
        self._retry_at = 0.0
        self._unwritten = Batch()
        self._refreshed_at = 0.0
        self._closing = False
        self.oldest = {}
        self.free_bytes = folder.free_bytes()
        self._refresh(database)
        self._thread = threading.Thread(target=self._run, name="tdc-spool", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    async def close(self) -> None:
        """Write what was submitted, end the thread, close the file.

        A disk that does not answer is left behind after CLOSE_TIMEOUT; what is in the file then
        is what was acknowledged.
        """
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join, CLOSE_TIMEOUT)
        if self._database is not None and not self._thread.is_alive():
            self._database.close()

    def submit(self, add: Callable[[Batch], None]) -> None:
        """Have it written with the next group, without waiting."""
        self._queue.put(Write(add))

    def write(self, add: Callable[[Batch], None], copy: Copy | None = None) -> _Future:
        """Have it written; the future is done when it is durable."""
        future: _Future = self._loop.create_future()
        self._queue.put(Write(add, future, copy))
        return future

    async def ask(self, read: Callable[[Database], _T]) -> _T:
        """Return what `read` gives; raises SpoolUnavailable."""
        future: asyncio.Future[_T] = self._loop.create_future()
        self._queue.put(Ask(read, future))  # type: ignore[arg-type]  # a future of what read gives
        try:
            async with asyncio.timeout(ASK_TIMEOUT):
                return await future
        except TimeoutError:
            raise SpoolUnavailable(f"no read returned within {ASK_TIMEOUT:.0f} s") from None

    # The thread

    def _run(self) -> None:
        while not (self._closing and self._queue.empty()):
            group = self._next_group()
            self.busy_since = monotonic()
            settled = self._work(group)
            self.busy_since = None
            if settled:
                self._loop.call_soon_threadsafe(_resolve, settled)
        if self._fault is not None and self._unwritten:
            self._recover()  # a last try: what is not marked now is delivered again

    def _next_group(self) -> _Group:
        """Take everything that waits; wait for the first of it."""
        group = _Group()
        taken = held_bytes = 0
        try:
            item = self._queue.get(timeout=RETRY / 2 if self._fault else None)
            while True:
                if item is None:
                    self._closing = True
                elif isinstance(item, Ask):
                    group.asks.append(item)
                else:
                    held_bytes += self._add(group, item)
                taken += 1
                if taken >= GROUP_OPERATIONS or held_bytes >= GROUP_BYTES:
                    return group
                item = self._queue.get_nowait()
        except queue.Empty:
            return group

    def _add(self, group: _Group, write: Write) -> int:
        write.add(group.batch)
        if write.future is not None:
            group.futures.append(write.future)
        if write.copy is None:
            return 0
        group.highest_mid = max(group.highest_mid, write.copy.mid)
        self._intakes.add(write.copy.intake)
        return len(write.copy.content)

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
        assert self._database is not None
        self._folder.reserve(group.highest_mid)
        if group.batch:
            self._database.write(group.batch)
        if monotonic() - self._refreshed_at > REFRESH or self._queue.empty():
            self._refresh(self._database)

    def _refresh(self, database: Database) -> None:
        self._refreshed_at = monotonic()
        self.free_bytes = self._folder.free_bytes()
        self.oldest = {intake: database.oldest(intake) for intake in self._intakes}

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
        """Open the file anew and write what was kept; on success the latch opens."""
        if self._database is not None:
            self._database.close()
            self._database = None
        if self._try(self._reopen):
            self._unwritten = Batch()
            self._set_fault(None)

    def _reopen(self) -> None:
        self._database = Database(self._folder.database_path())
        self._database.write(self._unwritten)
        self._database.probe()  # what was kept may be empty: only a real commit counts

    def _try(self, work: Callable[[], None]) -> bool:
        """Do `work`; whatever it raises closes the latch, for the thread must live."""
        try:
            work()
        except Exception as error:
            ours = isinstance(error, DatabaseFault | SpoolError | OSError)
            self._set_fault(str(error) if ours else repr(error))
            self._retry_at = monotonic() + RETRY * (0.5 + chance())
            return False
        return True

    def _set_fault(self, fault: str | None) -> None:
        if fault != self._fault:
            self._fault = fault
            self._loop.call_soon_threadsafe(self._on_fault, fault)

    def _answer(self, ask: Ask) -> tuple[_Future, object, Exception | None]:
        assert self._database is not None
        try:
            return ask.future, ask.read(self._database), None
        except DatabaseFault as error:
            return ask.future, None, SpoolUnavailable(str(error))


def _resolve(settled: _Settled) -> None:
    for future, value, error in settled:
        if future.done():  # the caller went away
            continue
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(value)
