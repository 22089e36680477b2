"""Where a login in a browser comes back to: one answer on this machine's loopback (RFC 8252 7.3).

In: the `state` of the login. Out: what the provider sent. Promise: only an answer with that state
ends the wait; all else, which any program of this machine can send, is answered with an error and
changes nothing; each connection is bounded in time and bytes, and there are few at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

PATH = "/callback"
LONGEST_HEAD = 16 * 1024
"""Bytes of a request's head: a code may be long."""
PATIENCE = 10.0
"""Seconds that a connection has to send its request."""
MOST = 16
"""Connections at a time."""


@dataclass(frozen=True, slots=True)
class CameBack:
    """What the provider sent; `error` is its reason if it refused."""

    code: str
    state: str
    issuer: str
    error: str = ""


class Loopback:
    """Listens for one answer; made by `listening`."""

    def __init__(self) -> None:
        self._state = ""
        self._came: asyncio.Future[CameBack] = asyncio.get_running_loop().create_future()
        self._open = 0
        self.uri = ""

    async def answer(self, state: str) -> CameBack:
        """What came back of the login of this state; waits as long as its caller lets it."""
        self._state = state
        return await self._came

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        self._open += 1
        try:
            if self._open <= MOST:
                async with asyncio.timeout(PATIENCE):
                    head = await reader.readuntil(b"\r\n\r\n")
                    status, words = self._heard(head.split(b"\r\n", 1)[0])
                    writer.write(_page(status, words))
                    await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # not from our provider: the login goes on
        finally:
            self._open -= 1
            writer.close()

    def _heard(self, line: bytes) -> tuple[str, str]:
        """Take a request's first line; the status and the words to answer it with."""
        method, _, rest = line.decode("latin-1").partition(" ")
        target = urlsplit(rest.partition(" ")[0])
        if method != "GET" or target.path != PATH:
            return "404 Not Found", "There is nothing here."
        pairs = parse_qsl(target.query, keep_blank_values=True, max_num_fields=32)
        given = dict(pairs)
        state = given.get("state", "").encode()
        if not self._state or not hmac.compare_digest(state, self._state.encode()):
            return "400 Bad Request", "This is not an answer to the login that tdc waits for."
        if len(given) != len(pairs) or not (given.get("code") or given.get("error")):
            return "400 Bad Request", "This is not an answer that a provider sends."
        said = f"{given.get('error', '')} {given.get('error_description', '')}".strip()
        if not self._came.done():
            came = CameBack(
                given.get("code", ""), given["state"], given.get("iss", ""), _plain(said)
            )
            self._came.set_result(came)
        return "200 OK", "tdc has the answer. You can close this page and go back to the terminal."


@contextlib.asynccontextmanager
async def listening() -> AsyncIterator[Loopback]:
    """Listen while the body runs, at a port that the system chooses; raises OSError."""
    loopback = Loopback()
    server = await asyncio.start_server(loopback.connected, "127.0.0.1", 0, limit=LONGEST_HEAD)
    try:
        port = server.sockets[0].getsockname()[1]
        loopback.uri = f"http://127.0.0.1:{port}{PATH}"
        yield loopback
    finally:
        server.close()  # and no waiting for who holds a connection open


def _plain(text: str) -> str:
    return "".join(each for each in text[:200] if each.isprintable())


def _page(status: str, words: str) -> bytes:
    """An answer to a browser; it repeats nothing that the request had."""
    body = f"<!doctype html><meta charset=utf-8><title>tdc</title><p>{words}</p>\n".encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\nCache-Control: no-store\r\n"
        "Referrer-Policy: no-referrer\r\nContent-Security-Policy: default-src 'none'\r\n\r\n"
    )
    return head.encode() + body
