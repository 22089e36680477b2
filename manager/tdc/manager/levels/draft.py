"""PURE. A draft: changes of settings that an operator gathers before they are committed.

Each row remembers what its level held when it was drafted. So a row that somebody else's commit
has overtaken is seen: it is in *conflict*, and its operator chooses between theirs and yours. Rows
on different settings know nothing of each other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import groupby

from tdc.manager.levels.changes import EditRefused, SetValues, UnsetValues
from tdc.manager.levels.fleet import Cluster, LevelKey, UnknownLevel
from tdc.manager.levels.identities import Identity, identity_at, name_of
from tdc.shared.settings.schema import setting
from tdc.shared.settings.values import Settings, Value

UNDO = 24 * 3600.0
"""Seconds in which a draft that was discarded can be restored."""

MAX_ROWS = 2_000
"""Most rows of a draft."""


class RowState(StrEnum):
    """How a row stands against the cluster as it is."""

    OPEN = "open"
    """It would change its level, which is as it was."""
    CONFLICT = "conflict"
    """Its level was changed meanwhile, to something else than the row says."""
    DONE = "done"
    """Its level is as the row says already."""
    GONE = "gone"
    """Its level does not exist any more, or has another name: what has its name now is another."""


@dataclass(frozen=True, slots=True)
class Row:
    """One setting at one level: what it was and what it is to be; None means absent.

    It was drafted at `at`, Unix seconds. `which` says for which level it is, whatever that is
    called; None for rows of before that was kept.
    """

    key: LevelKey
    setting: str
    was: Value | None
    yours: Value | None
    at: float
    which: Identity | None = None


@dataclass(frozen=True, slots=True)
class Discarded:
    """Rows that were discarded at `at`, Unix seconds."""

    rows: tuple[Row, ...]
    at: float


@dataclass(frozen=True, slots=True)
class Draft:
    """What one operator drafted for one cluster, in order. `changed` is Unix seconds.

    `shared`: others may read and commit it.
    """

    cluster: str
    owner: str
    rows: tuple[Row, ...] = ()
    shared: bool = False
    changed: float = 0.0
    discarded: Discarded | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it holds nothing, not even what could be restored."""
        return not self.rows and self.discarded is None


@dataclass(frozen=True, slots=True)
class Standing:
    """A row against the cluster as it is; `theirs` is what its level holds now.

    `reason` says why a row is gone.
    """

    row: Row
    state: RowState
    theirs: Value | None
    reason: str = ""


Wish = tuple[LevelKey, str, Value | None]
"""A level, a setting, and what it is to be there; None for absent."""


def wishes(edits: Iterable[SetValues | UnsetValues]) -> list[Wish]:
    """What edits want, setting by setting."""
    found: list[Wish] = []
    for edit in edits:
        if isinstance(edit, SetValues):
            found += [(edit.key, name, edit.settings[name]) for name in edit.settings]
        else:
            found += [(edit.key, setting(name).name, None) for name in edit.names]
    return found


def drafted(draft: Draft, cluster: Cluster, wanted: Iterable[Wish], now: float) -> Draft:
    """Add to a draft; a setting that it has already gets the new value, and keeps what it was.

    Raises UnknownLevel, and EditRefused for too many rows.
    """
    rows = {(row.key, row.setting): row for row in draft.rows}
    for key, name, yours in wanted:
        held = cluster.stored_at(key).settings.get(name)
        which, before = identity_at(cluster, key), rows.get((key, name))
        same = before is not None and before.which in (None, which)
        was = before.was if before is not None and same else held
        rows[key, name] = Row(key, name, was, yours, now, which)
    if len(rows) > MAX_ROWS:
        raise EditRefused(
            f"a draft holds at most {MAX_ROWS} settings, this one would have {len(rows)}: commit "
            "what it has first"
        )
    return replace(draft, rows=tuple(rows.values()), changed=now)


def without(draft: Draft, key: LevelKey, names: Collection[str], now: float) -> Draft:
    """Leave out a level's rows, or those of `names`; raises EditRefused if there are none."""
    out = _rows_of(draft, key, names)
    return replace(draft, rows=tuple(row for row in draft.rows if row not in out), changed=now)


