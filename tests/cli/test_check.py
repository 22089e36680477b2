"""`tdc status --check` as a monitoring system runs it, and the remarks below the table."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest
from tdc.v1 import agents_pb2, operators_pb2

from tests.cli import samples
from tests.cli.conftest import Tdc
from tests.cli.scripted import Refusal, ScriptedManager

FULL = "the spool is full: it holds 20 copies | rm, spool.max_messages is 20"


def machine(name: str, health: str, **facts: object) -> operators_pb2.MachineRowStatus:
    return operators_pb2.MachineRowStatus(
        name=name,
        group="g1",
        cluster="emea",
        state="in sync",
        wanted_revision=7,
        applied_revision=7,
        health=health,
        **facts,  # type: ignore[arg-type]
    )


def problem(severity: str, text: str, kind: str = "spool-full") -> operators_pb2.HealthProblem:
    return operators_pb2.HealthProblem(kind=kind, severity=severity, text=text)


def answer(*machines: operators_pb2.MachineRowStatus) -> operators_pb2.StatusResponse:
    return operators_pb2.StatusResponse(machines=machines)


OK = machine("mx1", "ok", queued=3)
WARNING = machine(
    "mx2",
    "warning",
    queued=4,
    problems=[problem("warning", samples.DEAD, "dead")],
    warnings=[samples.DEAD],
    copies=operators_pb2.CopyFacts(dead=2),
)
CRITICAL = machine("mx3", "critical", problems=[problem("critical", FULL)], warnings=[FULL])


@pytest.mark.parametrize(
    ("machines", "code", "first"),
    [
        ([OK], 0, "TDC OK: 1 machine | machines=1 critical=0 warning=0 queued=3 dead=0 missed=0"),
        (
            [OK, WARNING],
            1,
            f"TDC WARNING: 2 machines, 1 warning; mx2: {samples.DEAD} | "
            "machines=2 critical=0 warning=1 queued=7 dead=2 missed=0",
        ),
        (
            [OK, WARNING, CRITICAL],
            2,
            "TDC CRITICAL: 3 machines, 1 critical, 1 warning; mx3: the spool is full: it holds 20 "
            "copies / rm, spool.max_messages is 20 | "
            "machines=3 critical=1 warning=1 queued=7 dead=2 missed=0",
        ),
        ([], 3, "TDC UNKNOWN: no machines | "),
        ([OK, machine("mx9", "")], 3, "TDC UNKNOWN: 2 machines, 1 unknown | "),
        ([machine("mx9", ""), CRITICAL], 2, "TDC CRITICAL: 2 machines, 1 critical, 1 unknown; "),
    ],
)
def test_the_exit_code_is_the_verdict(
    tdc: Tdc,
    manager: ScriptedManager,
    machines: list[operators_pb2.MachineRowStatus],
    code: int,
    first: str,
) -> None:
    manager.answers["GetStatus"] = answer(*machines)
    run = tdc("status", "--check")
    assert run.code == code
    assert run.out.startswith(first)
    assert run.err == ""


def test_each_problem_has_a_line_the_critical_ones_first(
    tdc: Tdc, manager: ScriptedManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However narrow the terminal: a line is a line."""
    monkeypatch.setenv("COLUMNS", "40")
    manager.answers["GetStatus"] = answer(OK, WARNING, CRITICAL)
    lines = tdc("status", "--check").out.splitlines()
    assert lines[1:] == [
        "critical mx3 spool-full: " + FULL.replace("|", "/"),
        f"warning mx2 dead: {samples.DEAD}",
    ]


def test_only_the_first_line_has_a_bar_and_a_long_list_is_bounded(
    tdc: Tdc, manager: ScriptedManager
) -> None:
    problems = [problem("critical", f"{n} | \n\x1b[31m" + "x" * 900) for n in range(80)]
    manager.answers["GetStatus"] = answer(machine("mx1", "critical", problems=problems))
    lines = tdc("status", "--check").out.splitlines()
    assert len(lines) == 52
    assert "".join(lines).count("|") == 1
    assert "\x1b" not in "".join(lines)
    assert len(lines[0]) < 400
    assert lines[-1] == "30 more problems: `tdc status` shows all"


def test_what_the_manager_cannot_do_is_a_warning(tdc: Tdc, manager: ScriptedManager) -> None:
    status = answer(OK)
    status.warnings.append("etcd has been unreachable since 09:15")
    manager.answers["GetStatus"] = status
    run = tdc("status", "--check")
    assert run.code == 1
    assert run.out.splitlines()[1] == "warning manager: etcd has been unreachable since 09:15"


