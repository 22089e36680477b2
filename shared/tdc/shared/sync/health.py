"""PURE. What is wrong with a machine, for people and for monitoring.

In: what this manager knows of the machine, its last report included, and how old that is. Out:
problems, the worst first. Promise: no problem means that the machine is connected, takes settings
from this manager and runs what is wanted, has reported within REPORT_LATE seconds, takes copies if
it is to, and delivers them. What is not known is a problem. The thresholds are here and in
docs/cli.md, which a test compares.

No age is a difference of two clocks, or of one that may be set. What the manager saw itself comes
with its age. What a machine reports is as old as the machine's own clock said in that report: one
whose clock is wrong has not been on hold for a year.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tdc.shared.sync.report import MachineReport, ReportedDestination, ReportedMissed
from tdc.shared.sync.suspension import WORKS
from tdc.shared.sync.suspension_state import NO_SUSPENSION, SuspensionFacts
from tdc.shared.sync.words import lapse_words, moment_words

OFFLINE_CRITICAL = 300.0
"""Seconds without a stream: an agent or a manager that is restarted is back within a minute."""
REFUSED_CRITICAL = 300.0
"""Seconds for which a machine has taken no settings from this manager, whatever they are. A manager
that lags behind catches up within seconds; one with another store never does."""
OUT_OF_SYNC_WARNING = 60.0
"""Seconds with settings not applied: it takes less than one."""
REPORT_LATE = 60.0
"""Seconds since the last report of a connected machine: one comes every 10 s."""
HELD_CRITICAL = 1_800.0
"""Seconds on hold: an intake that is restarted or changes its certificate is back before that, and
copies wait for hours without harm. A hold is a warning from its first moment."""
NEXT_HOP_CRITICAL = 300.0
"""Seconds without a next hop that takes mail: an MTA that is restarted is back within a minute, and
meanwhile every message waits."""
WAITING_WARNING = 900.0
"""Seconds that a copy has waited for an intake that is not on hold: several tries have failed."""
WAITING_CRITICAL = 4 * 3_600.0
"""As WAITING_WARNING: a working day's half, well before `retry.lifetime` (72 h)."""
MISSED_CRITICAL = 900.0
"""Seconds since the last copy that was missed: mail passes without a copy, and no repair brings the
copy back. Longer than a pause between two messages on a quiet gateway."""
MISSED_SHOWN = 86_400.0
"""Seconds since the last miss for which it is a warning: a look once a day is enough to see it."""
MOST_DESTINATIONS = 5
"""Destinations in trouble of which each has a problem of its own; one more counts the others."""


class Severity(StrEnum):
    """How soon somebody should look: today, or now."""

    WARNING = "warning"
    CRITICAL = "critical"


class Kind(StrEnum):
    """Words for programs; docs/cli.md has them all."""

    NOT_ENROLLED = "not-enrolled"
    OFFLINE = "offline"
    STALE = "stale"
    UNKNOWN = "unknown"
    REJECTED = "rejected"
    OUT_OF_SYNC = "out-of-sync"
    LACKS_SETTING = "lacks-setting"
    NO_REPORT = "no-report"
    CLONED = "cloned"
    UNREADABLE = "unreadable"
    SPOOL_BROKEN = "spool-broken"
    SPOOL_FULL = "spool-full"
    NEXT_HOP = "next-hop"
    SUSPENDED = "suspended"
    NOT_SUSPENDED = "not-suspended"
    NOT_RESUMED = "not-resumed"
    MISSED = "missed"
    HELD = "held"
    WAITING = "waiting"
    DEAD = "dead"
    REPORTED = "reported"


SYNC_KINDS = frozenset(
    {
        Kind.NOT_ENROLLED,
        Kind.OFFLINE,
        Kind.STALE,
        Kind.UNKNOWN,
        Kind.REJECTED,
        Kind.OUT_OF_SYNC,
        Kind.LACKS_SETTING,
    }
)
"""Problems whose text is the reason why the machine is not in sync."""

