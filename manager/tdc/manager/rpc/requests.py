"""A request is received behind the check, in its turn, in time, and a few at once for each caller.

gRPC hands a call over at its headers. Of a message that nobody has asked for it takes in no more
than the window of a stream (`server`), so what a caller can make the manager hold is decided here.
In: calls whose caller may call. Out: the bytes of a request.
Promise: a connection and an identity have at most their share of requests under way; one that does
not come whole within REQUEST ends its call; nobody waits for another identity. Those of whom
nothing is known share turns by their address (`strangers`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Hashable
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
from tdc.manager.identity.rates import address_of
from tdc.manager.rpc.strangers import Strangers
from tdc.shared.edge.clock import monotonic
from tdc.shared.edge.tasks import apart

REQUEST = 15.0
"""Seconds in which a request comes whole, from the headers of its call on."""

ON_A_CONNECTION = 4
"""Requests under way on one connection, each as long as the port takes: more wait their turn."""

OF_AN_IDENTITY = 16
"""The same on all connections of an identity."""

Context = grpc.aio.ServicerContext[Any, Any]


class NotReceived(Exception):
    """A request that did not come, or not in time; the text says which bound it met."""

    code = grpc.StatusCode.INVALID_ARGUMENT


class TooLate(NotReceived):
    """It was not whole in time."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED


@dataclass(slots=True)
class _Line:
    """The turns of a connection or an identity, and how many calls have one or wait."""

    free: asyncio.Semaphore
    calls: int = 0


class Turns:
    """Who may receive a request now; forgets a caller as soon as he has none under way."""

    def __init__(self) -> None:
        self._lines: dict[Hashable, _Line] = {}
        self._strangers = Strangers()

    def __len__(self) -> int:
        return len(self._lines) + len(self._strangers)

    async def receive(self, context: Context, identity: Hashable | None) -> bytes | None:
        """Return the next message of a call, None after the last; raises TooLate.

        `identity` is None for a caller that is not known yet.
        """
        peer, began = context.peer(), monotonic()
        try:
            async with asyncio.timeout(REQUEST) as limit, self._turn(peer, ON_A_CONNECTION):
                own = (
                    self._turn(identity, OF_AN_IDENTITY)
                    if identity is not None
                    else self._strangers.turn(address_of(peer), peer, limit)
                )
                async with own:
                    return await _received(context)
        except TimeoutError:
            took = monotonic() - began
            why = "" if took >= REQUEST else ", and others were waiting"
            raise TooLate(f"the request did not come whole within {took:.0f} s{why}") from None

    @contextlib.asynccontextmanager
    async def _turn(self, whose: Hashable, at_once: int) -> AsyncIterator[None]:
        """Run the body in one of so many turns."""
        line = self._lines.setdefault(whose, _Line(asyncio.Semaphore(at_once)))
        line.calls += 1
        try:
            async with line.free:
                yield
        finally:
            line.calls -= 1
            if not line.calls:
                del self._lines[whose]


async def _received(context: Context) -> bytes | None:
    """Return the next message; if this is cancelled, gRPC ends the reading with the call.

    What it was about to hand over would never be freed if the reading itself were cancelled.
    """
    message = await apart(context.read(), name="request")
    return None if message is grpc.aio.EOF else message
