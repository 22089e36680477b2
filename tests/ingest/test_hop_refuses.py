"""A next hop that answers, and takes no mail: trouble after a run of messages, and an end to it."""

from __future__ import annotations

import asyncio
import dataclasses
import io
from pathlib import Path

import pytest
from tdc.node_agent.ingest.blame import Blame, blame
from tdc.node_agent.ingest.hop_state import RUN, SURE_RUN, NextHopState, Waiting
from tdc.node_agent.ingest.hop_watch import watch
from tdc.node_agent.ingest.timeouts import HopTimeouts
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.smtp.replies import reply
from tdc.shared.edge.tasks import running

from tests.stage.filter_dialogue import connected
from tests.stage.next_hops import SILENCE, TIMEOUTS, Hop, before, send

pytestmark = pytest.mark.slow

FULL = "451 4.3.0 queue file write error"


def reason(state: NextHopState) -> str:
    return "" if state.trouble is None else state.trouble.reason


# reply -> whose fault it is where it refuses the message, and where a recipient
REPLIES = [
    ("421 4.3.2 shutting down", Blame.HOP, Blame.HOP),
    ("421 4.7.0 too many", Blame.HOP, Blame.HOP),
    (FULL, Blame.HOP, Blame.HOP),
    ("452 4.3.1 no room", Blame.HOP, Blame.HOP),
    ("451 local error", Blame.HOP, Blame.HOP),
    ("450 4.2.0 Greylisted", Blame.MESSAGE, Blame.MESSAGE),
    ("451 4.7.1 Greylisted", Blame.MAYBE, Blame.MESSAGE),
    ("450 try later", Blame.MAYBE, Blame.MESSAGE),
    ("454 4.7.1 Relay access denied", Blame.MAYBE, Blame.MAYBE),
    ("452 4.5.3 Too many recipients", Blame.HOP, Blame.MESSAGE),
    ("452 4.2.2 mailbox full", Blame.MESSAGE, Blame.MESSAGE),
    ("450 4.1.8 no such domain", Blame.MESSAGE, Blame.MESSAGE),
    ("550 5.1.1 no such user", Blame.MESSAGE, Blame.MESSAGE),
    ("552 5.3.4 too large", Blame.MESSAGE, Blame.MESSAGE),
    ("552 too large", Blame.MESSAGE, Blame.MESSAGE),
    ("554 5.6.0 no such content", Blame.MESSAGE, Blame.MESSAGE),
    ("554 5.7.1 access denied", Blame.MAYBE, Blame.MAYBE),
    ("550 no", Blame.MAYBE, Blame.MAYBE),
]


@pytest.mark.parametrize(("line", "whole", "recipient"), REPLIES)
def test_whose_fault_a_refusal_is(line: str, whole: Blame, recipient: Blame) -> None:
    assert blame(reply(line), recipient=False) is whole
    assert blame(reply(line), recipient=True) is recipient


STAGES = ["MAIL", "RCPT", "DATA", "DOT"]


@pytest.mark.parametrize("pipelined", [True, False])
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    ("how", "run"), [("closes", SURE_RUN), ("421 4.3.2 No", SURE_RUN), (FULL, SURE_RUN),
                     ("554 5.7.1 No", RUN)]
)  # fmt: skip
async def test_one_that_refuses_all_is_trouble_until_it_takes_a_message(
    tmp_path: Path, how: str, run: int, stage: str, pipelined: bool
) -> None:
    state = NextHopState()
    hop = Hop(closes=stage) if how == "closes" else Hop(replies={stage: how})
    async with before(tmp_path, hop, hop_state=state) as bench:
        for n in range(run + 1):
            assert not (await send(bench, pipelined=pipelined)).taken
            await asyncio.sleep(0.02)  # the MTA's QUIT ends the transaction
            assert (state.trouble is None) == (n + 1 < run)
        last = "the next hop closed the connection" if how == "closes" else how
        assert f"{run + 1} messages in a row not accepted, the last: {last}; " in reason(state)
        assert reason(state).endswith("MTA") != how.startswith("5")
        hop.closes, hop.replies = "", {}
        assert (await send(bench, pipelined=pipelined)).taken
        assert state.trouble is None


@pytest.mark.parametrize(
    "refused",
    [
        ("RCPT", "450 4.2.0 Greylisted"),
        ("RCPT", "451 4.7.1 Greylisted"),
        ("RCPT", "550 5.1.1 No such user"),
        ("MAIL", "552 5.3.4 Too large"),
        ("DOT", "554 5.6.0 Virus"),
    ],
)
async def test_what_is_said_of_a_message_is_no_trouble(
    tmp_path: Path, refused: tuple[str, str]
) -> None:
    state = NextHopState()
    async with before(tmp_path, Hop(replies=dict([refused])), hop_state=state) as bench:
        for _ in range(2 * RUN):
            assert not (await send(bench)).taken
        assert state.trouble is None


