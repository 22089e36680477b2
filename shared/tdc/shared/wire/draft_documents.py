"""PURE. The JSON contract of drafts (docs/cli.md).

`documents` says what holds for all.
"""

from __future__ import annotations

import msgspec
from tdc.shared.settings.canonical import Plain
from tdc.shared.settings.values import Level


class DraftRowDocument(msgspec.Struct, frozen=True):
    """A setting at a level: what it was when it was drafted, is now, and is to be."""

    level: Level
    name: str
    setting: str
    was: Plain
    theirs: Plain
    yours: Plain
    state: str
    reason: str
    time: str | None


class DraftSummaryDocument(msgspec.Struct, frozen=True):
    """A draft in a list."""

    cluster: str
    owner: str
    shared: bool
    changed: str | None
    rows: int
    conflicts: int
    discarded: str | None
    discarded_rows: int


class DraftDocument(msgspec.Struct, frozen=True):
    """A draft against its cluster at `revision`."""

    cluster: str
    owner: str
    revision: int
    shared: bool
    changed: str | None
    rows: tuple[DraftRowDocument, ...]
    discarded: str | None
    discarded_rows: int
