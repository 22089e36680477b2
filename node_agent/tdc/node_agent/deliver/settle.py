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

**Death.** A copy is dead only of failures of its own, and only when they are proven (`evidence`):
refused for good, or failing still when retry.lifetime is over. Age alone kills nothing, neither
during a hold nor after it, and a copy that never got its turn is not looked at.

**A hold** begins with one alarm. Its probes are spaced by the retry settings, further apart each
time; one that was asked for, or that changed settings brought, leaves that plan as it is. Failures
of reports that were under way when the hold began arrive in the next moments and say nothing new:
they neither lengthen it nor raise a second alarm. Each waiting copy is logged once per hold as
failed and held. One delivery ends it.

**Blame** goes to the message first, then to the host, then to the intake (`evidence`). A host that
is to blame is left, and a copy that it refused goes to the next one at once. A copy that it may
have taken, or that may have broken the connection, is deferred: the next host gets others first.
A hold begins, and goes on, only when no host is left; it marks the host too, so that its next probe
begins with another.

**The suspect.** When a refusal after the content becomes a hold, or a fault of our own breaks a
connection, the latest message may itself be the cause: it is deferred, so that the next probe is
another one.

**A run** of refusals that becomes a hold proves nothing about its messages: UndoRun.

**Another way.** A report that goes again at once without an extension, or with the original in
base64, is not counted as failed. What was refused is remembered, so that this ends.

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

import math
from typing import NamedTuple

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
    Hold,
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
from tdc.node_agent.deliver.evidence import (
    PASSING_FOR,
    Failures,
    blames_host,
    is_proven,
    weighed,
)
from tdc.node_agent.deliver.hosts import Here
from tdc.node_agent.deliver.mx import Candidate
from tdc.node_agent.deliver.retry import RetrySettings, is_over, next_probe, next_wait
from tdc.node_agent.deliver.trouble import Outcome, Verdict
from tdc.node_agent.spool.pauses import Spans, acting
from tdc.node_agent.spool.values import Copy
from tdc.shared.connector.settings import ConnectorSettings

BUSY_WAIT = 30.0
"""Seconds without a further connection after the intake asked for fewer."""

WITHOUT_FOR = 3_600.0
"""Seconds for which a host that refused an extension is sent to without it."""


# What is looked at


class Standing(NamedTuple):
    """What the rules see of a destination.

    `connections` are those it has, `allowed` how many it may have; `refused_in_a_row` counts the
    other copies that were refused since the last delivery, which was at `delivered_at` (monotonic).
    """

    hold: Hold | None = None
    connections: int = 1
    allowed: int = 1
    refused_in_a_row: int = 0
    delivered_at: float = -math.inf
    stopping: bool = False


class EndedAttempt(NamedTuple):
    """One copy's attempt that ended, and its `failures` before.

    The other fields describe the connection, if the host is concerned: its DCID, the host, the
    reports that it has delivered, whether it was idle before this one, and what is known `here`.
    """

    copy: Copy
    number: int = 0
    candidate: Candidate | None = None
    tls_version: str = ""
    delivered: int = 0
    was_idle: bool = False
    failures: Failures = Failures()
    here: Here = Here()


class Moment(NamedTuple):
    """Now, by the monotonic clock and by the spool's; chance in [0, 1), for a hold and a copy.
    `pauses`: when delivery was suspended, by the spool's.
    """

    monotonic: float
    steady: float
    hold_jitter: float = 0.5
    copy_jitter: float = 0.5
    pauses: Spans = ()


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
    mid, said = attempt.copy.mid, _said(attempt.candidate, outcome)
    match outcome.verdict:
        case Verdict.DELIVERED:
            return _delivered(attempt, outcome, standing, settings)
        case Verdict.AGAIN:
            limit = () if attempt.was_idle else ended(attempt.number, attempt.delivered)
            return Settlement(SendAgain(mid), (*said, CountSentAgain(mid), *limit), leaves=True)
        case Verdict.WITHOUT:
            return Settlement(
                SendAgain(mid), (*said, *_without(attempt, outcome, moment)), leaves=True
            )
        case Verdict.ENCODED:
            how = LogOtherwise(outcome.reason, outcome.check, "with the original in base64")
            return Settlement(SendAgain(mid), (*said, SendEncoded(mid), how))
        case Verdict.NEXT_HOST:
            next_host = _next_host(attempt, outcome, moment)
            return Settlement(SendAgain(mid), (*said, *next_host), leaves=True)
        case Verdict.HOLD | Verdict.BLOCKED | Verdict.DEFER | Verdict.REFUSED:
            return _failed(attempt, outcome, standing, settings, moment)


