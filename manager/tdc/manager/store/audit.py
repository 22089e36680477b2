"""The audit log in etcd: a change and its entry are one transaction, so there is never one alone.

A store hands over what it would send as a transaction, and the event to write down. Two more
compares and two more writes make it one with the log: the head is as it was read, the entry's key
is free; the entry and the new head are written. If the transaction fails, its other branch reads
the head: if that has moved, another entry came first, and the same is tried again at once, after
that entry; if not, it was the store's own compare that failed, and the store hears of that as ever.

Within a manager the writers take turns, and each knows the head that the last one left: so only
managers race with each other, and no write costs a read. Who waits while another's transaction is
under way goes with the others who wait into the next, as far as they do not touch the same and it
does not get too large: a log is one queue, and so it need not be slower than many (group commit).
If one of them can't be done, each is tried alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.errors import EtcdAnswerLost, EtcdError, EtcdRefused, EtcdUnavailable
from tdc.manager.etcd.values import (
    Get,
    KeyValue,
    Operation,
    Put,
    TxnResult,
    Unchanged,
    prefix_end,
)
from tdc.manager.store.audit_entry import pack_entry, pack_mark, read_mark
from tdc.manager.store.encoding import MAX_TRANSACTION, Damaged, unpack_any
from tdc.manager.store.errors import LostRace
from tdc.manager.store.keys import AUDIT, AUDIT_HEAD, audit_key, parse_audit_key
from tdc.shared.edge.clock import Clock, wall
from tdc.shared.sync.audit import CHAIN_DIGITS, NO_ENTRY, AuditHead
from tdc.shared.sync.audit_entry import AuditEntry, AuditEvent, entry_after

log = logging.getLogger(__name__)

RACES = 64
"""Attempts against entries of other managers; each that is lost is one that another won."""

TURN = 10.0
"""Seconds to wait for a turn: longer, and those before wait for an etcd that does not answer."""

MOST_OPERATIONS = 120
"""Compares, and writes, of one transaction; etcd takes 128."""


@dataclass(frozen=True, slots=True)
class Audited:
    """A store's own transaction, and what is written down with it."""

    compares: Sequence[Unchanged]
    then: Sequence[Operation]
    event: AuditEvent


Make = Callable[[AuditHead], Audited]
"""Makes the transaction that would follow a head. Called again after a race: no effects."""


@dataclass(frozen=True, slots=True)
class _Position:
    """Where the next entry goes: after `head`, which was last written at `mod_revision`."""

    head: AuditHead
    mod_revision: int
    note: str = ""


@dataclass(slots=True, eq=False)
class _Waiting:
    """A change that waits for its turn. `guard`: what it compares for certain, whatever the head.

    `alone`: it was in a transaction with others that failed.
    """

    make: Make
    guard: Sequence[Unchanged]
    outcome: asyncio.Future[bool]
    alone: bool = False
    races: int = 0

    def fail(self, error: Exception) -> None:
        """End it with an error."""
        if not self.outcome.done():
            self.outcome.set_exception(error)

    def end(self, *, written: bool) -> None:
        """End it."""
        if not self.outcome.done():
            self.outcome.set_result(written)


@dataclass(frozen=True, slots=True)
class _Member:
    """A change in a transaction with others: itself, and the entry that it gets there."""

    waiting: _Waiting
    audited: Audited
    entry: AuditEntry


Fence = Callable[[], Awaitable[Unchanged]]
"""Looks in etcd; returns what has to be so still when something is written. Raises an EtcdError."""


def _unheard(_: AuditEntry) -> None:
    """Tell nobody."""


