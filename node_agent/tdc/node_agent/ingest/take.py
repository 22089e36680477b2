"""The one path from all front ends to the spool: select, make durable, count.

A front end calls `take` when it has the whole message and before any reply says that the
message is accepted; then `release` when the original's acceptance is certain, or `discard`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from tdc.node_agent.counters import Counters, MissedReason
from tdc.node_agent.journal.loop import Reporter, is_own_report
from tdc.node_agent.journal.report import new_report_id
from tdc.node_agent.journal.trace import message_ids
from tdc.node_agent.log.ids import NO_IDS, MessageIds
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.spool.spool import Spool
from tdc.node_agent.spool.values import SpoolError, SpoolFull
from tdc.shared.connector.selection import Due, LeftOut, NotDue, select
from tdc.shared.connector.settings import ConnectorSettings
from tdc.shared.mail.envelope import Envelope
from tdc.shared.sync.suspension import NOT_SUSPENDED, Suspension

WHAT_TO_CHECK = "Check spool.max_messages, spool.max_bytes, max_message_size and the spool's disk."
RESUME = "Copies are taken again once copying is resumed."
TOO_LARGE = "a message of {} bytes is larger than max_message_size"


class TakeRefused(Exception):
    """No copy could be taken and `spool.when_full` is `tempfail`: refuse the original for now."""

    def __init__(self, reason: str, ids: MessageIds) -> None:
        super().__init__(reason)
        self.ids = ids


@dataclass(frozen=True, slots=True)
class Miss:
    """A copy that was due and could not be taken."""

    reason: MissedReason
    text: str


@dataclass(frozen=True, slots=True)
class Taken:
    """Copies that are durable and wait for the next hop's answer.

    `missed` holds each copy that was due and could not be taken; `left_out` which of so many
    `recipients` get no copy, and why.
    """

    mids: tuple[int, ...] = ()
    missed: tuple[Miss, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    recipients: int = 0
    ids: MessageIds = NO_IDS


class Taker:
    """Takes copies for one machine. `settings` returns what is in force at the moment."""

    def __init__(
        self,
        spool: Spool,
        settings: Callable[[], ConnectorSettings],
        counters: Counters,
        log: TdcLog,
        reporter: Reporter,
        suspension: Callable[[], Suspension] = lambda: NOT_SUSPENDED,
    ) -> None:
        """`suspension` returns what an operator suspends at the moment."""
        self._spool = spool
        self._settings = settings
        self._counters = counters
        self._log = log
        self._loop_key = reporter.loop_key
        self._suspension = suspension

    async def take(self, envelope: Envelope, content: bytes) -> Taken:
        """Make each due copy durable. Raises TakeRefused; nothing is kept then."""
        settings = self._settings()
        loop = is_own_report(content, self._loop_key)
        selection = select(envelope, len(content), loop, settings)
        # Where copying is disabled a message costs no search for ids, unless somebody looks.
        looked_at = selection.reason is not NotDue.DISABLED or self._log.shows_debug
        ids = message_ids(content, envelope) if looked_at else NO_IDS
        missed: list[Miss] = []
        if selection.reason is NotDue.TOO_LARGE:
            missed.append(Miss(MissedReason.TOO_LARGE, TOO_LARGE.format(len(content))))
        mids: list[int] = []
        copies, suspended = selection.copies, self._suspension().copying
        if suspended is not None:
            text = f"copying is suspended {suspended.sentence}"
            missed += [Miss(MissedReason.SUSPENDED, text)] * len(copies)
            copies = ()
        for due in copies:
            try:
                mids.append(await self._hold(due, envelope, content))
            except SpoolError as error:
                if settings.spool_when_full == "tempfail":
                    await self.discard(Taken(tuple(mids)))
                    raise TakeRefused(str(error), ids) from error
                missed.append(Miss(_reason(error), str(error)))
        recipients = len(envelope.recipients)
        return Taken(tuple(mids), tuple(missed), selection.left_out, recipients, ids)

    async def _hold(self, due: Due, envelope: Envelope, content: bytes) -> int:
        """Make one copy durable, and note whether the spool had room; raises SpoolError."""
        if due.recipients != envelope.recipients:
            envelope = replace(envelope, recipients=due.recipients)
        try:
            mid = await self._spool.hold(envelope, content, due.intake, new_report_id())
        except SpoolFull:
            self._counters.refused_size = len(content)
            raise
        self._counters.refused_size = 0
        return mid

    def release(self, taken: Taken) -> None:
        """The original is accepted: its copies are due, and what was not taken is logged."""
        for mid in taken.mids:
            self._spool.release(mid)
            self._log.queued(mid, taken.ids)
        self._counters.copies_taken += len(taken.mids)
        for miss in taken.missed:
            self._counters.count_missed(miss.reason)
            check = RESUME if miss.reason is MissedReason.SUSPENDED else WHAT_TO_CHECK
            self._log.missed(miss.text, check, taken.ids)
        if not taken.mids and not taken.missed:
            self._counters.copies_not_due += 1
        for row in taken.left_out:
            self._log.not_due(row.rule, row.recipients, taken.recipients, taken.ids)

    async def discard(self, taken: Taken) -> None:
        """The original is refused or its fate unknown: its copies go away.

        A spool that can't do it now keeps them; they are then sent though the original was
        refused, which is better than the reverse.
        """
        for mid in taken.mids:
            try:
                await self._spool.discard(mid)
            except SpoolError as error:
                self._log.warning(f"Message {mid} could not be discarded: {error}")


def _reason(error: SpoolError) -> MissedReason:
    full = isinstance(error, SpoolFull)
    return MissedReason.SPOOL_FULL if full else MissedReason.SPOOL_BROKEN
