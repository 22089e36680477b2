"""PURE. Managers for people."""

from __future__ import annotations

from collections.abc import Sequence

from tdc.manager.cli.layout import Cell, Column, Line, Piece
from tdc.manager.cli.words import ABSENT, listed, name_list, size, when
from tdc.shared.sync.words import lapse_words
from tdc.shared.wire.manager_documents import (
    EtcdDocument,
    ManagerDocument,
    ManagerStatusDocument,
    WritesDocument,
)

CLOCK_APART = 2.0
"""Seconds by which clocks may differ before that is remarked."""


def list_pieces(rows: Sequence[ManagerDocument]) -> list[Piece]:
    """One row for each manager; why one does not answer goes under the table."""
    columns = [
        Column("MANAGER", folds=True),
        Column("ADDRESS", folds=True),
        Column("VERSION"),
        Column("SINCE", folds=True),
        Column("ANSWERS"),
        Column("MACHINES", right=True),
        Column("CLOCK", right=True),
        Column("CERTIFICATE ENDS", folds=True),
        Column("DOES", folds=True),
    ]
    remarks = [Line(f"{row.name}: {row.problem}", "red") for row in rows if row.problem]
    remarks += [
        Line(f"{row.name}: its clock is {_clock(row)} against the one that was asked", "yellow")
        for row in rows
        if abs(row.clock_ahead or 0.0) >= CLOCK_APART
    ]
    pieces = listed(columns, [_cells(row) for row in rows], "No managers.")
    return [*pieces, Line(), *remarks] if remarks else pieces


def status_pieces(status: ManagerStatusDocument) -> list[Piece]:
    """The manager that was asked, its etcd, and what it wrote there."""
    own = status.manager
    lines = [
        f"manager {own.name} at {own.address}, version {own.version}, since {when(own.started)}",
        f"machines connected here: {own.machines or 0}; does: {name_list(own.owns)}",
        f"its certificate ends {when(own.certificate_ends)}",
        *_etcd(status.etcd),
        _writes(status.writes),
        f"etcd writes per agent and hour at rest: {status.writes.per_agent_hour:g}",
    ]
    return [Line(line) for line in lines]


def _etcd(etcd: EtcdDocument) -> list[str]:
    where = "embedded" if etcd.embedded else ", ".join(etcd.endpoints)
    if etcd.problem:
        return [f"etcd: {where}; {etcd.problem}"]
    quota = f" of a quota of {size(etcd.quota)}" if etcd.quota else ", quota not known"
    return [
        f"etcd: {where}, version {etcd.version}, members: {name_list(etcd.members)}",
        f"etcd database: {size(etcd.size)}, {size(etcd.size_in_use)} in use{quota}; "
        f"alarms: {', '.join(etcd.alarms) or 'none'}",
    ]


def _writes(writes: WritesDocument) -> str:
    by = ", ".join(f"{who} {count}" for who, count in writes.by.items()) or "none"
    return f"etcd writes within {lapse_words(writes.seconds)}: {by}"


def _cells(row: ManagerDocument) -> list[Cell | str]:
    return [
        f"{row.name} (asked)" if row.asked else row.name,
        row.address,
        row.version,
        when(row.started),
        Cell("yes", "green") if row.answers else Cell("no", "red"),
        ABSENT if row.machines is None else str(row.machines),
        ABSENT if row.asked else _clock(row),
        when(row.certificate_ends),
        name_list(row.owns),
    ]


def _clock(row: ManagerDocument) -> str:
    """By how much its clock is ahead; what is within a second may be the way of the answer."""
    return ABSENT if row.clock_ahead is None else f"{row.clock_ahead:+.1f} s"
