"""Two next hops, of which one is of no use before the body: no message waits for it, or is lost."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tdc.node_agent.ingest.pool import NextHop
from tdc.node_agent.ingest.timeouts import HopTimeouts

from tests.fakes.listening import free_port, listening
from tests.stage.content_filter import Bench, running_filter
from tests.stage.filter_dialogue import connected

pytestmark = pytest.mark.slow

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
        return self.taken and self.seconds < SILENCE


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
        assert first.seconds < 3 * SILENCE
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
        assert again.seconds < SILENCE
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


# --- two that offer different extensions -------------------------------------------------


@pytest.mark.parametrize("pipelined", [True, False])
async def test_one_that_offers_less_takes_what_uses_nothing_of_that(
    tmp_path: Path, pipelined: bool
) -> None:
    mute, less = Hop(mute="MAIL", offers="SMTPUTF8"), Hop()
    async with before(tmp_path, mute, less) as bench:
        sent = await send(bench, pipelined=pipelined)
        assert sent.taken
        assert sent.seconds < 3 * SILENCE
        assert (await send(bench, pipelined=pipelined)).soon


@pytest.mark.parametrize("pipelined", [True, False])
@pytest.mark.parametrize(
    ("offers", "mail", "rcpt"),
    [
        ("SMTPUTF8", " SMTPUTF8", ""),
        ("8BITMIME", " BODY=8BITMIME", ""),
        ("SIZE", " SIZE=100", ""),
        ("DSN", " RET=HDRS", ""),
        ("DSN", "", " NOTIFY=NEVER"),
    ],
)
async def test_a_message_that_uses_what_the_other_one_lacks_comes_again_soon(
    tmp_path: Path, offers: str, mail: str, rcpt: str, pipelined: bool
) -> None:
    """By a 421, so that the MTA asks again what is offered; a mute one is not waited for."""
    mute, less = Hop(mute="MAIL", offers=offers), Hop()
    async with before(tmp_path, mute, less) as bench:
        sent = await send(bench, mail=mail, rcpt=rcpt, pipelined=pipelined)
        assert sent.codes[-1] == 421
        assert sent.seconds < 3 * SILENCE
        assert less.taken == []
        assert not any("=" in line or "SMTPUTF8" in line for line in less.given if "<" in line)


LARGE, SMALL = 100_000, 1_000


@pytest.mark.parametrize("pipelined", [True, False])
@pytest.mark.parametrize(
    ("size", "answer"),
    [(SMALL, 250), (SMALL + 1, 451), (LARGE, 451), (LARGE + 1, 552)],
)
async def test_a_message_that_is_too_large_for_the_other_one_alone_waits(
    tmp_path: Path, size: int, answer: int, pipelined: bool
) -> None:
    """What neither takes is refused for good, by the one that is asked."""
    mute = Hop(mute="MAIL", offers=f"SIZE {LARGE}")
    less = Hop(
        offers=f"SIZE {SMALL}", replies={f"MAIL FROM:<s@d.example> SIZE={LARGE + 1}": "552 no"}
    )
    async with before(tmp_path, mute, less) as bench:
        sent = await send(bench, mail=f" SIZE={size}", pipelined=pipelined)
        assert answer in sent.codes
        assert sent.taken == (answer == 250)
        assert len(less.taken) == (answer == 250)


@pytest.mark.parametrize(
    ("body", "answer"),
    [(b"." * SMALL, 250), (b"x" * SMALL, 451), (b"x" * LARGE, 451), (b"x" * 2 * LARGE, 552)],
)
async def test_a_size_that_was_not_declared_waits_too(
    tmp_path: Path, body: bytes, answer: int
) -> None:
    mute, less = Hop(mute="MAIL", offers=f"SIZE {LARGE + 2}"), Hop(offers=f"SIZE {SMALL + 1}")
    async with before(tmp_path, mute, less) as bench:
        mta = await connected(bench.filter.port)
        mta.writer.write(b"EHLO x\r\nMAIL FROM:<s@d.example>\r\nRCPT TO:<a@d.example>\r\nDATA\r\n")
        while not (await mta.reader.readline()).startswith(b"354"):
            pass
        mta.writer.write(body + b"\r\n.\r\n")
        assert (await mta.reader.readline())[:3] == b"%d" % answer
        assert len(less.taken) == (answer == 250)
        assert len(await bench.copies()) == (answer == 250)


async def test_the_largest_size_is_announced_whichever_was_asked_last(tmp_path: Path) -> None:
    mute, less = Hop(mute="MAIL", offers=f"SIZE {LARGE}"), Hop(offers=f"SIZE {SMALL}")
    async with before(tmp_path, mute, less) as bench:
        assert (await send(bench)).taken
        mta = await connected(bench.filter.port)
        mta.writer.write(b"EHLO x\r\n")
        while b"SIZE" not in (line := await mta.reader.readline()):
            pass
        assert line.split()[-1] == b"%d" % LARGE


# --- the envelope of one transaction ------------------------------------------------------


@pytest.mark.parametrize("pipelining", [True, False])
async def test_what_was_pipelined_together_has_one_bound(tmp_path: Path, pipelining: bool) -> None:
    """Each reply is in time by itself, also where they are asked for one by one."""
    slow = Hop(slow={"RCPT": 0.3}, pipelining=pipelining)
    async with before(tmp_path, slow, timeouts=HopTimeouts(command=0.5)) as bench:
        sent = await send(bench, *(f"r{n}@d.example" for n in range(10)))
        assert sent.codes[-1] == 451
        assert sent.seconds < 1.5


async def test_an_envelope_has_a_bound_where_the_mta_pipelines_nothing(tmp_path: Path) -> None:
    slow = Hop(slow={"RCPT": 0.3})
    timeouts = HopTimeouts(command=5.0, envelope=1.0)
    async with before(tmp_path, slow, timeouts=timeouts) as bench:
        sent = await send(bench, *(f"r{n}@d.example" for n in range(10)), pipelined=False)
        assert sent.codes[-1] == 451
        assert sent.codes.count(451) > 5
        assert sent.seconds < 2.5
        slow.slow = {}
        assert (await send(bench)).taken  # another transaction has it whole


async def test_a_reset_waits_for_no_mute_next_hop(tmp_path: Path) -> None:
    """Nothing depends on its reply."""
    mute = Hop(mute="RSET")
    async with before(tmp_path, mute) as bench:
        mta = await connected(bench.filter.port)
        mta.writer.write(b"HELO x\r\nMAIL FROM:<a@b.example>\r\nRSET\r\n")
        async with asyncio.timeout(3 * SILENCE):
            for line in ("220 *", "250 *", "250 *", "250 2.0.0 Ok"):
                await mta.expect(line)
        await mta.close()
        mute.mute = ""
        assert (await send(bench)).soon
