"""What a client claims of itself and of its message: shown to nobody, and believed by nobody."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import pytest

from tests.fakes.smtp_faults import Faults
from tests.fakes.smtp_sink import SmtpSink
from tests.stage.content_filter import Bench, running_filter
from tests.stage.filter_dialogue import Side, connected

ENVELOPE = b"MAIL FROM:<a@b.example>%s\r\nRCPT TO:<bob@corp.example>\r\nDATA\r\n"
BODY = b"Subject: x\r\n\r\nhello\r\n"
MARK = b"zq7"  # stands in each name, and nowhere else

NAMES = {
    "4-kib": MARK + b"x" * (4_096 - len(b"EHLO " + MARK + b"\r\n")),
    "spaces": MARK + b" two  words   " + MARK,
    "leading-spaces": b"    " + MARK,
    "ansi": b"\x1b[2J\x1b[31m" + MARK + b"\x1b]0;owned\x07",
    "c1": b"\x9b31m" + MARK + "\u009b\u202e".encode(),
    "script": b"<script>alert('" + MARK + b"')</script>",
    "format": b"%s%n{0}" + MARK + b"$(id)`id`",
    "nul": MARK + b"\0" + MARK,
    "bare-cr": MARK + b"\rMAIL FROM:<x@y>",
    "not-utf-8": b"\xff\xfe" + MARK,
}


async def talk(bench: Bench, octets: bytes) -> list[bytes]:
    """Send all of it at once, and read to the end of the session."""
    mta = await connected(bench.filter.port)
    mta.writer.write(octets)
    async with asyncio.timeout(5):
        lines = (await mta.reader.read()).split(b"\r\n")
    await mta.close()
    return lines


def replies(lines: list[bytes]) -> list[bytes]:
    return [line[:3] for line in lines if line[3:4] == b" "]


@pytest.mark.proves("B31", "S10")
@pytest.mark.parametrize("verb", [b"EHLO ", b"HELO "])
@pytest.mark.parametrize("name", NAMES)
async def test_the_name_that_a_client_gives_itself_is_in_nothing_that_we_write(
    tmp_path: Path, name: str, verb: bytes
) -> None:
    """Not in a reply, the log, the spool, the copy, nor in what the next hop is sent."""
    async with SmtpSink() as hop, running_filter(tmp_path, hop.port) as bench:
        greeting = verb + NAMES[name] + b"\r\n"
        lines = await talk(bench, greeting + ENVELOPE % b"" + BODY + b".\r\nQUIT\r\n")
        assert replies(lines) == b"220 250 250 250 354 250 221".split()
        await bench.logged("queued for delivery")
        [message] = hop.messages
        [(_, _, copied)] = await bench.copies()
        assert message.content == copied == BODY
        assert (message.helo, message.mail_parameters) == ("filter.example", ())
        stored = [path for path in (tmp_path / "spool").rglob("*") if path.is_file()]
        written = [bench.log.getvalue().encode(), *lines, *(path.read_bytes() for path in stored)]
        assert len(stored) > 1
        assert not [each for each in written if MARK in each]
        assert "\x1b" not in bench.log.getvalue()


@pytest.mark.proves("B31")
@pytest.mark.parametrize(
    ("greeting", "codes"),
    [
        (b"EHLO " + MARK + b"x" * 4_096 + b"\r\n", b"500"),
        (b"EHLO " + MARK + b"x" * 100_000 + b"\r\n", b"500"),
        (b"EHLO \r\n", b"501"),
        (b"EHLO\r\n", b"501"),
        (b"EHLO " + MARK + b"\nRSET\r\n", b"500 250"),
        (b"EHLO " + MARK + b"\r\nRSET\r\n", b"250 250"),
    ],
    ids=["over-4-kib", "100-kb", "a-space", "nothing", "lf", "crlf"],
)
async def test_a_greeting_that_is_none_is_refused_and_nothing_of_it_said(
    tmp_path: Path, greeting: bytes, codes: bytes
) -> None:
    async with SmtpSink() as hop, running_filter(tmp_path, hop.port) as bench:
        lines = await talk(bench, greeting + b"QUIT\r\n")
        assert replies(lines) == [b"220", *codes.split(), b"221"]
        assert not [line for line in lines if MARK in line]
        assert MARK.decode() not in bench.log.getvalue()


SIZES = [
    b"SIZE=-1",
    b"SIZE=99999999999999999999",
    b"SIZE=5",
    b"SIZE=0",
    b"SIZE=",
    b"SIZE",
    b"SIZE=1e9",
    b"SIZE=0x10",
    b"SIZE=5 SIZE=7",
    b"size=\xd9\xa3",  # a digit, but not of ASCII
]


@pytest.mark.proves("B32")
@pytest.mark.parametrize("claim", SIZES)
async def test_a_size_that_is_claimed_is_the_next_hops_to_judge(
    tmp_path: Path, claim: bytes
) -> None:
    """It passes as it came; original and copy are as long as they are."""
    body = BODY + b"a line of the message\r\n" * 5_000
    async with SmtpSink() as hop, running_filter(tmp_path, hop.port) as bench:
        message = ENVELOPE % (b" " + claim) + body + b".\r\n"
        lines = await talk(bench, b"EHLO x\r\n" + message + b"QUIT\r\n")
        assert replies(lines) == b"220 250 250 250 354 250 221".split()
        [passed] = hop.messages
        claimed = " ".join(passed.mail_parameters).encode("utf-8", "surrogateescape")
        assert claimed == claim
        assert passed.content == body
        assert [copy for _, _, copy in await bench.copies()] == [body]


@pytest.mark.proves("B32")
async def test_a_size_that_the_next_hop_refuses_leaves_no_copy(tmp_path: Path) -> None:
    faults = Faults(replies={"mail": "552 5.3.4 Too big"})
    async with SmtpSink(faults=faults) as hop, running_filter(tmp_path, hop.port) as bench:
        huge = ENVELOPE % b" SIZE=99999999999999999999"
        lines = await talk(bench, b"EHLO x\r\n" + huge + b"QUIT\r\n")
        assert b"552 5.3.4 Too big" in lines
        assert b"354" not in replies(lines)
        assert (hop.messages, await bench.copies()) == ([], [])


@pytest.mark.proves("B32")
@pytest.mark.parametrize(
    ("claim", "length", "copies"),
    [(b"SIZE=1", 500, 1), (b"SIZE=1", 50_000, 0), (b"SIZE=99999", 500, 1), (b"SIZE=-1", 50_000, 0)],
)
async def test_what_is_too_large_to_be_copied_is_measured(
    tmp_path: Path, claim: bytes, length: int, copies: int
) -> None:
    async with SmtpSink() as hop, running_filter(tmp_path, hop.port) as bench:
        bench.settings = dataclasses.replace(bench.settings, max_message_size=10_000)
        body = b"y" * 70 + b"\r\n"
        message = ENVELOPE % (b" " + claim) + body * (length // len(body)) + b".\r\n"
        await talk(bench, b"EHLO x\r\n" + message + b"QUIT\r\n")
        assert len(hop.messages) == 1
        assert len(await bench.copies()) == copies
        await bench.logged("queued for delivery" if copies else "larger than max_message_size")


ENDS = [
    b"Subject: x\r\n\r\nno line end",
    b"no line end",
    b"Subject: x\r\n\r\nends in a dot.",
    b"Subject: x\r\n\r\nends in CR\r",
    b"Subject: x\r\n\r\nends in LF\n",
]


@pytest.mark.proves("B12")
@pytest.mark.parametrize("content", ENDS)
async def test_a_dot_behind_an_unfinished_line_ends_nothing(tmp_path: Path, content: bytes) -> None:
    """The message goes on, and what comes then is content: also what looks like commands."""
    async with SmtpSink() as hop, running_filter(tmp_path, hop.port) as bench:
        mta = await _within_data(bench)
        mta.writer.write(content + b".\r\n")
        await asyncio.sleep(0.1)
        assert (hop.messages, bench.spool.facts().held) == ([], 0)
        mta.writer.write(b"RSET\r\nQUIT\r\n.\r\n")
        await mta.expect("250 *")
        whole = content + b".\r\nRSET\r\nQUIT\r\n"
        assert [each.content for each in hop.messages] == [whole]
        assert [copy for _, _, copy in await bench.copies()] == [whole]
        await mta.close()


@pytest.mark.proves("B12")
@pytest.mark.parametrize("content", ENDS)
async def test_a_client_that_leaves_in_an_unfinished_line_has_sent_nothing(
    tmp_path: Path, content: bytes
) -> None:
    async with SmtpSink() as hop, running_filter(tmp_path, hop.port) as bench:
        mta = await _within_data(bench)
        mta.writer.write(content + b".")
        mta.writer.write_eof()
        async with asyncio.timeout(5):
            assert await mta.reader.read() == b""
        assert hop.messages == []
        assert (bench.spool.facts().held, await bench.copies()) == (0, [])


async def _within_data(bench: Bench) -> Side:
    mta = await connected(bench.filter.port)
    mta.writer.write(b"EHLO x\r\n" + ENVELOPE % b"")
    while not (await mta.reader.readline()).startswith(b"354"):
        pass
    return mta
