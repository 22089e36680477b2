"""Overview: is mail copied everywhere, and since when not?"""

from __future__ import annotations

from collections import Counter

from tdc.manager.intent.history import HistoryRow
from tdc.manager.intent.monitoring import FleetStatus, MachineStatusRow, StatusAsked
from tdc.manager.intent.permissions import may
from tdc.manager.web.answers import Cell, Cells, Look, Page
from tdc.manager.web.desk import Call
from tdc.manager.web.failed import failed
from tdc.manager.web.words import STATE_OF, WORST, ago, lasting, number
from tdc.shared.sync.health import Problem

MOST_PROBLEMS = 20
COMMITS = 5

_TOTALS = ("copies_taken", "delivered", "copies_missed", "deferred", "dead")


async def look(call: Call) -> Look:
    """Look at the figures."""

    async def looked() -> Cells:
        return _cells(await _status(call), call.desk.clock())

    return looked


async def _status(call: Call) -> FleetStatus:
    return await call.to.monitoring.read_status(call.actor, StatusAsked())


async def overview(call: Call) -> Page:
    """Show what is wrong, the worst first, and the counts of everything."""
    found, now = await _status(call), call.desk.clock()
    values = {
        "title": "Overview",
        "page_name": "overview",
        "warnings": found.warnings,
        "problems": _problems(found),
        "machines": len(found.machines),
        "states": [state for state in WORST if found.by_state.get(state)] or ["in sync"],
        "totals": _TOTALS,
        "commits": await _commits(call),
        "clusters": sorted({row.cluster for row in found.machines}),
        "by_cluster": Counter(row.cluster for row in found.machines),
    }
    return Page("overview.html", values, cells=_cells(found, now))


def _problems(found: FleetStatus) -> list[tuple[MachineStatusRow, Problem]]:
    rows = [(row, each) for row in found.machines for each in row.problems]
    rows.sort(key=lambda pair: (pair[1].severity != "critical", pair[1].since or 0.0))
    return rows[:MOST_PROBLEMS]


def _cells(found: FleetStatus, now: float) -> Cells:
    rows = found.machines
    reports = [row.report for row in rows if row.report is not None]
    cells = {
        f"state.{state}": Cell(
            number(found.by_state.get(state, 0)),
            STATE_OF.get(state, "unknown") if found.by_state.get(state) else "off",
        )
        for state in WORST
    }
    for name in _TOTALS:
        total = sum(getattr(each.counters, name) for each in reports)
        bad = name in ("copies_missed", "dead") and total > 0
        cells[name] = Cell(number(total), "warn" if bad else "") if reports else _unknown()
    queued = sum(each.queued for each in reports)
    oldest = min((each.oldest_queued for each in reports if each.oldest_queued), default=None)
    cells["queued"] = Cell(number(queued)) if reports else _unknown()
    cells["oldest"] = Cell(lasting(oldest, now) if oldest else "none waits")
    critical = sum(row.health == "critical" for row in rows)
    warning = sum(row.health == "warning" for row in rows)
    copying = sum(row.copying and row.state == "in sync" for row in rows)
    cells["critical"] = Cell(number(critical), "bad" if critical else "off")
    cells["warning"] = Cell(number(warning), "warn" if warning else "off")
    whole = copying == len(rows) and bool(rows)
    cells["copying"] = Cell(f"{copying:,} of {len(rows):,}", "ok" if whole else "warn")
    return cells


def _unknown() -> Cell:
    return Cell("unknown", "unknown")


async def _commits(call: Call) -> list[dict[str, object]] | None:
    """The newest commits of the clusters in reach; None if they can't be read now."""
    if not may(call.actor, "changes.list_commits"):
        return []
    reach, found = call.actor.reach, list[HistoryRow]()
    try:
        for cluster in await call.to.fleet.list_clusters(call.actor, ""):
            if reach.has_cluster(cluster.name):
                found += await call.to.history.list_commits(
                    call.actor, cluster.name, limit=COMMITS, before=0
                )
    except Exception as error:
        if failed(error) is None:
            raise
        return None
    found.sort(key=lambda row: row.time, reverse=True)
    now = call.desk.clock()
    return [
        {
            "cluster": row.cluster,
            "revision": row.revision,
            "author": row.author,
            "comment": row.comment,
            "time": row.time,
            "age": ago(row.time, now),
            "machines": row.machines_changed,
        }
        for row in found[:COMMITS]
    ]
