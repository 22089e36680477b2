"""Next hops that do as a test says, a content filter before them, and an MTA that sends to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tdc.node_agent.ingest.pool import NextHop
from tdc.node_agent.ingest.timeouts import HopTimeouts

from tests.fakes.listening import listening
from tests.stage.content_filter import Bench, running_filter
from tests.stage.filter_dialogue import connected
from tests.surroundings import in_time

SILENCE = 0.4
TIMEOUTS = HopTimeouts(command=10 * SILENCE, data=9 * SILENCE, opening_hurried=SILENCE, avoid=20.0)
BODY = b"Subject: x\r\n\r\nx\r\n.\r\n"


@dataclass
class Hop:
    """A next hop: mute or closed or slow at a stage (MAIL, DOT, ... ), else it takes everything.

    `replies`: start of a command -> the reply to it.
    """

    mute: str = ""
    closes: str = ""
    slow: dict[str, float] = field(default_factory=dict)
    replies: dict[str, str] = field(default_factory=dict)
    pipelining: bool = True
    offers: str = "XFORWARD NAME"
    connections: int = 0
    taken: list[list[str]] = field(default_factory=list)  # what it accepted of each message
    given: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self.mute == "banner":
            self.given.append("banner")
            await reader.read()
        writer.write(b"220 hop\r\n")
        commands: list[str] = []
        while line := (await reader.readline()).decode().strip():
            verb = line[:4]
            self.given.append(line)
            if verb == self.mute:
                await reader.read()
                break
            if verb == self.closes:
                break
            await asyncio.sleep(self.slow.get(verb, 0))
            told = next((self.replies[one] for one in self.replies if line.startswith(one)), "")
            if verb == "EHLO":
                word = "PIPELINING" if self.pipelining else "X-SLOW"
                writer.write(f"250-hop\r\n250-{word}\r\n250 {self.offers}\r\n".encode())
            elif verb == "RSET":
                commands = []
                writer.write(b"250 reset\r\n")
            elif verb == "DATA" and not told and "RCPT" not in {each[:4] for each in commands}:
                writer.write(b"503 no recipient\r\n")
            elif verb == "DATA" and not told:
                writer.write(b"354 go\r\n")
                if not await self._message(reader, writer, commands):
                    break
                commands = []
            else:
                if not told and (verb != "RCPT" or any("MAIL" in each[:4] for each in commands)):
                    commands.append(line)
                writer.write((told or "250 ok").encode() + b"\r\n")
                if told.startswith("421"):
                    break
        writer.close()

    async def _message(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, commands: list[str]
    ) -> bool:
        """Answer a message; False if it is to get no answer."""
        await reader.readuntil(b"\r\n.\r\n")
        self.given.append("DOT")
        if self.mute == "DOT":
            await reader.read()
        if "DOT" in (self.mute, self.closes):
            return False
        await asyncio.sleep(self.slow.get("DOT", 0))
        if "DOT" not in self.replies:
            self.taken.append(commands)
        writer.write(self.replies.get("DOT", "250 taken").encode() + b"\r\n")
        return True

    @property
    def recipients(self) -> list[str]:
        return [line[9:-1] for line in self.taken[-1] if line.startswith("RCPT")]


@asynccontextmanager
async def before(
    folder: Path,
    *hops: Hop | int,
    timeouts: HopTimeouts = TIMEOUTS,
    **options: object,
) -> AsyncIterator[Bench]:
    """A content filter before these next hops, in order; a number is a port."""
    async with AsyncExitStack() as stack:
        ports = [
            one if isinstance(one, int) else await stack.enter_async_context(listening(one.serve))
            for one in hops
        ]
        addresses = tuple(NextHop("127.0.0.1", port) for port in ports)
        yield await stack.enter_async_context(
            running_filter(
                folder,
                0,
                next_hops=addresses,
                hop_timeouts=timeouts,
                **options,
            )
        )


@dataclass(frozen=True)
class Sent:
    """The reply to each command and to the message, and how long all took."""

    codes: list[int]
    seconds: float

    @property
    def taken(self) -> bool:
        return self.codes[-1] == 250

    @property
    def soon(self) -> bool:
        return self.taken and in_time(self.seconds, SILENCE)


async def send(
    bench: Bench, *recipients: str, pipelined: bool = True, mail: str = "", rcpt: str = ""
) -> Sent:
    """A message, as an MTA that leaves at the first 421 or refusal of DATA.

    `mail` and `rcpt` are parameters of these commands.
    """
    loop = asyncio.get_running_loop()
    lines = [f"RCPT TO:<{one}>{rcpt}" for one in recipients or ("a@d.example",)]
    commands = ["EHLO mta", "XFORWARD NAME=x", f"MAIL FROM:<s@d.example>{mail}", *lines, "DATA"]
    mta = await connected(bench.filter.port)
    began, codes = loop.time(), []

    async def answer() -> int:
        line = await mta.reader.readline()
        while line[3:4] == b"-":
            line = await mta.reader.readline()
        codes.append(int(line[:3]))
        return codes[-1]

    async with asyncio.timeout(20):
        await answer()
        for command in commands:
            mta.writer.write(f"{command}\r\n".encode())
            if (not pipelined or command[:4] in ("EHLO", "XFOR")) and await answer() == 421:
                break
        while pipelined and len(codes) < 1 + len(commands) and codes[-1] != 421:
            await answer()
        if codes[-1] == 354:
            mta.writer.write(BODY)
            await answer()
    await mta.close()
    return Sent(codes, loop.time() - began)
