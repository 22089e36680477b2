"""PURE. Settings as people type and read them: ``5m``, ``10GiB``, ``yes``, ``a,b``.

`parse_text` reads, through `check`, and `render` writes; what `render` writes, `parse_text` reads
back as the same value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from tdc.shared.settings.canonical import plain
from tdc.shared.settings.check import check_value
from tdc.shared.settings.schema import UNLIMITED, USE_DNS, Kind, Setting, SettingError, setting
from tdc.shared.settings.values import NONE, NONE_WORD, Value

ABSENT = "-"
"""Shown for a setting without a value."""

_FLAGS = {
    "true": True, "yes": True, "on": True,
    "false": False, "no": False, "off": False,
}  # fmt: skip
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_POWERS = (("T", 4), ("G", 3), ("M", 2), ("K", 1))
_BYTES = {"b": 1} | {
    spelling: 1024**power
    for letter, power in _POWERS
    for spelling in (letter.lower(), f"{letter.lower()}b", f"{letter.lower()}ib")
}
_NUMBER = re.compile(r"([0-9]{1,18})([A-Za-z]*)", re.ASCII)
# Unit, its size, and the smallest number shown in it: people say 60s and 72h.
_SECONDS_SHOWN = (("d", 86_400, 345_600), ("h", 3_600, 3_600), ("m", 60, 120))
_BYTES_SHOWN = tuple((f"{letter}iB", 1024**power, 1024**power) for letter, power in _POWERS)


def parse_text(name: str, text: str) -> Value:
    """The value that was typed for a setting; raises SettingError.

    Flags: true, false, yes, no, on, off. Durations: a whole number and s, m, h or d. Sizes: a
    whole number and B, k, M, G or T, also as KiB or KB, always powers of 1024. A unit is required:
    of 5 nobody knows whether minutes were meant. Lists: commas between entries, empty text for an
    empty list. Policies: a JSON list of objects. The word none, where a setting may have no value.
    """
    row = setting(name)
    match row.kind:
        case Kind.FLAG:
            return check_value(name, _flag(name, text))
        case Kind.COUNT | Kind.SECONDS | Kind.BYTES:
            return check_value(
                name, _in_range(row, text, _quantity(name, text, _MEASURES[row.kind]))
            )
        case Kind.TEXT_LIST | Kind.ROUTE:
            return check_value(name, _listed(row, text))
        case Kind.POLICIES:
            return check_value(name, _json(row, text))
        case Kind.CHOICE | Kind.ADDRESS | Kind.TEXT:
            return check_value(name, _word(row, text.strip()))


def parse_duration(name: str, text: str) -> int:
    """Seconds of a duration that is no setting, typed as those are; raises SettingError.

    `name` is what the error calls it.
    """
    return _quantity(name, text, _MEASURES[Kind.SECONDS])


def render_duration(seconds: int) -> str:
    """Seconds for people, as a setting has them: 60s, 1h, 72h, 7d."""
    return _in_units(seconds, _SECONDS_SHOWN, "s")


def how_empty(name: str) -> str:
    """How an empty value of the setting `name` is typed on purpose, or what to do instead."""
    row = setting(name)
    if row.optional:
        return (
            f"write {NONE_WORD} to say that there is none, or unset the setting to let the level "
            "above decide"
        )
    match row.kind:
        case Kind.TEXT_LIST:
            return f"an empty list is typed as {name}= with nothing after it"
        case Kind.POLICIES:
            return f"for no policies type {name}=[]"
        case Kind.ROUTE:
            return (
                f"there is always a route: {USE_DNS}, or a list of host[:port]. To stop copying, "
                "set enabled=false"
            )
        case _:
            return "it must have a value; unset the setting to let the level above decide"


def limits(name: str) -> str:
    """What a number may be, in the units that people type: ``1s to 24h``."""
    row = setting(name)
    low = render(name, row.low)
    return f"{low} or more" if row.high >= UNLIMITED else f"{low} to {render(name, row.high)}"


def render(name: str, value: Value | None) -> str:
    """A value of setting `name` for people; ``-`` if it is None.

    Durations and sizes are shown in a large unit that keeps them whole: 60s, 1h, 72h, 10GiB.
    """
    kind = setting(name).kind
    if value is None:
        return ABSENT
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return _SHOWN[kind](value) if kind in _SHOWN else str(value)
    if isinstance(value, str):
        return NONE_WORD if value == NONE else value
    if kind is Kind.POLICIES:
        return json.dumps(plain(value), ensure_ascii=False)
    return ",".join(str(item) for item in value)


def _word(row: Setting, text: str) -> str:
    """One word. An empty one could mean `none` or a slip: it is refused."""
    if not text and row.optional:
        raise SettingError(f"{row.name}: the value is empty; {how_empty(row.name)}")
    return NONE_WORD if text.lower() == NONE_WORD else text


def _flag(name: str, text: str) -> bool:
    try:
        return _FLAGS[text.strip().lower()]
    except KeyError:
        words = ", ".join(_FLAGS)
        raise SettingError(f"{name}: {_shown(text)} must be one of {words}") from None


@dataclass(frozen=True, slots=True)
class _Measure:
    """How a number is typed: its units and their sizes, an example, and what is said of them."""

    units: Mapping[str, int]
    wanted: str
    hint: str = ""


_MEASURES = {
    Kind.COUNT: _Measure({"": 1}, "a whole number"),
    Kind.SECONDS: _Measure(
        _SECONDS,
        "a duration such as 90s or 1h",
        "; units are s, m, h, d, without a space before the unit",
    ),
    Kind.BYTES: _Measure(
        _BYTES,
        "a size such as 100MiB",
        "; units are B, KiB, MiB, GiB, TiB, without a space before the unit (10GB means 10GiB)",
    ),
}


def _quantity(name: str, text: str, measure: _Measure) -> int:
    found = _NUMBER.fullmatch(text.strip())
    unit = measure.units.get(found[2].lower()) if found else None
    if found is None or unit is None:
        lacks = " has no unit: it" if found is not None and not found[2] else ""
        raise SettingError(f"{name}: {_shown(text)}{lacks} must be {measure.wanted}{measure.hint}")
    return int(found[1]) * unit


def _in_range(row: Setting, text: str, number: int) -> int:
    """Return `number`; raises SettingError with what was typed, not with seconds or bytes."""
    if row.low <= number <= row.high:
        return number
    raise SettingError(f"{row.name}: {text.strip()} is out of range: must be {limits(row.name)}")


def _listed(row: Setting, text: str) -> list[str]:
    items = [item.strip() for item in text.split(",")]
    if items == [""]:
        if row.kind is Kind.ROUTE:
            raise SettingError(f"{row.name}: the value is empty; {how_empty(row.name)}")
        return []
    if "" in items:
        raise SettingError(f"{row.name}: {_shown(text)} has an empty entry between commas")
    if any(item.lower() == NONE_WORD for item in items):  # not a host or a domain of that name
        raise SettingError(f"{row.name}: {_shown(text)} is not a value: {how_empty(row.name)}")
    return items


def _json(row: Setting, text: str) -> object:
    if text.strip().lower() in ("", NONE_WORD):
        raise SettingError(f"{row.name}: {_shown(text)} is not a value: {how_empty(row.name)}")
    try:
        return json.loads(text, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        raise SettingError(
            f"{row.name}: must be a JSON list of policies such as "
            f'[{{"name": "p1", "action": "no-scan", "recipients": ["a@b.example"]}}]: {error}'
        ) from None


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("an object has a field twice")
    return fields


def _in_units(number: int, units: tuple[tuple[str, int, int], ...], smallest: str) -> str:
    for unit, size, least in units:
        if number >= least and number % size == 0:
            return f"{number // size}{unit}"
    return f"{number}{smallest}"


_SHOWN = {
    Kind.SECONDS: lambda value: _in_units(value, _SECONDS_SHOWN, "s"),
    Kind.BYTES: lambda value: _in_units(value, _BYTES_SHOWN, "B"),
}


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:60] + "…")
