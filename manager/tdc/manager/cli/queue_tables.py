"""PURE. Work on queues for people: dead copies, what work would choose, what it came to."""

from __future__ import annotations

from collections.abc import Sequence

from tdc.manager.cli.layout import Column, Grid, Line, Piece
from tdc.manager.cli.words import ABSENT, counted, listed, size, when
from tdc.shared.wire.documents import OrderedWorkDocument
from tdc.shared.wire.queue_documents import MachineDeadDocument, WorkDocument


def dead_pieces(rows: Sequence[MachineDeadDocument]) -> list[Piece]:
    """Dead copies of machines, newest first; what is missing goes under the table."""
    columns = [
        Column("MACHINE", folds=True),
        Column("MID", right=True),
        Column("DEAD SINCE", folds=True),
        Column("INTAKE", folds=True),
        Column("MESSAGE-ID", folds=True),
        Column("REASON", folds=True),
    ]
    cells = [
        [
            row.machine,
            str(copy.mid),
            when(copy.dead_at),
            copy.intake,
            copy.message_id or ABSENT,
            copy.reason,
        ]
        for row in rows
        for copy in row.dead
    ]
    remarks: list[Piece] = [
        Line(
            f"{row.machine}: the newest {len(row.dead)} of {row.copies} dead copies are shown",
            "yellow",
        )
        for row in rows
        if len(row.dead) < row.copies
    ]
    remarks += [Line(f"{row.machine}: {row.problem}", "yellow") for row in rows if row.problem]
    pieces = listed(columns, cells, "No dead copies.")
    return [*pieces, Line(), *remarks] if remarks else pieces


def work_pieces(work: WorkDocument) -> list[Piece]:
    """The machines, and what work chooses or chose there."""
    rows = [
        [row.machine, ABSENT, ABSENT]
        if row.problem
        else [row.machine, str(row.copies), size(row.bytes)]
        for row in work.machines
    ]
    columns = [
        Column("MACHINE", folds=True),
        Column("COPIES", right=True),
        Column("SIZE", right=True),
    ]
    pieces = listed(columns, rows, "No machine has enrolled.")
    remarks = [
        Line(f"{row.machine}: {row.problem or row.waits}", "yellow")
        for row in work.machines
        if row.problem or row.waits
    ]
    return [*pieces, Line(), *remarks] if remarks else pieces


def work_words(kind: str, copies: int, from_intake: str, to_intake: str) -> str:
    """Work as a phrase: `move 12 copies from a@intake.example to b@intake.example`."""
    what = f"{kind} {counted(copies, 'copy', 'copies')}"
    if kind == "move":
        source = from_intake or "every intake"
        return f"{what} from {source} to {to_intake}"
    return f"{what} for {from_intake or 'every intake'}"


def ordered_words(work: OrderedWorkDocument) -> str:
    """Work as the history names it."""
    words = work_words(work.kind, work.copies, work.from_intake, work.to_intake)
    chosen = "" if work.waiting and work.dead else " (waiting)" if work.waiting else " (dead)"
    return f"ordered: {words}{chosen}"


def ordered_pieces(work: OrderedWorkDocument) -> list[Piece]:
    """Work of one commit, with what was counted before it was ordered."""
    rows = [[each.machine, str(each.copies), size(each.bytes)] for each in work.machines]
    columns = [
        Column("MACHINE", folds=True),
        Column("COPIES", right=True),
        Column("SIZE", right=True),
    ]
    numbers = ", ".join(map(str, work.mids))
    return [
        Line(f"Work on queues {ordered_words(work)}", "bold"),
        *([Line(f"Only MID {numbers}", indent=2)] if numbers else []),
        Grid(columns, rows),
    ]
