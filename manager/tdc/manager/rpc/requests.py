"""A request is received behind the check, in its turn, in time, and a few at once for each caller.

gRPC hands a call over at its headers. Of a message that nobody has asked for it takes in no more
than the window of a stream (`server`), so what a caller can make the manager hold is decided here.
In: calls whose caller may call. Out: the bytes of a request.
Promise: a caller has at most his share of requests under way; one that does not come whole within
REQUEST ends its call; nobody waits for the turn of another caller.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Hashable
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
from tdc.shared.edge.tasks import apart

REQUEST = 15.0
"""Seconds in which a request comes whole, from the headers of its call on."""

ON_A_CONNECTION = 4
"""Requests under way on one connection, each as long as the port takes: more wait their turn."""

OF_AN_IDENTITY = 16
"""The same on all connections of an identity."""

OF_AN_ADDRESS = 64
"""The same of an address where no certificate says who calls: that port takes only short ones."""

MOST_WAITING = 256
"""Calls of one caller that wait for their turn, or have it."""

Context = grpc.aio.ServicerContext[Any, Any]


class NotReceived(Exception):
    """A request that did not come, or not in time; the text says which bound it met."""

    code = grpc.StatusCode.INVALID_ARGUMENT


class TooLate(NotReceived):
    """It was not whole in time."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED


class TooMany(NotReceived):
    """The caller has too many under way."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED


@dataclass(slots=True)
class _Line:
    """The turns of one caller, and how many of his calls have one or wait."""

    free: asyncio.Semaphore
    calls: int = field(default=0)


class Turns:
    """Who may receive a request now; forgets a caller as soon as he has none under way."""

    def __init__(self) -> None:
        self._lines: dict[Hashable, _Line] = {}

    def __len__(self) -> int:
        return len(self._lines)

    @contextlib.asynccontextmanager
    async def _turn(self, who: Hashable, at_once: int) -> AsyncIterator[None]:
        """Run the body in a turn of this caller; raises TooMany."""
        line = self._lines.setdefault(who, _Line(asyncio.Semaphore(at_once)))
        if line.calls >= MOST_WAITING:
            raise TooMany(f"{MOST_WAITING} calls of this caller wait for their request")
        line.calls += 1
        try:
            async with line.free:
                yield
        finally:
            line.calls -= 1
            if not line.calls:
                del self._lines[who]

    async def receive(self, context: Context, sender: Hashable, at_once: int) -> bytes | None:
        """Return the next message of a call, None after the last; raises TooLate, TooMany."""
        connection = context.peer()
        try:
            async with (
                asyncio.timeout(REQUEST),
                self._turn(connection, ON_A_CONNECTION),
                self._turn(sender, at_once),
            ):
                return await _received(context)
        except TimeoutError:
            raise TooLate(f"the request did not come whole within {REQUEST:g} s") from None


async def _received(context: Context) -> bytes | None:
    """Return the next message; if this is cancelled, gRPC ends the reading with the call.

    What it was about to hand over would never be freed if the reading itself were cancelled.
    """
    message = await apart(context.read(), name="request")
    return None if message is grpc.aio.EOF else message