async def test_a_message_with_one_good_recipient_is_no_refusal(tmp_path: Path) -> None:
    """Nor is one that its MTA gives up, or one between messages that pass."""
    state = NextHopState()
    hop = Hop(replies={"RCPT TO:<no@": FULL})
    async with before(tmp_path, hop, hop_state=state) as bench:
        for _ in range(3):
            assert (await send(bench, "no@d.example", "a@d.example")).taken
            await send(bench, "no@d.example")
            await asyncio.sleep(0.02)
            assert state.trouble is None
        given_up = b"MAIL FROM:<s@d.example>\r\nRCPT TO:<a@d.example>\r\nRCPT TO:<no@d.example>\r\n"
        mta = await connected(bench.filter.port)
        mta.writer.write(b"EHLO mta\r\n" + (given_up + b"RSET\r\n") * SURE_RUN + b"QUIT\r\n")
        assert (await mta.reader.read()).count(FULL.encode()) == SURE_RUN
        assert state.trouble is None
        hop.replies["DATA"] = "451 4.3.0 No"
        assert not (await send(bench, "a@d.example", "no@d.example")).taken
        await asyncio.sleep(0.02)
        assert "the last: 451 4.3.0 No" in reason(state)


@pytest.mark.parametrize("stage", STAGES)
async def test_one_that_refuses_all_is_left_for_another_one(tmp_path: Path, stage: str) -> None:
    """A reply to the final dot does not make it good, if it is its own trouble."""
    state, full, good = NextHopState(), Hop(replies={stage: FULL}), Hop()
    async with before(tmp_path, full, good, hop_state=state) as bench:
        for n in range(SURE_RUN + 4):
            assert (await send(bench)).taken == (n >= SURE_RUN)
            await asyncio.sleep(0.02)
        assert state.trouble is None


# --- one that is mute ---------------------------------------------------------------------


def test_a_wait_is_trouble_once_it_is_long_and_none_has_passed_since() -> None:
    now = 100.0
    state = NextHopState(lambda: now)
    state.works("a:1")
    waits: list[Waiting] = []
    state.waiting = lambda: waits
    assert reason(state) == ""
    now = 200.0
    waits[:] = [Waiting("a:1", 14.9, 15.0), Waiting("a:1", 2.0, 15.0)]
    assert reason(state) == ""
    waits[:] = [Waiting("a:1", 20.0, 15.0), Waiting("a:1", 2.0, 15.0)]
    assert state.trouble is not None
    assert state.trouble.since == 180.0
    assert "it does not answer: 2 messages wait for its reply" in state.trouble.reason
    state.failed("a:1", "silent", ("a:1",), waited=30.0)  # and then its time is over
    assert state.trouble.since == 170.0
    state.works("a:1")
    assert reason(state) == ""  # it has accepted one since


async def test_one_that_a_stop_does_not_wait_for_is_no_trouble(tmp_path: Path) -> None:
    """Its connection was closed here, before it had any time."""
    state, hop = NextHopState(), Hop(mute="EHLO")
    bounds = HopTimeouts()
    async with before(tmp_path, hop, timeouts=bounds, hop_state=state, stop_timeout=0.1) as bench:
        sender = asyncio.create_task(send(bench))
        await asyncio.sleep(0.1)
    await asyncio.wait((sender,))
    assert isinstance(sender.exception(), ValueError)
    assert state.failures == {}


def test_what_was_mute_stays_so_when_nobody_waits_any_more() -> None:
    """A restart ends the sessions that wait: that is no reply."""
    now = 100.0
    state = NextHopState(lambda: now)
    state.given_up(Waiting("a:1", 14.0, 15.0), ("a:1",))
    assert reason(state) == ""
    state.given_up(Waiting("a:1", 20.0, 15.0), ("a:1",))
    assert state.trouble is not None
    assert state.trouble.since == 80.0
    assert "it did not answer: a message waited 20 s for its reply" in state.trouble.reason
    state.works("a:1")
    assert reason(state) == ""
    now = 110.0
    state.given_up(Waiting("a:1", 20.0, 15.0), ("a:1",))
    assert reason(state) == "", "it has accepted one since"


@pytest.mark.parametrize("stage", ["banner", "EHLO", *STAGES])
async def test_one_that_is_mute_at_a_restart_is_so_afterwards(tmp_path: Path, stage: str) -> None:
    state = NextHopState()
    bounds = HopTimeouts(command=8.0, greeting=8.0, final_dot=8.0, data=8.0)
    hop = Hop(mute=stage)
    async with before(tmp_path, hop, timeouts=bounds, hop_state=state) as bench:
        sender = asyncio.create_task(send(bench))
        async with asyncio.timeout(7):
            while "1 message waits for its reply" not in reason(state):
                await asyncio.sleep(0.02)
        assert "does not answer" in "".join(state.failures.values())
        await bench.filter.turn_over((), 0.1)
    assert "it did not answer: a message waited" in reason(state)
    assert len(state.failures) == 1
    await asyncio.wait((sender,))
    assert isinstance(sender.exception(), ValueError), "it was cut off"


