"""A group of writes that share a transaction, the reads after it, and who waits for them.

Why groups. An fsync costs about a millisecond, whatever it syncs. So writes gather in the event
loop and are handed over as one group, which is one transaction and one fsync for all who wait. It
also saves the interpreter lock: the thread takes it from the busy loop once for each group, not
once for each copy. A lone caller never waits for company: a group lingers only after one that was
shared, for 1 ms, or 4 ms if it holds nothing but marks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tdc.node_agent.spool.batch import Batch
from tdc.node_agent.spool.database import Database
from tdc.node_agent.spool.values import SpoolUnavailable

LINGER = 0.001
"""Seconds that a group gathers while there are others to share its commit with. A lone caller
does not wait: after a group of one the next goes at once."""
LINGER_MARKS = 0.004
"""The same for marks alone."""

Read = Callable[[Database], object]
"""A question that the writer's thread asks between two transactions."""

GROUP_OPERATIONS = 1_000
GROUP_BYTES = 32 * 1024**2

Result = tuple[asyncio.Future[object], object, Exception | None]
"""How a future ends: with a value, or with an error."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Something to read between two commits."""

    read: Read
    future: asyncio.Future[object]

    def answer(self, database: Database) -> Result:
        """Read it; whatever a damaged row may raise is the answer, for the thread must live."""
        try:
            return self.future, self.read(database), None
        except Exception as error:
            return self.future, None, SpoolUnavailable(str(error) or repr(error))


@dataclass(slots=True)
class CommitGroup:
    """One transaction, and what is to be read after it. `futures` belong to new copies."""

    batch: Batch = field(default_factory=Batch)
    futures: list[asyncio.Future[object]] = field(default_factory=list)
    marks: list[asyncio.Future[None]] = field(default_factory=list)
    asks: list[Ask] = field(default_factory=list)
    intakes: set[str] = field(default_factory=set)
    highest_mid: int = 0
    operations: int = 0
    held_bytes: int = 0
    expires_at: float = 0.0
    """Loop time, without the seconds that its own octets are given."""
    expiry: asyncio.TimerHandle | None = None

    @property
    def is_full(self) -> bool:
        """Whether it should be committed without waiting for more."""
        return self.operations >= GROUP_OPERATIONS or self.held_bytes >= GROUP_BYTES

    @property
    def awaited(self) -> bool:
        """Whether somebody still waits for a write."""
        return not all(one.done() for one in self.futures) or not all(
            one.done() for one in self.marks
        )

    def expire(self) -> None:
        """Nobody waits any longer for its writes, though they may still happen."""
        for future in self.futures:
            if not future.done():
                future.set_exception(TimeoutError())
        set_done(self.marks)


def set_done(marks: Iterable[asyncio.Future[None]]) -> None:
    """End the futures of marks, which never end in an error."""
    for mark in marks:
        if not mark.done():
            mark.set_result(None)


def resolve(results: Iterable[Result]) -> None:
    """End each future as its result says."""
    for future, value, error in results:
        if future.done():  # the caller went away
            continue
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(value)
