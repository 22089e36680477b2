"""HTTP/2 frames that no library sends: the peer is refused or cut off, the others are served."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tdc.manager.rpc.server import STREAMS
from tdc.shared.edge import grpc_tls
from tdc.shared.edge.clock import monotonic
from tdc.v1 import operators_pb2

from tests.stage.http2 import (
    CANCEL,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    call_headers,
    frame,
    text,
)
from tests.stage.manager import Api
from tests.surroundings import in_time

SOON = 2.0


@dataclass
class RawPeer:
    """A TLS connection on which anything can be sent; counts what comes back."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    frames: Counter[int] = field(default_factory=Counter)
    resets: Counter[int] = field(default_factory=Counter)
    answers: list[bytes] = field(default_factory=list)
    ended: bool = False
    """Whether the manager has ended the connection."""

    async def send(self, *frames: bytes) -> None:
        """Send, as far as the manager reads."""
        with contextlib.suppress(OSError):
            self.writer.write(b"".join(frames))
            await self.writer.drain()

    async def flood(self, frames: Iterator[bytes]) -> None:
        """Send them all in blocks, until the manager ends the connection."""
        for block in iter(lambda: b"".join(next(frames, b"") for _ in range(500)), b""):
            await self.send(block)
            if self.writer.is_closing():
                return

    async def read(self) -> None:
        """Read until the end."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await self.reader.readexactly(9)
                payload = await self.reader.readexactly(int.from_bytes(head[:3]))
                self.frames[head[3]] += 1
                if head[3] == RST_STREAM:
                    self.resets[int.from_bytes(payload)] += 1
                if head[3] == HEADERS:
                    self.answers.append(payload)
        self.ended = True


@contextlib.asynccontextmanager
async def raw_peer(api: Api, certificate: Path) -> AsyncIterator[RawPeer]:
    context = ssl.create_default_context(cadata=api.authority.ca_pem.decode())
    context.load_cert_chain(certificate / "operator.pem", certificate / "operator.key")
    context.set_alpn_protocols(["h2"])
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", api.ports.main, ssl=context, server_hostname=grpc_tls.SERVER_NAME
    )
    peer = RawPeer(reader, writer)
    reading = asyncio.create_task(peer.read())
    try:
        await peer.send(PREFACE, frame(SETTINGS))
        yield peer
    finally:
        writer.transport.abort()
        await reading


async def _served(api: Api) -> None:
    """An honest operator, on a connection of his own, gets his answer soon."""
    began = monotonic()
    await api.fleet.ListClusters(operators_pb2.ListClustersRequest(), timeout=10)
    assert in_time(monotonic() - began, SOON)


async def _flooded(
    api: Api, tmp_path: Path, frames: Iterator[bytes], holds: Callable[[RawPeer], bool]
) -> None:
    """Send the frames while an honest operator calls; wait for what the manager does about it."""
    async with raw_peer(api, tmp_path / "manager/operator") as peer, asyncio.timeout(20):
        flood = asyncio.create_task(peer.flood(frames))
        for _ in range(3):
            await _served(api)
        await flood
        await _served(api)
        while not holds(peer):
            await asyncio.sleep(0.02)


@pytest.mark.proves("B85")
async def test_of_10_000_streams_those_over_the_limit_are_refused(api: Api, tmp_path: Path) -> None:
    headers = call_headers()
    frames = (frame(HEADERS, 2 * n + 1, headers, END_HEADERS) for n in range(10_000))
    refused = 10_000 - STREAMS
    await _flooded(api, tmp_path, frames, lambda peer: peer.resets.total() == refused)


@pytest.mark.proves("B85")
async def test_streams_that_are_reset_as_soon_as_they_are_opened_keep_nobody_out(
    api: Api, tmp_path: Path
) -> None:
    """CVE-2023-44487: each is closed at once, so the limit on open streams never holds it."""
    headers, reset = call_headers(), struct.pack(">I", CANCEL)
    frames = (
        frame(HEADERS, 2 * n + 1, headers, END_HEADERS | END_STREAM)
        + frame(RST_STREAM, 2 * n + 1, reset)
        for n in range(10_000)
    )
    await _flooded(api, tmp_path, frames, lambda peer: True)


@pytest.mark.proves("B85")
async def test_a_flood_of_pings_is_cut_off(api: Api, tmp_path: Path) -> None:
    frames = (frame(PING, payload=struct.pack(">Q", n)) for n in range(10_000))
    await _flooded(api, tmp_path, frames, lambda peer: peer.ended)


@pytest.mark.proves("B85")
async def test_a_flood_of_settings_and_of_empty_frames_keeps_nobody_out(
    api: Api, tmp_path: Path
) -> None:
    opening = frame(HEADERS, 1, call_headers(), END_HEADERS)
    frames = (frame(SETTINGS) + (frame(DATA, 1) if n else opening) for n in range(10_000))
    await _flooded(api, tmp_path, frames, lambda peer: True)


@pytest.mark.proves("B85")
async def test_a_header_of_1_mib_is_refused(api: Api, tmp_path: Path) -> None:
    """In many frames, of which none is too long for gRPC."""
    fields = [b"\x00" + text(f"x-{n}") + b"\x7e" + b"x" * 126 for n in range(8_192)]
    blocks = [b"".join(fields[at : at + 50]) for at in range(0, len(fields), 50)]
    frames = [frame(HEADERS, 1, call_headers())]
    frames += [frame(CONTINUATION, 1, block) for block in blocks]
    frames += [frame(CONTINUATION, 1, b"", END_HEADERS), frame(DATA, 1, bytes(5), END_STREAM)]
    assert sum(map(len, frames)) > 1024**2
    await _flooded(api, tmp_path, iter(frames), lambda peer: any(map(_is_exhausted, peer.answers)))


def _is_exhausted(headers: bytes) -> bool:
    """Whether an answer is RESOURCE_EXHAUSTED; gRPC does not compress it."""
    return b"\x0bgrpc-status\x018" in headers
