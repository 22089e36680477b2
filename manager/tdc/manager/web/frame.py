"""What surrounds each page: the levels to go to, the way to each page, and changes to commit.

Promise: a page is drawn whatever of it can't be had now: what is not known is said so.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.requests import Request
from tdc.manager.intent.actor import Actor
from tdc.manager.intent.permissions import may
from tdc.manager.levels.draft import RowState
from tdc.manager.web.desk import Desk
from tdc.manager.web.failed import failed
from tdc.manager.web.places import Place

log = logging.getLogger(__name__)

STORE_TIME = 2.0
"""Seconds for what the frame reads of the store."""

MOST_LISTED = 60
"""Machines of a cluster that the list of levels has; beyond that one types the name."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Changes that somebody has drafted and not committed: how many, in which clusters."""

    count: int = 0
    clusters: tuple[str, ...] = ()
    why_unknown: str = ""

    @property
    def address(self) -> str:
        """Where they are."""
        return Place(self.clusters[0]).page("changes") if len(self.clusters) == 1 else "/changes"


@dataclass(frozen=True, slots=True)
class Choice:
    """A level that one can go to."""

    value: str
    text: str
    depth: int


@dataclass(frozen=True, slots=True)
class Frame:
    """What surrounds a page."""

    waiting: Waiting = field(default_factory=Waiting)
    choices: tuple[Choice, ...] = ()
    clusters: tuple[str, ...] = ()


async def frame_of(
    desk: Desk, request: Request, who: Actor | None, values: Mapping[str, object]
) -> Mapping[str, object]:
    """Make the frame of a page; never fails."""
    place = values.get("place")
    at = place if isinstance(place, Place) else None
    frame = Frame()
    if who is not None:
        frame = Frame(await _waiting(desk, who), *await _choices(desk, who, at))
    return {
        "frame": frame,
        "place": at,
        "page_name": values.get("page_name", ""),
        "now": desk.clock(),
        "manager": desk.name(),
        "path": request.url.path,
        "own_address": request.url.path + (f"?{request.url.query}" if request.url.query else ""),
        "live_address": _live(request),
        "notice": "",
    }


def _live(request: Request) -> str:
    path = "/live" if request.url.path == "/" else f"/live{request.url.path}"
    return path + (f"?{request.url.query}" if request.url.query else "")


async def _waiting(desk: Desk, who: Actor) -> Waiting:
    if not may(who, "drafts.list"):
        return Waiting()
    try:
        async with asyncio.timeout(STORE_TIME):
            found = await desk.operations.drafts.list_drafts(who, "")
    except TimeoutError:
        return Waiting(why_unknown="the store does not answer")
    except Exception as error:
        how = failed(error)
        if how is None:
            log.error("drafts can't be listed", exc_info=error)
        return Waiting(why_unknown=how.sentence if how else "the manager failed")
    mine = [each for each in found if each.draft.owner == who.name and each.draft.rows]
    count = sum(row.state is not RowState.DONE for each in mine for row in each.rows)
    return Waiting(count, tuple(each.draft.cluster for each in mine if each.draft.rows))


async def _choices(
    desk: Desk, who: Actor, at: Place | None
) -> tuple[tuple[Choice, ...], tuple[str, ...]]:
    """The levels: all clusters, and the groups and machines of the one that one is in."""
    if not may(who, "fleet.list_clusters"):
        return (), ()
    fleet = desk.operations.fleet
    try:
        clusters = [each.name for each in await fleet.list_clusters(who, "")]
        found: list[Choice] = []
        for name in clusters:
            found.append(Choice(Place(name).address, f"Cluster: {name}", 0))
            if at is None or name != at.cluster:
                continue
            for group in await fleet.list_groups(who, name, ""):
                found.append(Choice(Place(name, group.name).address, f"Group: {group.name}", 1))
                if len(group.machines) <= MOST_LISTED:
                    found += [
                        Choice(Place(name, machine=each).address, f"Machine: {each}", 2)
                        for each in group.machines
                    ]
                elif at.machine in group.machines:
                    found.append(Choice(at.address, f"Machine: {at.machine}", 2))
    except Exception as error:
        if failed(error) is None:
            raise
        return (), ()
    return tuple(found), tuple(clusters)
