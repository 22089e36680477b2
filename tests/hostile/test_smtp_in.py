"""What an MTA, or who plays one, may send: the original leaves as it came, and so does its copy."""

from __future__ import annotations

import asyncio
import base64
import io
import re
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from tests.fakes.journal_reader import read_report
from tests.fakes.smtp_sink import SmtpSink
from tests.stage.content_filter import running_filter
from tests.stage.filter_dialogue import Side, connected
from tests.stage.fleet import Gateway, RunningFleet
from tests.system.conftest import copying

__all__ = ["copying"]  # a fixture

HELLO = b"EHLO x\r\n"
MAIL = b"MAIL FROM:<a@b.example>\r\n"
RCPT = b"RCPT TO:<bob@corp.example>\r\n"
BODY = b"Subject: x\r\n\r\nx\r\n.\r\n"
QUIT = b"QUIT\r\n"
SENT = RCPT + b"DATA\r\n" + BODY

# Input behind EHLO -> codes of the replies, messages passed on. "closed" is the end without QUIT.
DIALOGUES: dict[str, tuple[bytes, str, int]] = {
    "bare-cr-in-a-command": (b"RSET\rMAIL FROM:<x@y>\r\n" + QUIT, "500 221", 0),
    "bare-cr-in-mail": (b"MAIL FROM:<x@y>\rDATA\r\n" + QUIT, "501 221", 0),
    "lf-only-commands": (b"MAIL FROM:<a@b>\nRSET\nQUIT\n" + QUIT, "500 500 500 221", 0),
    "nul-in-an-address": (MAIL + b"RCPT TO:<a\0b@c>\r\n" + QUIT, "250 501 221", 0),
    "command-of-513": (b"NOOP " + b"x" * 508 + b"\r\n" + QUIT, "250 221", 0),
    "command-of-12-k": (b"NOOP " + b"x" * 12_000 + b"\r\n" + QUIT, "500 221", 0),
    "telnet": (b"\xff\xf4\xff\xfd\x06NOOP\r\n" + QUIT, "500 221", 0),
    "http": (b"GET / HTTP/1.1\r\n" + MAIL + SENT, "502 closed", 0),
    "tls-hello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n" + MAIL + SENT, "502 closed", 0),
    "mail-twice": (MAIL + MAIL + SENT + QUIT, "250 503 250 354 250 221", 1),
    "data-before-mail": (b"DATA\r\n" + QUIT, "503 221", 0),
    "data-before-rcpt": (MAIL + b"DATA\r\n" + QUIT, "250 503 221", 0),
    "starttls-and-more": (b"STARTTLS\r\n" + MAIL + SENT + QUIT, "502 250 250 354 250 221", 1),
    "starttls-twice": (b"STARTTLS x\r\nSTARTTLS\r\n" + QUIT, "502 502 221", 0),
    "size-below-zero": (b"MAIL FROM:<a@b> SIZE=-1\r\n" + SENT + QUIT, "250 250 354 250 221", 1),
    "size-of-20-digits": (b"MAIL FROM:<a@b> SIZE=" + b"9" * 20 + b"\r\n" + QUIT, "250 221", 0),
    "odd-parameters": (b"MAIL FROM:<a@b> BODY=FOO X= = =\r\n" + SENT, "250 250 354 250", 1),
    "bdat": (MAIL + RCPT + b"BDAT 99999999999\r\n" + MAIL + SENT, "250 250 502 closed", 0),
    "bdat-of-nothing": (MAIL + RCPT + b"BDAT 0 LAST\r\n" + MAIL, "250 250 502 closed", 0),
    # EHLO is one of the hundred commands without a message.
    "200-noops": (b"NOOP\r\n" * 200, "250 " * 99 + "421 closed", 0),
    "200-resets": (b"RSET\r\n" * 200, "250 " * 99 + "421 closed", 0),
    "200-vrfys": (b"VRFY x\r\n" * 200, "252 " * 99 + "421 closed", 0),
    "50-unknown": (b"FOO\r\n" * 50, "500 " * 20 + "421 closed", 0),
    "xclient": (b"XCLIENT ADDR=192.0.2.1\r\n" + QUIT, "502 221", 0),
    "xforward-nonsense": (b"XFORWARD FOO=1\r\nXFORWARD\r\nXFORWARD ADDR=\r\n", "501 501 501", 0),
    "auth": (b"AUTH PLAIN !!!\r\nAUTH\r\n" + QUIT, "502 502 221", 0),
    "vrfy-amid-a-transaction": (
        MAIL + RCPT + "VRFY <jürgen@x>\r\n".encode() + b"DATA\r\n" + BODY + QUIT,
        "250 250 252 354 250 221",
        1,
    ),
    "null-sender": (b"MAIL FROM:<>\r\n" + SENT + QUIT, "250 250 354 250 221", 1),
    "crlf-in-a-quoted-address": (b'MAIL FROM:<"a\r\nRSET"@x>\r\n' + QUIT, "501 500 221", 0),
    "reset-forgets": (
        MAIL + RCPT + b"RSET\r\nDATA\r\n" + MAIL + SENT + QUIT,
        "250 250 250 503 250 250 354 250 221",
        1,
    ),
    "two-in-one-flight": (
        MAIL + SENT + MAIL + SENT + QUIT,
        "250 250 354 250 250 250 354 250 221",
        2,
    ),
    "1001-recipients": (
        MAIL + RCPT * 1_001 + b"DATA\r\n" + BODY + QUIT,
        "250 " + "250 " * 1_000 + "452 354 250 221",
        1,
    ),
    "data-with-an-argument": (MAIL + RCPT + b"DATA x\r\n" + QUIT, "250 250 501 221", 0),
    "no-brackets": (b"MAIL FROM:a@b\r\nMAIL FROM:<a@b>x\r\n" + QUIT, "501 501 221", 0),
}


