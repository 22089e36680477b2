"""An intake that is lawful in SMTP, and at one stage not in TLS: it sends records made by hand."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.fakes.tls_records import TlsRecords, accepted

Mischief = Callable[[TlsRecords], Awaitable[bool]]
"""What it does in place of a reply; True: and the reply follows."""

OFFERS = b"250-odd.example\r\n250-8BITMIME\r\n250 STARTTLS\r\n"


@dataclass
class OddTlsIntake:
    """`at` is the stage of the mischief: EHLO (the one inside TLS), MAIL, RCPT, DATA, dot, QUIT.

    It happens `times` times; later connections are served as they should be.
    """

    certificate: tuple[Path, Path]
    at: str
    mischief: Mischief
    times: int = 10**9
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    contents: list[bytes] = field(default_factory=list)
    connections: list[TlsRecords] = field(default_factory=list)
    failed_handshakes: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, EOFError):
            writer.write(b"220 odd.example\r\n")
            while line := await reader.readline():
                if line[:4].upper() == b"STAR":
                    writer.write(b"220 go\r\n")
                    break
                writer.write(OFFERS)
            try:
                tls = await accepted(reader, writer, self.certificate, self.version)
            except (ssl.SSLError, ConnectionError):
                self.failed_handshakes += 1
                return
            self.connections.append(tls)
            await self._converse(tls)
        writer.close()

    async def _converse(self, tls: TlsRecords) -> None:
        while line := await tls.until(b"\r\n"):
            verb = line[:4].decode().upper()
            if verb == "DATA":
                if not await self._answer(tls, verb, b"354 go\r\n"):
                    return
                content = await tls.until(b"\r\n.\r\n")
                if not content:
                    return
                self.contents.append(content)
                verb = "dot"
            if not await self._answer(tls, verb, OFFERS if verb == "EHLO" else b"250 ok\r\n"):
                return

    async def _answer(self, tls: TlsRecords, stage: str, reply: bytes) -> bool:
        if stage == self.at and self.times > 0:
            self.times -= 1
            if not await self.mischief(tls):
                return False
        tls.write(reply)
        return True
