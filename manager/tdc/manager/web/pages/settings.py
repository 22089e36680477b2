"""Threat Defense Connector settings of one level: what is in force, from where, and edits of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
from tdc.manager.intent.drafts import Add
from tdc.manager.intent.monitoring import StatusAsked
from tdc.manager.intent.permissions import may
from tdc.manager.intent.settings import StoredLevel
from tdc.manager.intent.targets import ChangeAsked, EditAsked, LevelAsked, SetAt, UnsetAt
from tdc.manager.levels.draft import RowState, Standing
from tdc.manager.levels.fleet import LevelKey
from tdc.manager.web.answers import Cells, Look, Page, See
from tdc.manager.web.desk import Call
from tdc.manager.web.failed import failed
from tdc.manager.web.pages.changes import draft_of
from tdc.manager.web.pages.machines import row_cells
from tdc.manager.web.places import Place, place_of
from tdc.manager.web.values import shown, shown_at
from tdc.shared.settings.schema import SCHEMA, Kind, Setting, SettingError
from tdc.shared.settings.text import parse_text, render
from tdc.shared.settings.values import Level, Settings, Value

INHERIT, SET = "inherit", "set"

MOST_COUNTED = 200
"""Groups whose overrides are counted; each is read."""


class SettingsAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether the form is asked for that was just sent."""

    drafted: int = -1


class FormSent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The form: for each setting what it was when the form was made, and what it is to be."""

    pairs: list[tuple[str, str]]


class ResetSent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The setting that is to follow the level above."""

    name: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A setting at a level: in force there, from where, and what that hides.

    `inherited` is what would follow without a value here; `drafted` what the actor's draft has.
    """

    row: Setting
    value: str
    origin: str
    here: bool
    by: str = ""
    hidden: str = ""
    hidden_from: str = ""
    inherited: str = ""
    inherited_from: str = ""
    drafted: str = ""
    overridden: str = ""


@dataclass(frozen=True, slots=True)
class _Step:
    """One level of a chain: what it stores, None for nothing."""

    words: str
    value: Value | None
    by: str = ""


@dataclass(frozen=True, slots=True)
class _Level:
    """A level with those above it: the chain of each setting, nearest first, the default last."""

    place: Place
    group: str
    revision: int
    chains: Mapping[str, Sequence[_Step]]
    unread: str = ""
    overridden: Mapping[str, str] = field(default_factory=dict)


async def _read(call: Call, place: Place) -> _Level:
    if place.level is Level.MACHINE:
        return await _read_machine(call, place)
    own = await call.to.settings.read_level(
        call.actor, LevelAsked(place.level, place.name, place.cluster)
    )
    found = [own]
    if place.group:
        above = LevelAsked(Level.CLUSTER, place.cluster, "")
        found.append(await call.to.settings.read_level(call.actor, above))
    chains = {name: [*(_step(each, name) for each in found), _default(name)] for name in SCHEMA}
    overridden = await _overridden(call, place)
    return _Level(place, place.group, own.revision, chains, overridden=overridden)


async def _read_machine(call: Call, place: Place) -> _Level:
    found = await call.to.settings.explain(call.actor, place.machine, place.cluster, "")
    chains: dict[str, Sequence[_Step]] = {}
    group = ""
    for name, steps in found.chains.items():
        made = []
        for each in steps:
            step = each.step
            if step.level is Level.GROUP:
                group = step.name
            if step.level is Level.DEFAULT:
                made.append(_default(name))
                continue
            by = f"revision {step.revision}" if step.present else ""
            if each.author:
                by = f"{each.author}, {by}"
            made.append(_Step(f"{step.level} {step.name}", step.value, by))
        chains[name] = made
    return _Level(place, group, found.revision, chains, found.unread)


def _step(level: StoredLevel, name: str) -> _Step:
    stored = level.stored
    by = f"revision {stored.set_by[name]}" if name in stored.settings else ""
    return _Step(str(level.key), stored.settings.get(name), by)


def _default(name: str) -> _Step:
    return _Step("default", SCHEMA[name].default)


async def _overridden(call: Call, place: Place) -> dict[str, str]:
    """By setting, on how many of the machines below a nearer level decides."""
    rows = await call.to.fleet.list_machines(call.actor, place.cluster, place.group, "")
    if not rows:
        return {}
    by_group: dict[str, frozenset[str]] = {}
    groups = sorted({row.group for row in rows}) if not place.group else []
    for name in groups[:MOST_COUNTED]:
        asked = LevelAsked(Level.GROUP, name, place.cluster)
        stored = (await call.to.settings.read_level(call.actor, asked)).stored
        by_group[name] = frozenset(stored.settings)
    counts = dict.fromkeys(SCHEMA, 0)
    for row in rows:
        for name in by_group.get(row.group, frozenset()) | frozenset(row.overrides):
            counts[name] = counts.get(name, 0) + 1
    return {
        name: f"overridden on {count} of {len(rows)} machines"
        for name, count in counts.items()
        if count
    }


def _shown(level: _Level, drafted: Mapping[str, Standing]) -> list[Shown]:
    return [_shown_one(level, row, drafted.get(row.name)) for row in SCHEMA.values()]


def _shown_one(level: _Level, row: Setting, draft: Standing | None) -> Shown:
    chain = level.chains[row.name]
    wins = next((at for at, step in enumerate(chain) if step.value is not None), len(chain) - 1)
    here = wins == 0 and len(chain) > 1 and chain[0].value is not None
    winner = chain[wins]
    above = chain[1:]
    next_one = next((step for step in above if step.value is not None), above[-1])
    origin = "set here" if here else f"from {winner.words}" if wins < len(chain) - 1 else "default"
    text = ""
    if draft is not None and draft.state is not RowState.DONE:
        yours = draft.row.yours
        text = shown_at(row.name, yours)
    return Shown(
        row=row,
        value=shown(row.name, winner.value),
        origin=origin,
        here=here,
        by=winner.by,
        hidden=shown(row.name, next_one.value) if here else "",
        hidden_from=next_one.words if here else "",
        inherited=shown(row.name, next_one.value),
        inherited_from=next_one.words,
        drafted=text,
        overridden=level.overridden.get(row.name, ""),
    )


async def _drafted(call: Call, place: Place) -> tuple[dict[str, Standing], str]:
    """The rows of the actor's draft at this level, by setting, and why they are not known."""
    key = LevelKey(place.level, place.name)
    try:
        found = await draft_of(call, place.cluster)
    except Exception as error:
        how = failed(error)
        if how is None:
            raise
        return {}, how.sentence
    return {each.row.setting: each for each in found.rows if each.row.key == key}, ""


