"""PURE. Drafts for people."""

from __future__ import annotations

from collections.abc import Sequence

from tdc.manager.cli.layout import Cell, Column, Grid, Line, Piece
from tdc.manager.cli.words import counted, listed, shown, when, yes_or_no
from tdc.shared.wire.draft_documents import DraftDocument, DraftSummaryDocument

HOW_TO_BEGIN = "Begin with `tdc draft set LEVEL NAME SETTING=VALUE`."

_STYLES = {"conflict": "bold red", "gone": "red", "done": "dim"}


def list_pieces(rows: Sequence[DraftSummaryDocument]) -> list[Piece]:
    """Drafts in a list."""
    columns = [
        Column("CLUSTER"),
        Column("OPERATOR", folds=True),
        Column("SETTINGS", right=True),
        Column("CONFLICTS", right=True),
        Column("SHARED"),
        Column("CHANGED", folds=True),
    ]
    cells = [
        [
            row.cluster,
            row.owner,
            str(row.rows),
            str(row.conflicts),
            yes_or_no(row.shared),
            when(row.changed),
        ]
        for row in rows
    ]
    return listed(columns, cells, f"No drafts. {HOW_TO_BEGIN}")


def draft_pieces(found: DraftDocument) -> list[Piece]:
    """One draft, row by row, with what can be done next."""
    shared = ", shared" if found.shared else ""
    title = f"Draft of {found.owner} for cluster {found.cluster}, revision {found.revision}{shared}"
    pieces: list[Piece] = [Line(title, "bold")]
    if found.rows:
        columns = [
            Column("LEVEL"),
            Column("SETTING"),
            Column("WAS", folds=True),
            Column("NOW", folds=True),
            Column("YOURS", folds=True),
            Column("STATE"),
        ]
        pieces.append(
            Grid(
                columns,
                [
                    [
                        f"{row.level} {row.name}",
                        row.setting,
                        shown(row.setting, row.was),
                        shown(row.setting, row.theirs),
                        shown(row.setting, row.yours),
                        Cell(row.state, _STYLES.get(row.state, "")),
                    ]
                    for row in found.rows
                ],
            )
        )
    else:
        pieces.append(Line(f"It is empty. {HOW_TO_BEGIN}"))
    if any(row.state == "conflict" for row in found.rows):
        pieces.append(
            Line(
                "Others changed what is in conflict: `tdc draft keep LEVEL NAME` chooses yours, "
                "`tdc draft remove LEVEL NAME` theirs."
            )
        )
    for reason in dict.fromkeys(row.reason for row in found.rows if row.reason):
        pieces.append(Line(f"{reason[:1].upper()}{reason[1:]}.", "red"))
    if any(row.state == "gone" for row in found.rows):
        pieces.append(
            Line(
                "`tdc draft remove LEVEL NAME` leaves out what is gone; draft it again under the "
                "new name, if it has one."
            )
        )
    if found.discarded is not None:
        rows = counted(found.discarded_rows, "setting", "settings")
        pieces.append(
            Line(
                f"Discarded {when(found.discarded)}: {rows}. `tdc draft restore` takes them back "
                "within 24 hours."
            )
        )
    return pieces
