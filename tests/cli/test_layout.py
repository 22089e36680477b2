"""Grids at any width: nothing cut, nothing too wide, nothing a terminal would act on."""

from __future__ import annotations

import unicodedata
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from tdc.manager.cli.layout import Cell, Column, Grid, Line, as_text
from tdc.manager.cli.render import as_json, as_yaml, width_of
from tdc.shared.wire.printable import printable

_TITLES = ["MACHINE", "STATE", "LAST REPLY", "ACTIVE RECIPIENTS"]
_COLUMNS = st.lists(
    st.builds(Column, st.sampled_from(_TITLES), right=st.booleans(), folds=st.booleans()),
    min_size=1,
    max_size=6,
)
_TEXTS = st.text(st.characters(codec="utf-8"), max_size=60)


@given(
    columns=_COLUMNS,
    width=st.integers(20, 100),
    texts=st.lists(_TEXTS, min_size=24, max_size=24),
    rows=st.integers(1, 4),
)
def test_a_grid_shows_every_character_within_the_width(
    columns: list[Column], width: int, texts: list[str], rows: int
) -> None:
    """As columns or as records; spaces are where folding may happen, all else must be there."""
    cells = [texts[row * 6 : row * 6 + len(columns)] for row in range(rows)]
    shown = as_text([Grid(columns, cells)], width=width, colour=False)
    assert max(cell_len(line) for line in shown.splitlines()) <= width
    wanted = Counter("".join(printable(text) for row in cells for text in row))
    titles = Counter("".join(column.title for column in columns))
    shown_counts = Counter(shown)
    for char in " \n":
        del wanted[char], titles[char], shown_counts[char]
    as_records = Counter({char: count * rows for char, count in titles.items()})
    assert shown_counts in (wanted + titles, wanted + as_records)


def test_columns_without_titles_have_no_line_for_them() -> None:
    grid = Grid([Column(""), Column("", folds=True)], [["name", "ana"]])
    assert as_text([grid], width=80, colour=False) == "name  ana"


def test_a_record_has_no_line_for_a_remark_that_it_lacks() -> None:
    """In a narrow terminal a blank line stands between records, not within one."""
    columns = [Column("SETTING"), Column("")]
    rows = [["spool.max_messages", ""], ["enabled", "by the disable rule"]]
    shown = as_text([Grid(columns, rows)], width=28, colour=False).splitlines()
    assert [line.split() for line in shown] == [
        ["SETTING", "spool.max_messages"],
        [],
        ["SETTING", "enabled"],
        ["by", "the", "disable", "rule"],
    ]


@given(text=_TEXTS, width=st.integers(20, 100))
def test_a_line_folds_and_is_whole(text: str, width: int) -> None:
    """Also where it is indented."""
    for indent in (0, 2):
        shown = as_text([Line(text, indent=indent)], width=width, colour=False)
        assert all(cell_len(line) <= width for line in shown.splitlines())
        assert "".join(shown.split()) == "".join(printable(text).split())


@given(text=st.text())
@pytest.mark.proves("S10")
def test_clean_leaves_nothing_that_a_terminal_acts_on(text: str) -> None:
    """No control, no direction override, no line separator; printable text is as it was."""
    cleaned = printable(text)
    assert all(unicodedata.category(char) not in {"Cc", "Cf", "Zl", "Zp"} for char in cleaned)
    if text.isascii() and text.isprintable():
        assert cleaned == text


def test_an_escape_sequence_is_shown_not_sent() -> None:
    """The window title, the bell, the 8-bit CSI and a direction override become visible."""
    assert printable("a\x1b]0;x\x07b") == r"a\x1b]0;x\x07b"
    assert printable("\x9b31m") == r"\x9b31m"
    assert printable("mx\u202eexe") == r"mx\u202eexe"
    assert printable("two\nlines") == r"two\x0alines"


@pytest.mark.parametrize("width", [20, 80])
def test_no_piece_lets_through_what_it_was_given_to_show(width: int) -> None:
    """A sentence, a cell, one with a style, and each of them in a record where they don't fit."""
    text = "a\x1b]0;x\x07\x9b31m\u202e\u2028b"
    row = ("mx1", text, Cell(text), Cell(text, "red"))
    pieces: list[Line | Grid] = [
        Line(text), Line(text, "red", verbatim=True),
        Grid([Column("M"), *(Column("REASON", folds=True) for _ in range(3))], [row]),
    ]  # fmt: skip
    shown = as_text(pieces, width=width, colour=False)
    assert all(line.isprintable() for line in shown.split("\n"))
    coloured = as_text(pieces, width=width, colour=True)
    assert "\x1b]" not in coloured
    assert not {"\x07", "\x9b", "\u202e", "\u2028"} & set(coloured)


@given(document=st.dictionaries(st.text(), st.text()))
def test_data_is_ascii_in_every_locale(document: dict[str, str]) -> None:
    """JSON and YAML carry everything, by escapes."""
    assert as_json(document).isascii()
    assert as_yaml(document).isascii()


def test_numbers_keep_their_column_while_words_fold() -> None:
    """At 40 columns the comment folds; the revision does not."""
    grid = Grid(
        [Column("REVISION", right=True), Column("COMMENT", folds=True)],
        [["7", "the quick brown fox jumps over the lazy dog again"]],
    )
    assert as_text([grid], width=40, colour=False).splitlines() == [
        "REVISION  COMMENT",
        "       7  the quick brown fox jumps over",
        "          the lazy dog again",
    ]


@pytest.mark.parametrize("size", [10, 30_000])
def test_in_a_pipe_every_row_is_one_line(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a value holds; and the other rows are not filled up to it."""
    monkeypatch.delenv("COLUMNS", raising=False)
    grid = Grid(
        [Column("SETTING", folds=True), Column("VALUE", folds=True), Column("FROM", folds=True)],
        [["policies", "x " * size, "group g1"], ["enabled", "true", "cluster c1"]],
    )
    shown = as_text([grid], width=width_of(terminal=False), colour=False).splitlines()
    assert len(shown) == 3
    assert "x " * size in shown[1]
    assert len(shown[2]) < 1_100


def test_rows_that_do_not_fit_become_records() -> None:
    """One block for each row, with the titles on the left."""
    columns = [Column("MACHINE", folds=True), Column("SINCE"), Column("QUEUED", right=True)]
    grid = Grid(columns, [["mx1", "2026-11-23 09:15:02Z", "12"], ["mx2", "-", "0"]])
    assert as_text([grid], width=30, colour=False).splitlines() == [
        "MACHINE  mx1",
        "SINCE    2026-11-23 09:15:02Z",
        "QUEUED   12",
        "",
        "MACHINE  mx2",
        "SINCE    -",
        "QUEUED   0",
    ]


def test_colour_is_only_where_it_is_wanted() -> None:
    """The same text without its escapes."""
    piece = Grid([Column("STATE")], [[Cell("in sync", "green")]])
    assert "\x1b[32m" in as_text([piece], width=80, colour=True)
    assert "\x1b" not in as_text([piece], width=80, colour=False)
