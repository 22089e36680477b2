"""The SMTP content filter: the server's backend that passes everything on to the next hop.

Order of one message, which is what the promises rest on:
  1. the whole body is here; 2. the copies become durable (a large body is sent on before, without
  its final dot); 3. only then the final dot goes to the next hop; 4. on its 2yz the copies are
  released and the MTA gets that reply; on anything else they are discarded.
So at whatever moment we die, the MTA has no 250 unless the next hop said 250 and the copies
are durable; and the original is the next hop's or still the MTA's, never ours.

No Received field is added: the original must leave as it came. A mail loop through us is a
loop through the MTA, which adds and counts its own on re-injection (RFC 5321 6.3).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

from tdc.node_agent.counters import Counters
from tdc.node_agent.ingest.hop_state import NextHopState
from tdc.node_agent.ingest.options import FilterOptions
from tdc.node_agent.ingest.pool import NextHopPool, NextHopUnavailable
from tdc.node_agent.ingest.relay import HopConnection, HopLost
from tdc.node_agent.ingest.relaying import HOP_LOST, HOP_SMALLER, Relaying
from tdc.node_agent.ingest.take import Taken, Taker, TakeRefused
from tdc.node_agent.journal.trace import message_ids
from tdc.node_agent.log.ids import MessageIds
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.smtp.backend import PendingCommand, Unavailable
from tdc.node_agent.smtp.connection import ServerConnection
from tdc.node_agent.smtp.framing import unstuffed
from tdc.node_agent.smtp.in_hand import BytesInHand
from tdc.node_agent.smtp.listener import Listener
from tdc.node_agent.smtp.replies import Reply, reply
from tdc.node_agent.smtp.server import ServerSession
from tdc.shared.edge.os_words import os_reason
from tdc.shared.mail.envelope import Envelope

TOO_MANY_CONNECTIONS = reply("421 4.3.2 Too many connections, try again later")
NOT_TRUSTED = reply("554 5.7.1 This is a content filter for the local mail server only")
NO_NEXT_HOP = reply("421 4.4.1 Next hop unavailable, try again later")
NO_STORAGE = reply("451 4.3.1 Insufficient system storage, try again later")
OFFERED = ("8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES")
SMALL_BODY = 64 * 1024
CROWDED_EVERY = 60.0  # seconds between two lines that say so


class FilterUnavailable(Exception):
    """The address to listen on can't be had; the text says why and what to do."""


class SmtpFilter:
    """``async with SmtpFilter(...) as filter:`` serves until the block is left.

    `existing` are sockets that listen already; they are served instead of the options' address.
    `hop_state` is told whether the next hop takes mail.
    Raises FilterUnavailable on entry. On leaving: no new connection, 421 to idle sessions and to
    those that sit in a transaction, 3 seconds for others under way and `stop_timeout` for those
    past the final dot; then connections are closed, so that the MTA keeps what was not finished.
    """

    def __init__(
        self,
        options: FilterOptions,
        taker: Taker,
        counters: Counters,
        log: TdcLog,
        existing: Sequence[socket.socket] = (),
        hop_state: NextHopState | None = None,
    ) -> None:
        self._options = options
        self._existing = existing
        self._hop_state = hop_state
        self._taker = taker
        self._counters = counters
        self._log = log
        self._server_options = options.server()
        self._listener = Listener(self._session)
        self.in_hand = BytesInHand(options.bytes_in_hand)
        self._pool: NextHopPool | None = None
        self._crowded_at = -CROWDED_EVERY

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._listener.port

    def sockets(self) -> tuple[socket.socket, ...]:
        """The listening sockets once more, to be served by the next process."""
        return self._listener.sockets()

    async def turn_over(self, also: Sequence[socket.socket], patience: float) -> None:
        """Before a restart: serve on, `also` on other sockets, until what was begun is through."""
        await self._listener.serve_also(also)
        if self.connections:
            self._log.info(
                f"before the restart, open sessions ({self.connections}) get {patience:.0f} s at "
                "most to end; new ones are served meanwhile"
            )
        left = await self._listener.turn_over(patience)
        if left:
            self._log.warning(f"sessions ended for the restart after {patience:.0f} s: {left}")

    @property
    def connections(self) -> int:
        """The number of connections from the MTA."""
        return self._listener.connections

    async def __aenter__(self) -> Self:
        options = self._options
        self._pool = NextHopPool(
            options.next_hops,
            options.hostname,
            options.hop_timeouts,
            max_idle=options.max_connections,
            state=self._hop_state,
        )
        try:
            await self._listener.start(options.host, options.port, self._existing)
        except OSError as error:
            raise FilterUnavailable(
                f"can't listen on {options.host}:{options.port} for the content filter:"
                f" {os_reason(error)}; choose another address or stop what uses it"
            ) from error
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._pool is not None
        left = 0
        try:
            left = await self._listener.drain(self._options.stop_timeout)
        finally:
            self._pool.close()  # first, so that no session waits for the next hop any more
            await self._listener.close()
        if left:
            self._log.warning(f"{left} sessions were ended in the middle of a message")

    def _session(self, connection: ServerConnection) -> ServerSession:
        assert self._pool is not None
        backend = FilterBackend(
            self._options,
            self._pool,
            self._taker,
            self._counters,
            self._log,
            make_room=self._make_room,
        )
        return ServerSession(connection, backend, self._server_options, self.in_hand)

    def _make_room(self) -> bool:
        """Say whether a connection that has just come may stay."""
        most = self._options.max_connections
        if self._listener.connections <= most:
            return True
        now = asyncio.get_running_loop().time()
        if now - self._crowded_at >= CROWDED_EVERY:
            self._crowded_at = now
            self._log.warning(
                f"All {most} connections of the content filter are in use: idle and slow ones are "
                "ended for new ones (ingest.max_connections)"
            )
        return self._listener.make_room(most)