_AWAY = (Kind.OFFLINE, Kind.STALE, Kind.UNKNOWN)
"""States in which nothing new is heard of a machine."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `since` is Unix seconds, None if it is not known."""

    kind: Kind
    severity: Severity
    text: str
    since: float | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What a manager knows of a machine.

    Times are Unix seconds by the manager's clock, to be shown; ages are seconds that really passed.

    `state` is the word of its sync state, which began at `since` (None: never enrolled) and has
    lasted for `lasts`; `reason` is why it is not in sync; `report` is its last report, of
    `reported_at`, `report_age` ago. `refused_for`: so long it has taken no settings from this
    manager, whatever they are; None if it takes them. `lacks`: its agent doesn't know a setting
    that has a value there. `clones` says that several machines use its name; `outdated` that its
    settings in the store can't be read. `suspension` is what is suspended there, and what should
    be.
    """

    state: str
    since: float | None
    reason: str
    report: MachineReport | None
    reported_at: float | None
    clones: str = ""
    outdated: bool = False
    lasts: float = 0.0
    report_age: float = 0.0
    refused_for: float | None = None
    lacks: bool = False
    suspension: SuspensionFacts = NO_SUSPENSION


def worst(problems: Iterable[Problem]) -> str:
    """The state of health that problems make: "ok", "warning" or "critical"."""
    severities = {problem.severity for problem in problems}
    for severity in (Severity.CRITICAL, Severity.WARNING):
        if severity in severities:
            return severity.value
    return "ok"


def problems_of(known: Known) -> tuple[Problem, ...]:
    """All that is wrong, critical ones first."""
    found = [*_sync(known), *_manager_view(known), *_suspension(known.suspension)]
    if known.report is not None and known.reported_at is not None:
        away = known.state in _AWAY
        # Nothing is known of what came after the last report, so it does not get older either.
        passed = 0.0 if away else known.report_age
        own_clock = known.reported_at if known.report.time is None else known.report.time
        found += _copies(known.report, own_clock + passed)
    found.sort(key=lambda problem: problem.severity is Severity.WARNING)
    once: dict[str, Problem] = {}
    for problem in found:  # an agent may warn of what is also its reason for a refusal
        once.setdefault(problem.text, problem)
    return tuple(once.values())


# -- the manager's own view ----------------------------------------------------------------------


def _sync(known: Known) -> Iterator[Problem]:
    refused_for = known.refused_for or 0.0
    lasts = max(known.lasts, refused_for)
    match known.state:
        case "offline" if known.since is None:
            yield Problem(Kind.NOT_ENROLLED, Severity.WARNING, known.reason)
        case "offline" | "stale" | "unknown":
            severity = Severity.CRITICAL if lasts >= OFFLINE_CRITICAL else Severity.WARNING
            yield Problem(Kind(known.state), severity, known.reason, known.since)
        case "rejected":
            severity = Severity.CRITICAL if refused_for >= REFUSED_CRITICAL else Severity.WARNING
            yield Problem(Kind.REJECTED, severity, known.reason, known.since)
        case "out of sync" if known.lacks:
            yield Problem(Kind.LACKS_SETTING, Severity.WARNING, known.reason, known.since)
        case "out of sync" if lasts >= OUT_OF_SYNC_WARNING:
            yield Problem(Kind.OUT_OF_SYNC, Severity.WARNING, known.reason, known.since)
    if known.state not in _AWAY:
        yield from _report(known)


def _report(known: Known) -> Iterator[Problem]:
    if known.reported_at is None:
        text = "it is connected and has not reported how its copies do"
        yield Problem(Kind.NO_REPORT, Severity.WARNING, text, known.since)
    elif known.report_age >= REPORT_LATE:
        text = f"it is connected, but its last report is {lapse_words(known.report_age)} old"
        yield Problem(Kind.NO_REPORT, Severity.WARNING, text, known.reported_at)


def _manager_view(known: Known) -> Iterator[Problem]:
    if known.outdated:
        text = "its settings in the store can't be read; the last known ones are used"
        yield Problem(Kind.UNREADABLE, Severity.WARNING, text)
    if known.clones:
        yield Problem(Kind.CLONED, Severity.CRITICAL, known.clones)


def _suspension(facts: SuspensionFacts) -> Iterator[Problem]:
    """What is suspended there; and apart from it what should be and is not, or is and should not.

    All of it is as somebody ordered, or about to be, so nothing is critical.
    """
    for work, part in facts.there.parts():
        are = "are" if " " in work else "is"
        text = f"{work} {are} suspended {part.sentence}"
        yield Problem(Kind.SUSPENDED, Severity.WARNING, text, part.since)
    if not facts.pending:
        return
    for work, part in facts.wanted.parts():
        missing = [each for each in WORKS if each in work and not facts.there.of(each)]
        if missing:
            text = (
                f"{' and '.join(missing)} should be suspended, {part.sentence}; not in force: "
                f"{facts.pending}"
            )
            yield Problem(Kind.NOT_SUSPENDED, Severity.WARNING, text, part.since)
    still = [work for work in WORKS if facts.there.of(work) and not facts.wanted.of(work)]
    if still:
        text = f"{' and '.join(still)} should no longer be suspended; not in force: {facts.pending}"
        yield Problem(Kind.NOT_RESUMED, Severity.WARNING, text)


# -- what the machine reported; `now` by its own clock -------------------------------------------


def _copies(report: MachineReport, now: float) -> Iterator[Problem]:
    if report.next_hop_trouble:
        yield _next_hop(report, now)
    yield from _spool(report)
    for missed in report.missed:
        yield from _missed(missed, now)
    delivers = report.suspension is None or report.suspension.delivery is None
    held = [each for each in report.destinations if each.held_reason and delivers]
    yield from _some([_held(each, now) for each in held], "on hold")
    late = [
        _waiting(each, report, now)
        for each in report.destinations
        if delivers and not each.held_reason and _age(each.oldest_queued, now) >= WAITING_WARNING
    ]
    yield from _some(late, "with copies that wait")
    if report.dead:
        copies = "1 dead copy is" if report.dead == 1 else f"{report.dead} dead copies are"
        text = f"{copies} in the spool, not tried any more"
        yield Problem(Kind.DEAD, Severity.WARNING, text)
    for warning in report.warnings:
        yield Problem(Kind.REPORTED, Severity.WARNING, warning)


def _next_hop(report: MachineReport, now: float) -> Problem:
    since = report.next_hop_since
    critical = _age(since, now) >= NEXT_HOP_CRITICAL
    begun = f" since {moment_words(since)}" if since is not None else ""
    text = f"the next hop has taken no mail{begun}: {report.next_hop_trouble}"
    severity = Severity.CRITICAL if critical else Severity.WARNING
    return Problem(Kind.NEXT_HOP, severity, text, since)


def _spool(report: MachineReport) -> Iterator[Problem]:
    originals = (
        "originals are refused for now and wait in the MTA's queue (spool.when_full = tempfail)"
        if report.refuses_originals
        else "originals pass without a copy (spool.when_full = pass)"
    )
    if report.spool_unhealthy:
        text = f"spool is not writable: {report.spool_unhealthy}"
        yield Problem(Kind.SPOOL_BROKEN, Severity.CRITICAL, text)
    if report.spool_full:
        text = f"the spool is full: {report.spool_full}; {originals}"
        yield Problem(Kind.SPOOL_FULL, Severity.CRITICAL, text)


_WHY_MISSED = {
    "spool-full": "the spool was full",
    "spool-broken": "the spool could not be written",
    "too-large": "larger than max_message_size",
    "suspended": "copying was suspended",
}


def _missed(missed: ReportedMissed, now: float) -> Iterator[Problem]:
    ago = _age(missed.last, now)
    if ago >= MISSED_SHOWN:
        return
    # A message that is larger than the setting allows is missed as configured; while copying is
    # suspended, as ordered.
    configured = missed.reason in ("too-large", "suspended")
    critical = ago < MISSED_CRITICAL and not configured
    copies = "1 copy" if missed.count == 1 else f"{missed.count} copies"
    why = _WHY_MISSED.get(missed.reason, missed.reason)
    text = f"{copies} missed since {moment_words(missed.since)}: {why}"
    if missed.count > 1:
        text += f"; the last one at {moment_words(missed.last)}"
    severity = Severity.CRITICAL if critical else Severity.WARNING
    yield Problem(Kind.MISSED, severity, text, missed.since)


def _held(destination: ReportedDestination, now: float) -> Problem:
    since = destination.held_since
    critical = _age(since, now) >= HELD_CRITICAL
    begun = f" since {moment_words(since)}" if since is not None else ""
    text = f"delivery to {destination.intake_domain} is on hold{begun}: {destination.held_reason}"
    return Problem(Kind.HELD, Severity.CRITICAL if critical else Severity.WARNING, text, since)


def _waiting(destination: ReportedDestination, report: MachineReport, now: float) -> Problem:
    oldest = destination.oldest_queued
    critical = _age(oldest, now) >= WAITING_CRITICAL
    delivered = (
        "nothing was delivered yet"
        if report.delivered_at is None
        else f"the last delivery was at {moment_words(report.delivered_at)}"
    )
    text = (
        f"{destination.active_recipients} copies wait for {destination.intake_domain}, the oldest "
        f"since {moment_words(oldest or 0.0)}; {delivered}"
    )
    return Problem(Kind.WAITING, Severity.CRITICAL if critical else Severity.WARNING, text, oldest)


def _some(problems: Sequence[Problem], how: str) -> Iterator[Problem]:
    """The worst and oldest of them, and one that counts the others."""
    ranked = sorted(problems, key=lambda each: (each.severity is Severity.WARNING, each.since or 0))
    yield from ranked[:MOST_DESTINATIONS]
    if more := ranked[MOST_DESTINATIONS:]:
        text = f"{len(more)} more destinations are {how}"
        yield Problem(more[0].kind, more[0].severity, text, more[0].since)


def _age(moment: float | None, now: float) -> float:
    return 0.0 if moment is None else now - moment
