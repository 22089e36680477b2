"""The front door of the SMTP content filter: listens, counts sessions, stops cleanly."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from tdc.node_agent.counters import Counters
from tdc.node_agent.ingest.options import FilterOptions
from tdc.node_agent.ingest.pool import NextHopPool
from tdc.node_agent.ingest.session import FilterSession
from tdc.node_agent.ingest.take import Taker
from tdc.node_agent.log.lines import TdcLog

BACKLOG = 1024
RECEIVE_BUFFER = 256 * 1024
ABORT_TIMEOUT = 5.0  # seconds a session is given to end once its connections are closed


class FilterUnavailable(Exception):
    """The address to listen on can't be had; the text says why and what to do."""


class SmtpFilter:
    """``async with SmtpFilter(...) as filter:`` serves until the block is left.

    Raises FilterUnavailable on entry. On leaving: no new connection, 421 to idle sessions,
    `stop_timeout` for transactions under way, then their connections are closed, so that the MTA
    keeps what was not finished.
    """

    def __init__(
        self, options: FilterOptions, taker: Taker, counters: Counters, log: TdcLog
    ) -> None:
        self._options = options
        self._taker = taker
        self._counters = counters
        self._log = log
        self._sessions: set[FilterSession] = set()
        self._server: asyncio.Server | None = None
        self._pool: NextHopPool | None = None

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def connections(self) -> int:
        """The number of connections from the MTA."""
        return len(self._sessions)

    async def __aenter__(self) -> Self:
        options = self._options
        self._pool = pool = NextHopPool(
            options.next_hops, options.hostname, max_idle=options.max_connections
        )

        buffer = memoryview(bytearray(RECEIVE_BUFFER))

        def new_session() -> FilterSession:
            return FilterSession(
                options, pool, self._taker, self._counters, self._log, self._sessions, buffer
            )

        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                new_session, options.host, options.port, backlog=BACKLOG
            )
        except OSError as error:
            raise FilterUnavailable(
                f"can't listen on {options.host}:{options.port} for the content filter:"
                f" {error.strerror or error}; choose another address or end what holds it"
            ) from error
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        assert self._pool is not None
        self._server.close()
        for _ in range(3):  # connections just accepted become sessions
            await asyncio.sleep(0)
        tasks = {session.task() for session in self._sessions}
        for session in list(self._sessions):
            session.stop()
        try:
            if tasks:
                _, tasks = await asyncio.wait(tasks, timeout=self._options.stop_timeout)
            if tasks:
                self._log.warning(f"{len(tasks)} sessions were ended in the middle of a message")
        finally:
            for session in list(self._sessions):
                session.abort()
            self._pool.close()
            if tasks:
                _, tasks = await asyncio.wait(tasks, timeout=ABORT_TIMEOUT)
            for task in tasks:
                task.cancel()
