"""What is wrong with a machine: nothing that is not known to be well is called well."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tdc.shared.sync import health
from tdc.shared.sync.health import Kind, Known, Problem, Severity, worst
from tdc.shared.sync.report import (
    MachineReport,
    ReportedCounters,
    ReportedDestination,
    ReportedMissed,
)
from tdc.shared.sync.values import Running
from tdc.shared.sync.words import lapse_words

REFERENCE = (Path(__file__).parents[2] / "docs/cli.md").read_text("utf-8")
NOW = 1_795_425_302.0
STATES = ("in sync", "out of sync", "offline", "stale", "rejected", "unknown")
FINE = MachineReport(
    running=Running(7, "ab", "store"),
    copying=True,
    queued=0,
    spool_unhealthy="",
    warnings=(),
    counters=ReportedCounters(0, 0, 0, 0, 0, 0, 0, 0, 0),
    destinations=(),
    time=NOW,
)
DESTINATION = ReportedDestination(
    "the.tdc.queue", "intake.example", "up", "mx1", 3, 1, 5, 0, 0, None, "250 ok", "TLSv1.3", ""
)
HELD = replace(DESTINATION, held_reason="TLS Error: no STARTTLS", held_since=NOW - 10)
WELL = Known("in sync", NOW - 3_600, "", FINE, NOW - 5)


def problems_of(known: Known, now: float) -> tuple[Problem, ...]:
    """What is wrong when the clock says `now`, if it is never set."""
    lasts = 0.0 if known.since is None else max(0.0, now - known.since)
    age = 0.0 if known.reported_at is None else max(0.0, now - known.reported_at)
    return health.problems_of(replace(known, lasts=lasts, report_age=age))


def reported(**changes: object) -> Known:
    """A machine that is well but for what it reports just now."""
    return replace(WELL, report=replace(FINE, **changes), reported_at=NOW)  # type: ignore[arg-type]


def kinds(known: Known, now: float = NOW) -> dict[Kind, Severity]:
    return {each.kind: each.severity for each in problems_of(known, now)}


def test_a_machine_that_is_well_has_no_problem() -> None:
    assert problems_of(WELL, NOW) == ()
    assert worst(()) == "ok"


moments = st.one_of(st.none(), st.floats(NOW - 10**6, NOW + 10**6))
texts = st.sampled_from(["", "something"])
missed = st.builds(
    ReportedMissed,
    st.sampled_from(["spool-full", "spool-broken", "too-large", "of-a-later-version"]),
    st.integers(1, 2**40),
    st.floats(NOW - 10**6, NOW),
    st.floats(NOW - 10**6, NOW),
)
destinations = st.builds(
    lambda oldest, reason, since: replace(
        DESTINATION, oldest_queued=oldest, held_reason=reason, held_since=since
    ),
    moments,
    texts,
    moments,
)
reports = st.builds(
    lambda dead, runs, rows, full, broken, warnings, time: replace(
        FINE,
        dead=dead,
        missed=tuple(runs),
        destinations=tuple(rows),
        spool_full=full,
        spool_unhealthy=broken,
        warnings=tuple(warnings),
        time=time,
    ),
    st.integers(0, 3),
    st.lists(missed, max_size=3),
    st.lists(destinations, max_size=12),
    texts,
    texts,
    st.lists(st.just("TLS is pinned"), max_size=2),
    moments,
)
machines = st.builds(
    Known,
    st.sampled_from(STATES),
    moments,
    texts,
    st.one_of(st.none(), reports),
    st.floats(NOW - 10**6, NOW),
    texts,
    st.booleans(),
).map(lambda known: known if known.report is not None else replace(known, reported_at=None))


@pytest.mark.proves("P19")
@given(machines)
def test_ok_needs_a_connected_machine_with_a_fresh_report_and_nothing_wrong(known: Known) -> None:
    found = problems_of(known, NOW)
    order = [each.severity is Severity.WARNING for each in found]
    assert order == sorted(order), "critical ones come first"
    assert worst(found) == ("critical" if False in order else "warning" if order else "ok")
    if found:
        return
    assert known.state in ("in sync", "out of sync")
    assert known.report is not None
    assert known.reported_at is not None
    assert NOW - known.reported_at < health.REPORT_LATE
    report = known.report
    wrong = (report.spool_full, report.spool_unhealthy, report.dead, report.warnings)
    assert not any(wrong)
    assert not any(each.held_reason for each in report.destinations)
    assert not known.clones


@given(reports, st.floats(0, 10**6))
def test_waiting_never_heals(report: MachineReport, later: float) -> None:
    """As time passes and nothing is heard, health gets worse or stays; only misses grow old."""
    known = replace(WELL, report=replace(report, missed=()), reported_at=NOW)
    ranks = ["ok", "warning", "critical"]
    now, then = (worst(problems_of(known, at)) for at in (NOW, NOW + later))
    assert ranks.index(then) >= ranks.index(now)


@given(reports, st.floats(-(10**8), 10**8))
def test_a_machine_whose_clock_is_wrong_is_judged_as_any_other(
    report: MachineReport, off: float
) -> None:
    """Its moments are read by its own clock, so all of them may be off by the same."""
    off = float(int(off))  # else a float of that size loses the fractions

    def moved(moment: float | None) -> float | None:
        return None if moment is None else float(int(moment)) + off

    def of(by: float) -> Known:
        nonlocal off
        off = by
        rows = [
            replace(
                each,
                oldest_queued=moved(each.oldest_queued),
                held_since=moved(each.held_since),
            )
            for each in report.destinations
        ]
        runs = [
            replace(each, since=moved(each.since) or 0.0, last=moved(each.last) or 0.0)
            for each in report.missed
        ]
        told = replace(report, destinations=tuple(rows), missed=tuple(runs), time=NOW + by)
        return replace(WELL, report=told, reported_at=NOW)

    wrong = off
    here, there = (problems_of(of(by), NOW) for by in (0.0, wrong))
    assert [(each.kind, each.severity) for each in here] == [
        (each.kind, each.severity) for each in there
    ]


@pytest.mark.parametrize("state", ["offline", "stale", "unknown"])
def test_a_machine_that_is_away_is_a_warning_and_then_critical(state: str) -> None:
    known = replace(WELL, state=state, reason="the agent disconnected", since=NOW)
    assert kinds(known, NOW + 299) == {Kind(state): Severity.WARNING}
    assert kinds(known, NOW + 300) == {Kind(state): Severity.CRITICAL}


def test_a_machine_that_is_away_keeps_what_it_reported_last() -> None:
    """Nothing is known of what came after, so a hold does not get older."""
    known = replace(reported(dead=2, destinations=(HELD,)), state="stale", since=NOW)
    assert kinds(known, NOW + 10**6) == {
        Kind.STALE: Severity.CRITICAL,
        Kind.DEAD: Severity.WARNING,
        Kind.HELD: Severity.WARNING,
    }


def test_a_machine_that_never_reported_is_not_well() -> None:
    assert kinds(replace(WELL, report=None, reported_at=None)) == {Kind.NO_REPORT: Severity.WARNING}
    away = Known("offline", None, "not enrolled yet", None, None)
    assert problems_of(away, NOW) == (
        Problem(Kind.NOT_ENROLLED, Severity.WARNING, "not enrolled yet"),
    )


def test_a_report_gets_old() -> None:
    assert kinds(WELL, NOW + 54) == {}
    assert kinds(WELL, NOW + 56) == {Kind.NO_REPORT: Severity.WARNING}


def test_an_update_in_progress_is_no_problem_for_a_minute() -> None:
    known = replace(WELL, state="out of sync", reason="running revision 6", since=NOW - 59)
    assert kinds(known) == {}
    assert kinds(replace(known, since=NOW - 60)) == {Kind.OUT_OF_SYNC: Severity.WARNING}


@pytest.mark.parametrize("state", ["rejected", "offline"])
def test_a_machine_that_refuses_this_manager_is_a_warning_and_then_critical(state: str) -> None:
    """However short the state itself has lasted: it comes and goes."""
    known = replace(WELL, state=state, reason="another history", since=NOW - 5)
    assert kinds(replace(known, refused_for=299.0)) == {Kind(state): Severity.WARNING}
    assert kinds(replace(known, refused_for=300.0)) == {Kind(state): Severity.CRITICAL}


def test_settings_that_are_wrong_for_a_machine_stay_a_warning() -> None:
    known = replace(WELL, state="rejected", reason="no such intake", since=NOW - 10**6)
    assert kinds(known) == {Kind.REJECTED: Severity.WARNING}


def test_a_sentence_is_shown_once() -> None:
    known = replace(reported(warnings=("twice", "else", "twice")), state="rejected", reason="twice")
    assert [each.text for each in problems_of(known, NOW)] == ["twice", "else"]


@pytest.mark.proves("F38")
def test_a_full_spool_says_what_becomes_of_the_originals() -> None:
    known = reported(spool_full="it holds 20 copies, spool.max_messages is 20", copying=False)
    [problem] = problems_of(known, NOW)
    assert (problem.kind, problem.severity) == (Kind.SPOOL_FULL, Severity.CRITICAL)
    assert problem.text == (
        "the spool is full: it holds 20 copies, spool.max_messages is 20; originals pass without a "
        "copy (spool.when_full = pass)"
    )
    [problem] = problems_of(reported(spool_full="x", refuses_originals=True), NOW)
    assert "originals are refused for now" in problem.text
    assert "pass without" not in problem.text


@pytest.mark.parametrize(
    ("reason", "ago", "severity"),
    [
        ("spool-full", 0, Severity.CRITICAL),
        ("spool-full", 899, Severity.CRITICAL),
        ("spool-broken", 900, Severity.WARNING),
        ("spool-full", 86_399, Severity.WARNING),
        ("spool-full", 86_400, None),
        ("too-large", 0, Severity.WARNING),
        ("of-a-later-version", 0, Severity.CRITICAL),
    ],
)
@pytest.mark.proves("P19")
def test_missed_copies(reason: str, ago: float, severity: Severity | None) -> None:
    known = reported(missed=(ReportedMissed(reason, 412, NOW - ago - 60, NOW - ago),))
    assert kinds(known).get(Kind.MISSED) is severity


def test_the_text_of_missed_copies() -> None:
    known = reported(missed=(ReportedMissed("spool-full", 412, NOW - 60, NOW),))
    [problem] = problems_of(known, NOW)
    assert problem.text == (
        "412 copies missed since 2026-11-23 09:14:02Z: the spool was full; "
        "the last one at 2026-11-23 09:15:02Z"
    )


@pytest.mark.parametrize(
    ("ago", "severity"), [(0, Severity.WARNING), (299, Severity.WARNING), (300, Severity.CRITICAL)]
)
def test_a_next_hop_that_takes_no_mail_is_a_warning_and_then_critical(
    ago: float, severity: Severity
) -> None:
    known = reported(next_hop_trouble="mta:10026: Connection refused", next_hop_since=NOW - ago)
    [problem] = problems_of(known, NOW)
    assert (problem.kind, problem.severity) == (Kind.NEXT_HOP, severity)
    assert problem.since == NOW - ago
    assert problem.text.startswith("the next hop has taken no mail since 2026-11-23 09:")
    assert problem.text.endswith("Z: mta:10026: Connection refused")


def test_a_hold_is_a_warning_at_once_and_critical_after_half_an_hour() -> None:
    known = reported(destinations=(HELD,))
    [problem] = problems_of(known, NOW)
    assert (problem.kind, problem.severity) == (Kind.HELD, Severity.WARNING)
    assert problem.text == (
        "delivery to intake.example is on hold since 2026-11-23 09:14:52Z: TLS Error: no STARTTLS"
    )
    later = replace(known, reported_at=NOW + 1_790, report=replace(known.report, time=NOW + 1_790))  # type: ignore[type-var]
    assert kinds(later, NOW + 1_790) == {Kind.HELD: Severity.CRITICAL}


def test_copies_that_wait_say_when_one_was_last_delivered() -> None:
    late = replace(DESTINATION, oldest_queued=NOW - 900)
    [problem] = problems_of(reported(destinations=(late,)), NOW)
    assert problem.severity is Severity.WARNING
    assert problem.text.endswith("; nothing was delivered yet")
    [problem] = problems_of(reported(destinations=(late,), delivered_at=NOW - 902), NOW)
    assert problem.text.endswith("; the last delivery was at 2026-11-23 09:00:00Z")
    [problem] = problems_of(
        reported(destinations=(replace(late, oldest_queued=NOW - 14_400),)), NOW
    )
    assert problem.severity is Severity.CRITICAL


def test_of_many_destinations_the_worst_are_named_and_the_others_counted() -> None:
    rows = [replace(HELD, intake_domain=f"d{n}", held_since=NOW - n) for n in range(12)]
    found = problems_of(reported(destinations=tuple(rows)), NOW)
    assert [each.text.split()[2] for each in found[:5]] == ["d11", "d10", "d9", "d8", "d7"]
    assert [each.text for each in found[5:]] == ["7 more destinations are on hold"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "0 s"),
        (15.9, "15 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7_200, "2 h"),
        (259_200, "3 days"),
    ],
)
def test_lapses(seconds: float, words: str) -> None:
    assert lapse_words(seconds) == words


def test_the_reference_has_every_kind() -> None:
    table = REFERENCE.split("### Health")[1].split("###")[0]
    rows = re.findall(r"^\| (`[^|]+) \|", table, flags=re.M)
    assert sorted(re.findall(r"`([a-z-]+)`", " ".join(rows))) == sorted(Kind)


@pytest.mark.parametrize(
    ("kind", "words", "seconds"),
    [
        ("`offline`, `stale`, `unknown`", "after 5 min", health.OFFLINE_CRITICAL),
        ("`rejected`", "after 5 min", health.REFUSED_CRITICAL),
        ("`out-of-sync`", "after 60 s", health.OUT_OF_SYNC_WARNING),
        ("`no-report`", "none for 60 s", health.REPORT_LATE),
        ("`next-hop`", "for 5 min", health.NEXT_HOP_CRITICAL),
        ("`missed`", "within 24 h", health.MISSED_SHOWN),
        ("`missed`", "within 15 min", health.MISSED_CRITICAL),
        ("`held`", "for 30 min", health.HELD_CRITICAL),
        ("`waiting`", "for 15 min", health.WAITING_WARNING),
        ("`waiting`", "for 4 h", health.WAITING_CRITICAL),
    ],
)
def test_the_reference_has_the_thresholds(kind: str, words: str, seconds: float) -> None:
    [row] = re.findall(rf"^\| {kind} \|.*$", REFERENCE, flags=re.M)
    assert words in row
    number, unit = words.split()[-2:]
    assert int(number) * {"s": 1, "min": 60, "h": 3_600}[unit] == seconds
