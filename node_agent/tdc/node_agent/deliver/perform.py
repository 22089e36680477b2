"""Performs what `settle` decided: the one place where delivery writes down how an attempt ended.

In: effects and fates, in order. Out: marks in the spool, counters, log lines, the destination's
state. No method awaits: nothing comes between the intake's reply and its mark.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from tdc.node_agent.counters import Counters
from tdc.node_agent.deliver.destination import DestinationState
from tdc.node_agent.deliver.effects import (
    BackToQueue,
    CountFailure,
    CountMaybeDuplicate,
    CountSentAgain,
    Defer,
    DoWithout,
    Effect,
    Fate,
    GiveBackWaiting,
    HoldDestination,
    LearnLimit,
    LengthenHold,
    LimitConnections,
    LogDelivered,
    LogFailed,
    LogHeld,
    LogNextHost,
    LogNoFurther,
    LogOtherwise,
    MarkDead,
    MarkDelivered,
    MarkHostBad,
    NoteFailure,
    NoteReply,
    ReleaseHold,
    SendAgain,
    SendEncoded,
    UndoRun,
    WarnOfRefusals,
)
from tdc.node_agent.deliver.settle import Settlement
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.spool.spool import Spool
from tdc.node_agent.spool.values import SpoolUnavailable
from tdc.shared.edge.clock import monotonic

Mark = asyncio.Future[None]
"""An outcome on its way to the disk."""

FAULT_OF_INTAKE = "it died while the intake refused everything"
"""Stands in the history of a copy that is queued again by itself."""


class Performer:
    """Acts on the spool, the counters, the log and destinations.

    `write` runs a mark as a task that the stop waits for, `wake` has the scheduler look again.
    """

    def __init__(
        self,
        spool: Spool,
        log: TdcLog,
        counters: Counters,
        write: Callable[[Mark | Coroutine[Any, Any, None]], Mark],
        wake: Callable[[], None],
    ) -> None:
        self._spool, self._log, self._counters = spool, log, counters
        self._write, self._wake = write, wake

    def settle(self, settlement: Settlement, destination: DestinationState) -> Mark | None:
        """Perform the effects, then the copy's fate; returns its mark if it has one."""
        self.perform(settlement.effects, destination)
        return self._mark(settlement.fate, destination)

    def perform(self, effects: Iterable[Effect], destination: DestinationState) -> None:
        """Perform effects in order."""
        for effect in effects:
            match effect:
                case LogDelivered(mid, number, reply, tls_version):
                    self._log.delivered(mid, number, reply, tls_version)
                case LogFailed(mid, reason, check):
                    self._log.failed(mid, reason, check)
                case LogHeld(mid, reason, check, wait):
                    self.log_held(destination, (mid,), reason, check, wait)
                case LogNextHost(reason, check):
                    self._log.warning(f"{reason}: {check}; trying the next host")
                case LogOtherwise(reason, check, how):
                    self._log.warning(f"{reason}: {check}; sending again {how}")
                case LogNoFurther(check):
                    self._log.info(
                        f"Could not open another connection to {destination.domain}: {check}"
                        " (continuing with existing ones)"
                    )
                case CountFailure(deferred, maybe_duplicate):
                    self._counters.maybe_duplicate += maybe_duplicate
                    destination.deferred += deferred
                    self._counters.deferred += deferred
                case WarnOfRefusals(check):
                    self._warn_of_refusals(destination, check)
                case NoteReply() | NoteFailure() | SendEncoded() | UndoRun():
                    self._remember(effect, destination)
                case CountMaybeDuplicate():
                    self._counters.maybe_duplicate += 1
                case _:
                    self._change(effect, destination)

    def _remember(
        self, effect: NoteReply | NoteFailure | SendEncoded | UndoRun, destination: DestinationState
    ) -> None:
        """Perform an effect on what is remembered of replies and refusals."""
        match effect:
            case NoteReply(candidate, reply):
                destination.note_reply(candidate, reply, monotonic())
            case NoteFailure(mid, at, died, candidate):
                destination.record.note_failure(mid, at, died=died)
                if candidate is not None:
                    destination.hosts.note_failure(candidate, mid)
            case SendEncoded(mid):
                destination.record.send_encoded(mid)
            case UndoRun():
                died_in_it = destination.record.undo_run()
                if died_in_it:
                    self._write(self._revive(died_in_it, destination))

    def _change(
        self,
        effect: CountSentAgain
        | HoldDestination
        | LengthenHold
        | ReleaseHold
        | GiveBackWaiting
        | LimitConnections
        | LearnLimit
        | MarkHostBad
        | DoWithout,
        destination: DestinationState,
    ) -> None:
        """Perform an effect on the destination's state."""
        match effect:
            case HoldDestination(hold, wait):
                destination.hold = hold
                self._log.held(destination.domain, hold.reason, hold.check, wait)
            case LengthenHold(hold):
                destination.hold = hold
            case ReleaseHold():
                destination.release()
                self._log.released(destination.domain)
                self._wake()
            case GiveBackWaiting(reason, check, wait):
                self._give_back_waiting(destination, reason, check, wait)
            case LimitConnections(connections, open_after):
                destination.allowed = connections
                if open_after is not None:
                    destination.open_after = open_after
            case LearnLimit(number, messages):
                destination.learn_messages(number, messages, monotonic())
            case MarkHostBad(candidate, number, at, at_least, leave):
                destination.blame(candidate, number, at, at_least, leave=leave)
            case DoWithout(candidate, extensions, until):
                destination.do_without(candidate, extensions, until)
            case CountSentAgain(mid):
                destination.count_sent_again(mid)

    def _mark(self, fate: Fate, destination: DestinationState) -> Mark | None:
        match fate:
            case MarkDelivered(mid, reply, tls_version, number):
                self._counters.count_delivered()
                destination.note_delivery(mid, monotonic(), number)
                mark = self._spool.delivered(mid, reply=reply, tls_version=tls_version)
                return self._write(mark)
            case Defer(mid, next_at, reason):
                return self._write(self._spool.defer(mid, next_at=next_at, reason=reason))
            case MarkDead(mid, reason):
                self._counters.dead += 1
                destination.dead += 1
                self._log.dead(mid, reason)
                return self._write(self._spool.dead(mid, reason=reason))
            case BackToQueue(mid):
                self._spool.unclaim([mid])
            case SendAgain():
                pass  # it stays in hand: the connection gives it back when it leaves
        return None

    def log_held(
        self,
        destination: DestinationState,
        mids: Iterable[int],
        reason: str,
        check: str,
        wait: float,
    ) -> None:
        """Log for each copy, once in a hold, that and why it is held."""
        for mid in mids:
            if destination.first_logged_held(mid):
                self._log.failed(mid, reason, f"{check}; held, next try in {wait:.0f} s")

    def _warn_of_refusals(self, destination: DestinationState, check: str) -> None:
        count = destination.record.warns()
        if count:
            self._log.refusing(destination.domain, count, check)

    async def _revive(self, mids: list[int], destination: DestinationState) -> None:
        try:
            await self._spool.orders.revive(mids, destination.intake, "", FAULT_OF_INTAKE)
        except SpoolUnavailable as error:  # they stay where an operator finds them
            self._log.error(f"{len(mids)} dead copies could not be queued again: {error}")
        else:
            self._log.revived(destination.domain, len(mids))

    def _give_back_waiting(
        self, destination: DestinationState, reason: str, check: str, wait: float
    ) -> None:
        mids = [copy.mid for copy in destination.ready]
        destination.ready.clear()
        self.log_held(destination, mids, reason, check, wait)
        self._spool.unclaim(mids)
        self._wake()
