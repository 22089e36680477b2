"""Reads the body of one message after another, at the pace that the client and the others allow.

A body has a bound for its next part, one in all, and a rate that it must keep: a byte now and then
renews nothing. The time in which we do not read on (`in_hand`) is not charged to the client.
"""

from __future__ import annotations

import asyncio

from tdc.node_agent.smtp.connection import PeerSilent, ServerConnection
from tdc.node_agent.smtp.in_hand import READ, BytesInHand
from tdc.node_agent.smtp.server_options import ServerOptions
from tdc.node_agent.smtp.slowest import Timed

CROWDED_RATE = 10_000.0
"""Octets a second that a client must send to keep its place when others want it."""

MOST_CREDIT = 2.0
"""Seconds that it may be ahead of that: what came fast at first does not excuse a trickle."""


class BodyReader:
    """The bodies of one session, `owner`."""

    __slots__ = (
        "_connection",
        "_due",
        "_from",
        "_in_hand",
        "_loop",
        "_options",
        "_owner",
        "_since",
        "whole",
    )

    def __init__(
        self,
        owner: Timed,
        connection: ServerConnection,
        options: ServerOptions,
        in_hand: BytesInHand,
    ) -> None:
        self._owner = owner
        self._connection = connection
        self._options = options
        self._in_hand = in_hand
        self._loop = asyncio.get_running_loop()
        self._since = 0.0  # when this body began, and later by the time in which we did not read
        self._due = 0.0  # until when it is in time where others want its place
        self._from = 0  # bytes of the connection before this body
        self.whole = False  # it is here with its final dot, and not answered yet

    async def read(self, limit: int) -> bytes:
        """Wait for a whole body; raises BodyTooLarge, and what `more` raises."""
        connection, options, inbound = self._connection, self._options, self._connection.inbound
        self._since = self._due = self._loop.time()
        self._from = seen = connection.received - len(inbound)
        latest = self._since + options.message_timeout
        while (body := inbound.body(limit)) is None:
            if len(inbound) > READ:
                await self._room(latest)
            earned = options.block_timeout + self._received / options.minimum_rate
            await connection.more(options.block_timeout, until=min(latest, self._since + earned))
            came, seen = connection.received - seen, connection.received
            most = self._loop.time() + MOST_CREDIT
            self._due = min(self._due + came / CROWDED_RATE, most)
        if len(body) > READ:
            self._in_hand.hold(self._owner, len(body))
        self.whole = True
        return body

    def done(self) -> None:
        """The body is held no more."""
        self.whole = False
        self._in_hand.drop(self._owner)

    def lag(self, now: float) -> float:
        """Seconds by which the client is behind one that sends at CROWDED_RATE."""
        return now - self._due

    @property
    def _received(self) -> int:
        return self._connection.received - self._from

    async def _room(self, latest: float) -> None:
        """Count what is held, and wait until there may be more."""
        self._in_hand.hold(self._owner, len(self._connection.inbound))
        if self._in_hand.may_grow(self._owner):
            return
        began = self._loop.time()
        if not await self._in_hand.room(self._owner, latest, lambda: self._connection.gone):
            raise PeerSilent
        waited = self._loop.time() - began
        self._since += waited
        self._due += waited
