"""Go to another level, and stay on the same page: what the list of levels does without a script."""

from __future__ import annotations

import msgspec
from tdc.manager.web.answers import See
from tdc.manager.web.desk import Call
from tdc.manager.web.headers import own_address
from tdc.manager.web.places import Place

_PAGES = ("settings", "machines", "delivery")


class GoAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where: the address of a level, or the name of a machine; and which page of it."""

    to: str = ""
    machine: str = ""
    page: str = "settings"


async def go(call: Call) -> See:
    """Go there."""
    asked = call.asked(GoAsked)
    page = asked.page if asked.page in _PAGES else "settings"
    if asked.machine.strip():
        name = asked.machine.strip()
        (row,) = await call.to.fleet.list_machines(call.actor, "", "", name)
        return See(Place(row.cluster, machine=row.name).page(page))
    to = own_address(asked.to)
    if not to.startswith("/c/"):
        return See("/")
    if "/m/" in to and page == "machines":
        return See(to)
    return See(f"{to}/{page}")
