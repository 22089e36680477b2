"""A connection that a server accepted: bytes in, replies out, deadlines.

What the bytes mean is the session's matter. This file is about cost and about endings:
  - bytes are read in bulk, so that a message costs two searches, not a wake-up for each line;
  - replies are gathered, so that pipelined commands cost one write;
  - one timer serves all waits of the connection (`BoundedWait`);
  - a lost connection does not cancel the session: after the final dot it must wait for the next
    hop's answer, or it could not know what became of the message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from tdc.node_agent.smtp.bounded_wait import BoundedWait
from tdc.node_agent.smtp.framing import Inbound
from tdc.node_agent.smtp.replies import Reply

HIGH_WATER = 128 * 1024  # bytes of unread commands, or of unsent replies
LINGER = 30.0  # seconds a peer is given to read its last replies
RECEIVE_BUFFER = 256 * 1024


class PeerGone(Exception):
    """The peer has closed its end, or has to be closed on."""


class PeerSilent(Exception):
    """The peer sent nothing, or too little, within its time."""


class PeerExpelled(PeerSilent):
    """The peer was idle or slow, and its place is wanted for another."""


class ServerConnection(asyncio.BufferedProtocol):
    """One connection. `opened` is called once it is up and must start the session.

    `buffer` receives bytes for a moment; all connections of one event loop share it. (Without
    it, asyncio maps and unmaps 256 KiB for each read, which stops the spool's thread too.)
    """

    def __init__(self, buffer: memoryview, opened: Callable[[ServerConnection], None]) -> None:
        self.inbound = Inbound()
        self.received = 0  # bytes in all
        self._seen = 0  # those of them that came before the latest wait
        self._opened = opened
        self._buffer = buffer
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._wait = BoundedWait(self._loop, self._expired)
        self._ended = False  # no more input will come
        self._silent = False
        self._expelled = False
        self._paused = False
        self._replies: list[bytes] = []

    # Called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the session."""
        self._transport = cast(asyncio.Transport, transport)
        self._opened(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Lend the shared buffer until `buffer_updated`."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Keep the bytes; take no more than HIGH_WATER while nobody reads them.

        Nor more than two buffers for one wake-up of who waits: the event loop reads on and on
        before the session runs, and a hundred large messages would be here at once.
        """
        self.inbound.feed(self._buffer[:nbytes])
        self.received += nbytes
        if self._wait.under_way:
            self._wait.end()
            much = self.received - self._seen > RECEIVE_BUFFER
        else:
            much = len(self.inbound) > HIGH_WATER
        if much and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """Serve the commands before it: a half-closed peer can still read their replies."""
        self._ended = True
        self._wait.end()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the session notice: it ends by itself."""
        self._transport = None
        self._ended = True
        self._wait.end()
        self._wait.cancel_timer()

    def _expired(self) -> None:
        self._silent = True
        self._wait.end()

    # Called by the session

    @property
    def gone(self) -> bool:
        """True if the connection is closed, so that no reply can be given."""
        return self._transport is None

    @property
    def peer(self) -> str:
        """The peer's IP address, empty if unknown."""
        name = self._transport and self._transport.get_extra_info("peername")
        return str(name[0]) if name else ""

    @property
    def waiting(self) -> bool:
        """True while the session waits for the peer, and not for anything of ours."""
        return self._wait.under_way

    async def more(self, allowed: float, *, until: float) -> None:
        """Wait for more bytes, `allowed` seconds at most and not past `until` (loop time).

        Raises PeerGone, PeerSilent, PeerExpelled.
        """
        transport = self._transport
        if self._ended or transport is None:
            raise PeerGone
        if transport.get_write_buffer_size() > HIGH_WATER:
            raise PeerGone  # it sends and never reads
        if self._paused:
            self._paused = False
            transport.resume_reading()
        self._seen = self.received
        await self._wait.wait(allowed, until=until)
        if self._expelled:
            raise PeerExpelled
        if self._silent:
            raise PeerSilent

    def expel(self) -> None:
        """End the wait for the peer: its place is wanted."""
        self._expelled = True
        self._wait.end()

    def wake(self) -> None:
        """End a `more` that waits, though nothing came."""
        self._wait.end()

    def say(self, answer: Reply) -> None:
        """Give a reply, at the next flush."""
        self._replies.append(answer.raw)

    def flush(self) -> None:
        """Send the replies that were given."""
        if self._replies and self._transport is not None:
            self._transport.write(b"".join(self._replies))
        self._replies.clear()

    def close(self) -> None:
        """Send what is left and close."""
        self.flush()
        transport = self._transport
        if transport is not None:
            transport.close()
            if transport.get_write_buffer_size():
                self._loop.call_later(LINGER, transport.abort)

    def abort(self) -> None:
        """Close now, whatever is unsent."""
        if self._transport is not None:
            self._transport.abort()
