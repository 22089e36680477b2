"""The audit log in etcd: a change and its entry are one transaction, so there is never one alone.

A store hands over what it would send as a transaction, and the event to write down. Two more
compares and two more writes make it one with the log: the head is as it was read, the entry's key
is free; the entry and the new head are written. If the transaction fails, its other branch reads
the head: if that has moved, another entry came first, and the same is tried again at once, after
that entry; if not, it was the store's own compare that failed, and the store hears of that as ever.

Within a manager the writers take turns, and each knows the head that the last one left: so only
managers race with each other, and no write costs a read.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.errors import EtcdUnavailable
from tdc.manager.etcd.values import Get, KeyValue, Operation, Put, Unchanged, prefix_end
from tdc.manager.store.audit_entry import pack_entry, pack_mark, read_mark
from tdc.manager.store.encoding import Damaged, unpack_any
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


def _unheard(_: AuditEntry) -> None:
    """Tell nobody."""


class AuditLog:
    """Appends to the log. A manager has one, which all its stores share."""

    def __init__(
        self,
        etcd: EtcdClient,
        clock: Clock = wall,
        written: Callable[[AuditEntry], None] = _unheard,
    ) -> None:
        """`clock` gives Unix seconds; `written` hears of each entry once it is stored."""
        self._etcd = etcd
        self._clock = clock
        self._written = written
        self._turn = asyncio.Lock()
        self._position: _Position | None = None

    async def txn(
        self, compares: Sequence[Unchanged], then: Sequence[Operation], event: AuditEvent
    ) -> bool:
        """Write `then` and the entry of `event`; False if one of `compares` does not hold.

        Raises LostRace, an EtcdError: then neither was written, but for EtcdAnswerLost, after which
        both were or neither.
        """
        return await self.append(lambda head: Audited(compares, then, event))

    async def append(self, make: Make) -> bool:
        """Write what `make` makes of the head that it follows; returns and raises as `txn`."""
        async with self._our_turn():
            position, self._position = self._position, None
            for _ in range(RACES):
                position = position or await self._find()
                audited = make(position.head)
                entry = entry_after(
                    position.head, audited.event, round(self._clock(), 3), position.note
                )
                result = await self._etcd.txn(
                    [*audited.compares, *_compares(position, entry)],
                    [*audited.then, *_writes(entry)],
                    [Get(AUDIT_HEAD), Get(audit_key(entry.number))],
                )
                if result.succeeded:
                    self._position = _Position(entry.head, result.revision)
                    self._written(entry)
                    return True
                head, taken = result.reads
                if _unmoved(head, position) and not taken:
                    self._position = position
                    return False
                position = None if _unmoved(head, position) else _position_at(head)
        raise LostRace("the audit log keeps changing; nothing was changed; try again")

    @contextlib.asynccontextmanager
    async def _our_turn(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(TURN):
                await self._turn.acquire()
        except TimeoutError:
            raise EtcdUnavailable(
                f"changes before this one have waited for etcd for {TURN:g} s; nothing was changed"
            ) from None
        try:
            yield
        finally:
            self._turn.release()

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


def _compares(position: _Position, entry: AuditEntry) -> tuple[Unchanged, ...]:
    return Unchanged(AUDIT_HEAD, position.mod_revision), Unchanged(audit_key(entry.number), 0)


def _writes(entry: AuditEntry) -> tuple[Put, ...]:
    return (
        Put(audit_key(entry.number), pack_entry(entry)),
        Put(AUDIT_HEAD, pack_mark(AUDIT_HEAD, entry.head)),
    )


def _unmoved(head: Sequence[KeyValue], position: _Position) -> bool:
    return (head[0].mod_revision if head else 0) == position.mod_revision


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
