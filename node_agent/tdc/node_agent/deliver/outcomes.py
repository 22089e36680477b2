"""What an outcome does: to the copy in the spool, to its destination, to counters and log."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from tdc.node_agent.deliver.context import Context
from tdc.node_agent.deliver.destination import DestinationState, Hold
from tdc.node_agent.deliver.retry import RetrySettings, next_attempt, wait_after
from tdc.node_agent.deliver.trouble import Outcome, Verdict, in_a_row
from tdc.node_agent.spool.values import Copy
from tdc.shared.connector.settings import ConnectorSettings
from tdc.shared.edge.clock import chance, monotonic, wall

BUSY_WAIT = 30.0
"""Seconds without a further connection after the intake asked for fewer."""

Record = asyncio.Future[None] | None


def retry_settings(settings: ConnectorSettings) -> RetrySettings:
    """Return the settings `retry.*`."""
    return RetrySettings(settings.retry_initial, settings.retry_maximum, settings.retry_lifetime)


def delivered(
    context: Context, destination: DestinationState, copy: Copy, dcid: int, reply: str
) -> Record:
    """The intake accepted the report."""
    version = destination.last_tls_version
    destination.last_reply = reply
    context.counters.delivered += 1
    context.log.delivered(copy.mid, dcid, reply, version)
    if destination.succeeded(context.settings().delivery_max_connections):
        context.log.released(destination.domain)
        context.wake.set()
    return context.recorded(context.spool.delivered(copy.mid, reply=reply, tls_version=version))


def failed(context: Context, destination: DestinationState, copy: Copy, judged: Outcome) -> Record:
    """A report was not accepted; `judged` says what that means."""
    outcome = judged
    if judged.verdict in (Verdict.DEFER, Verdict.DEAD):
        outcome = in_a_row(judged, destination.failures_in_a_row)
        destination.failures_in_a_row += 1
    destination.last_reply = outcome.check
    if outcome.maybe_duplicate:
        context.counters.maybe_duplicate += 1
    if outcome.verdict is Verdict.DEAD:
        return _dead(context, destination, copy, outcome.reason, outcome.check)
    _count_soft(context, destination)
    if outcome.verdict is Verdict.HOLD:
        return _held(context, destination, copy, outcome, suspect=outcome is not judged)
    if outcome.fewer:
        destination.fewer_connections(monotonic(), BUSY_WAIT)
    return _deferred(context, destination, copy, outcome)


def no_connection(context: Context, destination: DestinationState, outcome: Outcome) -> None:
    """A connection could not be opened on any host.

    While others of the destination work, this says only that they are enough.
    """
    destination.last_reply = outcome.check
    working = [
        one
        for one in destination.couriers.values()
        if one.connection is not None and one.connection.usable and one.connection.delivered
    ]
    if working:
        destination.concurrency = len(working)
        destination.open_after = monotonic() + BUSY_WAIT
        context.log.info(f"No further connection to {destination.domain}: {outcome.check}")
        return
    _count_soft(context, destination)
    hold(context, destination, outcome)


def hold(context: Context, destination: DestinationState, outcome: Outcome) -> float:
    """Hold the destination, or lengthen its hold; return the seconds until the next probe.

    The alarm is raised once; failures of reports that were under way when it was raised
    change nothing more.
    """
    now = monotonic()
    before = destination.hold
    if before is None or now >= before.next_probe:
        failures = 1 if before is None else before.failures + 1
        wait = wait_after(failures, retry_settings(context.settings()), chance())
        destination.hold = Hold(
            reason=outcome.reason,
            check=outcome.check,
            since=now if before is None else before.since,
            next_probe=now + max(wait, outcome.at_least),
            failures=failures,
        )
    assert destination.hold is not None
    wait = max(0.0, destination.hold.next_probe - now)
    destination.concurrency = 1
    if before is None:
        context.log.held(destination.domain, outcome.reason, outcome.check, wait)
    waiting = list(destination.ready)
    destination.ready.clear()
    tell(context, destination, waiting, outcome, wait)
    context.spool.unclaim([copy.mid for copy in waiting])
    context.wake.set()
    return wait


def tell(
    context: Context,
    destination: DestinationState,
    copies: Iterable[Copy],
    outcome: Outcome,
    wait: float,
) -> None:
    """Log for each copy, once in a hold, that and why it is held."""
    for copy in copies:
        if destination.first_told(copy):
            check = f"{outcome.check}; held, next try in {wait:.0f} s"
            context.log.failed(copy.mid, outcome.reason, check)


def _held(
    context: Context,
    destination: DestinationState,
    copy: Copy,
    outcome: Outcome,
    *,
    suspect: bool,
) -> Record:
    """Hold; the copy waits with the others, unless its age is up or it may be the culprit."""
    wait = hold(context, destination, outcome)
    tell(context, destination, [copy], outcome, wait)
    settings = retry_settings(context.settings())
    next_at = next_attempt(wall(), copy.taken_at, copy.attempts, settings, chance())
    if next_at is None:
        return _over(context, destination, copy, outcome)
    if suspect:  # so that the next probe is another copy
        reason = f"{outcome.reason}: {outcome.check}"
        return context.record(context.spool.defer(copy.mid, next_at=next_at, reason=reason))
    context.spool.unclaim([copy.mid])
    return None


def _deferred(
    context: Context, destination: DestinationState, copy: Copy, outcome: Outcome
) -> Record:
    now = wall()
    settings = retry_settings(context.settings())
    next_at = next_attempt(now, copy.taken_at, copy.attempts, settings, chance())
    if next_at is None:
        return _over(context, destination, copy, outcome)
    check = f"{outcome.check}; next try in {next_at - now:.0f} s"
    context.log.failed(copy.mid, outcome.reason, check)
    reason = f"{outcome.reason}: {outcome.check}"
    return context.record(context.spool.defer(copy.mid, next_at=next_at, reason=reason))


def _over(context: Context, destination: DestinationState, copy: Copy, outcome: Outcome) -> Record:
    lifetime = context.settings().retry_lifetime
    check = f"not delivered within {lifetime} s (retry.lifetime); last: {outcome.check}"
    return _dead(context, destination, copy, outcome.reason, check)


def _dead(
    context: Context, destination: DestinationState, copy: Copy, reason: str, check: str
) -> Record:
    destination.dead += 1
    context.counters.dead += 1
    context.log.dead(copy.mid, f"{reason}: {check}")
    return context.record(context.spool.dead(copy.mid, reason=f"{reason}: {check}"))


def _count_soft(context: Context, destination: DestinationState) -> None:
    destination.deferred += 1
    context.counters.deferred += 1
