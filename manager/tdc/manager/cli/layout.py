"""PURE. Lines and grids for people, laid out for a width.

In: pieces. Out: text. Promises: nothing that a terminal acts on but our own colours; no value is
cut, only folded; no line is wider than asked for, except `verbatim` ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from tdc.shared.wire.printable import printable

_GAP = 2
_LEAST_FOLDED = 12
"""A folding column is never narrower than this; rows become records instead."""

_LEAST_VALUE = 8
"""The minimum width of a record's values; its titles fold before that."""

_MOST_PADDED = 1_000
"""Columns up to which cells are filled with spaces: in a pipe one value may have megabytes."""

_BOLD = "bold"


@dataclass(frozen=True, slots=True)
class Cell:
    """A text with a style for terminals."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence, folded at the width; `verbatim` is never folded, as it is to be copied."""

    text: str = ""
    style: str = ""
    indent: int = 0
    verbatim: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a grid. Unless it folds, it is as wide as its longest cell."""

    title: str
    right: bool = False
    folds: bool = False


@dataclass(frozen=True, slots=True)
class Grid:
    """Rows under titles; one record for each row where those would be unreadable."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell | str]]


Piece = Line | Grid


def as_text(pieces: Iterable[Piece], *, width: int, colour: bool) -> str:
    """`pieces` as lines; styles only with `colour`."""
    layout = _Layout(width, colour)
    return "\n".join(line.rstrip() for piece in pieces for line in layout.lines(piece))


class _Layout:
    """The layout for one width, with or without colours."""

    def __init__(self, width: int, colour: bool) -> None:
        self._width = width
        self._colour = colour

    def lines(self, piece: Piece) -> Iterator[str]:
        if isinstance(piece, Line):
            yield from self._sentence(piece)
            return
        cells = [[self._clean_cell(cell) for cell in row] for row in piece.rows]
        widths = _widths(piece.columns, cells, self._width)
        if widths is None:
            yield from self._records(piece.columns, cells)
        else:
            yield from self._rows(piece.columns, cells, widths)

    def _sentence(self, line: Line) -> Iterator[str]:
        text = printable(line.text)
        folded = [text] if line.verbatim else self._fold(text, self._width - line.indent)
        for part in folded:
            yield " " * line.indent + self._paint(part, line.style)

    def _rows(
        self, columns: Sequence[Column], cells: Sequence[Sequence[Cell]], widths: Sequence[int]
    ) -> Iterator[str]:
        right = [column.right for column in columns]
        if any(column.title for column in columns):
            yield from self._row([Cell(column.title, _BOLD) for column in columns], widths, right)
        for row in cells:
            yield from self._row(row, widths, right)

    def _records(self, columns: Sequence[Column], cells: Sequence[Sequence[Cell]]) -> Iterator[str]:
        longest = max(cell_len(column.title) for column in columns)
        title = max(1, min(longest, self._width - _GAP - _LEAST_VALUE))
        widths = [title, self._width - _GAP - title]
        for number, row in enumerate(cells):
            if number:
                yield ""
            for column, cell in zip(columns, row, strict=True):
                if not column.title and not cell.text:  # a remark that this row lacks
                    continue
                yield from self._row([Cell(column.title, _BOLD), cell], widths, [False, False])

    def _row(
        self, cells: Sequence[Cell], widths: Sequence[int], right: Sequence[bool]
    ) -> Iterator[str]:
        """Yield one row's lines: as many as its most folded cell has."""
        folded = [self._fold(cell.text, width) for cell, width in zip(cells, widths, strict=True)]
        for number in range(max(map(len, folded))):
            shown = []
            for cell, parts, width, to_right in zip(cells, folded, widths, right, strict=True):
                part = parts[number] if number < len(parts) else ""
                space = " " * (min(width, _MOST_PADDED) - cell_len(part))
                painted = self._paint(part, cell.style)
                shown.append(space + painted if to_right else painted + space)
            yield (" " * _GAP).join(shown)

    def _fold(self, text: str, width: int) -> list[str]:
        if cell_len(text) <= width:
            return [text]
        from rich.console import Console  # noqa: PLC0415  # half of rich, for long lines only
        from rich.text import Text  # noqa: PLC0415

        console = Console(width=self._width, color_system=None)  # folds words; prints nothing
        lines = Text(text).wrap(console, width, overflow="fold")
        return [line.plain.rstrip() for line in lines] or [""]

    def _paint(self, text: str, style: str) -> str:
        if not self._colour or not style or not text:
            return text
        from rich.color import ColorSystem  # noqa: PLC0415  # on terminals only
        from rich.style import Style  # noqa: PLC0415

        return Style.parse(style).render(text, color_system=ColorSystem.STANDARD)

    @staticmethod
    def _clean_cell(cell: Cell | str) -> Cell:
        return (
            Cell(printable(cell))
            if isinstance(cell, str)
            else Cell(printable(cell.text), cell.style)
        )


def _widths(
    columns: Sequence[Column], cells: Sequence[Sequence[Cell]], width: int
) -> list[int] | None:
    """A width for each column, or None if they don't fit side by side."""
    natural = [
        max([cell_len(column.title), *(cell_len(row[index].text) for row in cells)])
        for index, column in enumerate(columns)
    ]
    folding = [index for index, column in enumerate(columns) if column.folds]
    gaps = _GAP * (len(columns) - 1)
    room = width - gaps - sum(natural) + sum(natural[index] for index in folding)
    if room < sum(min(natural[index], _LEAST_FOLDED) for index in folding):
        return None
    # The narrowest take what they need; the others share what is left.
    for left, index in zip(
        range(len(folding), 0, -1), sorted(folding, key=natural.__getitem__), strict=True
    ):
        natural[index] = min(natural[index], room // left)
        room -= natural[index]
    return natural
