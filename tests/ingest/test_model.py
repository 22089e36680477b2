"""Random sessions against a small model, whatever is pipelined and however the bytes are cut."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.listening import listening
from tests.stage.content_filter import running_filter
from tests.stage.filter_dialogue import connected

BODY = b"Subject: x\r\n\r\n..dot\r\n.\r.\n\r\n.\r\n"
COMMANDS = (
    b"EHLO x", b"MAIL FROM:<ok@a>", b"MAIL FROM:<full@a>",
    b"RCPT TO:<ok@b>", b"RCPT TO:<bad@b>", b"RCPT TO:broken", b"DATA", b"RSET", b"NOOP", b"FOO",
    b"",
)  # fmt: skip


def next_hops_code(line: bytes) -> int:
    return 550 if b"<bad@" in line else 354 if line == b"DATA" else 250


@dataclass
class Model:
    """What the MTA must read, and which originals the next hop must have accepted."""

    codes: list[int] = field(default_factory=lambda: [220])
    passed: list[tuple[str, ...]] = field(default_factory=list)
    hello: bool = False
    mail: bytes = b""
    recipients: int = 0

    def command(self, line: bytes) -> None:
        """Follow one command; DATA brings its body along."""
        code = next_hops_code(line)
        match line[:4], bool(self.mail):
            case (b"EHLO" | b"RSET", _):
                self.hello |= line[:4] == b"EHLO"
                self.mail, self.recipients = b"", 0
            case (b"MAIL", amid):
                code = 503 if amid or not self.hello else code
                self.mail = line if code == 250 else self.mail
            case (b"RCPT" | b"DATA", False):
                code = 503
            case (b"RCPT", True):
                code = 501 if line.endswith(b"broken") else code
                self.recipients += code == 250
            case (b"DATA", True) if not self.recipients:
                code = 554
            case (b"DATA", True):
                self.codes.append(354)
                code = 452 if b"<full@" in self.mail else 250
                self.passed += [("ok@b",) * self.recipients] * (code == 250)
                self.mail, self.recipients = b"", 0
            case (b"FOO" | b"", _):
                code = 500
        self.codes.append(code)


class NextHop:
    """Refuses commands that name <bad@...>, the message of <full@a>, and DATA for nobody."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hop\r\n")
        mail, recipients = b"", 0
        while line := (await reader.readline()).strip():
            code = next_hops_code(line)
            if line[:4] == b"MAIL":
                mail, recipients = line, 0
            elif line[:4] == b"RCPT":
                recipients += code == 250
            elif line == b"DATA" and not recipients:
                code = 554
            elif line[:4] == b"EHLO":
                writer.write(b"250-hop\r\n250 PIPELINING\r\n")
                continue
            writer.write(b"%d hop\r\n" % code)
            if code == 354:
                self.bodies.append(await reader.readuntil(b"\r\n.\r\n"))
                writer.write(b"452 full\r\n" if b"<full@" in mail else b"250 kept\r\n")


async def answers(port: int, session: bytes, cuts: Sequence[int]) -> list[int]:
    mta = await connected(port)
    for start, end in zip([0, *cuts], [*cuts, len(session)], strict=True):
        mta.writer.write(session[start:end])
        await asyncio.sleep(0.001)
    lines = (await asyncio.wait_for(mta.reader.read(), 5)).splitlines()
    await mta.close()
    return [int(line[:3]) for line in lines if line[3:4] == b" "]


async def played(commands: Sequence[bytes], cuts: Sequence[float], folder: Path) -> None:
    model, hop = Model(), NextHop()
    session = b""
    for line in commands:
        model.command(line)
        session += line + b"\r\n" + (BODY if model.codes[-2:-1] == [354] else b"")
    session += b"QUIT\r\n"
    places = sorted(int(cut * len(session)) for cut in cuts)
    async with listening(hop.serve) as port, running_filter(folder, port) as bench:
        assert await answers(bench.filter.port, session, places) == [*model.codes, 221]
        assert [recipients for _, recipients, _ in await bench.copies()] == model.passed
        assert bench.spool.facts().held == 0
        assert bench.counters.originals_passed == len(model.passed)
        assert set(hop.bodies) <= {BODY}


@given(
    st.lists(st.sampled_from(COMMANDS), max_size=18),
    st.lists(st.floats(0, 1, exclude_max=True), max_size=8),
)
def test_replies_and_copies_are_those_of_the_model(
    commands: list[bytes], cuts: list[float]
) -> None:
    with TemporaryDirectory() as folder:
        asyncio.run(played([b"EHLO x", *commands], cuts, Path(folder)))
