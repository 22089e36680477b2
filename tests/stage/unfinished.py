"""A peer that begins messages on many streams, sends all it is let send, and finishes none."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import struct
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from tdc.shared.edge import grpc_tls

from tests.stage.http2 import (
    DATA,
    END_HEADERS,
    HEADERS,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    call_headers,
    frame,
)

ACK = 1
INITIAL_WINDOW_SIZE = 4
FRAME = 16_384
"""Bytes of the longest frame that every peer takes (RFC 9113 4.2)."""


def memory_of(pid: int) -> int:
    """Bytes that a process has in memory."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) * 1024


@dataclass
class Unfinished:
    """Where to, with which certificate, and the call and the message that never is whole."""

    port: int
    ca_pem: bytes
    certificate: tuple[bytes, bytes] | None
    path: str
    size: int
    sent: int = 0

    @contextlib.asynccontextmanager
    async def running(self, connections: int, streams: int) -> AsyncIterator[None]:
        """Flood while the body runs; a connection that is ended is not opened again."""
        context = self._context()
        tasks = [asyncio.create_task(self._flood(context, streams)) for _ in range(connections)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=self.ca_pem.decode())
        context.set_alpn_protocols(["h2"])
        if self.certificate is not None:
            with tempfile.NamedTemporaryFile() as file:
                file.write(b"".join(self.certificate))
                file.flush()
                context.load_cert_chain(file.name)
        return context

    async def _flood(self, context: ssl.SSLContext, streams: int) -> None:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=context, server_hostname=grpc_tls.SERVER_NAME
        )
        windows = _Windows()
        try:
            writer.write(PREFACE + frame(SETTINGS))
            headers = call_headers(self.path)
            for number in range(1, 2 * streams, 2):
                windows.opened(number)
                writer.write(frame(HEADERS, number, headers, END_HEADERS))
                self._send(writer, windows, number, b"\0" + struct.pack(">I", self.size))
            while True:
                kind, flags, number, payload = await _next_frame(reader)
                if kind == PING and not flags & ACK:
                    writer.write(frame(PING, 0, payload, ACK))
                if kind == SETTINGS and not flags & ACK:
                    writer.write(frame(SETTINGS, 0, b"", ACK))
                windows.heard(kind, flags, number, payload)
                for each in list(windows.of):
                    while room := min(windows.room(each), FRAME):
                        self._send(writer, windows, each, bytes(room))
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            writer.transport.abort()

    def _send(
        self, writer: asyncio.StreamWriter, windows: _Windows, number: int, content: bytes
    ) -> None:
        left = self.size + 5 - 1 - windows.sent[number]  # all but the last byte
        content = content[: min(left, windows.room(number))]
        windows.take(number, len(content))
        self.sent += len(content)
        writer.write(frame(DATA, number, content))
        if len(content) == left:
            windows.closed(number)


@dataclass
class _Windows:
    """What the other end lets us send, for each stream and in all (RFC 9113 5.2)."""

    in_all: int = 65_535
    initial: int = 65_535
    of: dict[int, int] = field(default_factory=dict)
    sent: dict[int, int] = field(default_factory=dict)

    def opened(self, number: int) -> None:
        self.of[number], self.sent[number] = self.initial, 0

    def closed(self, number: int) -> None:
        self.of.pop(number, None)

    def room(self, number: int) -> int:
        return max(min(self.in_all, self.of.get(number, 0)), 0)

    def take(self, number: int, size: int) -> None:
        self.in_all -= size
        self.of[number] -= size
        self.sent[number] += size

    def heard(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if kind == RST_STREAM:
            self.closed(number)
        if kind == WINDOW_UPDATE and number == 0:
            self.in_all += int.from_bytes(payload)
        if kind == WINDOW_UPDATE and number in self.of:
            self.of[number] += int.from_bytes(payload)
        if kind == SETTINGS and not flags & ACK:
            for name, value in struct.iter_unpack(">HI", payload):
                if name == INITIAL_WINDOW_SIZE:
                    self.of = {each: left + value - self.initial for each, left in self.of.items()}
                    self.initial = value


async def _next_frame(reader: asyncio.StreamReader) -> tuple[int, int, int, bytes]:
    head = await reader.readexactly(9)
    payload = await reader.readexactly(int.from_bytes(head[:3]))
    return head[3], head[4], int.from_bytes(head[5:]) & 0x7FFFFFFF, payload
