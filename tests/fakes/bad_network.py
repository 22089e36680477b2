"""A bad line in front of a server on loopback: little of it comes through, or none.

Loss is real: a filter in the kernel drops packets before TCP sees them, so that they are sent again
after TCP's own times. It stands at the server's end of the line; what goes lost there are segments
with content, and confirmations of ours. The rate is kept by a relay, in small pieces, both ways.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import socket
import struct
from asyncio.trsock import TransportSocket
from collections.abc import AsyncIterator, Callable, Iterator

PIECES = 0.02  # seconds between two pieces
SEGMENT = 1_400  # octets, as on an Ethernet: loopback's own are 64 KiB
_SO_ATTACH_FILTER = 26
_SO_MEMINFO, _DROPS = 55, 8  # what a socket holds (linux/sock_diag.h), and of it: packets dropped
# Classic BPF (linux/filter.h): A = random; A %= 100; A >= loss: keep; else drop.
_LOAD_RANDOM = (0x20, 0, 0, 0xFFFFF000 + 56)
_MODULO_100 = (0x94, 0, 0, 100)
_KEEP, _DROP = (0x06, 0, 0, 0xFFFFFFFF), (0x06, 0, 0, 0)


def lose(listener: socket.socket, percent: int) -> None:
    """Drop so many of the packets that come to a listener, and to what it accepts."""
    program = (_LOAD_RANDOM, _MODULO_100, (0x35, 0, 1, percent), _KEEP, _DROP)
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in program))
    wanted = struct.pack("HL", len(program), ctypes.addressof(code))
    listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, wanted)


class Line:
    """A line that begins at `port`; it counts the packets that were lost on it."""

    def __init__(self, listener: socket.socket) -> None:
        self.port = int(listener.getsockname()[1])
        self._lost: dict[socket.socket | TransportSocket, int] = {}
        self.look(listener)

    def look(self, end: socket.socket | TransportSocket) -> None:
        """Take what this socket has dropped by now, unless it is closed."""
        with contextlib.suppress(OSError):
            held = end.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 4 * (_DROPS + 1))
            self._lost[end] = memoryview(held).cast("I")[_DROPS]

    @property
    def lost(self) -> int:
        """Packets that were lost on connections, as of the last octets that came through."""
        return sum(self._lost.values())


@contextlib.asynccontextmanager
async def bad_line(port: int, *, loss: int = 0, rate: float = 1e9) -> AsyncIterator[Line]:
    """Yield a line whose connections go to `port`, at `rate` octets a second each way."""
    listener = socket.socket()
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
    listener.bind(("127.0.0.1", 0))
    if loss:
        lose(listener, loss)
    line = Line(listener)
    open_ends: list[asyncio.StreamWriter] = []

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_ends.append(writer)
        with contextlib.suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
            open_ends.append(far_writer)
            near = writer.get_extra_info("socket")
            await asyncio.gather(
                _pass(reader, far_writer, rate, lambda: line.look(near)),
                _pass(far_reader, writer, rate, lambda: line.look(near)),
            )

    server = await asyncio.start_server(relay, sock=listener, limit=4_096)
    try:
        yield line
    finally:
        server.close()
        for one in open_ends:
            one.transport.abort()


async def _pass(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    rate: float,
    passed: Callable[[], None],
) -> None:
    size = max(1, min(65_536, int(rate * PIECES)))
    try:
        while octets := await reader.read(size):
            passed()
            writer.write(octets)
            await writer.drain()
            if rate < 1e9:
                await asyncio.sleep(len(octets) / rate)
    except OSError:
        writer.transport.abort()
    else:
        writer.close()


@contextlib.contextmanager
def black_hole() -> Iterator[int]:
    """Yield a port whose packets vanish: a listener with a full queue drops what comes."""
    with contextlib.ExitStack() as held:
        full = held.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = int(full.getsockname()[1])
        for _ in range(3):
            other = held.enter_context(socket.socket())
            other.setblocking(False)
            other.connect_ex(("127.0.0.1", port))
        yield port


async def reset_after_the_banner(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Serve a connection: greet, then RST."""
    writer.write(b"220 mx.example ESMTP\r\n")
    await writer.drain()
    await reset_at_once(reader, writer)


async def reset_at_once(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve a connection: RST."""
    end = writer.get_extra_info("socket")
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
