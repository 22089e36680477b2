"""A small SMTP sender that keeps every byte: no line ending or dot of the content is touched.

(The standard library's sender stuffs dots after bare line feeds too, and rewrites line ends.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from tests.demo.messages import Message


class SendRefused(Exception):
    """The gateway refused a message; the text is its reply."""


async def send_all(
    host: str, port: int, messages: Iterable[Message], *, timeout: float = 60
) -> int:
    """Send messages over one connection, one after the other; return how many were accepted."""
    async with asyncio.timeout(timeout):
        reader, writer = await asyncio.open_connection(host, port, limit=2**20)
        try:
            await _expect(reader, 220)
            await _command(reader, writer, "EHLO client.partner.example", 250)
            count = 0
            for message in messages:
                await _send(reader, writer, message)
                count += 1
            await _command(reader, writer, "QUIT", 221)
            return count
        finally:
            writer.close()


async def _send(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, message: Message
) -> None:
    parameters = "".join(f" {parameter}" for parameter in message.parameters)
    await _command(reader, writer, f"MAIL FROM:<{message.sender}>{parameters}", 250)
    for recipient in message.recipients:
        await _command(reader, writer, f"RCPT TO:<{recipient}>", 250)
    await _command(reader, writer, "DATA", 354)
    writer.write(stuffed(message.content))
    await writer.drain()
    await _expect(reader, 250)


def stuffed(content: bytes) -> bytes:
    """Return content as DATA carries it (RFC 5321 4.5.2), the final dot included."""
    body = content.replace(b"\r\n.", b"\r\n..")
    if body.startswith(b"."):
        body = b"." + body
    return body + (b".\r\n" if body.endswith(b"\r\n") or not body else b"\r\n.\r\n")


async def _command(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: str, code: int
) -> None:
    writer.write(line.encode() + b"\r\n")
    await writer.drain()
    await _expect(reader, code)


async def _expect(reader: asyncio.StreamReader, code: int) -> None:
    while True:
        line = await reader.readline()
        if line[3:4] != b"-":
            break
    if not line.startswith(str(code).encode()):
        raise SendRefused(line.decode(errors="replace").strip() or "connection closed")
