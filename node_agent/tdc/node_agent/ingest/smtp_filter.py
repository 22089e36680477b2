"""The front door of the SMTP content filter: listens, counts sessions, stops cleanly."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from tdc.node_agent.counters import Counters
from tdc.node_agent.ingest.options import FilterOptions
from tdc.node_agent.ingest.pool import NextHopPool
from tdc.node_agent.ingest.session import FilterSession
from tdc.node_agent.ingest.take import Taker
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.smtp.connection import ServerConnection
from tdc.node_agent.smtp.listener import Listener


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
        self._pool: NextHopPool | None = None
        self._listener = Listener(self._session)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._listener.port

    @property
    def connections(self) -> int:
        """The number of connections from the MTA."""
        return self._listener.connections

    async def __aenter__(self) -> Self:
        options = self._options
        self._pool = NextHopPool(
            options.next_hops, options.hostname, max_idle=options.max_connections
        )
        try:
            await self._listener.start(options.host, options.port)
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
        assert self._pool is not None
        try:
            aborted = await self._listener.stop(self._options.stop_timeout)
        finally:
            self._pool.close()
        if aborted:
            self._log.warning(f"{aborted} sessions were ended in the middle of a message")

    def _session(self, connection: ServerConnection) -> FilterSession:
        assert self._pool is not None
        return FilterSession(
            connection,
            self._options,
            self._pool,
            self._taker,
            self._counters,
            self._log,
            lambda: self.connections,
        )
