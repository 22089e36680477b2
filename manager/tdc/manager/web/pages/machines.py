"""Machines: which are wrong, and one machine whole."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping

import msgspec
from tdc.manager.intent.monitoring import MachineStatusRow, StatusAsked
from tdc.manager.intent.suspensions import Asked
from tdc.manager.web.answers import Cell, Cells, Look, Page, See
from tdc.manager.web.desk import Call
from tdc.manager.web.places import Place, place_of
from tdc.manager.web.words import (
    AWAY,
    HEALTH_OF,
    NONE,
    STATE_OF,
    WORST,
    ago,
    lasting,
    number,
    state_cell,
)
from tdc.shared.settings.text import parse_duration

A_PAGE = 50
"""Machines on a page."""

_UNKNOWN = Cell("unknown", "unknown")


class MachinesAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which machines: of one state, whose name has `q` in it, and after which one to go on."""

    state: str = ""
    q: str = ""
    after: str = ""


class SuspendSent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to suspend on a machine (copying, delivery, both), why, and for how long."""

    what: str
    reason: str = ""
    lifetime: str = ""


class ResumeSent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to resume on a machine: copying, delivery, both."""

    what: str


def _asked(call: Call) -> StatusAsked:
    place, asked = place_of(call.path), call.asked(MachinesAsked)
    states = (asked.state,) if asked.state else ()
    return StatusAsked(
        place.cluster, place.group, "", states, A_PAGE, asked.after, part=asked.q.strip()
    )


async def look_at_machines(call: Call) -> Look:
    """Look at the machines on the page, and the counts of all."""

    async def looked() -> Cells:
        found = await call.to.monitoring.read_status(call.actor, _asked(call))
        counted = None if call.asked(MachinesAsked).after else found.by_state
        return _cells(found.machines, counted, call.desk.clock())

    return looked


async def machines(call: Call) -> Page:
    """List machines, a page at a time."""
    place, asked = place_of(call.path), call.asked(MachinesAsked)
    found = await call.to.monitoring.read_status(call.actor, _asked(call))
    by_state = found.by_state
    if asked.after:
        whole = StatusAsked(place.cluster, place.group, "", (), 1)
        by_state = (await call.to.monitoring.read_status(call.actor, whole)).by_state
    values = {
        "title": f"Machines of {place.words}",
        "page_name": "machines",
        "place": place,
        "rows": found.machines,
        "warnings": found.warnings,
        "next": found.next,
        "asked": {"state": asked.state, "q": asked.q},
        "states": WORST,
        "total": sum(by_state.values()),
        "of": lambda row: Place(row.cluster, machine=row.name),
    }
    cells = _cells(found.machines, by_state, call.desk.clock())
    return Page("machines.html", values, cells=cells)


def _cells(
    rows: Iterable[MachineStatusRow], by_state: Mapping[str, int] | None, now: float
) -> dict[str, Cell]:
    """The values of a page of machines; `by_state` is None where it was not counted."""
    cells = dict[str, Cell]()
    if by_state is not None:
        for state in WORST:
            count = by_state.get(state, 0)
            cells[f"count.{state}"] = Cell(number(count), STATE_OF[state] if count else "off")
    for row in rows:
        cells |= {f"{row.name}.{name}": cell for name, cell in row_cells(row, now).items()}
    return cells


def row_cells(row: MachineStatusRow, now: float) -> dict[str, Cell]:
    """The values of a machine that change."""
    away, report = row.state in AWAY, row.report
    seen, was = ("unknown", "was ") if away else ("", "")
    state = Cell("never enrolled", "off") if row.since is None else state_cell(row.state)
    queue_age = NONE
    if report is not None and report.oldest_queued:
        queue_age = lasting(report.oldest_queued, now)
    return {
        "state": state,
        "since": Cell(lasting(row.since, now)),
        "health": Cell(row.health, HEALTH_OF.get(row.health, "unknown")),
        "runs": Cell(
            f"{row.applied_revision or NONE} of {row.wanted_revision}",
            "" if row.applied_revision == row.wanted_revision else "warn",
        ),
        "copying": _copying(row),
        "queued": Cell(f"{was}{number(row.queued)}", seen) if report else _UNKNOWN,
        "oldest": Cell(queue_age, seen if queue_age != NONE else "") if report else _UNKNOWN,
    }


def _copying(row: MachineStatusRow) -> Cell:
    if row.report is None:
        return _UNKNOWN
    if row.state in AWAY:
        return Cell("was copying" if row.copying else "was not copying", "unknown")
    if row.suspension.there.copying:
        return Cell("suspended", "off")
    return Cell("yes", "ok") if row.copying else Cell("no", "off")


async def look_at_machine(call: Call) -> Look:
    """Look at one machine."""

    async def looked() -> Cells:
        row = await _one(call)
        return _machine_cells(row, call.desk.clock())

    return looked


async def _one(call: Call) -> MachineStatusRow:
    place = place_of(call.path)
    asked = StatusAsked(place.cluster, "", place.machine)
    return (await call.to.monitoring.read_status(call.actor, asked)).machines[0]


def _machine_cells(row: MachineStatusRow, now: float) -> Cells:
    cells = row_cells(row, now)
    report = row.report
    names = ("copies_taken", "delivered", "copies_missed", "deferred", "dead")
    seen = "unknown" if row.state in AWAY else ""
    for name in names:
        cells[name] = Cell(NONE, "unknown") if report is None else Cell(
            number(getattr(report.counters, name)), seen
        )  # fmt: skip
    delivered = report.delivered_at if report is not None else None
    never = Cell("never", seen) if report is not None else _UNKNOWN
    cells["delivered_at"] = Cell(ago(delivered, now), seen) if delivered else never
    for number_of, each in enumerate(row.problems):
        cells[f"problem.{number_of}"] = Cell(lasting(each.since, now))
    return cells


async def machine(call: Call) -> Page:
    """Show one machine."""
    place, row = place_of(call.path), await _one(call)
    values = {
        "title": f"Machine {row.name}",
        "page_name": "machine",
        "place": place,
        "row": row,
        "report": row.report,
        "suspension": row.suspension,
    }
    return Page("machine.html", values, cells=_machine_cells(row, call.desk.clock()))


async def suspend(call: Call) -> See:
    """Suspend work on one machine, and nothing else; until when, if that is said."""
    sent = call.sent(SuspendSent)
    asked, lifetime = _of_works(call, sent.what), 0
    if sent.lifetime.strip():
        lifetime = parse_duration("until", sent.lifetime)
    await call.to.suspensions.suspend(
        call.actor, asked, reason=sent.reason, lifetime=lifetime, until=None
    )
    return See(place_of(call.path).address)


async def resume(call: Call) -> See:
    """Resume work on one machine."""
    await call.to.suspensions.resume(call.actor, _of_works(call, call.sent(ResumeSent).what))
    return See(place_of(call.path).address)


def _of_works(call: Call, what: str) -> Asked:
    place = place_of(call.path)
    return Asked(
        machines=(place.machine,),
        copying=what in ("copying", "both"),
        delivery=what in ("delivery", "both"),
        cluster=place.cluster,
        request_id=f"console-{secrets.token_hex(12)}",
    )
