"""PURE. What a handler answers, before it becomes bytes: a page, another address, a document."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import msgspec


@dataclass(frozen=True, slots=True)
class Cell:
    """One value of a page that changes while the page is open: its text, and its state in a word.

    `state` is one of ok, warn, bad, off, unknown, or empty; it gives shape and colour, and `text`
    says the same in words.
    """

    text: str
    state: str = ""


Cells = Mapping[str, Cell]
"""The changing values of a page, by name."""

Look = Callable[[], Awaitable[Cells]]
"""Looks at a page's values as they are now."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its template in `templates`, and what that shows."""

    template: str
    values: Mapping[str, object]
    status: int = 200
    cells: Cells = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class See:
    """Look at another address of this console: what follows a form that was sent."""

    address: str
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A JSON document of the API."""

    value: msgspec.Struct
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class File:
    """Bytes as they are: a static file, or a document made once."""

    content: bytes
    kind: str
    headers: Mapping[str, str] = field(default_factory=dict)


Answer = Page | See | Document | File