def settle_unopened(
    candidate: Candidate | None,
    outcome: Outcome,
    standing: Standing,
    working: int,
    settings: ConnectorSettings,
    moment: Moment,
    number: int = 0,
) -> tuple[Effect, ...]:
    """Decide what follows from a connection that could not be opened, or broke by our fault.

    `candidate` is the host that failed, None if there was none to try; `working` counts the
    destination's other connections that have delivered and are still good.
    """
    if standing.stopping:
        return ()
    bad = (*_said(candidate, outcome), *_bad_host(candidate, number, outcome, moment))
    if outcome.verdict is Verdict.NEXT_HOST:
        return (*bad, LogNextHost(outcome.reason, outcome.check))
    if working:
        enough = LimitConnections(working, moment.monotonic + BUSY_WAIT)
        return (*bad, CountFailure(), enough, LogNoFurther(outcome.check))
    _, hold = _hold(outcome, standing, settings, moment)
    return (*bad, CountFailure(deferred=True), *hold)


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
    number = attempt.number
    effects: list[Effect] = [*_said(attempt.candidate, outcome)]
    effects.append(LogDelivered(mid, number, reply, version))
    if standing.allowed < settings.delivery_max_connections:
        effects.append(LimitConnections(standing.allowed + 1))
    if standing.hold is not None:
        effects.append(ReleaseHold())
    return Settlement(MarkDelivered(mid, reply, version, number), tuple(effects))


def _said(candidate: Candidate | None, outcome: Outcome) -> tuple[Effect, ...]:
    return (NoteReply(candidate, outcome.reply),) if candidate and outcome.reply else ()


def _without(attempt: EndedAttempt, outcome: Outcome, moment: Moment) -> tuple[Effect, ...]:
    how = f"without {', '.join(sorted(outcome.without))} to this host for {WITHOUT_FOR:.0f} s"
    log = LogOtherwise(outcome.reason, outcome.check, how)
    if attempt.candidate is None:
        return (log,)
    until = moment.monotonic + WITHOUT_FOR
    return (DoWithout(attempt.candidate, outcome.without, until), log)


def _next_host(
    attempt: EndedAttempt, outcome: Outcome, moment: Moment, *, leave: bool = False
) -> tuple[Effect, ...]:
    bad = _bad_host(attempt.candidate, attempt.number, outcome, moment, leave=leave)
    return (*bad, LogNextHost(outcome.reason, outcome.check))


def _bad_host(
    candidate: Candidate | None,
    number: int,
    outcome: Outcome,
    moment: Moment,
    *,
    leave: bool = False,
) -> tuple[Effect, ...]:
    if candidate is None:
        return ()
    return (MarkHostBad(candidate, number, moment.monotonic, outcome.at_least, leave),)


