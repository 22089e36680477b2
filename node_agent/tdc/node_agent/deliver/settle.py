"""PURE. What is done when an attempt ends: its outcome in, effects out.

`trouble` says what a reply or a fault means; this module says what follows from it for the copy
and its destination. It is handed frozen values and returns frozen effects, which `perform` carries
out in order. Nothing else in delivery decides what becomes of a copy.

The rules
=========
**One fate.** An attempt that ends gives its copy exactly one fate: delivered, deferred, dead, or
waiting again. Waiting again has two forms. `SendAgain`: the copy stays in hand and goes first on
the next connection; nobody is to blame. `BackToQueue`: it returns to the spool, due as before,
and waits there with the others until a probe succeeds. Only `Defer` counts an attempt.

**Lifetime.** A copy that is older than retry.lifetime when an attempt fails is dead, whatever the
failure was, also during a hold. It is not looked at before: a copy that never got its turn is
not given up.

**A hold** begins with one alarm. Its probes are spaced by the retry settings, further apart each
time. Failures of reports that were under way when the hold began arrive in the next moments and
say nothing new: they neither lengthen it nor raise a second alarm. Each waiting copy is logged
once per hold as failed and held. One delivery ends it.

**The suspect.** When a run of refusals becomes a hold, or a fault of our own breaks a connection,
the latest message may itself be the cause: it is deferred, so that the next probe is another one.

**Connections** grow by one with each delivery, up to delivery.max_connections. A busy intake
halves them, and no further one is opened for BUSY_WAIT. If a further connection can't be opened
while others work, those are simply enough: no hold.

**A limit of messages per connection** is suspected when a connection that delivered ends between
two reports; `destination` decides when the suspicion has been confirmed. Not after it was idle:
closing an idle connection is ordinary.

**Stopping.** While the agent stops, a failed connection says nothing about a destination, and all
copies in hand return to the spool.
"""

from __future__ import annotations

from typing import NamedTuple

from tdc.node_agent.deliver.effects import (
    BackToQueue,
    CountFailure,
    CountMaybeDuplicate,
    CountSentAgain,
    Defer,
    Effect,
    Fate,
    GiveBackWaiting,
    Hold,
    HoldDestination,
    LearnLimit,
    LeaveOutSize,
    LengthenHold,
    LimitConnections,
    LogDelivered,
    LogFailed,
    LogHeld,
    LogNextHost,
    LogNoFurther,
    MarkDead,
    MarkDelivered,
    MarkHostBad,
    ReleaseHold,
    SendAgain,
)
from tdc.node_agent.deliver.mx import Candidate
from tdc.node_agent.deliver.retry import RetrySettings, next_attempt, wait_after
from tdc.node_agent.deliver.trouble import Outcome, Verdict, in_a_row
from tdc.node_agent.spool.values import Copy
from tdc.shared.connector.settings import ConnectorSettings

BUSY_WAIT = 30.0
"""Seconds without a further connection after the intake asked for fewer."""

BAD_HOST_WAIT = 60.0
"""Seconds for which a host that failed is tried after the others."""


# What is looked at


class Standing(NamedTuple):
    """What the rules see of a destination.

    `connections` are those it has, `allowed` how many it may have; `refused_in_a_row` counts
    messages refused since the last delivery.
    """

    hold: Hold | None = None
    connections: int = 1
    allowed: int = 1
    refused_in_a_row: int = 0
    stopping: bool = False


class EndedAttempt(NamedTuple):
    """One copy's attempt that ended.

    The other fields describe the connection, if it sent anything: its DCID, the host, the
    reports that it has delivered, and whether it was idle before this one.
    """

    copy: Copy
    number: int = 0
    candidate: Candidate | None = None
    tls_version: str = ""
    delivered: int = 0
    was_idle: bool = False


class Moment(NamedTuple):
    """Now, by the monotonic clock and by the spool's; chance in [0, 1), for a hold and a copy."""

    monotonic: float
    steady: float
    hold_jitter: float = 0.5
    copy_jitter: float = 0.5


