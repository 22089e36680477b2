"""PURE. What an operator types as settings: ``setting=value``, and setting names.

A value too long for a command line comes from a file, ``setting=@FILE``, or from standard input,
``setting=-``. The schema alone judges it, without a manager, so every fault is WrongUsage.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence

from tdc.manager.cli.errors import WrongUsage, sentence
from tdc.shared.settings import schema
from tdc.shared.settings.schema import SettingError
from tdc.shared.settings.text import how_empty, parse_text
from tdc.shared.settings.values import Value

FROM_FILE = "@"
STANDARD_INPUT = "-"
"""No setting has a value that is, or begins with, one of these."""

ReadValue = Callable[[str, str], str]
"""Reads a setting's text from where the part after ``=`` says; raises WrongUsage."""


def parse_assignments(texts: Sequence[str], read: ReadValue) -> dict[str, Value]:
    """Read ``setting=value`` texts; raises WrongUsage at the first fault.

    `read` is asked for values that are elsewhere: ``@FILE`` and ``-``.
    """
    values: dict[str, Value] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise WrongUsage(
                f"{text!r} is not of the form setting=value. To remove a setting, "
                f"use `tdc settings unset`."
            )
        _known_once(name, values)
        if value == STANDARD_INPUT or value.startswith(FROM_FILE):
            value = _not_empty(name, value, read(name, value))
        try:
            values[name] = parse_text(name, value)
        except SettingError as error:
            raise WrongUsage(f"{sentence(str(error))} Nothing was changed.") from None
    return values


def parse_names(names: Sequence[str]) -> list[str]:
    """Read setting names; raises WrongUsage for an unknown or repeated name."""
    known: dict[str, None] = {}
    for name in names:
        _known_once(name, known)
        known[name] = None
    return list(known)


def parse_name(name: str) -> str:
    """Read the name of a setting that is only to be shown; raises WrongUsage."""
    try:
        return schema.setting(name).name
    except SettingError as error:
        raise WrongUsage(sentence(str(error))) from None


def _not_empty(name: str, source: str, text: str) -> str:
    """Return `text`; raises WrongUsage if it is empty.

    That is more likely a command that failed than meant so, and an empty list can mean all mail.
    """
    if text:
        return text
    place = "standard input (-)" if source == STANDARD_INPUT else repr(source.removeprefix("@"))
    raise WrongUsage(f"{name}: {place} is empty; {sentence(how_empty(name))} Nothing was changed.")


def _known_once(name: str, seen: Container[str]) -> None:
    try:
        parse_name(name)
    except WrongUsage as error:
        raise WrongUsage(f"{error} Nothing was changed.") from None
    if name in seen:
        raise WrongUsage(f"{name} is given twice. Nothing was changed.")
