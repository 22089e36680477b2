"""The events of one page: its changing values, at most once a second, until it is closed.

One stream is one page: the same address behind `/live`, the same permission. The first event has
all values and the next ones those that changed, so a browser that comes back needs no history
(docs/decisions/0023). Pages that look at the same for the same share one look a second.
Promise: a stream ends with the session, the right to see it, or the manager; it is no use of the
session; who does not read it loses it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable

import msgspec
from starlette.requests import Request
from tdc.manager.intent.actor import Actor
from tdc.manager.web.answers import Cells, Look
from tdc.manager.web.drawing import changed_cells
from tdc.manager.web.failed import Refused, failed
from tdc.manager.web.gate import Gate
from tdc.manager.web.routes import Route
from tdc.manager.web.words import clock_time
from tdc.shared.edge.clock import Clock, monotonic, wall

log = logging.getLogger(__name__)

EVERY = 1.0
"""Seconds between two looks."""
SILENCE = 15.0
"""Seconds after which an event is sent though nothing changed: a dead connection is noticed."""
MOST = 400
"""Streams of one manager."""
MOST_OF_ONE = 20
"""Streams of one person: each tab has one."""
LONGEST = 3_600.0
"""Seconds after which a stream ends; the browser opens another."""


class Streams:
    """All streams of a manager; `stop` ends them."""

    def __init__(
        self, gate: Gate, name: Callable[[], str], steady: Clock = monotonic, clock: Clock = wall
    ) -> None:
        self._gate = gate
        self._name = name
        self._steady = steady
        self._clock = clock
        self._open: dict[str, int] = {}
        self._looks: dict[object, _Shared] = {}
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """End all."""
        self._stopped.set()

    async def begin(self, row: Route, request: Request) -> AsyncIterator[bytes] | None:
        """Begin the stream of a page; None for nobody. Raises as the page does, and Refused."""
        assert row.look is not None
        call = await self._gate.call(row, request, used=False)
        if call is None:
            return None
        if self._stopped.is_set():
            raise Refused(503, "unavailable", "The manager is stopping. Try another one.")
        mine = self._open.get(call.actor.name, 0)
        if mine >= MOST_OF_ONE or sum(self._open.values()) >= MOST:
            raise Refused(429, "too-many", "Too many pages are open: this one does not move.")
        look = await row.look(call)
        address = (request.url.path, request.url.query)
        return self._events(row, request, call.actor, address, look)

    async def _events(
        self, row: Route, request: Request, who: Actor, address: object, look: Look
    ) -> AsyncIterator[bytes]:
        key = (address, who.role, who.reach)
        self._open[who.name] = self._open.get(who.name, 0) + 1
        shared = self._looks.setdefault(key, _Shared(look, self._steady))
        shared.readers += 1
        try:
            async for event in self._while_good(row, request, shared):
                yield event
        finally:
            shared.readers -= 1
            if not shared.readers:
                self._looks.pop(key, None)
            self._open[who.name] -= 1
            if not self._open[who.name]:
                del self._open[who.name]

    async def _while_good(
        self, row: Route, request: Request, shared: _Shared
    ) -> AsyncIterator[bytes]:
        before: Cells = {}
        begun = heard = self._steady()
        yield b"retry: 2000\n\n"
        while not self._stopped.is_set() and self._steady() - begun < LONGEST:
            try:
                if self._gate.caller(row, request, used=False) is None:
                    yield _event("ended", {"reason": "The session has ended."})
                    return
                after = await shared.look()
            except Exception as error:
                how = failed(error)
                if how is None:
                    log.error("the events of %s failed", row.path, exc_info=error)
                yield _event("ended", {"reason": how.sentence if how else "The manager failed."})
                return
            changed = changed_cells(before, after)
            if changed or self._steady() - heard >= SILENCE:
                heard = self._steady()
                at = clock_time(self._clock())
                yield _event("cells", {"at": at, "from": self._name(), "cells": changed})
            before = after
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY):
                    await self._stopped.wait()


class _Shared:
    """One look at a page's values each second, for all who have the page open."""

    def __init__(self, look: Look, steady: Clock) -> None:
        self.readers = 0
        self._look = look
        self._steady = steady
        self._lock = asyncio.Lock()
        self._at = -EVERY
        self._cells: Cells = {}

    async def look(self) -> Cells:
        """The values, at most EVERY seconds old."""
        async with self._lock:
            if self._steady() - self._at >= EVERY * 0.9:
                self._cells = await self._look()
                self._at = self._steady()
            return self._cells


def _event(kind: str, content: object) -> bytes:
    return f"event: {kind}\ndata: ".encode() + msgspec.json.encode(content) + b"\n\n"