class Settlement(NamedTuple):
    """What to do, in order: the effects, then the copy's fate.

    `leaves`: the connection carries nothing more.
    """

    fate: Fate
    effects: tuple[Effect, ...] = ()
    leaves: bool = False


# The rules


def settle(
    attempt: EndedAttempt,
    outcome: Outcome,
    standing: Standing,
    settings: ConnectorSettings,
    moment: Moment,
) -> Settlement:
    """Decide everything that follows from one copy's attempt that ended."""
    mid = attempt.copy.mid
    match outcome.verdict:
        case Verdict.DELIVERED:
            return _delivered(attempt, outcome, standing, settings)
        case Verdict.AGAIN:
            limit = () if attempt.was_idle else ended(attempt.number, attempt.delivered)
            return Settlement(SendAgain(mid), (CountSentAgain(mid), *limit), leaves=True)
        case Verdict.WITHOUT_SIZE:
            return Settlement(SendAgain(mid), (LeaveOutSize(),), leaves=True)
        case Verdict.NEXT_HOST:
            return Settlement(SendAgain(mid), _next_host(attempt, outcome, moment), leaves=True)
        case Verdict.HOLD | Verdict.DEFER | Verdict.DEAD:
            return _failed(attempt, outcome, standing, settings, moment)


def settle_unopened(
    candidate: Candidate | None,
    outcome: Outcome,
    standing: Standing,
    working: int,
    settings: ConnectorSettings,
    moment: Moment,
) -> tuple[Effect, ...]:
    """Decide what follows from a connection that could not be opened, or broke by our fault.

    `candidate` is the host that failed, None if there was none to try; `working` counts the
    destination's other connections that have delivered and are still good.
    """
    if standing.stopping:
        return ()
    bad = () if candidate is None else (_bad_host(candidate, moment),)
    if outcome.verdict is Verdict.NEXT_HOST:
        return (*bad, LogNextHost(outcome.reason, outcome.check))
    if working:
        enough = LimitConnections(working, moment.monotonic + BUSY_WAIT)
        return (*bad, CountFailure(outcome.check), enough, LogNoFurther(outcome.check))
    _, hold = _hold(outcome, standing, settings, moment)
    return (*bad, CountFailure(outcome.check, deferred=True), *hold)


def ended(number: int, delivered: int) -> tuple[Effect, ...]:
    """Decide what follows when a connection ended by itself after so many deliveries."""
    return (LearnLimit(number, delivered),) if delivered else ()


def cut_off(awaits_reply: bool) -> tuple[Effect, ...]:
    """Decide what follows when we close a connection that may have a reply under way."""
    return (CountMaybeDuplicate(),) if awaits_reply else ()


def returns_to_spool(standing: Standing) -> bool:
    """Say whether copies in hand go back to the spool, and not to the front of what waits here."""
    return standing.stopping or standing.hold is not None


def _delivered(
    attempt: EndedAttempt, outcome: Outcome, standing: Standing, settings: ConnectorSettings
) -> Settlement:
    mid, reply, version = attempt.copy.mid, outcome.check, attempt.tls_version
    effects: list[Effect] = [LogDelivered(mid, attempt.number, reply, version)]
    if standing.allowed < settings.delivery_max_connections:
        effects.append(LimitConnections(standing.allowed + 1))
    if standing.hold is not None:
        effects.append(ReleaseHold())
    return Settlement(MarkDelivered(mid, reply, version), tuple(effects))


def _next_host(attempt: EndedAttempt, outcome: Outcome, moment: Moment) -> tuple[Effect, ...]:
    log = LogNextHost(outcome.reason, outcome.check)
    if attempt.candidate is None:
        return (log,)
    return (_bad_host(attempt.candidate, moment), log)


def _bad_host(candidate: Candidate, moment: Moment) -> Effect:
    return MarkHostBad(candidate, moment.monotonic + BAD_HOST_WAIT)


