"""Wrong usage in our words: what was typed, and what would be right.

typer has values checked by pydantic, whose messages name neither what was typed nor anything an
operator knows. Its facts are turned into sentences here.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from typing import Any

import typer
from typer.core import TyperCommand

_TYPE = re.compile(r" <(?:str|list\[str\]|(?:int|float)(?: range)?)>$")
_NEEDED = re.compile(r"\{(.*)\}((?:\.\.\.)?)")
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
        facts: list[dict[str, Any]] = getattr(error.__cause__, "errors", list)()
        if facts:
            error.message = _sentence(facts[0])
        raise


def _sentence(fact: dict[str, Any]) -> str:
    kind, limits = str(fact.get("type", "")), fact.get("ctx", {})
    given = repr(fact.get("input"))
    given = given if len(given) <= 60 else f"{given[:60]}…"
    if kind.startswith("int_"):
        return f"{given} is not a whole number."
    if kind.startswith(("float_", "finite_")):
        return f"{given} is not a number."
    if "ge" in limits:
        return f"{given} is too small: it must be at least {limits['ge']}."
    if "le" in limits:
        return f"{given} is too large: it must be at most {limits['le']}."
    return str(fact.get("msg", "")).removeprefix("Value error, ")
