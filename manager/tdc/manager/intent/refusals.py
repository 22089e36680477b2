"""Refused attempts, written down off the call's path and within a budget.

In: what was refused, as events. Out: entries of the audit log.
Promise: noting one never waits and never fails; a flood of them fills neither the store nor
memory, nor does it delay changes. A caller who is refused again and again gets a few entries of his
own; the rest is counted, by kind, in one entry each `EVERY` seconds. What can't be written while
etcd is away waits or is counted, and is written once it is back; what is left when the manager
stops is logged.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
from collections import deque
from dataclasses import dataclass

from tdc.manager.etcd.errors import EtcdError
from tdc.manager.identity.rates import Budget, Rate
from tdc.manager.intent.errors import NotPermitted
from tdc.manager.intent.failures import FailureKind, failure_of
from tdc.manager.store.audit import AuditLog
from tdc.manager.store.errors import StoreError
from tdc.shared.edge.clock import Clock, monotonic, wall
from tdc.shared.sync.audit_entry import REFUSED, AuditEvent, By
from tdc.shared.sync.words import moment_words

log = logging.getLogger(__name__)

AUDITED = frozenset(
    {
        "changes.commit",
        "changes.create_cluster",
        "changes.delete_cluster",
        "changes.rename_cluster",
        "drafts.change",
        "people.create_user",
        "people.set_role",
        "people.set_password",
        "people.set_second_factor",
        "people.remove_second_factor",
        "people.delete_user",
        "people.end_sessions",
        "people.create_token",
        "people.revoke_tokens",
        "people.withdraw_operator",
        "queue.do",
        "suspensions.suspend",
        "suspensions.resume",
        "tokens.create",
        "tokens.withdraw",
    }
)
"""Operations that change something, and are entries; all others read."""

EACH = Rate(burst=5, per_second=1 / 600)
"""Entries of their own for one caller at one operation."""
IN_ALL = Rate(burst=30, per_second=3 / 60)
"""Entries of their own for all callers who proved who they are, and for all others together."""
EVERY = 600.0
"""Seconds after which those that were only counted are written, in one entry for each kind."""
MOST_KINDS = 64
_MOST_WAITING = 100
_RETRY = 5.0

_OTHERS = "other operations"


def refusal_of(operation: str, by: By, error: Exception) -> AuditEvent | None:
    """PURE. What is written down of a call that failed; None for a read, or a fault of ours.

    A missing permission counts whatever was asked for. Of a change counts all that was refused, but
    not that etcd was unreachable: that was no decision about the caller.
    """
    if isinstance(error, NotPermitted):
        return AuditEvent(operation, by, outcome=REFUSED, reason=str(error))
    failure = failure_of(error)
    if operation not in AUDITED or failure is None or failure.kind is FailureKind.UNAVAILABLE:
        return None
    return AuditEvent(operation, by, outcome=REFUSED, reason=failure.sentence)


@dataclass(slots=True)
class _Counted:
    """Attempts of one kind that are not entries yet: how many, since when, and the last."""

    since: float
    last: AuditEvent
    count: int = 0


class Refusals:
    """Takes refused attempts from anywhere; `run` writes them."""

    def __init__(
        self,
        audit: AuditLog,
        steady: Clock = monotonic,
        clock: Clock = wall,
        every: float = EVERY,
    ) -> None:
        """`clock` gives Unix seconds, for people to read; `steady` never goes back."""
        self._audit = audit
        self._steady = steady
        self._clock = clock
        self._every = every
        self._known, self._unknown = Budget(EACH, IN_ALL, steady), Budget(EACH, IN_ALL, steady)
        self._waiting: deque[AuditEvent] = deque()
        self._counted: dict[tuple[str, str], _Counted] = {}
        self._next = steady() + every
        self._noted = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many are noted and not written yet."""
        return len(self._waiting)

    def refused(self, event: AuditEvent) -> None:
        """Note an attempt that was refused; never waits, never fails."""
        by = event.by
        # A name that was not proven is his choice: with one for each attempt he had no bound.
        known = by.name if by.kind != "unknown" else ""
        caller = (event.operation, by.kind, known or by.origin.rpartition(":")[0])
        budget = self._known if known else self._unknown  # nobody hides others behind his noise
        if len(self._waiting) < _MOST_WAITING and budget.take(caller):
            self._waiting.append(event)
            self._noted.set()
        else:
            self._count(event)

    async def run(self) -> None:
        """Write what was noted, until cancelled."""
        try:
            while True:
                await self._until_due()
                try:
                    await self._write()
                except (EtcdError, StoreError) as error:
                    log.warning("refused attempts can't be written down now: %s", error)
                    await asyncio.sleep(_RETRY)
        finally:
            left = len(self._waiting) + sum(each.count for each in self._counted.values())
            if left:
                log.warning("%d refused attempts are not in the audit log: it ended before", left)

    async def _until_due(self) -> None:
        self._noted.clear()
        if not self._waiting:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(self._next - self._steady(), 0.01)):
                    await self._noted.wait()

    async def _write(self) -> None:
        while self._waiting:
            await self._audit.txn((), (), self._waiting[0])
            self._waiting.popleft()
        if self._steady() < self._next:
            return
        self._next = self._steady() + self._every
        for kind in list(self._counted):
            counted = self._counted[kind]
            written = counted.count
            await self._audit.txn((), (), _summary(counted, self._clock()))
            counted.count -= written  # others may have come meanwhile
            if not counted.count:
                del self._counted[kind]

    def _count(self, event: AuditEvent) -> None:
        kind = (event.operation, event.by.kind)
        if kind not in self._counted and len(self._counted) >= MOST_KINDS:
            kind = (_OTHERS, "unknown")
            event = dataclasses.replace(event, operation=_OTHERS)
        counted = self._counted.setdefault(kind, _Counted(self._clock(), event))
        counted.count += 1
        counted.last = event


def _summary(counted: _Counted, now: float) -> AuditEvent:
    """One entry for all of a kind that were only counted."""
    last, more = counted.last, counted.count
    by = By("", kind=last.by.kind)
    who = last.by.name or "somebody"
    what = (
        f"and {more} more attempts of the kind, {moment_words(counted.since)} to "
        f"{moment_words(now)}; the last by {who} from {last.by.origin or 'an unknown address'}"
    )
    return AuditEvent(
        last.operation, by, what, last.cluster, outcome=REFUSED, reason=last.reason, count=more
    )