def test_machines_of_several_clusters_are_told_apart(tdc: Tdc, manager: ScriptedManager) -> None:
    status = answer(OK, CRITICAL)
    status.machines[1].cluster = "apac"
    manager.answers["GetStatus"] = status
    assert "critical apac/mx3 spool-full" in tdc("status", "--check").out


def test_json_is_the_same_document_with_the_verdicts_exit_code(
    tdc: Tdc, manager: ScriptedManager
) -> None:
    manager.answers["GetStatus"] = answer(OK, CRITICAL)
    run = tdc("status", "--check", "-o", "json")
    assert run.code == 2
    assert run.json == tdc("status", "-o", "json").json


@pytest.mark.parametrize(
    "words",
    ["status --check --timeout x", "status --check --bogus", "status mx1 --check"],
)
def test_wrong_usage_is_unknown_and_not_critical(
    tdc: Tdc, manager: ScriptedManager, words: str
) -> None:
    run = tdc(*words.split())
    assert run.code == 3
    assert run.out.startswith("TDC UNKNOWN: ")
    assert not manager.requests


def test_no_answer_is_unknown_with_its_reason_on_standard_output(
    tdc: Tdc, manager: ScriptedManager
) -> None:
    """What would be 1 or 3 for other commands; 1 would be read as a warning."""

    def refuse(_: operators_pb2.StatusRequest) -> operators_pb2.StatusResponse:
        raise Refusal(grpc.StatusCode.NOT_FOUND, "no machine mx9")

    manager.answers["GetStatus"] = refuse
    run = tdc("status", "--check", "--machine", "mx9")
    assert run.code == 3
    assert run.out == "TDC UNKNOWN: no machine mx9.\n"
    run = tdc("--config", "/nowhere/operator.toml", "status", "--check")
    assert run.code == 3
    assert run.out.startswith("TDC UNKNOWN: ")
    assert len(run.out.splitlines()) == 1


def test_help_is_help(tdc: Tdc) -> None:
    run = tdc("status", "--check", "--help")
    assert run.code == 0
    assert "Usage: tdc status" in run.out


def _not_enrolled(count: int) -> operators_pb2.StatusResponse:
    why = "not enrolled yet"
    return answer(
        *(
            operators_pb2.MachineRowStatus(
                name=f"mx{n:02}",
                group="g1",
                cluster="emea",
                state="offline",
                reason=why,
                health="warning",
                problems=[problem("warning", why, "not-enrolled")],
            )
            for n in range(count)
        )
    )


def test_21_machines_with_one_reason_have_one_line(tdc: Tdc, manager: ScriptedManager) -> None:
    manager.answers["GetStatus"] = _not_enrolled(21)
    shown = tdc("status").out
    assert shown.count("not enrolled yet") == 1
    assert "mx00, mx01, mx02, mx03, mx04 and 16 more: not enrolled yet" in shown.splitlines()


@pytest.mark.parametrize("width", [60, 80, 120])
def test_health_is_whole_at_any_width(
    tdc: Tdc, manager: ScriptedManager, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    status = _not_enrolled(7)
    status.machines.extend([OK, WARNING, CRITICAL])
    manager.answers["GetStatus"] = status
    shown = tdc("status").out
    assert max(map(len, shown.splitlines())) <= width
    flat = " ".join(shown.split())
    for text in (f"mx3: {FULL}", f"mx2: {samples.DEAD}", "and 2 more: not enrolled yet"):
        assert text in flat
    for word in ("HEALTH", "ok", "warning", "critical", "mx06"):
        assert word in flat
    table = shown.split("\n\n")[0].splitlines()
    if width >= 80:
        assert len(table) == 11, "a row is a line"


def test_the_sample_in_the_reference_is_what_is_printed(tdc: Tdc, manager: ScriptedManager) -> None:
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    sample = page.partition("TDC CRITICAL")[2].partition("\n```")[0].splitlines()
    found = [line.partition(": ")[2] for line in sample[1:]]
    missed = agents_pb2.Missed(reason="spool-full", count=7)
    manager.answers["GetStatus"] = answer(
        machine(
            "mx1",
            "critical",
            queued=20,
            copies=operators_pb2.CopyFacts(missed=[missed]),
            problems=[problem("critical", found[0]), problem("critical", found[1], "missed")],
        ),
        machine("mx2", "ok"),
    )
    assert tdc("status", "--check").out == "TDC CRITICAL" + "\n".join(sample) + "\n"
