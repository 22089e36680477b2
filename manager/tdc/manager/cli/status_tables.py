"""PURE. Status and delivery of machines for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tdc.manager.cli.layout import Cell, Column, Line, Piece
from tdc.manager.cli.words import ABSENT, first_names, listed, when, yes_or_no
from tdc.shared.wire.documents import StatusDocument
from tdc.shared.wire.queue_documents import DeliveryDocument
from tdc.shared.wire.suspension_documents import SuspendedPartDocument, SuspensionDocument

_STATE_STYLES = {
    "in sync": "green",
    "out of sync": "yellow",
    "stale": "yellow",
    "offline": "red",
    "rejected": "red",
    "unknown": "yellow",
}
_HEALTH_STYLES = {"ok": "green", "warning": "yellow", "critical": "red"}
_HOST_STYLES = {"up": "green", "refusing": "yellow", "down": "red", "suspended": "yellow"}
MOST_NAMES = 5
"""Machines with the same remark that a line names; the table above it has them all."""
_NO_MACHINES = (
    "No machines, or none in your reach (`tdc whoami`). An administrator creates a cluster with "
    "`tdc cluster create NAME`, then a machine with `tdc machine create NAME --group GROUP`."
)


def status_pieces(rows: Sequence[StatusDocument]) -> list[Piece]:
    """Machines' sync state and health; reasons and problems go under the table."""
    columns = [
        Column("MACHINE", folds=True),
        Column("GROUP", folds=True),
        Column("STATE"),
        Column("HEALTH"),
        Column("APPLIED", right=True),
        Column("COPYING"),
        Column("QUEUED", right=True),
        Column("SINCE", folds=True),
    ]
    several = len({row.cluster for row in rows}) > 1
    if several:
        columns.insert(2, Column("CLUSTER", folds=True))
    cells: list[list[Cell | str]] = []
    for row in rows:
        line: list[Cell | str] = [
            row.name,
            row.group,
            Cell(row.state, _STATE_STYLES.get(row.state, "")),
            Cell(row.health, _HEALTH_STYLES.get(row.health, "")),
            f"{row.applied_revision or ABSENT} of {row.wanted_revision}",
            _copying(row),
            str(row.queued),
            when(row.since),
        ]
        if several:
            line.insert(2, row.cluster)
        cells.append(line)
    return [*listed(columns, cells, _NO_MACHINES), *_remarks(rows)]


def _copying(row: StatusDocument) -> Cell:
    """Whether it takes copies; while it is not connected, what it last reported."""
    if row.suspension is not None and row.suspension.copying:
        return Cell("suspended", "yellow")
    if row.state in ("offline", "stale", "unknown"):
        last = f"was {yes_or_no(row.copying)}" if row.applied_revision else ABSENT
        return Cell(last, "yellow")
    return Cell(yes_or_no(row.copying), "" if row.copying else "yellow")


def _remarks(rows: Iterable[StatusDocument]) -> list[Piece]:
    """A line for each remark; machines with the same one share it."""
    named: dict[str, list[str]] = {}
    critical: set[str] = set()
    for row in rows:
        for remark in dict.fromkeys([*([row.reason] if row.reason else []), *row.warnings]):
            named.setdefault(remark, []).append(row.name)
        critical |= {each.text for each in row.problems if each.severity == "critical"}
    lines: list[Piece] = [
        Line(
            f"{first_names(names, MOST_NAMES, '')}: {remark}",
            "red" if remark in critical else "yellow",
        )
        for remark, names in named.items()
    ]
    return [Line(), *lines] if lines else []


def delivery_pieces(rows: Sequence[DeliveryDocument]) -> list[Piece]:
    """Delivery Status, one row for each machine and destination."""
    columns = [
        Column("MACHINE", folds=True),
        Column("DESTINATION DOMAIN", folds=True),
        Column("LATEST HOST STATUS", folds=True),
        Column("ACTIVE RECIPIENTS", right=True),
        Column("CONNECTIONS OUT", right=True),
        Column("DELIVERED", right=True),
        Column("DEFERRED", right=True),
        Column("DEAD", right=True),
        Column("OLDEST QUEUED", folds=True),
        Column("LAST REPLY", folds=True),
        Column("LAST TLS VERSION"),
    ]
    pieces = listed(columns, [_delivery_cells(row) for row in rows], "No delivery reported yet.")
    held = [
        Line(f"{row.machine}: on hold{_since(row)}: {row.held_reason}{_next_probe(row)}", "red")
        for row in rows
        if row.held_reason
    ]
    suspended = {
        row.machine: Line(
            f"{row.machine}: delivery is suspended {suspended_words(row.suspended)}", "yellow"
        )
        for row in rows
        if row.suspended
    }
    remarks = [*suspended.values(), *held]
    return [*pieces, Line(), *remarks] if remarks else pieces


def suspended_words(part: SuspendedPartDocument) -> str:
    """By whom, since when, until when and why."""
    until = f"until {when(part.until)}" if part.until else "with no end"
    return f"by {part.by} since {when(part.since)}, {until}: {part.reason}"


def suspension_lines(suspension: SuspensionDocument | None) -> list[Line]:
    """What is suspended, whatever the settings say, and what should be; who resumed it last."""
    if suspension is None:
        return []
    lines = [
        Line(f"{work} is suspended {suspended_words(part)}", "yellow")
        for work, part in (("copying", suspension.copying), ("delivery", suspension.delivery))
        if part
    ]
    wanted = {"copying": suspension.wanted_copying, "delivery": suspension.wanted_delivery}
    there = {"copying": suspension.copying, "delivery": suspension.delivery}
    for work, part in wanted.items():
        if part and not there[work]:
            words = f"{work} should be suspended {suspended_words(part)}"
            lines.append(Line(f"{words}; not in force: {suspension.pending}", "yellow"))
        if there[work] and not part:
            words = f"{work} should no longer be suspended; not in force: {suspension.pending}"
            lines.append(Line(words, "yellow"))
    if suspension.resumed_by:
        lines.append(Line(f"resumed by {suspension.resumed_by} at {when(suspension.resumed_at)}"))
    return lines


def _since(row: DeliveryDocument) -> str:
    return f" since {when(row.held_since)}" if row.held_since else ""


def _next_probe(row: DeliveryDocument) -> str:
    return f"; next probe at {when(row.next_probe)}" if row.next_probe else ""


def _delivery_cells(row: DeliveryDocument) -> list[Cell | str]:
    host = f"{row.host_status} ({row.latest_host})" if row.latest_host else None
    intake = f" ({row.intake_domain})" if row.intake_domain else ""
    return [
        row.machine,
        f"{row.domain}{intake}" if row.domain else ABSENT,
        Cell(host or row.host_status or ABSENT, _HOST_STYLES.get(row.host_status, "")),
        str(row.active_recipients),
        str(row.connections_out),
        str(row.delivered),
        str(row.deferred),
        str(row.dead),
        when(row.oldest_queued),
        row.last_reply or ABSENT,
        row.last_tls_version or ABSENT,
    ]
