"""Ports of loopback: a free one, and a scripted peer's that goes away at once."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

_GIVEN_OUT = Path("/proc/sys/net/ipv4/ip_local_port_range")

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def listening(
    serve: Serve, port: int = 0, *, limit: int = 2**25, narrow: bool = False
) -> AsyncIterator[int]:
    """Yield the loopback port on which `serve` gets each connection, read `limit` bytes ahead.

    `narrow`: the kernel keeps little of what is not read, at either end, where else it keeps MBs.

    asyncio.Server waits for open connections at its end from Python 3.12 on; here they are cut.
    """
    writers: list[asyncio.StreamWriter] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await serve(reader, writer)

    listener = socket.socket()
    if narrow:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    listener.bind(("127.0.0.1", port))
    server = await asyncio.start_server(accept, sock=listener, limit=limit)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()


def free_port() -> int:
    """Return a loopback port that is free, for a program that is to come back where it was.

    It is not one of those that the system gives to connections and to port 0: another test's
    would get it while the program is away.
    """
    given_from = max(20_000, int(_GIVEN_OUT.read_text().split()[0]))
    while True:
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", random.randrange(10_100, given_from)))
            return int(probe.getsockname()[1])
