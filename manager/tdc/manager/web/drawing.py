"""Pages from templates: everything that mail, machines or operators wrote is text, never markup.

In: a Page and its frame. Out: HTML. Each template escapes; nothing is marked as safe but here.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from tdc.manager.intent.actor import Actor
from tdc.manager.intent.permissions import may
from tdc.manager.web import words
from tdc.manager.web.answers import Cell, Cells, Page
from tdc.manager.web.statics import STATICS

_TEMPLATES = Environment(
    loader=PackageLoader("tdc.manager.web", "templates"),
    autoescape=True,  # whatever a template is called
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
_TEMPLATES.globals.update(static=STATICS.address, words=words)
_TEMPLATES.filters.update(
    moment=words.moment, number=words.number, counted=words.counted, listed=words.listed
)


def cell_markup(name: str, cell: Cell) -> Markup:
    """One changing value: its text, its state's shape and colour, and the name to find it by."""
    look = f"cell s-{cell.state}" if cell.state else "cell"
    return Markup('<span class="{}" data-cell="{}">{}</span>').format(look, name, cell.text)


def query_with(given: Mapping[str, str], **changed: str) -> str:
    """The query of an address with some values changed; empty ones are left out."""
    left = {name: value for name, value in {**given, **changed}.items() if value}
    return f"?{urlencode(left)}" if left else "?"


def drawn(page: Page, who: Actor | None, frame: Mapping[str, object]) -> str:
    """Draw a page for somebody; `frame` is what surrounds it."""

    def live(name: str) -> Markup:
        return cell_markup(name, page.cells[name])

    def mark(state: str, text: str) -> Markup:
        return Markup('<span class="cell s-{}">{}</span>').format(state, escape(text))

    return _TEMPLATES.get_template(page.template).render(
        {
            **frame,
            **page.values,
            "who": who,
            "may": lambda name: who is not None and may(who, name),
            "live": live,
            "mark": mark,
            "query_with": query_with,
            "has_cells": bool(page.cells),
        }
    )


def changed_cells(before: Cells, after: Cells) -> dict[str, list[str]]:
    """The cells whose text or state is another now, as the page's script takes them."""
    return {
        name: [cell.text, cell.state] for name, cell in after.items() if before.get(name) != cell
    }