class FilterBackend:
    """The backend of one session. `make_room` says whether one that has just come may stay."""

    def __init__(
        self,
        options: FilterOptions,
        pool: NextHopPool,
        taker: Taker,
        counters: Counters,
        log: TdcLog,
        *,
        make_room: Callable[[], bool],
    ) -> None:
        self._options = options
        self._pool = pool
        self._taker = taker
        self._counters = counters
        self._log = log
        self._make_room = make_room
        self._relaying = Relaying(pool, options.hop_timeouts, log)

    def admit(self, peer: str) -> Reply | None:
        """Only the MTA, and only as many connections as were agreed."""
        if not self._options.trusts(peer):
            return NOT_TRUSTED
        return None if self._make_room() else TOO_MANY_CONNECTIONS

    async def hello(self, *, extended: bool) -> Sequence[str]:
        """Offer what the next hop offers, and nothing that it would have to refuse."""
        if not extended:
            self._relaying.announced = frozenset()
            return ()
        try:
            offered = await self._pool.extensions()
        except NextHopUnavailable as unavailable:
            self._log.warning(f"Next hop not available: {unavailable}")
            raise Unavailable(NO_NEXT_HOP) from unavailable
        words = [word for word in OFFERED if word in offered]
        if "SIZE" not in offered:
            self._relaying.announced = frozenset(words)
            return words
        self._relaying.announced = frozenset((*words, "SIZE"))
        return [*words, f"SIZE {self._size_limit}"]

    async def settle(
        self, commands: Sequence[PendingCommand], xforward: Mapping[str, bytes]
    ) -> Sequence[Reply]:
        """Let the next hop decide."""
        return await self._relaying.settle(commands, xforward)

    @property
    def lost(self) -> Reply | None:
        """Set if the next hop's connection was lost during the transaction."""
        return HOP_LOST if self._relaying.lost else None

    @property
    def _size_limit(self) -> int:
        """What any next hop takes: a message that only one of them does may have to wait for it."""
        ours = self._options.max_message_size
        return min(self._pool.largest or ours, ours)

    @property
    def body_limit(self) -> int:
        """Larger than SIZE by what dots may add.

        So the next hop itself refuses a message that is only a little too large for it.
        """
        limit = self._size_limit
        return min(limit + limit // 3 + 1024, self._options.max_message_size)

    # The message

    async def body(
        self, envelope: Envelope, body: bytes, gone: Callable[[], bool]
    ) -> Sequence[Reply]:
        """Take the copies, send the original, then release or discard."""
        # A small body costs one system call less together with its final dot.
        unsent = body if len(body) <= SMALL_BODY else b""
        try:
            hop = self._relaying.hop
            if self._is_for_another(hop, body):
                reason = "it is too large for the one next hop that takes mail now"
                return [self._give_up(HOP_SMALLER, reason, message_ids(body, envelope))]
            if not unsent:
                await hop.send_body(body)
        except HopLost as lost:
            self._relaying.hop_failed(str(lost))
            return [self._give_up(HOP_LOST, str(lost), message_ids(body, envelope))]
        content = unstuffed(body)
        del body  # of a large one no more is held than its content, and that until it is taken
        try:
            taken = await self._taker.take(envelope, content)
        except TakeRefused as refused:
            return [self._give_up(NO_STORAGE, str(refused), refused.ids)]
        del content
        if gone():
            await self._taker.discard(taken)
            reason = "the MTA closed the connection before its reply"
            return [self._give_up(HOP_LOST, reason, taken.ids)]
        return [await self._final_dot(hop, taken, unsent)]

    def _is_for_another(self, hop: HopConnection, body: bytes) -> bool:
        """Whether this next hop refuses it for its size, and another one does not."""
        too_small = self._pool.is_too_small
        return too_small(hop, len(body)) and too_small(hop, len(unstuffed(body)))

    async def _final_dot(self, hop: HopConnection, taken: Taken, unsent: bytes) -> Reply:
        try:
            answer = await hop.finish(unsent)
        except HopLost as lost:
            # The next hop may have the message or not; the MTA keeps it and tries again, and
            # the original may then arrive twice (RFC 1047). The next try brings its own copy.
            await self._taker.discard(taken)
            self._relaying.hop_failed(str(lost))
            return self._give_up(HOP_LOST, str(lost), taken.ids)
        if answer.positive:
            self._taker.release(taken)
            self._counters.originals_passed += 1
        else:
            await self._taker.discard(taken)
            if not answer.refused:
                reason = f"next hop answered final dot with {answer.text}"
                self._relaying.hop_failed(reason)
                return self._give_up(HOP_LOST, reason, taken.ids)
            self._counters.originals_refused += 1
            self._relaying.refused(answer)
        self._relaying.end()
        return answer

    def _give_up(self, answer: Reply, reason: str, ids: MessageIds) -> Reply:
        """Refuse the message for now, before anyone but the MTA is responsible for it."""
        self._log.not_accepted(reason, ids)
        self._counters.originals_refused += 1
        self._relaying.drop()
        return answer

    # Ending

    async def reset(self) -> None:
        """Reset the transaction at the next hop too."""
        await self._relaying.reset()

    def abandon(self) -> None:
        """Close the next hop's connection during the transaction, which ends it there."""
        self._relaying.drop()

    def failed(self, error: Exception) -> None:
        """Log a fault of our own."""
        self._log.error(f"Content filter session failed: {error!r}")
