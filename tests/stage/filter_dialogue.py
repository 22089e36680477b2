"""Runs the scripts in tests/dialogues: one line, one step, in order.

    c -> TEXT     the MTA sends TEXT and CRLF       c <- TEXT    it gets exactly this line
    n -> TEXT     the next hop sends TEXT and CRLF  n <- TEXT    it gets exactly this line
    n hello WORD ...   the next hop takes a connection and offers these extensions
    c close / n close  hang up           c closed / n closed   the other side has hung up
    c connect     one more connection, from now on the one meant
    copies NUMBER      that many copies are due, and none is held
    set NAME=VALUE     change a setting   spool full   the spool takes no more

In TEXT, a final ``*`` stands for any rest of the line, and escapes are those of Python's bytes;
``\\c`` at the end leaves the CRLF out.
"""

from __future__ import annotations

import ast
import asyncio
import dataclasses
from pathlib import Path

from tests.fakes.listening import listening
from tests.stage.content_filter import Bench, running_filter

STEP_TIMEOUT = 5.0


class Side:
    """One end of a connection that the script plays."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, text: str) -> None:
        end = b"\r\n"
        if text.endswith("\\c"):
            text, end = text[:-2], b""
        self.writer.write(unescaped(text) + end)
        await self.writer.drain()

    async def expect(self, text: str) -> None:
        line = await self.reader.readuntil(b"\r\n")
        if text.endswith("*"):
            assert line.startswith(unescaped(text[:-1])), f"{line!r} is not {text}"
        else:
            assert line == unescaped(text) + b"\r\n", f"{line!r} is not {text}"

    async def expect_closed(self) -> None:
        try:
            rest = await self.reader.read()
        except ConnectionResetError:
            return
        assert rest == b""

    async def close(self) -> None:
        self.writer.transport.abort()


def unescaped(text: str) -> bytes:
    quoted = text.replace('"', '\\"').replace("\r", "\\r").replace("\n", "\\n")
    value = ast.literal_eval(f'b"{quoted}"')
    assert isinstance(value, bytes)
    return value


class Play:
    """A run of one script."""

    def __init__(self, bench: Bench, accepted: asyncio.Queue[Side]) -> None:
        self._bench = bench
        self._accepted = accepted
        self._sides: dict[str, Side] = {}

    async def step(self, words: str) -> None:
        who, _, rest = words.partition(" ")
        action, _, text = rest.partition(" ")
        if who == "copies":
            await asyncio.sleep(0.02)
            facts = self._bench.spool.facts()
            assert (facts.queued, facts.held) == (int(rest), 0)
        elif who == "set":
            name, _, value = rest.partition("=")
            changed = {name: ast.literal_eval(value)}
            self._bench.settings = dataclasses.replace(self._bench.settings, **changed)
        elif who == "spool":
            self._bench.spool.set_limits(1, 1)
        elif action == "connect":
            self._sides["c"] = await connected(self._bench.filter.port)
        elif action == "hello":
            self._sides["n"] = await self._hello(text.split())
        else:
            await self._talk(self._sides[who], action, text)

    async def _talk(self, side: Side, action: str, text: str) -> None:
        if action == "->":
            await side.send(text)
        elif action == "<-":
            await side.expect(text)
        elif action == "closed":
            await side.expect_closed()
        elif action == "close":
            await side.close()
        else:
            raise ValueError(f"no such step: {action}")

    async def _hello(self, offers: list[str]) -> Side:
        side = await self._accepted.get()
        await side.send("220 next.example ESMTP")
        await side.expect("EHLO filter.example")
        for offer in ["next.example", *offers][:-1]:
            await side.send(f"250-{offer.replace('=', ' ')}")
        await side.send(f"250 {['next.example', *offers][-1].replace('=', ' ')}")
        return side


async def connected(port: int) -> Side:
    return Side(*await asyncio.open_connection("127.0.0.1", port, limit=2**24))


async def play(script: Path, folder: Path) -> None:
    """Run a script; an error names the line."""
    accepted: asyncio.Queue[Side] = asyncio.Queue()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accepted.put(Side(reader, writer))

    async with (
        listening(accept) as port,
        running_filter(folder, port, stop_timeout=0.1) as bench,
    ):
        run = Play(bench, accepted)
        for number, line in enumerate(script.read_text().splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            try:
                async with asyncio.timeout(STEP_TIMEOUT):
                    await run.step(line)
            except Exception as error:
                raise AssertionError(f"{script.name}:{number}: {line}: {error!r}") from error
