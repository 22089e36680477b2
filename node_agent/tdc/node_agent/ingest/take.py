"""The one path from all front ends to the spool: select, make durable, count.

A front end calls `take` when it has the whole message and before any reply says that the
message is accepted; then `release` when the original's acceptance is certain, or `discard`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from tdc.node_agent.counters import Counters
from tdc.node_agent.journal.loop import Reporter, is_own_report
from tdc.node_agent.journal.report import new_report_id
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.spool.spool import Spool
from tdc.node_agent.spool.values import SpoolError
from tdc.shared.connector.selection import NotDue, select
from tdc.shared.connector.settings import ConnectorSettings
from tdc.shared.mail.envelope import Envelope

WHAT_TO_CHECK = "Check spool.max_messages, spool.max_bytes, max_message_size and the spool's disk."
TOO_LARGE = "a message of {} bytes is larger than max_message_size"


class TakeRefused(Exception):
    """No copy could be taken and `spool.when_full` is `tempfail`: refuse the original for now."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Copies that are durable and wait for the next hop's answer.

    `missed` holds a reason for each copy that was due and could not be taken; `due` says
    whether any copy was due at all.
    """

    mids: tuple[int, ...] = ()
    missed: tuple[str, ...] = ()
    due: bool = True


class Taker:
    """Takes copies for one machine. `settings` returns what is in force at the moment."""

    def __init__(
        self,
        spool: Spool,
        settings: Callable[[], ConnectorSettings],
        counters: Counters,
        log: TdcLog,
        reporter: Reporter,
    ) -> None:
        self._spool = spool
        self._settings = settings
        self._counters = counters
        self._log = log
        self._loop_key = reporter.loop_key

    async def take(self, envelope: Envelope, content: bytes) -> Taken:
        """Make each due copy durable. Raises TakeRefused; nothing is kept then."""
        settings = self._settings()
        loop = is_own_report(content, self._loop_key)
        selection = select(envelope, len(content), loop, settings)
        if selection.reason is NotDue.TOO_LARGE:
            return Taken(missed=(TOO_LARGE.format(len(content)),))
        if not selection.copies:
            return Taken(due=False)
        mids: list[int] = []
        missed: list[str] = []
        for due in selection.copies:
            report_id = new_report_id()
            copy_envelope = (
                envelope
                if due.recipients == envelope.recipients
                else replace(envelope, recipients=due.recipients)
            )
            try:
                mids.append(await self._spool.hold(copy_envelope, content, due.intake, report_id))
            except SpoolError as error:
                if settings.spool_when_full == "tempfail":
                    await self.discard(Taken(tuple(mids)))
                    raise TakeRefused(str(error)) from error
                missed.append(str(error))
        return Taken(tuple(mids), tuple(missed))

    def release(self, taken: Taken) -> None:
        """The original is accepted: its copies are due, and what was missed is logged."""
        if not taken.due:
            self._counters.copies_not_due += 1
            return
        for mid in taken.mids:
            self._spool.release(mid)
            self._log.queued(mid)
        self._counters.copies_taken += len(taken.mids)
        for reason in taken.missed:
            self._counters.copies_missed += 1
            self._log.missed(reason, WHAT_TO_CHECK)

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
