"""What is printed: a document as JSON or YAML, or the same as lines and grids for people.

In: plain data, and pieces made from it. Out: text, ASCII-safe where it is data.
Promises: no byte that a server sent reaches a terminal as a control; no value is cut, only
folded; colours only on a terminal, and not with NO_COLOR (https://no-color.org).
"""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import yaml
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text
from tdc.manager.cli.errors import OutputClosed

UNBOUNDED = 10_000
"""Columns where output is no terminal: one row a line, for grep and awk."""

_GAP = 2
_LEAST_FOLDED = 12
"""A column that may fold is never narrower than this; then rows become records instead."""

# Controls, formatting (the bidirectional overrides among them), surrogates, separators.
_UNSAFE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


class OutputFormat(StrEnum):
    """Form of the output."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


@dataclass(frozen=True, slots=True)
class Cell:
    """A text with a style that a terminal may show."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence; folded at the width of the terminal, unless it is `verbatim`, to be copied."""

    text: str = ""
    style: str = ""
    indent: int = 0
    verbatim: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a grid. One that does not fold keeps the width of its longest cell."""

    title: str
    right: bool = False
    folds: bool = False


@dataclass(frozen=True, slots=True)
class Grid:
    """Rows under titles; where they would not be readable, one record for each row."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell | str]]


Piece = Line | Grid


def clean(text: str) -> str:
    r"""Return `text` with everything a terminal would act on written as ``\x1b`` or ``\u202e``."""
    return "".join(_visible(char) for char in text)


def _visible(char: str) -> str:
    if char == " " or (char.isprintable() and unicodedata.category(char) not in _UNSAFE):
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def as_json(document: object) -> str:
    """Return JSON in ASCII: the same data in every locale, and nothing a terminal acts on."""
    return json.dumps(document, indent=2, ensure_ascii=True)


def as_yaml(document: object) -> str:
    """Return YAML in ASCII of the same data as `as_json`."""
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=False).rstrip("\n")


def as_text(pieces: Iterable[Piece], *, width: int, colour: bool) -> str:
    """Return `pieces` for people, no line wider than `width` but those to be copied."""
    sink = io.StringIO()
    console = Console(
        file=sink,
        width=width,
        force_terminal=colour,
        color_system="standard" if colour else None,
        markup=False,
        emoji=False,
        highlight=False,
        soft_wrap=False,
        legacy_windows=False,
    )
    for piece in pieces:
        if isinstance(piece, Grid):
            console.print(_table(piece, width))
        elif piece.verbatim:
            sink.write(clean(piece.text) + "\n")
        else:
            console.print(_line(piece))
    return "\n".join(line.rstrip() for line in sink.getvalue().splitlines())


def _line(line: Line) -> Text | RichTable:
    text = Text(clean(line.text), style=line.style, overflow="fold")
    if not line.indent:
        return text
    table = RichTable.grid()
    table.add_column(width=line.indent)
    table.add_column(overflow="fold")
    table.add_row("", text)
    return table


def _table(grid: Grid, width: int) -> RichTable:
    cells = [[_cell(cell) for cell in row] for row in grid.rows]
    widths = _widths(grid.columns, cells, width)
    return _records(grid.columns, cells) if widths is None else _rows(grid.columns, cells, widths)


def _cell(cell: Cell | str) -> Text:
    if isinstance(cell, str):
        cell = Cell(cell)
    return Text(clean(cell.text), style=cell.style, overflow="fold")


def _widths(
    columns: Sequence[Column], cells: Sequence[Sequence[Text]], width: int
) -> list[int] | None:
    """Return a width for each column, or None if the rows don't fit side by side."""
    natural = [
        max([cell_len(column.title), *(cell_len(row[index].plain) for row in cells)])
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


def _rows(
    columns: Sequence[Column], cells: Sequence[Sequence[Text]], widths: Sequence[int]
) -> RichTable:
    table = RichTable(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    for column, width in zip(columns, widths, strict=True):
        table.add_column(
            Text(column.title), width=width, justify="right" if column.right else "left"
        )
    for row in cells:
        table.add_row(*row)
    return table


def _records(columns: Sequence[Column], cells: Sequence[Sequence[Text]]) -> RichTable:
    table = RichTable(
        box=None, pad_edge=False, padding=(0, _GAP, 0, 0), show_header=False, show_edge=False
    )
    table.add_column(style="bold", overflow="fold")
    table.add_column(overflow="fold")
    for number, row in enumerate(cells):
        if number:
            table.add_row("", "")
        for column, cell in zip(columns, row, strict=True):
            table.add_row(Text(column.title), cell)
    return table


@dataclass(frozen=True, slots=True)
class Out:
    """Standard output and standard error, each as wide and colourful as what it is."""

    form: OutputFormat

    def emit(self, document: object, pieces: Iterable[Piece]) -> None:
        """Print the document, or for people its pieces; raises OutputClosed."""
        if self.form is OutputFormat.JSON:
            write(as_json(document))
        elif self.form is OutputFormat.YAML:
            write(as_yaml(document))
        else:
            self.show(pieces)

    def show(self, pieces: Iterable[Piece]) -> None:
        """Print pieces on standard output, whatever the form; raises OutputClosed."""
        write(as_text(pieces, width=width_of(sys.stdout.isatty()), colour=colourful(sys.stdout)))

    def tell(self, pieces: Iterable[Piece]) -> None:
        """Print pieces on standard error: what belongs to the operator, not to the data."""
        text = as_text(pieces, width=width_of(sys.stderr.isatty()), colour=colourful(sys.stderr))
        print(text, file=sys.stderr, flush=True)


def write(text: str) -> None:
    """Print on standard output and flush; raises OutputClosed if nobody reads any more."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # What is still buffered would fail again when the interpreter flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise OutputClosed("The output was closed before all of it was written.") from None


def width_of(terminal: bool) -> int:
    """Return how many columns a line may have; COLUMNS wins, as everywhere."""
    if terminal or os.environ.get("COLUMNS", "").isdigit():
        return max(20, shutil.get_terminal_size((80, 24)).columns)
    return UNBOUNDED


def colourful(stream: io.TextIOBase | object) -> bool:
    """Say whether `stream` is a terminal that may be sent colours."""
    isatty = getattr(stream, "isatty", None)
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"
    return wanted and isatty is not None and bool(isatty())