@pytest.mark.parametrize("name", DIALOGUES)
@pytest.mark.proves(
    "B16",
    "B19",
    "B20",
    "B21",
    "B22",
    "B23",
    "B25",
    "B26",
    "B27",
    "B29",
    "B30",
    "B33",
    "B34",
    "B37",
    "B39",
    "B40",
    "B41",
    "B42",
    "B44",
)
async def test_an_odd_dialogue_gets_its_replies_in_order(tmp_path: Path, name: str) -> None:
    given, codes, messages = DIALOGUES[name]
    async with SmtpSink() as hop, running_filter(tmp_path, hop.port) as bench:
        mta = await connected(bench.filter.port)
        assert await _codes(mta.reader, 1) == ["220"]
        mta.writer.write(HELLO)
        assert await _codes(mta.reader, 1) == ["250"]
        mta.writer.write(given)
        expected = codes.split()
        assert await _codes(mta.reader, len(expected)) == expected
        assert len(hop.messages) == len(await bench.copies()) == messages
        await mta.close()


async def _codes(reader: asyncio.StreamReader, count: int) -> list[str]:
    found: list[str] = []
    async with asyncio.timeout(5):
        while len(found) < count:
            line = await reader.readline()
            if not line:
                return [*found, "closed"]
            if line[3:4] != b"-":
                found.append(line[:3].decode())
    return found


@pytest.mark.proves("B38")
async def test_a_connection_cut_anywhere_leaves_nothing_behind(tmp_path: Path) -> None:
    session = HELLO + MAIL + SENT
    async with SmtpSink() as hop, running_filter(tmp_path, hop.port) as bench:
        for cut in range(len(session)):
            mta = await connected(bench.filter.port)
            mta.writer.write(session[:cut])
            await asyncio.sleep(0)
            mta.writer.close()
        mta = await connected(bench.filter.port)
        mta.writer.write(session + QUIT)
        await asyncio.wait_for(mta.reader.read(), 5)
        assert len(hop.messages) == len(await bench.copies()) == 1
        assert bench.spool.facts().held == 0


# Content, through a real agent

SMUGGLED = b"MAIL FROM:<evil@x>\r\nRCPT TO:<bob@corp.example>\r\nDATA\r\nSubject: evil\r\n"
NO_ENDS = (
    b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\n.\r", b"\r\n.\r\r\n",
    b"\r\r\n.\r\r\n", b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\r\n.\r", b"\r\n. \r\n",
)  # fmt: skip
_LINE = b"Subject: line\r\n\r\n"
_ATTACHED = b"Content-Type: x/y; name=%s\r\nContent-Transfer-Encoding: base64\r\n\r\n%s"


def zip_bomb() -> bytes:
    """20 kB that are 20 MB when somebody opens them."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(20_000_000))
    return made.getvalue()


def tar_of_commands() -> bytes:
    """An archive whose names do something in a shell, or outside of a folder."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name in ("`touch owned`", "$(touch owned)", "../../../../tmp/owned", "/tmp/owned"):
            archive.addfile(tarfile.TarInfo(name))
    return made.getvalue()


