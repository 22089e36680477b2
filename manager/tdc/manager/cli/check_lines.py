"""PURE. `tdc status --check`: the verdict for a monitoring system, as its plugins give it.

One line first, with numbers after a bar (Nagios Plugin Development Guidelines); then a line for
each problem. The exit code is the verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from tdc.manager.cli.layout import Line
from tdc.shared.wire.documents import HealthProblemDocument, StatusDocument

MOST_PROBLEMS = 50
"""Problems with a line of their own; monitoring systems keep a few KiB of a plugin's output."""
MOST_HEAD = 160
"""Characters of the problem that the first line quotes: it becomes a text message."""


class Verdict(IntEnum):
    """The exit codes of a monitoring plugin."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


@dataclass(frozen=True, slots=True)
class Check:
    """A verdict, and the lines that say why."""

    verdict: Verdict
    lines: tuple[Line, ...]


def checked(rows: Sequence[StatusDocument], warnings: Sequence[str]) -> Check:
    """Judge machines; `warnings` are what the manager can't do now."""
    verdict = _verdict(rows, warnings)
    problems = [(_name(row, rows), each) for row in rows for each in row.problems]
    problems.sort(key=lambda pair: pair[1].severity != "critical")
    details = [f"warning manager: {warning}" for warning in warnings]
    details += [f"{each.severity} {name} {each.kind}: {each.text}" for name, each in problems]
    more = len(details) - MOST_PROBLEMS
    if more > 0:
        details[MOST_PROBLEMS:] = [f"{more} more problems: `tdc status` shows all"]
    head = f"TDC {verdict.name}: {_summary(rows, warnings, problems)}"
    lines = [f"{_plain(head)} | {_numbers(rows)}", *map(_plain, details)]
    return Check(verdict, tuple(Line(line, verbatim=True) for line in lines))


def unknown(why: str) -> Check:
    """The verdict where there is no answer to judge."""
    line = Line(_plain(f"TDC UNKNOWN: {why}"), verbatim=True)
    return Check(Verdict.UNKNOWN, (line,))


def _verdict(rows: Sequence[StatusDocument], warnings: Sequence[str]) -> Verdict:
    """Machines of which nothing is said, or none at all, are not fine."""
    found = {row.health for row in rows}
    if "critical" in found:
        return Verdict.CRITICAL
    if not rows or found - {"ok", "warning"}:
        return Verdict.UNKNOWN
    return Verdict.WARNING if "warning" in found or warnings else Verdict.OK


def _summary(
    rows: Sequence[StatusDocument],
    warnings: Sequence[str],
    problems: Sequence[tuple[str, HealthProblemDocument]],
) -> str:
    if not rows:
        return "no machines"
    counts = [f"{len(rows)} machines" if len(rows) > 1 else "1 machine"]
    for health in ("critical", "warning", "unknown"):
        if number := _count(rows, health):
            counts.append(f"{number} {health}")
    said = [f"{name}: {each.text}" for name, each in problems[:1]] or list(warnings[:1])
    return "; ".join([", ".join(counts), *(_shortened(text) for text in said)])


def _shortened(text: str) -> str:
    return text if len(text) <= MOST_HEAD else text[:MOST_HEAD] + "…"


def _numbers(rows: Sequence[StatusDocument]) -> str:
    missed = sum(each.count for row in rows for each in row.missed)
    numbers = {
        "machines": len(rows),
        "critical": _count(rows, "critical"),
        "warning": _count(rows, "warning"),
        "queued": sum(row.queued for row in rows),
        "dead": sum(row.dead for row in rows),
        "missed": missed,
    }
    return " ".join(f"{name}={number}" for name, number in numbers.items())


def _count(rows: Sequence[StatusDocument], health: str) -> int:
    return sum(row.health == health for row in rows)


def _name(row: StatusDocument, rows: Sequence[StatusDocument]) -> str:
    alone = all(other.cluster == row.cluster for other in rows)
    return row.name if alone else f"{row.cluster}/{row.name}"


def _plain(text: str) -> str:
    """Without the bar that begins numbers, and without line ends."""
    return " ".join(text.replace("|", "/").split())