async def settings(call: Call) -> Page:
    """Show what is in force at a level, and from where."""
    place = place_of(call.path)
    level = await _read(call, place)
    drafted, unread = await _drafted(call, place)
    rows = _shown(level, drafted)
    notice = ""
    count = call.asked(SettingsAsked).drafted
    if count >= 0:
        notice = (
            f"{count} changes are in your draft. They count once they are committed."
            if count
            else "Nothing is different from before."
        )
        if count == 1:
            notice = "1 change is in your draft. It counts once it is committed."
    cells = await _cells(call, place)
    values = {
        "title": f"Threat Defense Connector of {place.words}",
        "page_name": "settings",
        "place": place,
        "group": level.group,
        "revision": level.revision,
        "rows": rows,
        "enabled": next(row for row in rows if row.row.name == "enabled"),
        "unread": level.unread or unread,
        "notice": notice,
        "may_edit": may(call.actor, "drafts.change"),
    }
    return Page("settings.html", values, cells=cells)


async def look(call: Call) -> Look:
    """Look at how many machines of the level run what is wanted."""

    async def looked() -> Cells:
        return await _cells(call, place_of(call.path))

    return looked


async def _cells(call: Call, place: Place) -> Cells:
    if place.level is not Level.MACHINE:
        return {}
    asked = StatusAsked(place.cluster, "", place.machine)
    row = (await call.to.monitoring.read_status(call.actor, asked)).machines[0]
    cells = row_cells(row, call.desk.clock())
    return {name: cells[name] for name in ("state", "runs", "copying")}


