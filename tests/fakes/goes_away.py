"""A server of HTTP/2 that sends each client away (GOAWAY), as one that stops or is crowded does."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import struct
import time
from enum import Enum

NO_ERROR, ENHANCE_YOUR_CALM = 0, 11
_HEADERS, _SETTINGS, _GOAWAY = 1, 4, 7
_PREFACE = len(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
_PATIENCE = 2.0  # seconds that a client has to leave


class Moment(Enum):
    """When a client is sent away."""

    AS_IT_COMES = "as it comes"
    ONCE_IT_CALLS = "once it calls"


def _frame(kind: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, 0, 0) + payload


async def _call(reader: asyncio.StreamReader) -> None:
    """Read until a client's first call."""
    await reader.readexactly(_PREFACE)
    kind = 0
    while kind != _HEADERS:
        head = await reader.readexactly(9)
        kind = head[3]
        await reader.readexactly(int.from_bytes(head[:3], "big"))


class GoesAway:
    """Greets each client and sends it away, none of its calls being taken; notes when they came."""

    def __init__(
        self, when: Moment, *, error: int = NO_ERROR, tls: ssl.SSLContext | None = None
    ) -> None:
        self._when = when
        self._goodbye = _frame(_GOAWAY, struct.pack(">II", 0, error))
        self._tls = tls
        self.came: list[float] = []

    async def __aenter__(self) -> GoesAway:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0, ssl=self._tls)
        host, port = self._server.sockets[0].getsockname()
        self.address = f"{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.came.append(time.monotonic())
        with contextlib.suppress(OSError, EOFError):
            writer.write(_frame(_SETTINGS))
            if self._when is Moment.ONCE_IT_CALLS:
                await _call(reader)
            writer.write(self._goodbye)
            await writer.drain()
            async with asyncio.timeout(_PATIENCE):
                while await reader.read(65_536):
                    pass
        writer.close()