@pytest.mark.parametrize("stage", ["banner", "EHLO", *STAGES])
async def test_one_that_is_mute_is_reported_before_its_time_is_over(
    tmp_path: Path, stage: str
) -> None:
    """Once in the log too, and so is its end."""
    state, out = NextHopState(), io.StringIO()
    log = TdcLog(stream=out)
    log.configure("info", "text")
    bounds = HopTimeouts(command=8.0, greeting=8.0, final_dot=8.0, data=8.0)
    hop = Hop(mute=stage)
    async with (
        before(tmp_path, hop, timeouts=bounds, hop_state=state) as bench,
        running(watch(state, log, 0.02), name="watch"),
    ):
        sender = asyncio.create_task(send(bench))
        await asyncio.sleep(0.1)
        assert state.trouble is None
        async with asyncio.timeout(7):
            while "it does not answer: 1 message waits for its reply" not in reason(state):
                await asyncio.sleep(0.02)
            while "The next hop takes no mail: " not in out.getvalue():
                await asyncio.sleep(0.02)
        hop.mute = ""
        assert (await send(bench)).taken
        assert state.trouble is None
        async with asyncio.timeout(7):
            while "The next hop takes mail again." not in out.getvalue():
                await asyncio.sleep(0.02)
        sender.cancel()
    log.close()
    lines = [line.partition("TDC: ")[2] for line in out.getvalue().splitlines()]
    begun = [line for line in lines if line.startswith("The next hop takes no mail: 127.0.0.1:")]
    assert len(begun) == 1
    assert lines.count("The next hop takes mail again.") == 1


# --- another one is there -----------------------------------------------------------------

SHORT = HopTimeouts(
    command=20.0, data=20.0, final_dot=10.0, opening_hurried=SILENCE, avoid=0.5, avoid_longest=60.0
)


async def test_one_that_is_mute_after_the_dot_keeps_a_few_messages(tmp_path: Path) -> None:
    """It is tried again, ever more seldom and with one; those that wait are waited for."""
    mute, good = Hop(mute="DOT"), Hop()
    async with before(tmp_path, mute, good, timeouts=SHORT) as bench:
        senders = []
        for _ in range(40):
            senders.append(asyncio.create_task(send(bench)))
            await asyncio.sleep(0.1)
        kept = mute.given.count("DOT")
        assert kept <= 10  # in the first second; then one by one
        assert len(good.taken) >= 25
        assert sum(not sender.done() for sender in senders) == kept
        for sender in senders:
            sender.cancel()


async def test_one_that_is_mute_under_load_leaves_places_for_the_other_one(tmp_path: Path) -> None:
    """Half of them, however fast they come."""
    mute, good = Hop(mute="DOT"), Hop()
    bounds = dataclasses.replace(SHORT, final_dot=600.0)
    async with before(tmp_path, mute, good, timeouts=bounds, max_connections=20) as bench:
        senders = []
        for _ in range(30):
            senders.append(asyncio.create_task(send(bench)))
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.2)
        assert mute.given.count("DOT") in range(9, 14)
        assert len(good.taken) >= 15
        for sender in senders:
            sender.cancel()


async def test_one_that_is_late_to_say_no_is_not_met_again_and_again(tmp_path: Path) -> None:
    slow, good = Hop(slow={"MAIL": 0.2}, replies={"MAIL": "421 4.3.2 Overloaded"}), Hop()
    bounds = dataclasses.replace(TIMEOUTS, idle=0.05)  # else the good one's are used again
    async with before(tmp_path, slow, good, timeouts=bounds) as bench:
        for n in range(4):
            await asyncio.sleep(0.1)
            sent = await asyncio.gather(*(send(bench) for _ in range(4)))
            assert all(one.taken for one in sent)
            late = [one for one in sent if one.seconds >= 0.2]
            assert not late or n == 0
        assert slow.connections <= 4


async def test_one_that_closes_at_once_costs_nothing_and_is_asked_again(tmp_path: Path) -> None:
    bad, good = Hop(closes="MAIL"), Hop()
    bounds = dataclasses.replace(TIMEOUTS, opening_hurried=10 * SILENCE, idle=0.05)
    async with before(tmp_path, bad, good, timeouts=bounds) as bench:
        for _ in range(3):
            assert (await send(bench)).soon
            await asyncio.sleep(0.1)
        bad.closes = ""
        assert (await send(bench)).soon
        assert len(bad.taken) == 1
