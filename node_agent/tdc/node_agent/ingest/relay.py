"""A connection to the next hop: carries the original, untouched, and brings replies back.

Plain SMTP to a next hop on loopback or a private net: the MTA's own re-injection listener or
its neighbour. Errors of the connection end here as HopLost.

This is not the client of `smtp/dialogue.py`, and should not become it. That one sends messages of
our own over TLS: it chooses the commands, declares size and body type, and sends a next message
before the reply to this one. Here the MTA chose the commands; they pass as they came, their replies
go back as they came, and the final dot must wait for the copy. What both share is in `smtp/`: the
replies, the extensions, the bounded wait.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Sequence
from typing import cast

from tdc.node_agent.ingest.timeouts import HopTimeouts
from tdc.node_agent.smtp.bounded_wait import BoundedWait
from tdc.node_agent.smtp.extensions import Extensions
from tdc.node_agent.smtp.replies import NEIGHBOUR, ProtocolFault, Reply, ReplyParser

CHUNK = 256 * 1024
RECEIVE_BUFFER = 4096  # replies are short
QUIT_AFTER_REFUSALS = 10  # peers end a session that has had too many
QUIT_AFTER_TRANSACTIONS = 1_000


class HopLost(Exception):
    """The connection to the next hop is gone; `replies` came before, the text says why."""

    def __init__(self, reason: str, replies: Sequence[Reply] = ()) -> None:
        super().__init__(reason)
        self.replies = tuple(replies)


class HopConnection(asyncio.BufferedProtocol):
    """One connection. At most one exchange is under way; its replies are counted.

    A reply that nobody asked for is never taken as the answer to a later command: the
    connection is closed instead.
    """

    def __init__(self, timeouts: HopTimeouts) -> None:
        self._timeouts = timeouts
        self.fell_silent = False  # it did not answer, or read, within its time
        self.silent_for = 0.0  # how long that was
        self.proved = False  # it has answered a whole message since it was lent
        self.accepted = False  # and that by a 2yz
        self.noted = False  # that a message waits here has been counted
        self.extensions = Extensions()
        self.reused = False
        self.xforwarded = False
        self.transactions = 0
        self.refusals = 0
        self.idle_since = 0.0
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray(RECEIVE_BUFFER)
        self._parser = ReplyParser(NEIGHBOUR)
        self._replies: deque[Reply] = deque()
        self._expected = 1  # the greeting may be here before anyone waits for it
        self._room: asyncio.Future[None] | None = None
        self._lost: str | None = None
        self._in_body = False  # from the body on, until the reply to the final dot
        self._full_since: float | None = None  # it does not read, and the body has to wait
        self._wait = BoundedWait(self._loop, self._wait_expired)

    # Called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Bound what the transport holds for us."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=CHUNK)

    def get_buffer(self, sizehint: int) -> bytearray:
        """Lend the receive buffer."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Collect replies; one too many ends the connection."""
        if self._lost is not None:
            return
        try:
            replies = self._parser.feed(bytes(self._buffer[:nbytes]))
        except ProtocolFault as fault:
            self._fail(f"the next hop violated the protocol: {fault}")
            return
        self._replies.extend(replies)
        if len(self._replies) > self._expected:
            unasked = self._replies[self._expected]
            while len(self._replies) > self._expected:
                self._replies.pop()
            self._fail(f"unexpected reply from the next hop: {unasked.text}")
        elif len(self._replies) == self._expected:
            self._wait.end()
        elif replies:
            self._wait.renew()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the exchange under way."""
        self._fail(f"the next hop closed the connection{f' ({exc})' if exc else ''}")

    def pause_writing(self) -> None:
        """The next hop reads slower than we send."""
        self._room = self._loop.create_future()

    def resume_writing(self) -> None:
        """There is room again."""
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    # Called by the session

    @property
    def usable(self) -> bool:
        """True if another transaction may start on it."""
        return (
            self._lost is None
            and self._parser.idle
            and self.transactions < QUIT_AFTER_TRANSACTIONS
            and self.refusals < QUIT_AFTER_REFUSALS
        )

    @property
    def lost(self) -> str | None:
        """Why it is closed; None while it is open."""
        return self._lost

    async def replies(
        self, count: int, timeout: float, *, until: float | None = None
    ) -> list[Reply]:
        """Wait for `count` whole replies, `timeout` seconds for each and not past `until`.

        Raises HopLost with those that came.
        """
        self._expected = count
        if len(self._replies) < count and self._lost is None:
            await self._wait.wait(timeout, until=until)
        replies = list(self._replies)
        self._replies.clear()
        self._expected = 0
        if len(replies) < count:
            raise HopLost(self._lost or "the next hop sent too few replies", replies)
        self.refusals += sum(answer.refused for answer in replies)
        return replies

    async def exchange(
        self,
        lines: Sequence[bytes],
        timeout: float,
        *,
        until: float = math.inf,
        silence: float = math.inf,
    ) -> list[Reply]:
        """Send command lines (without CRLF), return their replies; raises HopLost.

        They have `timeout` seconds together, and no reply may take longer than `silence`.
        """
        end = self._loop.time() + timeout
        until = end if end < until else until
        timeout = silence if silence < timeout else timeout
        if "PIPELINING" in self.extensions or len(lines) == 1:
            self._write_commands(b"\r\n".join([*lines, b""]))
            return await self.replies(len(lines), timeout, until=until)
        replies: list[Reply] = []
        for line in lines:
            self._write_commands(line + b"\r\n")
            try:
                replies += await self.replies(1, timeout, until=until)
            except HopLost as lost:
                raise HopLost(str(lost), [*replies, *lost.replies]) from None
        return replies

    async def send_body(self, body: bytes) -> None:
        """Send the body as it is, without the final dot; raises HopLost.

        It goes in pieces as fast as the next hop reads, so that it isn't held in memory twice.
        """
        end = self._loop.time() + self._timeouts.for_body(len(body))
        view = memoryview(body)
        for start in range(0, len(body), CHUNK):
            self._write(view[start : start + CHUNK])
            if self._room is not None:
                await self._wait_for_room(end)

    async def finish(self, unsent: bytes = b"") -> Reply:
        """Send `unsent`, the rest of the body, and the final dot; return the reply.

        Raises HopLost: the outcome is then unknown.
        """
        self._write_commands(unsent + b".\r\n")
        self.transactions += 1
        self._in_body = True
        [answer] = await self.replies(1, self._timeouts.final_dot)
        self._in_body = False
        self.proved = True
        self.accepted = answer.positive
        return answer

    def waited(self, now: float) -> float:
        """Seconds for which it has been waited for at `now`, loop time; 0 if it is not."""
        if self._wait.under_way:
            return now - self._wait.since
        return 0.0 if self._full_since is None else now - self._full_since

    @property
    def long(self) -> float:
        """How long that may be until it is reported."""
        in_body = self._in_body or self._full_since is not None
        return self._timeouts.long_for_body if in_body else self._timeouts.long

    def close(self, *, politely: bool = False) -> None:
        """Close it; the next hop forgets a transaction under way (RFC 5321 4.1.1.10)."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if politely and self._lost is None:
            transport.write(b"QUIT\r\n")
            transport.close()
        else:
            transport.abort()
        self._lost = self._lost or "closed here"

    def _write_commands(self, data: bytes) -> None:
        if not self._parser.idle:
            self._fail("the next hop began an unexpected reply")
        if self._lost is not None:
            raise HopLost(self._lost)
        self._write(data)

    def _write(self, data: bytes | memoryview) -> None:
        assert self._transport is not None
        if self._lost is None:
            self._transport.write(data)

    async def _wait_for_room(self, end: float) -> None:
        if self._room is not None and self._lost is None:
            self._full_since = self._loop.time()
            left = end - self._full_since
            try:
                async with asyncio.timeout(min(self._timeouts.block, left)):
                    await self._room
            except TimeoutError:
                self.fell_silent = True
                self.silent_for = self.waited(self._loop.time())
                self._fail("the next hop does not read")
            self._full_since = None
        if self._lost is not None:
            raise HopLost(self._lost)

    def _wait_expired(self) -> None:
        self.fell_silent = True
        self.silent_for = self.waited(self._loop.time())
        self._fail(f"no reply from the next hop in {self._wait.took:.3g} s")

    def _fail(self, reason: str) -> None:
        if self._lost is None:
            self._lost = reason
        self._wait.cancel_timer()
        if self._transport is not None:
            self._transport.abort()
        self._wait.end()
        self.resume_writing()
