"""The console's listener: uvicorn in the manager's own loop, within bounds.

In: an application, a context for TLS. Out: HTTPS at one port. Promise: signals stay the manager's;
a port that can't be had is named; who opens connections and sends nothing, or slowly, loses them;
`stop` ends what is open within its grace.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import weakref
from collections.abc import Iterator
from typing import Any, ClassVar

import h11
from starlette.types import ASGIApp
from tdc.manager.web.live import Streams
from tdc.shared.edge import descriptors
from tdc.shared.edge.os_words import os_reason
from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

HANDSHAKE = 10.0
"""Seconds for TLS."""
HEAD_TIME = 10.0
"""Seconds in which the head of a request must have come, from the connection's start on."""
IDLE = 30
"""Seconds without a request after which a connection ends."""
HEAD_LIMIT = 32 * 1024
"""Most bytes of a request's line and headers."""
GRACE = 2
"""Seconds that open requests have at the end."""
OF_ALL = 0.1
"""The console's part of the descriptors that the process may have."""
MOST, LEAST = 1_000, 40
"""Connections at most, and what the part of them is not below."""
MOST_OF_ONE = 100
"""Connections from one address: an office behind one has more than a browser's six."""


class ConsolePortTaken(Exception):
    """The console's port can't be opened."""


def bound(host: str, port: int, last: int = 0) -> socket.socket:
    """Take the port; a wanted port 0 is the `last` one if it is free, else any.

    Raises ConsolePortTaken.
    """
    if port == 0 and last:
        with contextlib.suppress(ConsolePortTaken):
            return bound(host, last)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)[0][4]
        # By its protocol asyncio knows it for TCP, and sends small answers without delay.
        made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:
        raise _taken(host, port, error) from None
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(found)
        made.listen(128)
        made.setblocking(False)  # its only argument
    except OSError as error:
        made.close()
        raise _taken(host, port, error) from None
    return made


def _taken(host: str, port: int, error: OSError) -> ConsolePortTaken:
    return ConsolePortTaken(
        f"can't listen on {host}:{port} for the console: {os_reason(error)}; free it, or change "
        "console_host or console_port"
    )


class _Within(H11Protocol):
    """A connection that must ask something in time, and of which there are so many."""

    open: ClassVar[weakref.WeakSet[_Within]] = weakref.WeakSet()
    most = LEAST

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._late: asyncio.TimerHandle | None = None
        self._before: object = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]  # as asyncio calls it
        mine = sum(_host(each) == _host(self) for each in _Within.open)
        if len(self.connections) > self.most or mine > MOST_OF_ONE:
            self.transport.abort()
            return
        self._in_time(HEAD_TIME)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not self._before:  # a request has begun
            self._before = self.cycle
            self._in_time(None)

    def on_response_complete(self) -> None:
        self._in_time(IDLE + HEAD_TIME)
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._in_time(None)
        super().connection_lost(exc)

    def _in_time(self, seconds: float | None) -> None:
        if self._late is not None:
            self._late.cancel()
        self._late = None if seconds is None else self.loop.call_later(seconds, self._cut)

    def _cut(self) -> None:
        if self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
            self.transport.abort()


def _host(connection: _Within) -> str:
    return connection.client[0] if connection.client else ""


class _Server(Server):
    """uvicorn's server without its signals and its exits."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        config = self.config

        def connection() -> asyncio.Protocol:
            if len(_Within.open) >= 2 * _Within.most:  # in their handshake, most of them
                raise ConnectionRefusedError
            made = _Within(config=config, server_state=self.server_state, app_state={})
            _Within.open.add(made)
            return made

        loop = asyncio.get_running_loop()
        self.servers = [
            await loop.create_server(
                connection,
                sock=each,
                ssl=config.ssl,
                backlog=128,
                ssl_handshake_timeout=HANDSHAKE,
                ssl_shutdown_timeout=GRACE,
            )
            for each in sockets or ()
        ]
        self.started = True


class Console:
    """One listener; `run` once."""

    def __init__(self, app: ASGIApp, streams: Streams, context: ssl.SSLContext) -> None:
        _Within.most = max(LEAST, min(MOST, int(descriptors.limit() * OF_ALL)))
        self._streams = streams
        self._ended = asyncio.Event()
        self._server = _Server(
            Config(
                app,
                http="h11",
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                log_level="error",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=IDLE,
                timeout_graceful_shutdown=GRACE,
                h11_max_incomplete_event_size=HEAD_LIMIT,
                ssl_context_factory=lambda _config, _default: context,
            )
        )

    async def run(self, listener: socket.socket) -> None:
        """Serve at a bound socket, which it closes, until cancelled or until `stop`."""
        try:
            await self._server.serve([listener])
        finally:
            self._ended.set()

    async def stop(self) -> None:
        """End the streams, take no new connections, and wait for open requests, GRACE at most."""
        self._streams.stop()
        self._server.should_exit = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE + 1):
                await self._ended.wait()
