"""Wrong usage in our words: what was typed, and what would be right.

typer names types of values as programmers do, and ranges as mathematicians.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any

import typer
from typer.core import TyperCommand

_TYPE = re.compile(r" <(?:str|list\[str\]|(?:int|float)(?: range)?)>$")
_NEEDED = re.compile(r"\{(.*)\}((?:\.\.\.)?)")
_NO_NUMBER = re.compile(r"(.*) is not a valid ((?:int|float|integer)(?: range)?)\.", re.DOTALL)
_OUT_OF_RANGE = re.compile(
    r"(\S+) is not in the range "
    r"(?:(?P<low>[^<>x]+)<=?x)?(?:x>=?(?P<least>.+))?(?:x?<=?(?P<most>.+))?\."
)
_TWICE_OPTIONAL = re.compile(r"\[(\[.*\]\.\.\.)\]\.\.\.")


class PlainCommand(TyperCommand):
    """A command whose help and complaints about its words are plain."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The words of the usage line; those that are needed stand without braces."""
        return [_plain_piece(each) for each in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """As TyperCommand does it, without the names of Python's types."""
        super().format_options(ctx, _Untyped(formatter))  # type: ignore[arg-type]  # acts as one

    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **named: Any) -> Any:
        """As TyperCommand does it."""
        with plain_complaints():
            return super().make_context(info_name, args, *rest, **named)


class _Untyped:
    """A formatter of help that leaves out `<str>`, `<int range>` after the name of a word."""

    def __init__(self, formatter: Any) -> None:
        self._formatter = formatter

    def __getattr__(self, name: str) -> Any:
        return getattr(self._formatter, name)

    def write_dl(self, rows: Iterable[tuple[str, str]], *rest: Any, **named: Any) -> None:
        """Write names with what they mean."""
        plain = [(_TYPE.sub("", name), meaning) for name, meaning in rows]
        self._formatter.write_dl(plain, *rest, **named)


def _plain_piece(piece: str) -> str:
    if found := _NEEDED.fullmatch(piece):
        name, several = found.groups()
        return f"{name}{several}" if several and not name.endswith("...") else str(name)
    if found := _TWICE_OPTIONAL.fullmatch(piece):
        return str(found[1])
    return piece


@contextlib.contextmanager
def plain_complaints() -> Iterator[None]:
    """Put what is raised about a value in the body into plain words."""
    try:
        yield
    except typer.BadParameter as error:
        error.message = _sentence(error.message)
        raise


def _sentence(complaint: str) -> str:
    """typer's complaint about a word, as an operator would say it."""
    if found := _NO_NUMBER.fullmatch(complaint):
        given, kind = found.groups()
        what = "a whole number" if kind.startswith("int") else "a number"
        return f"{_short(given)} is not {what}."
    if found := _OUT_OF_RANGE.fullmatch(complaint):
        given, least, most = found[1], found["low"] or found["least"], found["most"]
        if most is None or (least is not None and float(given) < float(least)):
            return f"{_short(repr(given))} is too small: it must be at least {least}."
        return f"{_short(repr(given))} is too large: it must be at most {most}."
    return complaint


def _short(given: str) -> str:
    return given if len(given) <= 60 else f"{given[:60]}…"


def a_number(given: float | None) -> float | None:
    """Refuse "nan", which no range does."""
    if given is not None and math.isnan(given):
        raise typer.BadParameter("'nan' is not a number.")
    return given