def _failed(
    attempt: EndedAttempt,
    judged: Outcome,
    standing: Standing,
    settings: ConnectorSettings,
    moment: Moment,
) -> Settlement:
    """Settle a failure of the message, the host or the destination: blamed in this order."""
    before, row, now = attempt.failures, standing.refused_in_a_row, moment.monotonic
    on_hold, outcome = standing.hold is not None, judged
    next_host: tuple[Effect, ...] = ()
    if blames_host(judged, before, attempt.here, now, row, on_hold=on_hold):
        next_host = _next_host(attempt, judged, moment, leave=True)
        if not judged.silent:
            return Settlement(
                SendAgain(attempt.copy.mid),
                (*_said(attempt.candidate, judged), *next_host),
                leaves=True,
            )
    else:
        others_pass = now - standing.delivered_at <= PASSING_FOR or before.others_passed
        outcome = weighed(judged, row, others_pass=others_pass, on_hold=on_hold)
    proof = Failures() if next_host else before  # no copy dies of what a host is blamed for
    fate = _fate(attempt._replace(failures=proof), outcome, settings, moment)
    died = isinstance(fate, MarkDead)
    effects: list[Effect] = [*_said(attempt.candidate, outcome)]
    effects.append(CountFailure(deferred=not died, maybe_duplicate=outcome.maybe_duplicate))
    if judged.verdict is not Verdict.HOLD or outcome.verdict is not Verdict.HOLD:
        effects.append(NoteFailure(attempt.copy.mid, now, died, attempt.candidate))
    # Another connection may lead to another backend; but to one that is busy we keep what we have.
    blocked = judged.verdict in (Verdict.HOLD, Verdict.BLOCKED) and not judged.fewer
    leaves = outcome.verdict is Verdict.HOLD or blocked or bool(next_host)
    if outcome.verdict is not Verdict.HOLD:
        effects += [_fewer(standing, moment)] if outcome.fewer else []
        effects += (*next_host, *_next_try(fate, outcome, moment))
        return Settlement(fate, (*effects, WarnOfRefusals(outcome.check)), leaves)
    effects += _bad_host(attempt.candidate, attempt.number, outcome, moment)
    wait, hold = _hold(outcome, standing, settings, moment)
    effects += [UndoRun()] if row else []
    held = LogHeld(attempt.copy.mid, outcome.reason, outcome.check, wait)
    return Settlement(fate, (*effects, *hold, held), leaves)


def _fate(
    attempt: EndedAttempt, outcome: Outcome, settings: ConnectorSettings, moment: Moment
) -> Defer | MarkDead | BackToQueue:
    copy, retry = attempt.copy, RetrySettings.of(settings)
    age = acting(moment.pauses, moment.steady - copy.lives_from, moment.steady)
    tried = acting(moment.pauses, moment.monotonic - attempt.failures.first, moment.steady)
    if outcome.verdict is Verdict.HOLD and not outcome.suspect:
        return BackToQueue(copy.mid)
    over = is_over(age, retry)
    dies = outcome.verdict is Verdict.REFUSED or (over and outcome.verdict is Verdict.DEFER)
    if dies and is_proven(attempt.failures, attempt.failures.first + tried):
        return MarkDead(copy.mid, _last_words(attempt, outcome, retry, moment))
    wait = max(outcome.at_least, next_wait(age, copy.attempts, retry, moment.copy_jitter))
    return Defer(copy.mid, moment.steady + wait, _text(outcome))


def _last_words(
    attempt: EndedAttempt, outcome: Outcome, retry: RetrySettings, moment: Moment
) -> str:
    """Say why a copy is dead, and on what evidence."""
    tries, hours = attempt.failures.tries + 1, (moment.monotonic - attempt.failures.first) / 3_600
    evidence = f"{tries} tries in {hours:.1f} h failed while others were delivered"
    if outcome.verdict is Verdict.REFUSED:
        return f"{_text(outcome)}; {evidence}"
    over = f"not delivered within {retry.lifetime} s (retry.lifetime); {evidence}"
    return f"{outcome.reason}: {over}; last: {outcome.check}"


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
        failures, at = next_probe(before, now, RetrySettings.of(settings), moment.hold_jitter)
        hold = Hold(
            reason=outcome.reason,
            check=outcome.check,
            since=now if before is None else before.since,
            next_probe=max(at, now + outcome.at_least),
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