def kept(
    draft: Draft, cluster: Cluster, key: LevelKey, names: Collection[str], now: float
) -> Draft:
    """Let rows stand on the cluster as it is: their values are to replace what it has now.

    Raises EditRefused, UnknownLevel.
    """
    chosen = _rows_of(draft, key, names)
    held = cluster.stored_at(key).settings
    which = identity_at(cluster, key)
    rows = tuple(
        replace(row, was=held.get(row.setting), which=which) if row in chosen else row
        for row in draft.rows
    )
    return replace(draft, rows=rows, changed=now)


def tidied(draft: Draft, cluster: Cluster, now: float) -> Draft:
    """Leave out what the cluster has already: what was committed."""
    done = {each.row for each in standings(draft, cluster) if each.state is RowState.DONE}
    left = tuple(row for row in draft.rows if row not in done)
    return replace(draft, rows=left, shared=draft.shared and bool(left), changed=now)


def shared(draft: Draft, now: float, *, on: bool) -> Draft:
    """Let others read and commit it, or no more; raises EditRefused where there is nothing."""
    if not draft.rows:
        raise EditRefused(f"{draft.owner} has no draft of cluster {draft.cluster} to share")
    return replace(draft, shared=on, changed=now)


def discarded(draft: Draft, now: float) -> Draft:
    """Put all rows aside, for UNDO seconds; raises EditRefused where there are none."""
    if not draft.rows:
        raise EditRefused(f"{draft.owner} has no draft of cluster {draft.cluster} to discard")
    aside = Discarded(draft.rows, now)
    return replace(draft, rows=(), shared=False, changed=now, discarded=aside)


def restored(draft: Draft, now: float) -> Draft:
    """Take back what was discarded last; raises EditRefused."""
    if draft.discarded is None:
        raise EditRefused(
            f"{draft.owner} has discarded no draft of cluster {draft.cluster} in the last "
            f"{UNDO / 3600:g} hours"
        )
    if draft.rows:
        raise EditRefused(
            f"{draft.owner} has another draft of cluster {draft.cluster} by now: commit or discard "
            "it first; to discard it drops the earlier one for good"
        )
    return replace(draft, rows=draft.discarded.rows, changed=now, discarded=None)


def aged(draft: Draft, now: float) -> Draft:
    """Drop what was discarded too long ago to be restored."""
    aside = draft.discarded
    late = aside is not None and not 0 <= now - aside.at < UNDO
    return replace(draft, discarded=None) if late else draft


def standings(draft: Draft, cluster: Cluster) -> tuple[Standing, ...]:
    """How each row stands, in order."""
    return tuple(_standing(row, cluster) for row in draft.rows)


def _standing(row: Row, cluster: Cluster) -> Standing:
    try:
        theirs = cluster.stored_at(row.key).settings.get(row.setting)
    except UnknownLevel:
        return Standing(row, RowState.GONE, None, _why_gone(row, cluster))
    if row.which not in (None, identity_at(cluster, row.key)):
        return Standing(row, RowState.GONE, None, _why_gone(row, cluster))
    if theirs == row.yours:
        return Standing(row, RowState.DONE, theirs)
    return Standing(row, RowState.OPEN if theirs == row.was else RowState.CONFLICT, theirs)


def _why_gone(row: Row, cluster: Cluster) -> str:
    if now := name_of(cluster, row.key.level, row.which):
        return f"{row.key} is called {now} now"
    if identity_at(cluster, row.key) is not None:
        return f"{row.key} was removed: the one that has its name now is another"
    return f"{row.key} is no longer there"


def edits_of(found: Sequence[Standing]) -> tuple[SetValues | UnsetValues, ...]:
    """The edits that commit the open rows, in their order."""
    rows = [each.row for each in found if each.state is RowState.OPEN]
    edits: list[SetValues | UnsetValues] = []
    for (key, unset), group in groupby(rows, lambda row: (row.key, row.yours is None)):
        together = list(group)
        if unset:
            edits.append(UnsetValues(key, tuple(row.setting for row in together)))
        else:
            values = {row.setting: row.yours for row in together if row.yours is not None}
            edits.append(SetValues(key, Settings.of(values)))
    return tuple(edits)


def _rows_of(draft: Draft, key: LevelKey, names: Collection[str]) -> set[Row]:
    found = {row for row in draft.rows if row.key == key and (not names or row.setting in names)}
    missing = [setting(name).name for name in names if name not in {row.setting for row in found}]
    if missing or not found:
        what = f"no {missing[0]} at {key}" if missing else f"nothing at {key}"
        raise EditRefused(
            f"the draft of {draft.owner} for cluster {draft.cluster} has {what}; `tdc draft show` "
            "shows what it has"
        )
    return found