def _failed(
    attempt: EndedAttempt,
    judged: Outcome,
    standing: Standing,
    settings: ConnectorSettings,
    moment: Moment,
) -> Settlement:
    """Settle a failure of the message, or one that puts the destination on hold."""
    outcome = in_a_row(judged, standing.refused_in_a_row)
    fate = _fate(attempt.copy, outcome, settings, moment)
    count = CountFailure(
        outcome.check,
        deferred=not isinstance(fate, MarkDead),
        refused=judged.verdict is not Verdict.HOLD,
        maybe_duplicate=outcome.maybe_duplicate,
    )
    if outcome.verdict is not Verdict.HOLD:
        fewer = (_fewer(standing, moment),) if outcome.fewer else ()
        return Settlement(fate, (count, *fewer, *_next_try(fate, outcome, moment)))
    wait, hold = _hold(outcome, standing, settings, moment)
    held = LogHeld(attempt.copy.mid, outcome.reason, outcome.check, wait)
    return Settlement(fate, (count, *hold, held), leaves=judged.verdict is Verdict.HOLD)


def _fate(
    copy: Copy, outcome: Outcome, settings: ConnectorSettings, moment: Moment
) -> Defer | MarkDead | BackToQueue:
    if outcome.verdict is Verdict.DEAD:
        return MarkDead(copy.mid, _text(outcome))
    later = _later(copy, outcome, settings, moment)
    waits_with_others = outcome.verdict is Verdict.HOLD and not outcome.suspect
    return BackToQueue(copy.mid) if waits_with_others and isinstance(later, Defer) else later


def _later(
    copy: Copy, outcome: Outcome, settings: ConnectorSettings, moment: Moment
) -> Defer | MarkDead:
    """Defer a copy, or give it up if its lifetime is over."""
    retry = RetrySettings.of(settings)
    next_at = next_attempt(moment.steady, copy.lives_from, copy.attempts, retry, moment.copy_jitter)
    if next_at is not None:
        return Defer(copy.mid, next_at, _text(outcome))
    over = f"not delivered within {retry.lifetime} s (retry.lifetime); last: {outcome.check}"
    return MarkDead(copy.mid, f"{outcome.reason}: {over}")


def _next_try(fate: Fate, outcome: Outcome, moment: Moment) -> tuple[Effect, ...]:
    if not isinstance(fate, Defer):
        return ()
    check = f"{outcome.check}; next try in {fate.next_at - moment.steady:.0f} s"
    return (LogFailed(fate.mid, outcome.reason, check),)


def _fewer(standing: Standing, moment: Moment) -> LimitConnections:
    half = max(1, min(standing.allowed, standing.connections) // 2)
    return LimitConnections(half, moment.monotonic + BUSY_WAIT)


def _hold(
    outcome: Outcome, standing: Standing, settings: ConnectorSettings, moment: Moment
) -> tuple[float, tuple[Effect, ...]]:
    """Begin a hold, or lengthen it if this was its probe; with the seconds until the next."""
    now, before = moment.monotonic, standing.hold
    effects: list[Effect] = []
    if before is not None and now < before.next_probe:
        hold = before  # an attempt from before the hold
    else:
        failures = 1 if before is None else before.failures + 1
        spaced = wait_after(failures, RetrySettings.of(settings), moment.hold_jitter)
        hold = Hold(
            reason=outcome.reason,
            check=outcome.check,
            since=now if before is None else before.since,
            next_probe=now + max(spaced, outcome.at_least),
            failures=failures,
        )
    wait = max(0.0, hold.next_probe - now)
    if before is None:
        effects.append(HoldDestination(hold, wait))
    elif hold is not before:
        effects.append(LengthenHold(hold))
    if standing.allowed != 1:
        effects.append(LimitConnections(1))
    effects.append(GiveBackWaiting(outcome.reason, outcome.check, wait))
    return wait, tuple(effects)


def _text(outcome: Outcome) -> str:
    return f"{outcome.reason}: {outcome.check}"
