"""The content filter as a whole: every byte, its limits, its end, and real Postfix tools."""

from __future__ import annotations

import asyncio
import dataclasses
import shutil
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path
from socket import SO_LINGER, SOL_SOCKET
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest
from tdc.node_agent.ingest.options import FilterOptions
from tdc.node_agent.ingest.pool import NextHop
from tdc.node_agent.ingest.relaying import Relaying
from tdc.node_agent.ingest.timeouts import HopTimeouts
from tdc.node_agent.smtp.backend import PendingCommand
from tdc.node_agent.smtp.commands import Mail
from tdc.node_agent.smtp.extensions import Extensions
from tdc.node_agent.smtp.replies import reply

from tests.demo.messages import demo_messages
from tests.demo.send import SendRefused, send_all, stuffed
from tests.fakes.listening import free_port, listening
from tests.fakes.smtp_faults import Faults
from tests.fakes.smtp_sink import SmtpSink
from tests.stage.content_filter import Bench, running_filter
from tests.stage.filter_dialogue import Side, connected

SMTP_SOURCE = shutil.which("smtp-source", path="/usr/sbin:/usr/bin")
SMTP_SINK = shutil.which("smtp-sink", path="/usr/sbin:/usr/bin")


class Sink:
    """A next hop that takes everything and keeps the wire bytes of each body."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.answer_after: asyncio.Event | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 sink\r\n")
        try:
            while line := await reader.readline():
                verb = line[:4].upper()
                if verb == b"EHLO":
                    offers = (b"PIPELINING", b"8BITMIME", b"SMTPUTF8", b"SIZE 0")
                    writer.write(b"".join(b"250-%s\r\n" % word for word in offers) + b"250 DSN\r\n")
                elif verb == b"DATA":
                    writer.write(b"354 go\r\n")
                    body = b"\r\n"
                    while not body.endswith(b"\r\n.\r\n"):
                        body += await reader.readuntil(b".\r\n")
                    if self.answer_after is not None:
                        await self.answer_after.wait()
                    self.bodies.append(body[2:])
                    writer.write(b"250 2.0.0 kept\r\n")
                elif verb == b"QUIT":
                    break
                else:
                    writer.write(b"250 ok\r\n")
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def filter_and_sink(folder: Path, **options: object) -> AsyncIterator[tuple[Bench, Sink]]:
    sink = Sink()
    async with listening(sink.serve) as port, running_filter(folder, port, **options) as bench:
        yield bench, sink


async def test_a_next_hop_that_ponders_a_recipient_has_more_time_than_for_data(
    tmp_path: Path,
) -> None:
    """RFC 5321 4.5.3.2: five minutes for RCPT, two for DATA; here 5 s and 0.2 s."""
    timeouts = HopTimeouts(command=5.0, data=0.2)
    slow = Faults(delays={"rcpt": 0.6})
    async with (
        SmtpSink(faults=slow) as hop,
        running_filter(tmp_path, hop.port, hop_timeouts=timeouts) as bench,
    ):
        mta = await connected(bench.filter.port)
        mta.writer.write(b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n")
        async with asyncio.timeout(5):
            while not (line := await mta.reader.readline()).startswith((b"354", b"4")):
                assert line
        assert line.startswith(b"354")
        await mta.close()


async def test_an_idle_connection_that_offers_less_holds_no_message_up(tmp_path: Path) -> None:
    """Two next hops that differ: what the one lacks must not be met again and again."""
    offers = iter([b"PIPELINING", *[b"8BITMIME"] * 3])

    async def hop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mine = next(offers)
        writer.write(b"220 hop\r\n")
        while line := await reader.readline():
            writer.write(b"250-hop\r\n250 %s\r\n" % mine if line[:4] == b"EHLO" else b"250 ok\r\n")
        writer.close()

    async with listening(hop) as port, running_filter(tmp_path, port) as bench:

        async def begun(parameter: str = "") -> Side:
            mta = await connected(bench.filter.port)
            await mta.expect("220 *")
            await mta.send("EHLO x")
            while (await mta.reader.readline())[3:4] == b"-":
                pass
            await mta.send(f"MAIL FROM:<a@b.example>{parameter}")
            await mta.expect("250 ok")
            return mta

        first, second = await begun(), await begun()
        for mta in (second, first):  # the one that offers less is on top
            await mta.send("RSET")
            await mta.expect("250 2.0.0 Ok")
        await begun(" BODY=8BITMIME")


async def test_odd_messages_leave_as_they_came_and_so_do_their_copies(tmp_path: Path) -> None:
    messages = demo_messages()
    async with filter_and_sink(tmp_path) as (bench, sink):
        assert await send_all("127.0.0.1", bench.filter.port, messages) == len(messages)
        assert sink.bodies == [stuffed(message.content) for message in messages]
        copies = await bench.copies()
        expected = [(message.sender, message.recipients) for message in messages]
        assert [(sender, recipients) for sender, recipients, _ in copies] == expected
        for message, (_, _, content) in zip(messages, copies, strict=True):
            # A body without a final line end gets one by the protocol itself.
            whole = message.content + (b"" if message.content.endswith(b"\r\n") else b"\r\n")
            assert content in (message.content, whole)
        assert bench.counters.originals_passed == bench.counters.copies_taken == len(messages)


@pytest.mark.proves("B10")
async def test_a_session_fed_byte_by_byte_is_the_same(tmp_path: Path) -> None:
    body = b"Subject: x\r\n\r\n..dot\r\n.\n.\r.\nend\r\n.\r\n"
    session = (
        b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n"
        + body
        + b"QUIT\r\n"
    )
    async with filter_and_sink(tmp_path) as (bench, sink):
        mta = await connected(bench.filter.port)
        for byte in session:
            mta.writer.write(bytes([byte]))
            await asyncio.sleep(0)
        text = await asyncio.wait_for(mta.reader.read(), 5)
        assert text.endswith(b"354 go\r\n250 2.0.0 kept\r\n221 2.0.0 Bye\r\n")
        assert sink.bodies == [body]
        assert [content for _, _, content in await bench.copies()] == [
            b"Subject: x\r\n\r\n.dot\r\n\n.\r.\nend\r\n"
        ]


async def test_the_1001st_recipient_is_put_off(tmp_path: Path) -> None:
    async with filter_and_sink(tmp_path) as (bench, _):
        mta = await connected(bench.filter.port)
        await mta.send("EHLO x\r\nMAIL FROM:<a@b.example>")
        await mta.send("\r\n".join(f"RCPT TO:<r{n}@d.example>" for n in range(1001)) + "\r\nQUIT")
        replies = (await asyncio.wait_for(mta.reader.read(), 20)).splitlines()
        assert replies.count(b"250 ok") == 1001
        assert replies[-2:] == [b"452 4.5.3 Too many recipients", b"221 2.0.0 Bye"]


async def test_a_message_over_the_memory_bound_is_refused_and_not_passed(tmp_path: Path) -> None:
    async with filter_and_sink(tmp_path, max_message_size=100_000) as (bench, sink):
        mta = await connected(bench.filter.port)
        await mta.send("EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA")
        mta.writer.write((b"x" * 998 + b"\r\n") * 200 + b".\r\nQUIT\r\n")
        text = await asyncio.wait_for(mta.reader.read(), 5)
        assert text.endswith(b"552 5.3.4 Message too large\r\n221 2.0.0 Bye\r\n")
        assert sink.bodies == []
        assert await bench.copies() == []


async def test_a_stranger_is_refused_at_connect(tmp_path: Path) -> None:
    networks = (ip_network("192.0.2.0/24"),)
    async with filter_and_sink(tmp_path, trusted_networks=networks) as (bench, _):
        mta = await connected(bench.filter.port)
        assert (await mta.reader.read()).startswith(b"554 5.7.1 ")


def test_a_client_is_known_in_each_form_of_its_address() -> None:
    """A socket that serves both families calls an IPv4 client by an IPv6 address."""
    options = FilterOptions((NextHop("127.0.0.1", 10026),))
    trusted = [one for one in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "::1%lo")
               if options.trusts(one)]  # fmt: skip
    assert len(trusted) == 5
    assert not any(map(options.trusts, ("192.0.2.1", "::2", "::ffff:192.0.2.1", "", "mx1")))


@pytest.mark.proves("F28")
async def test_connections_over_the_limit_get_421_and_leave_no_trace(tmp_path: Path) -> None:
    async with filter_and_sink(tmp_path, max_connections=5) as (bench, _):
        served = [await connected(bench.filter.port) for _ in range(5)]
        for mta in served:
            await mta.expect("220 filter.example ESMTP")
        for _ in range(50):
            await (await connected(bench.filter.port)).expect("421 4.3.2 Too many*")
        await served[0].send("QUIT")
        await served[0].reader.read()
        await (await connected(bench.filter.port)).expect("220 filter.example ESMTP")
        assert bench.filter.connections == 5


async def test_a_silent_mta_is_told_421(tmp_path: Path) -> None:
    async with filter_and_sink(tmp_path, command_timeout=0.1, block_timeout=0.1) as (bench, _):
        idle = await connected(bench.filter.port)
        assert (await idle.reader.read()).endswith(b"421 4.4.2 Timeout\r\n")
        stuck = await connected(bench.filter.port)
        await stuck.send("EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nx")
        assert (await stuck.reader.read()).endswith(b"354 go\r\n421 4.4.2 Timeout\r\n")


async def test_no_next_hop_keeps_mail_at_the_mta(tmp_path: Path) -> None:
    async with running_filter(tmp_path, free_port()) as bench:
        with pytest.raises(SendRefused, match=r"421 4\.4\.1"):
            await send_all("127.0.0.1", bench.filter.port, demo_messages()[:1])


async def test_a_stop_ends_idle_sessions_and_lets_a_message_finish(tmp_path: Path) -> None:
    async with filter_and_sink(tmp_path) as (bench, sink):
        sink.answer_after = asyncio.Event()
        idle = await connected(bench.filter.port)
        await idle.expect("220 filter.example ESMTP")
        busy = await connected(bench.filter.port)
        await busy.send(
            "EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nx\r\n."
        )
        while bench.spool.facts().held == 0:
            await asyncio.sleep(0.01)
        async with asyncio.TaskGroup() as group:
            group.create_task(bench.filter.__aexit__(None, None, None))
            await idle.expect("421 4.3.2 Service shutting down*")
            sink.answer_after.set()
            text = await busy.reader.read()
        stopping = b"421 4.3.2 Service shutting down, try again later\r\n"
        assert text.endswith(b"250 2.0.0 kept\r\n" + stopping)
        assert len(await bench.copies()) == 1


async def test_a_next_hop_that_does_not_greet_delays_no_stop(tmp_path: Path) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with (
        listening(silent) as port,
        running_filter(tmp_path, port, stop_timeout=0.05) as bench,
    ):
        mta = await connected(bench.filter.port)
        await mta.send("EHLO x")
        await mta.expect("220 *")
        await asyncio.sleep(0.05)
        async with asyncio.timeout(2):
            await bench.filter.__aexit__(None, None, None)
        assert bench.filter.connections == 0


async def test_a_connection_borrowed_by_a_session_that_was_ended_is_not_lent_again() -> None:
    """The next transaction's commands would become part of this one's message."""
    hop = Mock(extensions=Extensions(), reused=False, xforwarded=False)
    pool = Mock(is_too_small=Mock(return_value=False))
    outgoing = Relaying(pool, HopTimeouts(), Mock())

    async def acquire_abandoned(**_: object) -> Mock:
        outgoing.drop()  # the server stops
        return hop

    pool.acquire = acquire_abandoned
    hop.exchange = AsyncMock(return_value=[reply("250 Ok"), reply("250 Ok"), reply("354 Go")])
    commands = (
        PendingCommand(b"MAIL FROM:<>", mail=Mail("", False, "7BIT")),
        PendingCommand(b"RCPT TO:<a@b>", recipient="a@b"),
        PendingCommand(b"DATA"),
    )
    await outgoing.settle(commands, {})
    pool.release.assert_not_called()
    pool.discard.assert_called_once_with(hop)


@pytest.mark.system
@pytest.mark.skipif(not (SMTP_SOURCE and SMTP_SINK), reason="Postfix's smtp-source and smtp-sink")
async def test_a_thousand_messages_of_postfix_tools_pass_with_their_copies(tmp_path: Path) -> None:
    port = free_port()
    assert SMTP_SINK is not None
    assert SMTP_SOURCE is not None
    sink = await asyncio.create_subprocess_exec(
        SMTP_SINK, "-u", "nobody", f"127.0.0.1:{port}", "256"
    )
    try:
        await asyncio.sleep(0.3)
        async with running_filter(tmp_path, port) as bench:
            source = await asyncio.create_subprocess_exec(
                SMTP_SOURCE, "-s", "20", "-l", "10240", "-m", "1000",
                "-f", "a@b.example", "-t", "c@d.example", f"127.0.0.1:{bench.filter.port}",
            )  # fmt: skip
            assert await asyncio.wait_for(source.wait(), 60) == 0
            assert bench.counters.originals_passed == bench.counters.copies_taken == 1000
            assert bench.spool.facts().queued == 1000
    finally:
        sink.terminate()
        await sink.wait()


async def test_tempfail_stops_a_large_message_that_is_already_on_its_way(tmp_path: Path) -> None:
    async with filter_and_sink(tmp_path) as (bench, sink):
        bench.settings = dataclasses.replace(bench.settings, spool_when_full="tempfail")
        bench.spool.set_limits(1, 1)
        mta = await connected(bench.filter.port)
        await mta.send("EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA")
        mta.writer.write((b"x" * 998 + b"\r\n") * 2000 + b".\r\nQUIT\r\n")
        text = await asyncio.wait_for(mta.reader.read(), 10)
        assert b"\r\n451 4.3.1 " in text
        assert text.endswith(b"221 2.0.0 Bye\r\n")
        await asyncio.sleep(0.05)
        assert sink.bodies == []
        assert bench.counters.originals_refused == 1


@pytest.mark.parametrize("half_closed", [False, True])
async def test_commands_that_come_while_the_next_hop_is_asked_are_served(
    tmp_path: Path, half_closed: bool
) -> None:
    """A pipelined group in two segments: nothing more comes after it, so nothing else wakes us."""
    asked, answer = asyncio.Event(), asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 slow\r\n")
        while line := await reader.readline():
            if line.startswith(b"MAIL"):
                asked.set()
                await answer.wait()
            writer.write(b"250 ok\r\n")

    async with listening(slow) as port, running_filter(tmp_path, port) as bench:
        mta = await connected(bench.filter.port)
        mta.writer.write(b"EHLO mta\r\nMAIL FROM:<a@x.example>\r\n")
        async with asyncio.timeout(5):
            await asked.wait()
            mta.writer.write(b"RCPT TO:<b@y.example>\r\nQUIT\r\n")
            if half_closed:
                mta.writer.write_eof()
            await asyncio.sleep(0.05)  # until the filter has the bytes, while it waits for the hop
            answer.set()
            replies = (await mta.reader.read()).splitlines()
        assert [line[:3] for line in replies[-3:]] == [b"250", b"250", b"221"]
        await mta.close()


@pytest.mark.parametrize("size", [10, 200_000])
async def test_the_final_dot_is_never_sent_once_the_mta_has_left(tmp_path: Path, size: int) -> None:
    """It has no reply and sends again: the next hop would have the message twice (RFC 1047)."""
    async with filter_and_sink(tmp_path) as (bench, sink):
        hold, holding, goes_on = bench.spool.hold, asyncio.Event(), asyncio.Event()

        async def slow_hold(*given: Any) -> int:
            holding.set()
            await goes_on.wait()
            return await hold(*given)

        bench.spool.hold = slow_hold  # type: ignore[method-assign,assignment]
        mta = await connected(bench.filter.port)
        mta.writer.write(b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n")
        while not (await mta.reader.readline()).startswith(b"354"):
            pass
        mta.writer.write(b"x" * size + b"\r\n.\r\n")
        await holding.wait()
        mta.writer.get_extra_info("socket").setsockopt(
            SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0)
        )
        await mta.close()  # an end of one direction alone is not to leave
        await asyncio.sleep(0.1)  # the event loop of the filter is this one, and sees it
        goes_on.set()
        async with asyncio.timeout(5):
            while bench.filter.connections:
                await asyncio.sleep(0.01)
        assert sink.bodies == []
        assert await bench.copies() == []
        assert bench.spool.facts().held == 0
