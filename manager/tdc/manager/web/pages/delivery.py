"""Delivery Status: does the intake take it?"""

from __future__ import annotations

from tdc.manager.intent.monitoring import FleetDelivery, MachineDelivery
from tdc.manager.web.answers import Cell, Cells, Look, Page
from tdc.manager.web.desk import Call
from tdc.manager.web.places import Place, place_of
from tdc.manager.web.words import HOST_OF, NONE, ago, lasting, number
from tdc.shared.sync.report import ReportedDestination

LATE = 60.0
"""Seconds after which a report is old: one comes every 10 s."""


async def _found(call: Call) -> FleetDelivery:
    place = place_of(call.path)
    return await call.to.monitoring.read_delivery(
        call.actor, place.cluster, place.machine, place.group
    )


async def look(call: Call) -> Look:
    """Look at the figures of each destination."""

    async def looked() -> Cells:
        return _cells(await _found(call), call.desk.clock())

    return looked


async def delivery(call: Call) -> Page:
    """Show delivery by machine and destination."""
    place, found = place_of(call.path), await _found(call)
    rows = [(each, to) for each in found.machines for to in each.destinations]
    values = {
        "title": f"Delivery Status of {place.words}",
        "page_name": "delivery",
        "place": place,
        "rows": rows,
        "reported": len(found.machines),
        "warnings": found.warnings,
        "key": _key,
        "of": lambda each: Place(each.cluster, machine=each.machine),
    }
    return Page("delivery.html", values, cells=_cells(found, call.desk.clock()))


def _key(each: MachineDelivery, to: ReportedDestination) -> str:
    return f"{each.machine}/{to.domain}/{to.intake_domain}"


def _cells(found: FleetDelivery, now: float) -> Cells:
    cells: dict[str, Cell] = {}
    totals = dict.fromkeys(("waiting", "delivered", "soft", "hard"), 0)
    for each in found.machines:
        old = now - each.time > LATE
        for to in each.destinations:
            key = _key(each, to)
            look_of = "unknown" if old else HOST_OF.get(to.host_status, "unknown")
            plain = "unknown" if old else ""
            cells |= {
                f"{key}.status": Cell(to.host_status, look_of),
                f"{key}.waiting": Cell(number(to.active_recipients), plain),
                f"{key}.out": Cell(number(to.connections_out), plain),
                f"{key}.delivered": Cell(number(to.delivered), plain),
                f"{key}.soft": Cell(number(to.deferred), plain),
                f"{key}.hard": Cell(number(to.dead), "warn" if to.dead else plain),
                f"{key}.oldest": Cell(lasting(to.oldest_queued, now), plain),
                f"{key}.host": Cell(to.latest_host or NONE),
                f"{key}.reply": Cell(to.last_reply or NONE),
                f"{key}.tls": Cell(to.last_tls_version or NONE),
                f"{key}.held": Cell(_held(to, now), "warn" if to.held_reason else ""),
                f"{key}.age": Cell(ago(each.time, now), "unknown" if old else ""),
            }
            totals["waiting"] += to.active_recipients
            totals["delivered"] += to.delivered
            totals["soft"] += to.deferred
            totals["hard"] += to.dead
    return cells | {f"total.{name}": Cell(number(total)) for name, total in totals.items()}


def _held(to: ReportedDestination, now: float) -> str:
    if not to.held_reason:
        return ""
    since = f" for {lasting(to.held_since, now)}" if to.held_since else ""
    again = ""
    if to.next_probe:
        again = f"; next try in {max(0, int(to.next_probe - now))} s"
    return f"on hold{since}: {to.held_reason}{again}"