BODIES: tuple[bytes, ...] = (
    *(b"Subject: s\r\n\r\nfirst" + end + SMUGGLED for end in NO_ENDS),
    b"Sub\0ject: s\r\nX\xff: \xfe\r\n\r\na\0b\xff bare\rcr bare\nlf\r\n",
    b"Subject: \xe9\r\n\r\n" + bytes(range(128, 256)) + b"\r\n",
    *(_LINE + b"x" * length + b"\r\n" for length in (998, 999, 1_000, 1_001, 65_536, 10_485_760)),
    b"",
    b"..\r\n..a\r\n.b\r\n",
    b"\r\nonly a body\r\n",
    b"Subject: only a header\r\n",
    b"Subject: telnet\r\n\r\n\xff\xf4\xff\xfd\x06\r\n",
    b"X: y\r\n" * 100_000 + b"\r\nx\r\n",
    b"Subject: " + b"y" * 1_000_000 + b"\r\nno colon\r\n\r\nx\r\n",
    b"Subject: fold\r\n" + b" b\r\n" * 10_000 + b"\r\nx\r\n",
    b"Message-ID: <a\rb>\r\nMessage-ID: <" + b"z" * 2_048 + b">\r\nFrom: a\r\nFrom: b\r\n\r\nx\r\n",
    b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (i, i)
             for i in range(1_000)),
    b"Subject: " + b" ".join([b"=?utf-8?B?w6k=?="] * 20_000) + b"\r\n\r\nmany words\r\n",
    b"Subject: =?nope?Q?=E9?= =?utf-8?B?!!!?= \x1b[31m<script>\r\n\r\nx\r\n",
    b"Received: x\r\n" * 101 + b"\r\nhops\r\n",
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 100_000,
    *(b"Content-Type: multipart/mixed%s\r\n\r\n--%s\r\n\r\nx\r\n--%s--\r\n" % (given, used, used)
      for given, used in ((b"", b"b"), (b"; boundary=", b""), (b'; boundary=""', b""),
                          (b"; boundary==_tdc_", b"=_tdc_"), (b"; boundary=b", b"bb"))),
    *(_ATTACHED % (name, base64.encodebytes(archive).replace(b"\n", b"\r\n"))
      for name, archive in ((b"bomb.zip", zip_bomb()), (b"`id`.tar", tar_of_commands()))),
    b"From a@b.example Mon Nov 23 09:15:02 2026\r\nSubject: mailbox\r\n\r\nx\r\n",
)  # fmt: skip
ADDRESSES = (
    b"|id", b"`id`", b"$(id)", b"../../etc/passwd", b"-oX", b'"a b@c > \\" "', b"a" * 65,
    b"a" * 1_500, "\u202egro".encode(), b"\xe4\xff", b"xn--zz--",
)  # fmt: skip
DOMAINS = (
    b"[192.0.2.7]", b"[IPv6:::1]", b"[IPv6:2001:db8::1]", b"[x", b"[]", b"192.0.2.7", b"x" * 256,
    "b\xfccher.example".encode(), "\u202egro.example".encode(), b"xn--zz--.example",
)  # fmt: skip
PATHS = (
    *(local + b"@corp.example" for local in ADDRESSES), *(b"bob@" + domain for domain in DOMAINS),
    b"Postmaster",
)  # fmt: skip
LACKING: tuple[tuple[str, ...], ...] = (
    (), ("BINARYMIME",), ("CHUNKING", "BINARYMIME"), ("8BITMIME", "CHUNKING", "BINARYMIME"),
)  # fmt: skip


@pytest.mark.system
@pytest.mark.proves(
    "B1",
    "B2",
    "B3",
    "B4",
    "B5",
    "B6",
    "B7",
    "B8",
    "B9",
    "B11",
    "B13",
    "B14",
    "B15",
    "B16",
    "B17",
    "B18",
    "B44",
    "B45",
    "B46",
    "B47",
    "B48",
    "B49",
    "B51",
    "B52",
    "B53",
    "B54",
    "B55",
    "S20",
)
async def test_every_content_arrives_exactly_at_next_hop_and_intake(copying: RunningFleet) -> None:
    """Whatever the intake offers, a report holds the original byte for byte."""
    gateway = await copying.add_gateway("mx1", group="Main_Group")
    await copying.tdc("settings", "set", "cluster", "demo", "incoming_domains=", "--yes")
    await copying.in_sync()
    hop, intake = gateway.next_hop, copying.intake
    assert hop is not None
    keywords = intake.keywords
    for lacking in LACKING:
        intake.keywords = tuple(word for word in keywords if word not in lacking)
        intake.drop_connections()
        hop.messages.clear()
        intake.messages.clear()
        before = intake.counts.messages
        for body in BODIES:
            assert await _send(gateway, body) == b"250"
        for path in PATHS:
            named = b"Subject: to " + path.hex().encode() + b"\r\n\r\nx\r\n"
            assert await _send(gateway, named, path) == b"250"
            assert await _send(gateway, named, path, b" SMTPUTF8 BODY=8BITMIME") == b"250"
        sent = [message.content for message in hop.messages]
        assert sent[: len(BODIES)] == list(BODIES)
        assert len(sent) == len(BODIES) + 2 * len(PATHS)
        for message, path in zip(hop.messages[len(BODIES) :: 2], PATHS, strict=True):
            assert message.recipients == (path.decode("utf-8", "surrogateescape"),)
        await intake.wait_for(before + len(sent), timeout=20)
        reports = [message.content for message in intake.messages]
        assert sorted(read_report(report).original for report in reports) == sorted(sent)
        told = Counter(
            re.sub("\ufffd+", "?", read_report(report).recipients[0]) for report in reports
        )
        for path in PATHS:
            shown = re.sub("\ufffd+", "?", path.decode("utf-8", "replace"))
            assert told[shown if "@" in shown else shown + "@mx1.corp.example"] == 2
        if "BINARYMIME" in lacking:
            assert all(_fit_for_data(report) for report in reports)
        if "8BITMIME" in lacking:
            assert all(report.isascii() for report in reports)
    log = gateway.agent.log.read_text(errors="replace")
    assert "Traceback" not in log
    assert "Internal Error" not in log
    assert "\x1b" not in log