class AuditLog:
    """Appends to the log. A manager has one, which all its stores share."""

    def __init__(
        self,
        etcd: EtcdClient,
        clock: Clock = wall,
        written: Callable[[AuditEntry], None] = _unheard,
        fence: Fence | None = None,
    ) -> None:
        """`clock` gives Unix seconds; `written` hears of each entry once it is stored.

        `fence` looks for what must be so in etcd for this manager to change anything at all.
        """
        self._etcd = etcd
        self._clock = clock
        self._written = written
        self._fence = fence
        self._fenced: tuple[Unchanged, ...] | None = None if fence is not None else ()
        self._turn = asyncio.Lock()
        self._queue: deque[_Waiting] = deque()
        self._position: _Position | None = None

    async def txn(
        self, compares: Sequence[Unchanged], then: Sequence[Operation], event: AuditEvent
    ) -> bool:
        """Write `then` and the entry of `event`; False if one of `compares` does not hold.

        Raises LostRace, an EtcdError: then neither was written, but for EtcdAnswerLost, after which
        both were or neither.
        """
        return await self.append(lambda head: Audited(compares, then, event), compares)

    async def append(self, make: Make, guard: Sequence[Unchanged] = ()) -> bool:
        """Write what `make` makes of the head that it follows; returns and raises as `txn`.

        `guard`: those of its compares that are the same whatever the head. Of changes that wait
        and guard the same key only one can be made.
        """
        ours = _Waiting(make, guard, asyncio.get_running_loop().create_future())
        self._queue.append(ours)
        try:
            async with self._our_turn(ours):
                while not ours.outcome.done():
                    await self._write_some()
        finally:
            if ours in self._queue:
                self._queue.remove(ours)
            if not ours.outcome.done():
                ours.outcome.cancel()
        return ours.outcome.result()

    @contextlib.asynccontextmanager
    async def _our_turn(self, ours: _Waiting) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(TURN):
                await self._turn.acquire()
        except TimeoutError:
            if ours in self._queue:
                raise EtcdUnavailable(
                    f"changes before this one have waited for etcd for {TURN:g} s; nothing was "
                    "changed"
                ) from None
            raise EtcdAnswerLost(
                f"etcd did not answer within {TURN:g} s; the change may have been made"
            ) from None
        try:
            yield
        finally:
            self._turn.release()

    async def _write_some(self) -> None:
        """Write those who wait, as many as go together; or find out why they can't be."""
        position, self._position = self._position, None
        position = position or await self._find()
        if self._fence is not None and self._fenced is None:
            self._fenced = (await self._fence(),)
        fenced = self._fenced or ()
        batch = self._gathered(position)
        if not batch:
            self._position = position
            return
        first = batch[0].entry
        try:
            result = await self._etcd.txn(
                [
                    *(each for member in batch for each in member.audited.compares),
                    *fenced,
                    Unchanged(AUDIT_HEAD, position.mod_revision),
                    *(Unchanged(audit_key(member.entry.number), 0) for member in batch),
                ],
                [
                    *(each for member in batch for each in member.audited.then),
                    *_writes([member.entry for member in batch]),
                ],
                [
                    Get(AUDIT_HEAD),
                    Get(audit_key(first.number)),
                    *(Get(each.key) for each in fenced),
                ],
            )
        except EtcdRefused as error:
            self._alone(batch, error)
        except EtcdError as error:
            for member in batch:
                member.waiting.fail(error)
        except asyncio.CancelledError:
            for member in batch:
                member.waiting.fail(EtcdAnswerLost("the change was cut off; it may have been made"))
            raise
        else:
            self._settle(batch, position, result)

    def _settle(self, batch: Sequence[_Member], position: _Position, result: TxnResult) -> None:
        if result.succeeded:
            self._position = _Position(batch[-1].entry.head, result.revision)
            for member in batch:
                member.waiting.end(written=True)
                self._written(member.entry)
            self._end_losers(batch, result.revision)
            return
        head, taken, *beyond = result.reads
        fenced = zip(self._fenced or (), beyond, strict=True)
        if any(_mod(now) != was.mod_revision for was, now in fenced):
            self._fenced = None
            self._position = position if _unmoved(head, position) else _position_at(head)
            self._again(batch)
            return
        if _unmoved(head, position) and not taken:
            self._position = position
            self._alone(batch, None)
            return
        # Another manager's entry came first, or the head was set back by hand.
        self._position = None if _unmoved(head, position) else _position_at(head)
        self._again(batch)

    def _gathered(self, position: _Position) -> list[_Member]:
        """Take from the queue who can go together after this head."""
        batch: list[_Member] = []
        guarded: set[str] = set()
        compares, writes, size, head = 2, 1, 0, position.head
        for waiting in list(self._queue):
            keys = {each.key for each in waiting.guard}
            if batch and (waiting.alone or not keys or guarded & keys):
                continue
            try:
                audited = waiting.make(head)
            except Exception as error:  # what refuses the change: its caller's
                self._queue.remove(waiting)
                waiting.fail(error)
                continue
            note = "" if batch else position.note
            entry = entry_after(head, audited.event, round(self._clock(), 3), note)
            compares += len(audited.compares) + 1
            writes += len(audited.then) + 1
            size += _size(audited.then)
            fits = max(compares, writes) <= MOST_OPERATIONS and size <= MAX_TRANSACTION
            if batch and not fits:
                break
            self._queue.remove(waiting)
            batch.append(_Member(waiting, audited, entry))
            if waiting.alone or not keys:
                break
            guarded |= keys
            head = entry.head
        return batch

    def _alone(self, batch: Sequence[_Member], error: Exception | None) -> None:
        """End the only one; of several, try each alone. Without an error a compare failed."""
        if len(batch) > 1:
            for member in batch:
                member.waiting.alone = True
            self._again(batch)
        elif error is not None:
            batch[0].waiting.fail(error)
        else:
            batch[0].waiting.end(written=False)

    def _again(self, batch: Sequence[_Member]) -> None:
        """Put them back in front, but for those who have lost too often."""
        for member in reversed(batch):
            waiting = member.waiting
            waiting.races += 1
            if waiting.races > RACES:
                waiting.fail(
                    LostRace("the audit log keeps changing; nothing was changed; try again")
                )
            elif not waiting.outcome.done():  # else its caller has gone
                self._queue.appendleft(waiting)

    def _end_losers(self, batch: Sequence[_Member], revision: int) -> None:
        """End who waits with a compare that what was just written has made wrong."""
        changed = {each.key for member in batch for each in member.waiting.guard}
        for waiting in list(self._queue):
            if any(each.key in changed and each.mod_revision != revision for each in waiting.guard):
                self._queue.remove(waiting)
                waiting.end(written=False)

    async def _find(self) -> _Position:
        """Read where the next entry goes, also where somebody changed the log by hand."""
        newest = await self._etcd.newest(AUDIT, prefix_end(AUDIT), 1)
        item = await self._etcd.get(AUDIT_HEAD)
        found = _position_at([item] if item is not None else [])
        last = next(iter(newest.items), None)
        if found is not None and (last is None or last.key <= audit_key(found.head.number)):
            return found
        mod_revision = item.mod_revision if item is not None else 0
        if last is None and item is None:
            return _Position(NO_ENTRY, 0)
        wrong = _wrong(item, found)
        log.error("%s; the next entry says so: run `tdc audit verify`", wrong)
        return _Position(_left(last), mod_revision, wrong)


