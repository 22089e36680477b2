"""The MTA's connection: bytes in, replies out, deadlines. What they mean is `session`'s matter.

aiosmtpd gives the life cycle (one connection, one task, one timer). What is different here:
bytes are read in bulk, so that a message costs two searches and not one wake-up for each line;
replies are gathered, so that pipelined commands cost one write; and a lost connection does not
cancel the task, because behind the final dot it must wait for the next hop's answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import cast

from aiosmtpd.smtp import SMTP
from tdc.node_agent.smtp.framing import Inbound
from tdc.node_agent.smtp.replies import Reply, reply

HIGH_WATER = 128 * 1024  # bytes of unread commands, or of unsent replies
LINGER = 30.0  # seconds a peer is given to read its last replies
TIMED_OUT = reply("421 4.4.2 Timeout")


class MtaGone(Exception):
    """The MTA has closed its end, or has to be closed on."""


class _NoHooks:
    """The handler that aiosmtpd wants; `MtaConnection` says why it lists nothing."""

    def __dir__(self) -> Iterable[str]:
        return ()


_NO_HOOKS = _NoHooks()


class MtaConnection(SMTP, asyncio.BufferedProtocol):
    """One connection from the MTA. `timeout` is seconds until its first command.

    `buffer` receives bytes for a moment; all connections of one event loop share it. (Without
    it, asyncio maps and unmaps 256 KiB for each read, which stops the spool's thread too.)
    """

    def __init__(self, hostname: str, timeout: float, buffer: memoryview) -> None:
        super().__init__(
            _NO_HOOKS, hostname=hostname, timeout=timeout, loop=asyncio.get_running_loop()
        )
        self.inbound = Inbound()
        self._buffer = buffer
        self._input: asyncio.Future[None] | None = None
        self._ended = False  # no more input will come
        self._paused = False
        self._deadline = 0.0
        self._rings_at = 0.0  # when the timer looks at the deadline
        self._replies: list[bytes] = []

    def __dir__(self) -> Iterable[str]:
        """List nothing.

        aiosmtpd looks through dir() of each new connection for its own verbs, hooks and AUTH
        mechanisms. A session has verbs of its own, and the search took a fifth of a message.
        """
        return ()

    # Called by the event loop

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where bytes are to be received."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Keep the bytes in the buffer."""
        self.data_received(self._buffer[:nbytes])

    def data_received(self, data: bytes | memoryview) -> None:
        """Keep the bytes; ask for no more than HIGH_WATER while nobody reads them."""
        self.inbound.feed(data)
        if self._input is not None:
            self.wake()
        elif len(self.inbound) > HIGH_WATER and not self._paused:
            self._paused = True
            self.stream().pause_reading()

    def eof_received(self) -> bool:
        """Serve the commands before it: a half-closed peer can still read their replies."""
        self._ended = True
        self.wake()
        return True

    def connection_lost(self, error: Exception | None) -> None:
        """Tell the task, which ends by itself."""
        super(SMTP, self).connection_lost(error)  # aiosmtpd's own would cancel the task
        if self._timeout_handle is not None:
            self._timeout_handle.cancel()
        self.transport = None
        self._ended = True
        self.wake()

    # Input

    @property
    def gone(self) -> bool:
        """Say whether the connection is closed, so that no reply can be given."""
        return self.transport is None

    def stream(self) -> asyncio.Transport:
        """The open transport; raises MtaGone."""
        if self.transport is None:
            raise MtaGone
        return cast(asyncio.Transport, self.transport)

    async def more(self, deadline: float) -> None:
        """Wait for more bytes until `deadline` (the loop's time); raises MtaGone."""
        if self._ended:
            raise MtaGone
        stream = self.stream()
        if stream.get_write_buffer_size() > HIGH_WATER:
            raise MtaGone  # it sends and never reads
        if self._paused:
            self._paused = False
            stream.resume_reading()
        self._set_deadline(deadline)
        self._input = self.loop.create_future()
        try:
            await self._input
        finally:
            self._input = None

    def wake(self) -> None:
        """End a `more` that waits."""
        if self._input is not None and not self._input.done():
            self._input.set_result(None)

    # Replies

    def say(self, answer: Reply) -> None:
        """Give a reply, at the next flush."""
        self._replies.append(answer.raw)

    def flush(self) -> None:
        """Send the replies that were given."""
        if self._replies and self.transport is not None:
            self.stream().write(b"".join(self._replies))
        self._replies.clear()

    def end(self) -> None:
        """Send what is left and close."""
        self.flush()
        if self.transport is not None:
            stream = self.stream()
            stream.close()
            if stream.get_write_buffer_size():
                self.loop.call_later(LINGER, stream.abort)

    # Time

    def _reset_timeout(self, duration: float | None = None) -> None:
        self._set_deadline(self.loop.time() + (duration or self._timeout_duration))

    def _set_deadline(self, deadline: float) -> None:
        # A deadline that only moves away needs no new timer: it is looked at when the old one
        # rings. That spares two heap operations for each command.
        self._deadline = deadline
        timer = self._timeout_handle
        if timer is None or self._rings_at > deadline:
            if timer is not None:
                timer.cancel()
            self._timeout_handle = self.loop.call_at(deadline, self._timeout_cb)
            self._rings_at = deadline

    def _timeout_cb(self) -> None:
        self._timeout_handle = None
        # What has just come is not late; and we may wait for the next hop, which has its own
        # timeouts.
        if self._input is None or self._input.done():
            self._reset_timeout()
        elif self.loop.time() < self._deadline:
            self._set_deadline(self._deadline)
        else:
            self.say(TIMED_OUT)
            self._ended = True
            self.wake()
