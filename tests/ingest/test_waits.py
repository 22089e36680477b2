"""Every wait of the content filter ends, for the MTA and for the next hop: each bound by itself.

The tables name the field that is to end the wait; all others are a minute. So a bound that is
dropped, or that a byte renews, fails its row by name.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from tdc.node_agent.ingest.options import FilterOptions
from tdc.node_agent.ingest.pool import NextHop
from tdc.node_agent.ingest.timeouts import HopTimeouts
from tdc.node_agent.smtp.server_options import ServerOptions

from tests.fakes.listening import free_port, listening
from tests.fakes.slow_intake import SlowIntake
from tests.fakes.smtp_sink import SmtpSink
from tests.stage.content_filter import Bench, running_filter
from tests.stage.filter_dialogue import Side, connected

pytestmark = pytest.mark.slow


MINUTE = 60.0
SHORT = 0.4
SOON = 4.0
HELLO = b"EHLO mta.example\r\n"
BEGUN = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n"
SMALL = b"Subject: x\r\n\r\nx\r\n.\r\n"
LARGE = b"Subject: x\r\n\r\n" + (b"y" * 78 + b"\r\n") * 300_000 + b".\r\n"


# --- the MTA ------------------------------------------------------------------------------

# field of ServerOptions -> what the MTA sends first, and what it then sends a byte at a time
CLIENTS = [
    ("command_timeout", b"", b""),
    ("command_timeout", b"", b"EHLO " + b"x" * 400),
    ("command_timeout", HELLO, b"MAIL FROM:<" + b"x" * 400),
    ("command_timeout", HELLO + b"MAIL FROM:<a@b.example>\r\n", b"RCPT TO:<" + b"x" * 400),
    ("block_timeout", HELLO + BEGUN, b""),
    ("minimum_rate", HELLO + BEGUN, b"x" * 400),
    ("message_timeout", HELLO + BEGUN, b"x" * 400),
    ("message_timeout", b"", b"NOOP\r\n" * 70),
    ("message_timeout", HELLO, b"MAIL FROM:<a@b.example>\r\nRSET\r\n" * 10),
    ("message_timeout", HELLO, b"EHLO x\r\nXFORWARD NAME=x\r\n" * 12),
]
NO_WAIT = {"hostname", "max_recipients"}


def client_limits(bound: str) -> dict[str, float]:
    """Bounds of a minute, but for this one. A rate needs a block timeout that bytes renew."""
    limits = {"command_timeout": MINUTE, "block_timeout": MINUTE, "message_timeout": MINUTE}
    if bound == "minimum_rate":
        return {**limits, "block_timeout": SHORT, "minimum_rate": 1e6}
    return {**limits, "minimum_rate": 1e-6, bound: SHORT}


@pytest.mark.proves("B35", "P12")
@pytest.mark.parametrize(("bound", "first", "drip"), CLIENTS)
async def test_a_client_that_drips_is_ended(
    tmp_path: Path, bound: str, first: bytes, drip: bytes
) -> None:
    """By a 421: an MTA that was only slow keeps the message and comes again."""
    async with (
        SmtpSink() as hop,
        running_filter(tmp_path, hop.port, **client_limits(bound)) as bench,
    ):
        mta = await connected(bench.filter.port)
        mta.writer.write(first)
        async with asyncio.timeout(SOON):
            answer = asyncio.ensure_future(_last_line(mta))
            for octet in drip:
                if answer.done():
                    break
                mta.writer.write(bytes([octet]))
                await asyncio.sleep(0.05)
            assert (await answer).startswith(b"421 4.4.2")
        assert bench.filter.connections == 0


async def _last_line(mta: Side) -> bytes:
    last = b""
    with contextlib.suppress(ConnectionResetError):  # of a byte that came after the end
        while line := await mta.reader.readline():
            last = line
    return last


@pytest.mark.proves("B35")
async def test_a_body_that_keeps_the_rate_is_not_ended(tmp_path: Path) -> None:
    limits = {"block_timeout": SHORT, "minimum_rate": 500.0}
    async with SmtpSink() as hop, running_filter(tmp_path, hop.port, **limits) as bench:
        mta = await connected(bench.filter.port)
        mta.writer.write(HELLO + BEGUN)
        for _ in range(10):
            await asyncio.sleep(0.1)
            mta.writer.write(b"x" * 98 + b"\r\n")
        mta.writer.write(b".\r\nQUIT\r\n")
        assert (await _last_line(mta)).startswith(b"221")
        assert len(hop.messages) == 1


def test_every_bound_on_the_client_is_tried() -> None:
    """A new field of ServerOptions needs a row."""
    fields = {field.name for field in dataclasses.fields(ServerOptions)}
    assert fields == {bound for bound, _, _ in CLIENTS} | NO_WAIT


# --- the next hop -------------------------------------------------------------------------

# field of HopTimeouts -> where the next hop drips, and what the MTA gets
HOPS = [
    ("greeting", "banner", b"421 4.4.1"),
    ("command", "EHLO", b"421 4.4.1"),
    ("opening", "banner", b"421 4.4.1"),
    ("opening", "EHLO", b"421 4.4.1"),
    ("command", "MAIL", b"451 4.4.2"),
    ("command", "RCPT", b"451 4.4.2"),
    ("data", "DATA", b"451 4.4.2"),
    ("envelope", "MAIL", b"451 4.4.2"),
    ("envelope", "RCPT", b"451 4.4.2"),
    ("envelope", "DATA", b"451 4.4.2"),
    ("block", "unread", b"451 4.4.2"),
    ("rate", "content", b"451 4.4.2"),
    ("final_dot", "dot", b"451 4.4.2"),
]
TRIED_BELOW = {"connect", "opening_hurried", "idle", "avoid", "avoid_longest"}


def only(**short: float) -> HopTimeouts:
    """Bounds of a minute, but for these."""
    fields = {field.name: MINUTE for field in dataclasses.fields(HopTimeouts)}
    return HopTimeouts(**{**fields, "rate": 1e-6, **short})


def hop_bounds(bound: str) -> HopTimeouts:
    if bound == "rate":  # `block` alone is renewed by each piece that is read
        return only(block=2 * SHORT, rate=1e12)
    return only(**{bound: SHORT}, **({"connect": 0.1} if bound == "opening" else {}))


@asynccontextmanager
async def hops(
    folder: Path, intakes: Sequence[SlowIntake], timeouts: HopTimeouts, *more: int
) -> AsyncIterator[Bench]:
    """A content filter before these next hops, in order, and those with these ports."""
    async with AsyncExitStack() as stack:
        ports = [
            await stack.enter_async_context(listening(one.serve, limit=2**19)) for one in intakes
        ]
        addresses = tuple(NextHop("127.0.0.1", port) for port in (*ports, *more))
        yield await stack.enter_async_context(
            running_filter(folder, 0, next_hops=addresses, hop_timeouts=timeouts)
        )


@pytest.mark.proves("B35")
@pytest.mark.parametrize(("bound", "at", "answer"), HOPS, ids=[f"{h[0]}-{h[1]}" for h in HOPS])
async def test_a_next_hop_that_drips_is_given_up(
    tmp_path: Path, bound: str, at: str, answer: bytes
) -> None:
    """The MTA keeps the message, and no copy is left."""
    intake = SlowIntake(at, gulp=500_000)
    async with hops(tmp_path, [intake], hop_bounds(bound)) as bench:
        assert (await _sent(bench, LARGE if at in ("unread", "content") else SMALL))[:9] == answer
        assert await bench.copies() == []
        assert bench.spool.facts().held == 0


async def _sent(bench: Bench, body: bytes = SMALL) -> bytes:
    """Send a message as a patient MTA; return the first refusal, or else the last reply."""
    mta = await connected(bench.filter.port)
    try:
        async with asyncio.timeout(2 * SOON):
            await mta.expect("220 *")
            for octets in (HELLO, *(line + b"\r\n" for line in BEGUN.split(b"\r\n")[:-1]), body):
                mta.writer.write(octets)
                line = await mta.reader.readline()
                while line[3:4] == b"-":
                    line = await mta.reader.readline()
                if line[:1] in b"45":
                    break
            return line
    finally:
        await mta.close()


def test_every_bound_on_the_next_hop_is_tried() -> None:
    """A new field of HopTimeouts needs a row."""
    fields = {field.name for field in dataclasses.fields(HopTimeouts)}
    assert fields == {hop[0] for hop in HOPS} | TRIED_BELOW


def test_the_bounds_are_those_that_the_standards_page_states() -> None:
    """RFC 5321 4.5.3.2 asks for these at least; lowering one must be deliberate."""
    steps, session = HopTimeouts(), FilterOptions(next_hops=()).server()
    assert (steps.greeting, steps.command, steps.data) == (300, 300, 120)
    assert (steps.block, steps.final_dot) == (180, 600)
    assert (steps.envelope, steps.silence) == (1_800, 30)
    assert (session.command_timeout, session.block_timeout) == (300, 180)
    assert steps.opening_hurried <= 5
    fields = [getattr(steps, field.name) for field in dataclasses.fields(HopTimeouts)]
    assert all(0 < value <= 100_000 for value in fields)


@pytest.mark.parametrize("at", ["banner", "EHLO"])
async def test_a_second_next_hop_takes_over_from_a_mute_one(tmp_path: Path, at: str) -> None:
    """Once and soon; and then the mute one holds no message up for a while."""
    mute = SlowIntake(at)
    async with (
        SmtpSink() as good,
        hops(tmp_path, [mute], only(opening_hurried=SHORT), good.port) as bench,
    ):
        began = asyncio.get_running_loop().time()
        assert (await _sent(bench)).startswith(b"250")
        assert asyncio.get_running_loop().time() - began < SOON
        good.drop_connections()  # so that each message needs a new one
        for _ in range(5):
            assert (await _sent(bench)).startswith(b"250")
            good.drop_connections()
        assert mute.connections == 1


async def test_a_next_hop_that_does_not_answer_a_connection_is_given_up(tmp_path: Path) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        others = [socket.socket() for _ in range(3)]
        for other in others:
            other.setblocking(False)
            other.connect_ex(full.getsockname())
        await asyncio.sleep(0.05)
        async with hops(tmp_path, [], only(connect=SHORT), full.getsockname()[1]) as bench:
            assert (await _sent(bench)).startswith(b"421 4.4.1")
        for other in others:
            other.close()


@pytest.mark.parametrize("at", ["banner", "EHLO", "MAIL", "RCPT", "DATA"])
async def test_a_mute_next_hop_is_tried_again_ever_more_seldom_and_by_one_message(
    tmp_path: Path, at: str
) -> None:
    """It comes back by itself, and until then costs one message its time, not each."""
    mute = SlowIntake(at)
    bounds = only(opening_hurried=SHORT, command=10 * SHORT, avoid=0.5)
    alike = ("SMTPUTF8", "ENHANCEDSTATUSCODES", "SIZE")
    async with (
        SmtpSink(without=alike) as good,
        hops(tmp_path, [mute], bounds, good.port) as bench,
    ):

        async def several() -> list[bytes]:
            good.drop_connections()
            return await asyncio.gather(*(_sent(bench) for _ in range(5)))

        assert all(answer.startswith(b"250") for answer in await several())
        assert mute.connections in range(1, 6)  # nobody knew
        before = mute.connections
        await asyncio.sleep(0.6)
        assert all(answer.startswith(b"250") for answer in await several())
        assert mute.connections == before + 1
        await asyncio.sleep(0.6)  # avoided for twice as long now
        await several()
        assert mute.connections == before + 1
        mute.at = ""
        await asyncio.sleep(1.0)
        good.drop_connections()
        assert (await _sent(bench)).startswith(b"250")
        assert mute.taken == 1


@pytest.mark.parametrize(("failures", "seconds"), [(1, 30), (2, 60), (5, 480), (5_000, 480)])
def test_how_long_a_next_hop_is_avoided(failures: int, seconds: float) -> None:
    assert HopTimeouts().avoid_after(failures) == seconds


async def test_a_slow_next_hop_gets_its_time_where_the_other_one_is_dead(tmp_path: Path) -> None:
    slow = SlowIntake("", pace=0.25)
    bounds = only(opening_hurried=0.2)
    async with hops(tmp_path, [slow], bounds, free_port()) as bench:
        assert (await _sent(bench)).startswith(b"250")


async def test_one_that_falls_silent_amid_a_message_is_avoided_too(tmp_path: Path) -> None:
    """Its banner is fine, so only the messages tell."""
    silent = SlowIntake("MAIL")
    async with (
        SmtpSink() as good,
        hops(tmp_path, [silent], only(command=SHORT), good.port) as bench,
    ):
        for _ in range(3):  # the first one is sent again, as nothing of it was taken
            assert (await _sent(bench)).startswith(b"250")
        assert silent.connections == 1
        assert len(good.messages) == 3


async def test_a_connection_that_was_idle_for_long_is_not_used_again(tmp_path: Path) -> None:
    """The next hop may be about to close it."""
    async with SmtpSink() as good, hops(tmp_path, [], only(idle=0.2), good.port) as bench:
        assert (await _sent(bench)).startswith(b"250")
        await asyncio.sleep(0.3)
        assert (await _sent(bench)).startswith(b"250")
        assert good.counts.connections == 2
