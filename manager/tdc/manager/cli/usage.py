"""Wrong usage in our words: what was typed, and what would be right.

typer has values checked by pydantic, whose messages name neither what was typed nor anything an
operator knows. Its facts are turned into sentences here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import typer
from typer.core import TyperCommand


class PlainCommand(TyperCommand):
    """A command whose complaints about its words are plain."""

    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **named: Any) -> Any:
        """As TyperCommand does it."""
        with plain_complaints():
            return super().make_context(info_name, args, *rest, **named)


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
