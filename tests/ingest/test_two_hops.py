"""Two next hops, of which one is of no use before the body: no message waits for it, or is lost."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import pytest
from tdc.node_agent.ingest.timeouts import HopTimeouts

from tests.fakes.listening import free_port, listening
from tests.stage.filter_dialogue import connected
from tests.stage.next_hops import SILENCE, TIMEOUTS, Hop, before, send
from tests.surroundings import in_time

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("pipelined", [True, False])
@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize("stage", ["XFOR", "MAIL", "RCPT", "DATA"])
async def test_one_that_is_mute_before_the_body_is_left_for_the_other(
    tmp_path: Path, stage: str, pipelining: bool, pipelined: bool
) -> None:
    """The message under way takes its whole transaction along, and the next ones do not wait."""
    mute, good = Hop(mute=stage, pipelining=pipelining), Hop()
    async with before(tmp_path, mute, good) as bench:
        first = await send(bench, "a@d.example", "b@d.example", pipelined=pipelined)
        assert first.taken
        assert in_time(first.seconds, 3 * SILENCE)
        assert good.taken[0] == [
            "XFORWARD NAME=x",
            "MAIL FROM:<s@d.example>",
            "RCPT TO:<a@d.example>",
            "RCPT TO:<b@d.example>",
        ]
        more = await asyncio.gather(*(send(bench, pipelined=pipelined) for _ in range(5)))
        assert all(one.soon for one in more)  # each on a connection of its own
        assert mute.connections == 1
        assert len(good.taken) == bench.counters.originals_passed == 6
        assert len(await bench.copies()) == 6
        await bench.logged("Trying another next hop instead of 127.0.0.1")


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("how", ["closes", "421"])
async def test_one_that_closes_before_the_body_is_left_too(
    tmp_path: Path, stage: str, how: str
) -> None:
    bad = Hop(closes=stage) if how == "closes" else Hop(replies={stage: "421 4.3.2 Full"})
    good = Hop()
    async with before(tmp_path, bad, good) as bench:
        for pipelined in (True, False):
            assert (await send(bench, pipelined=pipelined)).soon
        assert len(good.taken) == 2


async def test_who_was_refused_at_the_one_is_not_given_to_the_other(tmp_path: Path) -> None:
    """The MTA has told the sender so."""
    mute, good = Hop(mute="DATA", replies={"RCPT TO:<no@": "550 5.1.1 No"}), Hop()
    async with before(tmp_path, mute, good) as bench:
        recipients = ("a@d.example", "no@d.example", "b@d.example")
        sent = await send(bench, *recipients, pipelined=False)
        assert sent.codes == [220, 250, 250, 250, 250, 550, 250, 354, 250]
        assert good.recipients == ["a@d.example", "b@d.example"]
        assert [names for _, names, _ in await bench.copies()] == [("a@d.example", "b@d.example")]


@pytest.mark.parametrize("differs", ["MAIL", "RCPT TO:<b@"])
async def test_where_the_other_one_refuses_what_was_accepted_the_mta_keeps_the_message(
    tmp_path: Path, differs: str
) -> None:
    """And its next try goes to the other one at once, whose own replies it gets."""
    mute, other = Hop(mute="DATA"), Hop(replies={differs: "550 5.7.1 No"})
    recipients = ("a@d.example", "b@d.example")
    async with before(tmp_path, mute, other) as bench:
        sent = await send(bench, *recipients, pipelined=False)
        assert sent.codes == [220, 250, 250, 250, 250, 250, 451]
        assert other.taken == []
        assert await bench.copies() == []
        again = await send(bench, *recipients, pipelined=False)
        assert 550 in again.codes
        assert in_time(again.seconds, SILENCE)
        assert mute.connections == 1


async def test_where_nothing_was_answered_the_other_ones_replies_are_given(tmp_path: Path) -> None:
    """Pipelined, the mute one's reply to RCPT was not passed on yet."""
    mute, other = Hop(mute="DATA"), Hop(replies={"RCPT TO:<b@": "550 5.1.1 No"})
    async with before(tmp_path, mute, other) as bench:
        sent = await send(bench, "a@d.example", "b@d.example")
        assert sent.codes == [220, 250, 250, 250, 250, 550, 354, 250]
        assert other.recipients == ["a@d.example"]


async def test_slow_everywhere_is_late_and_not_refused(tmp_path: Path) -> None:
    first, second = Hop(slow={"RCPT": 2 * SILENCE}), Hop(slow={"RCPT": 2 * SILENCE})
    async with before(tmp_path, first, second) as bench:
        assert (await send(bench)).taken
        assert len(second.taken) == 1


