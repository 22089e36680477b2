"""A content filter that has all the connections, or all the octets, that it may have."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
from tdc.node_agent.smtp import in_hand
from tdc.node_agent.smtp.in_hand import READ, BytesInHand

from tests.fakes.listening import listening
from tests.fakes.slow_intake import SlowIntake
from tests.fakes.smtp_sink import SmtpSink
from tests.stage.content_filter import Bench, running_filter
from tests.stage.filter_dialogue import Side, connected
from tests.surroundings import in_time, need_descriptors

pytestmark = pytest.mark.slow


HELLO = b"EHLO x\r\n"
BEGUN = HELLO + b"MAIL FROM:<a@b.example>\r\nRCPT TO:<bob@corp.example>\r\nDATA\r\n"
MEBIBYTE = 1024**2


async def sent(bench: Bench, body: bytes = b"Subject: x\r\n\r\nx\r\n") -> bytes:
    """Send a message as one flight; return the last reply."""
    mta = await connected(bench.filter.port)
    mta.writer.write(BEGUN + body + b".\r\nQUIT\r\n")
    last = b""
    while (line := await mta.reader.readline()) and not line.startswith(b"221"):
        last = line
    await mta.close()
    return last


async def _greeted(bench: Bench) -> Side:
    side = await connected(bench.filter.port)
    assert (await side.reader.readline()).startswith(b"220")
    return side


# --- connections --------------------------------------------------------------------------


@pytest.mark.proves("P12", "B35", "B36")
@pytest.mark.parametrize("first", [b"", HELLO, BEGUN, BEGUN + b"Subject"])
async def test_honest_mail_passes_at_once_while_500_hold_connections(
    tmp_path: Path, first: bytes
) -> None:
    """Idle ones, those within a transaction, and those that trickle a byte each moment."""
    need_descriptors(1_300)
    async with SmtpSink() as hop, running_filter(tmp_path, hop.port, max_connections=40) as bench:
        loop = asyncio.get_running_loop()
        sides = [await connected(bench.filter.port) for _ in range(500)]
        for one in sides:
            one.writer.write(first)
        trickling = loop.create_task(_trickle(sides))
        await asyncio.sleep(1.1)
        for _ in range(30):
            began = loop.time()
            assert (await sent(bench)).startswith(b"250")
            assert in_time(loop.time() - began, 1)
        assert bench.filter.connections <= 40
        trickling.cancel()
        for one in sides:
            await one.close()


async def _trickle(sides: list[Side]) -> None:
    while True:
        for one in sides:
            if not one.writer.transport.is_closing():
                one.writer.write(b"x")
        await asyncio.sleep(0.2)


LAWFUL = (
    b"NOOP\r\n",
    b"VRFY x\r\n",
    HELLO,
    b"HELO x\r\n",
    b"XFORWARD NAME=x\r\n",
    b"MAIL FROM:<a@b.example>\r\nRSET\r\n",
    b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nRSET\r\n",
    b"RSET\r\nMAIL FROM:<a@b.example>\r\n",  # always within a transaction
    b"RSET\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n" + HELLO,
)


@pytest.mark.parametrize("commands", LAWFUL, ids=lambda commands: commands.split()[-1].decode())
async def test_honest_mail_passes_while_others_send_commands_and_no_message(
    tmp_path: Path, commands: bytes
) -> None:
    """Whole, lawful ones, ten times a second, and soon on a new connection once ended.

    Each of these has its place for a second, so no more than 20 a second may be begun, theirs too.
    """
    async with SmtpSink() as hop, running_filter(tmp_path, hop.port, max_connections=20) as bench:

        async def hold() -> None:
            while True:
                side = await connected(bench.filter.port)
                side.writer.write(HELLO)
                while not side.reader.at_eof() and not side.writer.transport.is_closing():
                    side.writer.write(commands)
                    await asyncio.sleep(0.1)
                    await _read_all(side)
                await side.close()
                await asyncio.sleep(0.2)

        async with asyncio.TaskGroup() as group:
            holders = [group.create_task(hold()) for _ in range(20)]
            await asyncio.sleep(1.3)
            passed = 0
            for _ in range(12):
                with contextlib.suppress(ConnectionError):  # as one of many in a slow moment
                    passed += (await sent(bench)).startswith(b"250")
                await asyncio.sleep(0.15)
            for one in holders:
                one.cancel()
        assert passed >= 10


async def _read_all(side: Side) -> None:
    """What is here already."""
    with contextlib.suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(0.01):
            while await side.reader.read(65_536):
                pass


async def test_a_client_is_not_charged_for_the_next_hops_time(tmp_path: Path) -> None:
    """It has just been answered, late, and is about to go on."""
    slow = SlowIntake("", pace=0.6)
    async with (
        listening(slow.serve) as port,
        running_filter(tmp_path, port, max_connections=1) as bench,
    ):
        mta = await _greeted(bench)
        for command in ("HELO x", "MAIL FROM:<a@b.example>", "RCPT TO:<c@d.example>"):
            await mta.send(command)
            await mta.expect("250 *")
            other = await connected(bench.filter.port)
            await other.expect("421 4.3.2 Too many connections, try again later")
        await mta.send("DATA")
        await mta.expect("354 *")
        await mta.send("x\r\n.")
        await mta.expect("250 *")


async def test_an_mta_that_kept_a_connection_is_in_time_with_its_next_message(
    tmp_path: Path,
) -> None:
    async with SmtpSink() as hop, running_filter(tmp_path, hop.port, max_connections=1) as bench:
        mta = await _greeted(bench)
        mta.writer.write(BEGUN + b"x\r\n.\r\n")
        while not (await mta.reader.readline()).startswith(b"250 2.0.0 T"):
            pass
        await asyncio.sleep(1.5)
        await mta.send("MAIL FROM:<a@b.example>")
        await mta.expect("250 *")
        other = await connected(bench.filter.port)
        await other.expect("421 4.3.2 Too many connections, try again later")
        await mta.send("RSET")
        await mta.expect("250 *")
        await (await connected(bench.filter.port)).expect("220 *")


async def test_who_is_ended_for_another_is_told(tmp_path: Path) -> None:
    """The longest idle one goes first, by a 421, and the next by the next."""
    async with SmtpSink() as hop, running_filter(tmp_path, hop.port, max_connections=2) as bench:
        first, second = await _greeted(bench), await _greeted(bench)
        await asyncio.sleep(0.3)
        await second.send("NOOP")
        await second.expect("250 *")
        third = await _greeted(bench)
        await first.expect("421 4.3.2 Too many connections, and this one was idle or slow")
        await first.expect_closed()
        for one in (second, third):
            await one.send("NOOP")
            await one.expect("250 *")


@pytest.mark.proves("B36")
async def test_those_who_are_in_time_keep_their_places(tmp_path: Path) -> None:
    """A client that waits for the next hop is not slow, and nor is one that has just come."""
    slow = SlowIntake("", pace=0.8)
    async with (
        listening(slow.serve) as port,
        running_filter(tmp_path, port, max_connections=2) as bench,
    ):
        senders = [asyncio.create_task(sent(bench)) for _ in range(2)]
        await asyncio.sleep(0.6)  # both wait for the next hop's banner and replies
        third = await connected(bench.filter.port)
        await third.expect("421 4.3.2 Too many connections, try again later")
        for sender in senders:
            assert (await sender).startswith(b"250")


async def test_a_client_that_sends_a_large_body_is_not_slow(tmp_path: Path) -> None:
    """What counts is the rate, not how long it takes."""
    async with SmtpSink() as hop, running_filter(tmp_path, hop.port, max_connections=1) as bench:
        mta = await _greeted(bench)
        mta.writer.write(BEGUN)
        for _ in range(20):
            mta.writer.write(b"y" * 9_998 + b"\r\n")
            await asyncio.sleep(0.1)
            other = await connected(bench.filter.port)
            await other.expect("421 4.3.2 Too many connections, try again later")
        mta.writer.write(b".\r\n")
        while not (line := await mta.reader.readline()).startswith((b"250 2", b"4")):
            assert line
        assert line.startswith(b"250")


# --- octets -------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [MEBIBYTE, 1])
async def test_many_bodies_larger_than_the_limit_all_get_through(
    tmp_path: Path, limit: int
) -> None:
    """They wait, one after another; none is refused and none waits for ever."""
    body = b"Subject: x\r\n\r\n" + (b"y" * 998 + b"\r\n") * 3_000
    async with SmtpSink() as hop, running_filter(tmp_path, hop.port, bytes_in_hand=limit) as bench:
        async with asyncio.timeout(60):
            answers = await asyncio.gather(*(sent(bench, body) for _ in range(12)))
        assert all(answer.startswith(b"250") for answer in answers)
        assert {len(one.content) for one in hop.messages} == {len(body)}
        assert len(await bench.copies()) == 12


async def test_what_is_held_stays_near_the_limit(tmp_path: Path) -> None:
    """The oldest body may pass it; each of the others by one read."""
    body = b"Subject: x\r\n\r\n" + (b"y" * 998 + b"\r\n") * 5_000
    most = 0
    async with (
        SmtpSink() as hop,
        running_filter(tmp_path, hop.port, bytes_in_hand=4 * MEBIBYTE) as bench,
    ):
        senders = [asyncio.create_task(sent(bench, body)) for _ in range(12)]
        while not all(sender.done() for sender in senders):
            held = bench.filter.in_hand.total
            most = max(most, held)
            await asyncio.sleep(0)
        assert 4 * MEBIBYTE <= most <= 4 * MEBIBYTE + len(body) + 12 * 2 * READ
        assert bench.filter.in_hand.total == 0


async def test_a_body_is_counted_until_its_fate_is_known(tmp_path: Path) -> None:
    """Whole as it is, it is still in memory, and so it keeps its share."""
    body = b"Subject: x\r\n\r\n" + (b"y" * 998 + b"\r\n") * 300
    slow = SlowIntake("dot")
    async with listening(slow.serve) as port, running_filter(tmp_path, port) as bench:
        sender = asyncio.create_task(sent(bench, body))
        await _until(lambda: bench.spool.facts().held == 1)
        assert bench.filter.in_hand.total == len(body)
        sender.cancel()


async def test_small_mail_never_waits_for_large_mail(tmp_path: Path) -> None:
    async with (
        SmtpSink() as hop,
        running_filter(tmp_path, hop.port, bytes_in_hand=MEBIBYTE) as bench,
    ):
        hog = await _greeted(bench)
        hog.writer.write(BEGUN + b"y" * 2 * MEBIBYTE)
        await _until(lambda: bench.filter.in_hand.total >= MEBIBYTE)
        async with asyncio.timeout(1):
            assert (await sent(bench)).startswith(b"250")
        await hog.close()
        await _until(lambda: bench.filter.in_hand.total == 0)


async def test_who_holds_much_and_falls_silent_keeps_nobody_waiting(tmp_path: Path) -> None:
    body = b"Subject: x\r\n\r\n" + (b"y" * 998 + b"\r\n") * 2_000
    async with (
        SmtpSink() as hop,
        running_filter(tmp_path, hop.port, bytes_in_hand=MEBIBYTE) as bench,
    ):
        hogs = [await _greeted(bench) for _ in range(3)]
        for hog in hogs:
            hog.writer.write(BEGUN + b"y" * MEBIBYTE)
        await _until(lambda: bench.filter.in_hand.total >= MEBIBYTE)
        async with asyncio.timeout(60):
            assert (await sent(bench, body)).startswith(b"250")
        for hog in hogs:
            await hog.close()


async def test_a_wait_for_room_ends_at_its_time_and_when_the_client_leaves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(in_hand, "PRESSED_AFTER", 0.05)
    loop = asyncio.get_running_loop()
    hand, first, second = BytesInHand(10), _Client(), _Client()
    hand.hold(first, 10)
    hand.hold(second, 1)
    assert hand.may_grow(first)
    assert not hand.may_grow(second)
    began = loop.time()
    assert not await hand.room(second, began + 0.2, lambda: False)
    assert in_time(loop.time() - began, 1)
    assert not await hand.room(second, began + 60, lambda: True)
    loop.call_later(0.1, hand.drop, first)
    assert await hand.room(second, began + 60, lambda: False)
    assert hand.total == 1


class _Client:
    def overdue(self, now: float) -> float:
        return 0.0

    def expel(self) -> None:
        raise AssertionError("it is in time")


async def _until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not happened():
            await asyncio.sleep(0.01)
