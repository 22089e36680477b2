"""PURE. The audit log for people."""

from __future__ import annotations

from collections.abc import Sequence

from tdc.manager.cli.layout import Cell, Column, Grid, Line, Piece
from tdc.manager.cli.words import counted, listed, when
from tdc.shared.wire.audit_documents import (
    AuditEntryDocument,
    AuditFaultDocument,
    AuditUncomparedDocument,
    AuditVerdictDocument,
)

_OUTCOMES = {"refused": "yellow"}
_SOURCES = {"log": "", "commits": "History contradicts it: ", "agents": "An agent contradicts it: "}
_NAMED = 10


def list_pieces(rows: Sequence[AuditEntryDocument]) -> list[Piece]:
    """Entries in a list."""
    columns = [
        Column("ENTRY", right=True),
        Column("TIME"),
        Column("WHO", folds=True),
        Column("FROM"),
        Column("OPERATION"),
        Column("OUTCOME"),
        Column("CLUSTER"),
        Column("WHAT", folds=True),
    ]
    return listed(columns, [_row(row) for row in rows], "No such entries.")


def entry_pieces(entry: AuditEntryDocument) -> list[Piece]:
    """One entry, whole."""
    if entry.unreadable:
        return [Line(f"Entry {entry.number} can't be read: {entry.unreadable}.", "bold red")]
    title = f"Entry {entry.number}, {when(entry.time)}: {entry.operation}, {entry.outcome}"
    facts = {
        "who": _who(entry),
        "from": entry.origin,
        "role": entry.role,
        "means": entry.means,
        "cluster": entry.cluster,
        "what": entry.what,
        "reason": entry.reason,
        "comment": entry.comment,
        "revision": str(entry.revision or ""),
        "request id": entry.request_id,
        "commit record": entry.commit,
        "its chain value": entry.digest,
        "note": entry.note,
        "chain value": entry.chain,
    }
    pieces: list[Piece] = [Line(title, "bold")]
    pieces.extend(Line(f"{name}: {value}", indent=2) for name, value in facts.items() if value)
    if entry.rows:
        columns = [
            Column("OF"),
            Column("WHAT"),
            Column("BEFORE", folds=True),
            Column("AFTER", folds=True),
        ]
        cells = [[row.target, row.part, row.before or "", row.after or ""] for row in entry.rows]
        pieces.append(Grid(columns, cells))
    if entry.rows_left_out:
        more = counted(entry.rows_left_out, "more change is", "more changes are")
        pieces.append(Line(f"{more} in the commit record: `tdc commit show {entry.revision}`."))
    return pieces


def verdict_pieces(found: AuditVerdictDocument) -> list[Piece]:
    """What a check found: the sentence, each fault, what agents could say."""
    span = f"entries {found.first} to {found.newest}" if found.entries else "no entries"
    trimmed = f"; trimmed up to entry {found.trimmed}" if found.trimmed else ""
    pieces: list[Piece] = []
    if found.intact:
        pieces.append(Line(f"The audit log is as it was written: {span}{trimmed}.", "green"))
    else:
        faults = counted(found.fault_count, "fault", "faults")
        pieces.append(
            Line(f"The audit log is NOT as it was written: {faults}; {span}{trimmed}.", "bold red")
        )
    for fault in found.faults:
        pieces.extend(_fault(fault))
    left_out = found.fault_count - len(found.faults)
    if left_out > 0:
        pieces.append(Line(f"{counted(left_out, 'more fault', 'more faults')} are not shown."))
    pieces.extend(Line(f"Was wrong then: {each}") for each in found.remarks)
    if found.agreeing is not None:
        pieces.append(Line(f"Machines that agree: {found.agreeing}."))
    for each in (found.uncompared or ())[:_NAMED]:
        pieces.append(_uncompared(each))
    more = len(found.uncompared or ()) - _NAMED
    if more > 0:
        pieces.append(Line(f"{more} more machines were not compared; -o json names them."))
    return pieces


def _row(row: AuditEntryDocument) -> list[Cell | str]:
    if row.unreadable:
        text = Cell(f"can't be read: {row.unreadable}", "bold red")
        return [str(row.number), "", "", "", "", "", "", text]
    what = row.what if not row.reason else f"{row.what}: {row.reason}" if row.what else row.reason
    return [
        str(row.number),
        when(row.time),
        _who(row),
        row.origin,
        row.operation,
        Cell(row.outcome, _OUTCOMES.get(row.outcome, "")),
        row.cluster,
        what,
    ]


def _who(row: AuditEntryDocument) -> str:
    if not row.who:
        return row.kind
    return row.who if row.kind == "operator" else f"{row.kind} {row.who}"


def _fault(fault: AuditFaultDocument) -> list[Piece]:
    return [
        Line(f"{_SOURCES.get(fault.source, '')}{fault.what}.", "red"),
        Line(f"It means: {fault.meaning}.", indent=2),
        Line(f"What to do: {fault.advice}.", indent=2),
    ]


def _uncompared(each: AuditUncomparedDocument) -> Line:
    return Line(f"Not compared: machine {each.machine} of cluster {each.cluster}: {each.reason}.")
