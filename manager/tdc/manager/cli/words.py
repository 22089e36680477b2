"""PURE. What every table shows alike: values, times, origins, lists of names."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tdc.manager.cli.layout import Cell, Column, Grid, Line, Piece
from tdc.shared.settings.canonical import Plain
from tdc.shared.settings.check import check_value
from tdc.shared.settings.schema import SettingError
from tdc.shared.settings.text import render
from tdc.shared.wire.settings_documents import OriginDocument

ABSENT = "-"


def shown(name: str, value: Plain) -> str:
    """A value as `settings set` takes it; a dash if it is absent."""
    if value is None:
        return ABSENT
    try:
        return render(name, check_value(name, value)) or "(empty)"
    except SettingError:  # of another version's schema: better as data than not at all
        return json.dumps(value)


def when(moment: str | None) -> str:
    """An RFC 3339 time to the second, `2026-11-23 09:15:02Z`; a dash if there is none."""
    return ABSENT if moment is None else f"{moment[:19].replace('T', ' ')}Z"


def level_words(origin: OriginDocument) -> str:
    """The level that a value comes from: `group g1`."""
    return f"{origin.level} {origin.name}".strip()


def origin_words(origin: OriginDocument) -> str:
    """The level that a value comes from, and the revision that set it: `group g1 (revision 5)`."""
    revision = f" (revision {origin.revision})" if origin.revision else ""
    return level_words(origin) + revision


def size(count: int) -> str:
    """Bytes as people read them: `12.3 KiB`."""
    if count < 1_024:
        return f"{count} B"
    amount = float(count)
    for unit in ("KiB", "MiB", "GiB"):
        amount /= 1_024
        if amount < 1_023.95:
            return f"{amount:.1f} {unit}"
    return f"{amount / 1_024:.1f} TiB"


def counted(count: int, one: str, many: str) -> str:
    """A number with its noun: `1 copy`, `12 copies`."""
    return f"{count} {one if count == 1 else many}"


def yes_or_no(flag: bool) -> str:
    """A flag as people read it."""
    return "yes" if flag else "no"


def name_list(names: Sequence[str]) -> str:
    """All names, with commas; a dash if there are none."""
    return ", ".join(names) or ABSENT


MOST_NAMES = 20
"""Names that a plan spells out in one place; JSON always has them all."""


DRY_RUN_HINT = " (--dry-run -o json names all)"


def first_names(names: Sequence[str], most: int = MOST_NAMES, hint: str = DRY_RUN_HINT) -> str:
    """Names with commas; of more than `most` the first, how many more, and what names all."""
    more = len(names) - most
    shown = ", ".join(names[:most])
    return f"{shown} and {more} more{hint}" if more > 0 else shown


def listed(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell | str]], nothing: str
) -> list[Piece]:
    """A grid of the rows, or the sentence `nothing` if there are none."""
    return [Grid(columns, rows)] if rows else [Line(nothing)]
