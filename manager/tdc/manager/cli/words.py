"""PURE. The words that every table shares: values, times, origins, lists of names.

In: plain data. Out: text for people; nothing is shortened.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from tdc.manager.cli.documents import Document
from tdc.manager.cli.layout import Cell, Column, Grid, Line, Piece
from tdc.shared.settings.canonical import Plain
from tdc.shared.settings.check import check_value
from tdc.shared.settings.schema import SettingError
from tdc.shared.settings.text import render

ABSENT = "-"


def shown(name: str, value: Plain) -> str:
    """Return a value as `settings set` would take it; an absent one as a dash."""
    if value is None:
        return ABSENT
    try:
        return render(name, check_value(name, value)) or "(empty)"
    except SettingError:  # of another version's schema: as data, rather than not at all
        return json.dumps(value)


def when(moment: str | None) -> str:
    """Return an RFC 3339 time without fractions, `2026-11-23 09:15:02Z`; a dash for none."""
    return ABSENT if moment is None else f"{moment[:19].replace('T', ' ')}Z"


def level_words(origin: Document) -> str:
    """Return the level a value comes from."""
    return f"{origin['level']} {origin['name']}".strip()


def origin_words(origin: Document) -> str:
    """Return where a value comes from: level, name and the revision that set it there."""
    revision = f" (revision {origin['revision']})" if origin["revision"] else ""
    return level_words(origin) + revision


def yes_or_no(flag: bool) -> str:
    """Return a flag in words."""
    return "yes" if flag else "no"


def name_list(names: Sequence[str]) -> str:
    """Return names in one text; a dash for none."""
    return ", ".join(names) or ABSENT


MOST_NAMES = 20
"""Names that a plan spells out in one place; JSON always has them all."""


def first_names(names: Sequence[str]) -> str:
    """Return names in one text; of very many the first, and how many more there are."""
    more = len(names) - MOST_NAMES
    shown = ", ".join(names[:MOST_NAMES])
    return f"{shown} and {more} more (--dry-run -o json names all)" if more > 0 else shown


def listed(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell | str]], nothing: str
) -> list[Piece]:
    """Return a grid of the rows, or the sentence `nothing` where there is no row."""
    return [Grid(columns, rows)] if rows else [Line(nothing)]