def _writes(entries: Sequence[AuditEntry]) -> list[Put]:
    head = Put(AUDIT_HEAD, pack_mark(AUDIT_HEAD, entries[-1].head))
    return [*(Put(audit_key(each.number), pack_entry(each)) for each in entries), head]


def _size(writes: Sequence[Operation]) -> int:
    return sum(len(each.key) + len(each.value) for each in writes if isinstance(each, Put))


def _unmoved(head: Sequence[KeyValue], position: _Position) -> bool:
    return _mod(head) == position.mod_revision


def _mod(read: Sequence[KeyValue]) -> int:
    return read[0].mod_revision if read else 0


def _position_at(head: Sequence[KeyValue]) -> _Position | None:
    """The position after a head as it was read; None if there is none that can be read."""
    try:
        return _Position(read_mark(AUDIT_HEAD, head[0].value), head[0].mod_revision)
    except (IndexError, Damaged):
        return None


def _wrong(item: KeyValue | None, found: _Position | None) -> str:
    """What was done to the head by hand."""
    if item is None:
        what = "was deleted"
    elif found is not None:
        what = f"was set back to entry {found.head.number}"
    else:
        what = "was edited or damaged"
    return f"the head of the audit log {what} by hand, and the log goes on after its newest entry"


def _left(last: KeyValue | None) -> AuditHead:
    """The head that the newest entry makes, as far as it can be read."""
    if last is None:
        return NO_ENTRY
    try:
        chain = unpack_any(last.value).get("chain")
    except Damaged:
        chain = None
    known = isinstance(chain, str) and len(chain) == CHAIN_DIGITS
    return AuditHead(parse_audit_key(last.key) or 0, str(chain) if known else "")
