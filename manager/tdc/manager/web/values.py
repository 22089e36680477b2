"""PURE. Values of settings as pages show them: flags as On and Off, as the form has them."""

from __future__ import annotations

from tdc.shared.settings.schema import SCHEMA, Kind
from tdc.shared.settings.text import render
from tdc.shared.settings.values import Value

INHERIT = "inherit"
"""Shown where a level has no value of its own."""


def shown(name: str, value: Value | None) -> str:
    """A value of setting `name`; that there is none is said in a word."""
    row = SCHEMA.get(name)
    if value is None:
        return "none"
    if row is not None and row.kind is Kind.FLAG:
        return "On" if value else "Off"
    return render(name, value) or "empty"


def shown_at(name: str, value: Value | None) -> str:
    """What a level stores of setting `name`; without a value it follows the level above."""
    return INHERIT if value is None else shown(name, value)
