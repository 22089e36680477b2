"""An SMTP receiver that never quite stops: at one stage it drips, a byte at a time.

A peer that is silent is found out by any timeout. One that sends a byte, or takes one, before each
timeout is over is found out only by a bound that it can't renew.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass, field

DRIP = 0.05  # seconds between two bytes
OFFERS = b"250-slow.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 STARTTLS\r\n"


@dataclass
class SlowIntake:
    """`at` is the stage where it drips; EHLO is the first one, EHLO2 the one inside TLS.

    At "content" it reads `gulp` octets each DRIP seconds, at "unread" nothing. `pace` is how long
    each of its other replies takes.
    """

    at: str
    tls: ssl.SSLContext | None = None
    pace: float = 0.0
    gulp: int = 2_000
    pipelining: bool = False
    connections: int = 0
    taken: int = 0
    goodbyes: int = 0
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
                await self._converse(reader, writer)
        finally:
            self.ended.set()
            writer.transport.abort()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._answer(writer, "banner", b"220 slow.example\r\n")
        hellos = 0
        while line := await reader.readline():
            verb = line[:4].upper()
            if verb in (b"EHLO", b"HELO"):
                hellos += 1
                offers = OFFERS if self.pipelining else OFFERS.replace(b"PIPELINING", b"X-SLOW")
                await self._answer(writer, f"EHLO{hellos}".removesuffix("1"), offers)
            elif verb == b"STAR":
                await self._answer(writer, "STARTTLS", b"220 go\r\n")
                if self.at == "TLS":
                    await reader.read(65_536)  # the client's part of the handshake
                    await _drip(writer, b"\x16\x03\x03\x40\x00" + bytes(400))
                assert self.tls is not None
                await writer.start_tls(self.tls)
            elif verb == b"DATA":
                await self._answer(writer, "DATA", b"354 go\r\n")
                await self._content(reader)
                await self._answer(writer, "dot", b"250 taken\r\n")
                self.taken += 1
            elif verb == b"QUIT":
                self.goodbyes += 1
                await self._answer(writer, "QUIT", b"221 bye\r\n")
            else:
                await self._answer(writer, verb.decode("ascii", "replace"), b"250 ok\r\n")

    async def _content(self, reader: asyncio.StreamReader) -> None:
        if self.at == "unread":
            await asyncio.sleep(60)
        while self.at == "content" and await reader.read(self.gulp):
            await asyncio.sleep(DRIP)
        end = b""
        while end != b"\r\n.\r\n":
            octets = await reader.read(65_536)
            if not octets:
                raise ConnectionResetError
            end = (end + octets)[-5:]

    async def _answer(self, writer: asyncio.StreamWriter, stage: str, reply: bytes) -> None:
        if stage == self.at:
            # Lawful to its end: the reply goes on and on, and no line of it is too long.
            await _drip(writer, reply[:3] + b"-" + b"x" * 400)
        await asyncio.sleep(self.pace)
        if writer.transport.is_closing():
            raise ConnectionResetError
        writer.write(reply)
        await writer.drain()


async def _drip(writer: asyncio.StreamWriter, octets: bytes) -> None:
    for octet in octets:
        if writer.transport.is_closing():
            break
        writer.write(bytes([octet]))
        await asyncio.sleep(DRIP)
    raise ConnectionResetError
