"""Where a login in a browser comes back to: others who come there change nothing."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import pytest
from tdc.manager.cli import loopback
from tdc.manager.cli.loopback import CameBack, Loopback, listening


async def sent(to: Loopback, raw: bytes) -> str:
    """What is answered to these bytes."""
    port = urlsplit(to.uri).port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(raw)
    async with asyncio.timeout(10):
        answer = (await reader.read()).decode()
    writer.close()
    return answer


def get(target: str, method: str = "GET") -> bytes:
    return f"{method} {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (get("/"), "404"),
        (get("/callback?code=c&state=right", "POST"), "404"),
        (get("/callback"), "400"),
        (get("/callback?code=c"), "400"),
        (get("/callback?code=c&state=wrong"), "400"),
        (get("/callback?code=c&state="), "400"),
        (get("/callback?state=right"), "400"),
        (get("/callback?code=c&code=d&state=right"), "400"),
        (get("/callback?code=c&state=wrong&state=right"), "400"),
        (get("/callback?code=c&state=%e2%98%83"), "400"),
        (get("/callback?" + "&".join(f"a{n}=1" for n in range(99))), ""),
        (b"\xff\xfe\r\n\r\n", "404"),
        (b"GET /callback?" + b"x" * 40_000 + b"\r\n\r\n", ""),
    ],
    ids=lambda value: value[:40] if isinstance(value, bytes) else value,
)
async def test_only_the_answer_with_the_state_ends_the_wait(raw: bytes, status: str) -> None:
    async with listening() as there:
        waiting = asyncio.ensure_future(there.answer("right"))
        await asyncio.sleep(0)
        assert (await _status(there, raw)) == status
        assert not waiting.done()
        good = get("/callback?code=c&state=right&iss=https%3A%2F%2Flogin.example")
        assert await _status(there, good) == "200"
        assert await waiting == CameBack("c", "right", "https://login.example")


async def _status(there: Loopback, raw: bytes) -> str:
    try:
        return (await sent(there, raw))[9:12]
    except ConnectionError:
        return ""


async def test_what_is_sent_is_not_repeated_on_the_page() -> None:
    async with listening() as there:
        waiting = asyncio.ensure_future(there.answer("right"))
        await asyncio.sleep(0)
        page = await sent(
            there, get("/callback?error=<script>&error_description=%1b[31mno&state=right")
        )
        assert "script" not in page
        assert (await waiting).error == "<script> [31mno"


async def test_who_says_nothing_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loopback, "PATIENCE", 0.1)
    async with listening() as there:
        assert await sent(there, b"") == ""