@dataclass(frozen=True, slots=True)
class Field:
    """A setting in the form: how it was when the form was made, how it is to be, and a fault."""

    shown: Shown
    was: str
    mode: str
    text: str
    fault: str = ""

    @property
    def kind(self) -> str:
        """How it is asked for."""
        match self.shown.row.kind:
            case Kind.FLAG:
                return "flag"
            case Kind.CHOICE:
                return "choice"
            case Kind.POLICIES:
                return "long"
            case _:
                return "text"


def _field(level: _Level, of: Shown, drafted: Standing | None) -> Field:
    """A setting as it is now, the draft included."""
    value = level.chains[of.row.name][0].value
    if drafted is not None and drafted.state is not RowState.DONE:
        value = drafted.row.yours
    if value is None:
        return Field(of, INHERIT, INHERIT, "")
    text = render(of.row.name, value)
    return Field(of, f"{SET}:{text}", SET, text)


async def edit(call: Call) -> Page:
    """Show the form of a level's settings."""
    place = place_of(call.path)
    level = await _read(call, place)
    drafted, _ = await _drafted(call, place)
    fields = [_field(level, each, drafted.get(each.row.name)) for each in _shown(level, drafted)]
    return _form(place, level, fields)


def _form(place: Place, level: _Level, fields: Sequence[Field], status: int = 200) -> Page:
    values = {
        "title": f"Edit Threat Defense Connector of {place.words}",
        "page_name": "settings",
        "place": place,
        "group": level.group,
        "fields": fields,
        "faults": [each for each in fields if each.fault],
    }
    return Page("settings_edit.html", values, status)


async def submit(call: Call) -> Page | See:
    """Put what was changed in the form into the actor's own draft."""
    place, sent = place_of(call.path), dict(call.sent(FormSent).pairs)
    changed: dict[str, Value] = {}
    unset: list[str] = []
    fields: list[Field] = []
    level = await _read(call, place)
    for each in _shown(level, {}):
        name = each.row.name
        was, mode = sent.get(f"was.{name}", ""), sent.get(f"mode.{name}", "")
        text = sent.get(f"value.{name}", "")
        if mode not in (INHERIT, SET, "true", "false"):
            fields.append(_field(level, each, None))
            continue
        if mode in ("true", "false"):
            mode, text = SET, mode
        fault = ""
        if mode == INHERIT and was != INHERIT:
            unset.append(name)
        elif mode == SET and was != f"{SET}:{text}":
            try:
                changed[name] = parse_text(name, text)
            except SettingError as error:
                fault = str(error).removeprefix(f"{name}: ")
        fields.append(Field(each, was, mode, text, fault))
    if any(each.fault for each in fields):
        return _form(place, level, fields, 422)
    at = LevelAsked(place.level, place.name, place.cluster)
    edits: list[EditAsked] = []
    if changed:
        edits.append(SetAt(at, Settings.of(changed)))
    if unset:
        edits.append(UnsetAt(at, tuple(unset)))
    if edits:
        asked = ChangeAsked(place.cluster, tuple(edits))
        await call.to.drafts.change(call.actor, place.cluster, "", Add(asked))
    if place.level is Level.MACHINE and changed.get("enabled") is False:
        return See(Place(place.cluster).page("changes"))  # which says who stops with it
    return See(f"{place.page('settings')}?drafted={len(changed) + len(unset)}")


async def reset(call: Call) -> See:
    """Let a setting follow the level above, in the actor's own draft."""
    place, name = place_of(call.path), call.sent(ResetSent).name
    at = LevelAsked(place.level, place.name, place.cluster)
    asked = ChangeAsked(place.cluster, (UnsetAt(at, (name,)),))
    await call.to.drafts.change(call.actor, place.cluster, "", Add(asked))
    return See(f"{place.page('settings')}?drafted=1")