def _fit_for_data(report: bytes) -> bool:
    """RFC 5321 2.3.8 and 4.5.3.1.6, said in another way than the product does."""
    lines = report.split(b"\r\n")
    return all(len(line) <= 998 and not {0, 10, 13} & set(line) for line in lines)


async def _send(
    gateway: Gateway, body: bytes, path: bytes = b"bob@corp.example", parameters: bytes = b""
) -> bytes:
    """Send content as it is, but for the dots of DATA; return the code of the last reply."""
    content = (b"\r\n" + body).replace(b"\r\n.", b"\r\n..")[2:]
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    recipient = b"RCPT TO:<%s>\r\n" % path
    mail = MAIL.rstrip() + parameters + b"\r\n"
    writer.write(HELLO + mail + recipient + b"DATA\r\n" + content + b".\r\n" + QUIT)
    async with asyncio.timeout(20):
        lines = (await reader.read()).splitlines()
    writer.close()
    assert [line[:3] for line in lines[-2:]][1] == b"221"
    return lines[-2][:3]


@pytest.mark.system
@pytest.mark.proves("P12", "B35", "B36")
async def test_idle_and_slow_connections_and_large_messages_are_bounded(
    copying: RunningFleet,
) -> None:
    """500 idle ones, 90 that trickle, 50 MB: honest mail goes through, memory stays bounded."""
    gateway = await copying.add_gateway("mx1", group="Main_Group")
    await copying.in_sync()
    base = _memory(gateway, "VmRSS")
    idle = [await connected(gateway.port) for _ in range(500)]
    greetings = [(await one.reader.readline())[:3] for one in idle]
    assert greetings.count(b"220") >= 100  # the agent's bound; some that came at once are told so
    assert greetings.count(b"220") + greetings.count(b"421") == 500
    await asyncio.sleep(0.3)
    await _honest_mail(gateway, 5)
    slow = [await _admitted(gateway) for _ in range(90)]
    for one in slow:
        one.writer.write(HELLO + MAIL + RCPT + b"DATA\r\n")
    for number in range(15):
        for one in slow:
            if not one.writer.transport.is_closing():
                one.writer.write(b"x")
        await _honest_mail(gateway, 1, number)
    for one in idle:
        await one.close()
    assert _memory(gateway, "VmHWM") < base + 30
    large = b"Subject: large\r\n\r\n" + (b"y" * 998 + b"\r\n") * 50_000
    await copying.intake.wait_for(20)
    assert await _send(gateway, large) == b"250"
    await copying.intake.wait_for(21, timeout=20)
    assert read_report(copying.intake.messages[-1].content).original == large
    assert _memory(gateway, "VmHWM") < base + 3 * 50
    for one in slow:
        await one.close()
    assert "Traceback" not in gateway.agent.log.read_text()


async def _honest_mail(gateway: Gateway, count: int, first: int = 100) -> None:
    for number in range(first, first + count):
        began = asyncio.get_running_loop().time()
        assert await _send(gateway, b"Subject: %d\r\n\r\nhonest\r\n" % number) == b"250"
        assert asyncio.get_running_loop().time() - began < 1


async def _admitted(gateway: Gateway) -> Side:
    """Connect, once the agent has noticed that enough of those before have gone."""
    async with asyncio.timeout(5):
        while True:
            side = await connected(gateway.port)
            if (await side.reader.readline()).startswith(b"220"):
                return side
            await side.close()


def _memory(gateway: Gateway, row: str) -> int:
    """Return a size of the agent's process in MB."""
    status = Path(f"/proc/{gateway.agent.pid}/status").read_text()
    return next(int(line.split()[1]) // 1024 for line in status.splitlines() if row in line)