@pytest.mark.parametrize("second", ["no connection", "mute banner", "refuses EHLO"])
async def test_a_slow_one_gets_its_time_where_the_other_one_can_not_be_had(
    tmp_path: Path, second: str
) -> None:
    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if second == "refuses EHLO":
            writer.write(b"220 hop\r\n")
            await reader.readline()
            writer.write(b"502 no\r\n")
        await reader.read()

    slow = Hop(slow={"RCPT": 2 * SILENCE})
    async with listening(other) as port:
        where = free_port() if second == "no connection" else port
        async with before(tmp_path, slow, where) as bench:
            for pipelined in (True, False):
                assert (await send(bench, pipelined=pipelined)).taken
            assert slow.recipients == ["a@d.example"]


@pytest.mark.parametrize("pipelined", [True, False])
@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA"])
async def test_a_slow_one_gets_its_time_where_the_other_one_closes(
    tmp_path: Path, verb: str, pipelined: bool
) -> None:
    slow, closes = Hop(slow={"RCPT": 2 * SILENCE}), Hop(closes=verb)
    async with before(tmp_path, slow, closes) as bench:
        assert (await send(bench, pipelined=pipelined)).taken
        assert (slow.recipients, closes.connections) == (["a@d.example"], 1)


async def test_a_single_one_that_is_slow_keeps_its_full_time(tmp_path: Path) -> None:
    slow = Hop(slow={"MAIL": 2 * SILENCE, "RCPT": 2 * SILENCE, "DATA": 2 * SILENCE})
    async with before(tmp_path, slow) as bench:
        assert (await send(bench)).taken
        assert slow.connections == 1


async def test_one_that_goes_on_replying_is_not_mute(tmp_path: Path) -> None:
    """Ten recipients that it asks about, each in good time."""
    slow, other = Hop(slow={"RCPT": SILENCE / 2}), Hop()
    async with before(tmp_path, slow, other, timeouts=HopTimeouts(command=10 * SILENCE)) as bench:
        assert (await send(bench, *(f"r{n}@d.example" for n in range(10)))).taken
        assert len(slow.recipients) == 10
        assert other.connections == 0


async def test_a_slow_one_is_not_given_up_for_one_that_has_not_worked_since_it_failed(
    tmp_path: Path,
) -> None:
    """The mute one's time is over, so it may be tried; it must not cost a message."""
    mute, slow = Hop(mute="MAIL"), Hop()
    async with before(tmp_path, mute, slow, timeouts=dataclasses.replace(TIMEOUTS, avoid=0.5)) as (
        bench
    ):
        assert (await send(bench)).taken
        slow.slow["RCPT"] = 2 * SILENCE
        await asyncio.sleep(0.6)
        assert (await send(bench)).taken
        assert len(slow.taken) == 2


async def test_connections_that_a_mute_one_has_left_idle_are_not_used(tmp_path: Path) -> None:
    first, second = Hop(slow={"DATA": 0.1}), Hop()
    async with before(tmp_path, first, second) as bench:
        assert all(one.taken for one in await asyncio.gather(*(send(bench) for _ in range(6))))
        assert first.connections > 2
        first.mute = "MAIL"
        assert (await send(bench)).taken
        assert all(one.soon for one in await asyncio.gather(*(send(bench) for _ in range(6))))


async def test_only_a_whole_message_makes_one_good_again(tmp_path: Path) -> None:
    """One that is mute at DATA answers every refused recipient well."""
    mute, good = Hop(mute="DATA", replies={"RCPT TO:<no@": "550 No"}), Hop()
    timeouts = dataclasses.replace(TIMEOUTS, avoid=0.5, idle=0.5)
    async with before(tmp_path, mute, good, timeouts=timeouts) as bench:
        assert (await send(bench)).taken
        await asyncio.sleep(0.6)
        mta = await connected(bench.filter.port)
        mta.writer.write(b"HELO x\r\nMAIL FROM:<s@d.example>\r\nRCPT TO:<no@d.example>\r\n")
        mta.writer.write(b"RSET\r\nQUIT\r\n")
        assert b"550 No\r\n250 2.0.0 Ok\r\n221 " in await mta.reader.read()
        assert mute.connections == 2
        assert all(one.soon for one in await asyncio.gather(*(send(bench) for _ in range(5))))


@pytest.mark.parametrize("stage", ["banner", "EHLO", "MAIL", "DATA"])
async def test_a_stop_begins_nothing_at_the_other_one(tmp_path: Path, stage: str) -> None:
    mute, good = Hop(mute=stage), Hop()
    timeouts = HopTimeouts()
    async with before(tmp_path, mute, good, timeouts=timeouts, stop_timeout=0.1) as bench:
        sender = asyncio.create_task(send(bench))
        while stage not in " ".join(mute.given):
            await asyncio.sleep(0.01)
        await bench.filter.__aexit__(None, None, None)
        await asyncio.sleep(0.1)
        assert good.connections == 0
        assert "failed" not in bench.log.getvalue()
        await asyncio.gather(sender, return_exceptions=True)
