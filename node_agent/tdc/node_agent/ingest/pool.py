"""Connections to the next hop, kept for reuse. One is lent for one transaction.

Errors of connecting (OSError, TimeoutError) end here as NextHopUnavailable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from tdc.node_agent.ingest.relay import COMMAND_TIMEOUT, HopConnection, HopLost
from tdc.node_agent.smtp.extensions import Extensions
from tdc.node_agent.smtp.replies import Reply

CONNECT_TIMEOUT = 10.0  # seconds; to a neighbour, so it may be impatient
GREETING_TIMEOUT = 300.0  # RFC 5321 4.5.3.2.1
IDLE_TIMEOUT = 60.0  # far below the peer's 5 minutes (RFC 5321 4.5.3.2.7)
AVOID_TIME = 30.0  # seconds in which an address that failed is asked last


class NextHopUnavailable(Exception):
    """No next hop accepts a connection now; the text says why for each address."""


@dataclass(frozen=True, slots=True)
class NextHop:
    """Where originals go."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class NextHopPool:
    """Lends connections to the next hop and keeps them for reuse.

    `addresses` are asked in order; one that has just failed is asked last. `hostname` is what
    we call ourselves in EHLO.
    """

    def __init__(self, addresses: Sequence[NextHop], hostname: str, *, max_idle: int = 100) -> None:
        self._addresses = tuple(addresses)
        self._hostname = hostname
        self._max_idle = max_idle
        self._idle: list[HopConnection] = []
        self._open: set[HopConnection] = set()
        self._failed_at: dict[NextHop, float] = {}
        self._loop = asyncio.get_running_loop()
        self.learned: Extensions | None = None

    async def extensions(self) -> Extensions:
        """What the next hop offers, asked if unknown; raises NextHopUnavailable."""
        if self.learned is None:
            self.release(await self.acquire())
        assert self.learned is not None
        return self.learned

    async def acquire(self, *, fresh: bool = False, needs: Collection[str] = ()) -> HopConnection:
        """Lend a connection: an idle one that offers what `needs` names, unless `fresh`.

        A new one may offer less. Raises NextHopUnavailable.
        """
        self._drop_stale()
        while self._idle and not fresh:
            hop = self._idle.pop()
            if hop.usable and all(word in hop.extensions for word in needs):
                hop.reused = True
                return hop
            # One that offers less, kept, would be met by each message that follows.
            self.discard(hop, politely=True)
        reasons = []
        for address in sorted(self._addresses, key=self._recently_failed):
            try:
                hop = await self._connect(address)
            except NextHopUnavailable as unavailable:
                self._failed_at[address] = self._loop.time()
                reasons.append(f"{address}: {unavailable}")
                continue
            self._failed_at.pop(address, None)
            return hop
        raise NextHopUnavailable("; ".join(reasons))

    def release(self, hop: HopConnection) -> None:
        """Take a connection back between transactions."""
        if hop.usable and len(self._idle) < self._max_idle:
            hop.idle_since = self._loop.time()
            self._idle.append(hop)
        else:
            self.discard(hop, politely=True)

    def discard(self, hop: HopConnection, *, politely: bool = False) -> None:
        """Close a connection that was lent."""
        self._open.discard(hop)
        hop.close(politely=politely)

    def close(self) -> None:
        """Close all connections, lent ones too."""
        for hop in list(self._open):
            self.discard(hop, politely=hop in self._idle)
        self._idle.clear()

    def _recently_failed(self, address: NextHop) -> bool:
        return self._loop.time() - self._failed_at.get(address, -AVOID_TIME) < AVOID_TIME

    def _drop_stale(self) -> None:
        oldest = self._loop.time() - IDLE_TIMEOUT
        while self._idle and (self._idle[0].idle_since < oldest or not self._idle[0].usable):
            self.discard(self._idle.pop(0), politely=True)

    async def _connect(self, address: NextHop) -> HopConnection:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                _, hop = await self._loop.create_connection(
                    HopConnection, address.host, address.port
                )
        except TimeoutError:
            raise NextHopUnavailable(f"no connection in {CONNECT_TIMEOUT:.0f} s") from None
        except OSError as error:
            raise NextHopUnavailable(error.strerror or str(error)) from None
        self._open.add(hop)
        try:
            hello = await self._greet(hop)
        except BaseException:
            self.discard(hop, politely=True)
            raise
        hop.extensions = self.learned = Extensions.from_reply(hello)
        return hop

    async def _greet(self, hop: HopConnection) -> Reply:
        try:
            greeting = (await hop.replies(1, GREETING_TIMEOUT))[0]
            if greeting.code != 220:
                raise NextHopUnavailable(f"greeted with {greeting.text}")
            hello = (await hop.exchange([b"EHLO " + self._hostname.encode()], COMMAND_TIMEOUT))[0]
        except HopLost as lost:
            raise NextHopUnavailable(str(lost)) from None
        if not hello.positive:
            raise NextHopUnavailable(f"answered EHLO with {hello.text}")
        return hello
