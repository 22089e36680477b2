"""Two next hops that have both failed: the one that is sound again is found at once."""

from __future__ import annotations

import asyncio
import dataclasses
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tdc.node_agent.ingest.hop_state import NextHopState

from tests.fakes.listening import free_port, listening
from tests.stage.content_filter import Bench
from tests.stage.next_hops import SILENCE, TIMEOUTS, Hop, before, send
from tests.surroundings import in_time

pytestmark = pytest.mark.slow


async def both_avoided(bench: Bench) -> None:
    """Messages until each of two bad next hops has failed more than once."""
    for _ in range(6):
        assert not (await send(bench)).taken
        await asyncio.sleep(0.02)  # the agent ends a transaction when the MTA has left


@pytest.mark.parametrize("was", ["down", "closes"])
@pytest.mark.parametrize(
    "first",
    [
        Hop(closes="MAIL"),
        Hop(closes="RCPT"),
        Hop(replies={"MAIL": "421 4.3.2 Full"}),
        Hop(replies={"RCPT": "421 4.3.2 Full"}),
        Hop(mute="MAIL"),
    ],
    ids=["closes at MAIL", "closes at RCPT", "421 at MAIL", "421 at RCPT", "mute at MAIL"],
)
async def test_a_second_one_that_is_sound_again_takes_the_next_message(
    tmp_path: Path, first: Hop, was: str
) -> None:
    """Both have failed and are avoided for long: each message tries both before it is refused."""
    bad = dataclasses.replace(first, taken=[], given=[])
    second = Hop(closes="MAIL")
    port = free_port()
    # Short, as a mute one may take its full time while both are bad.
    timeouts = dataclasses.replace(TIMEOUTS, command=3 * SILENCE)
    async with AsyncExitStack() as stack:
        if was == "closes":
            port = await stack.enter_async_context(listening(second.serve))
        bench = await stack.enter_async_context(before(tmp_path, bad, port, timeouts=timeouts))
        await both_avoided(bench)
        second.closes = ""
        if was == "down":
            server = await asyncio.start_server(second.serve, "127.0.0.1", port)
            await stack.enter_async_context(server)
        sent = await send(bench)
        assert sent.taken
        assert in_time(sent.seconds, 3 * SILENCE)
        assert all([(await send(bench)).soon for _ in range(3)])
        assert len(second.taken) == 4


@pytest.mark.parametrize("bad_first", [True, False])
async def test_of_two_avoided_ones_the_one_not_asked_for_longest_is_next(
    tmp_path: Path, bad_first: bool
) -> None:
    """A refusal of MAIL is passed on, so no message tries both; its connection stays open, too."""
    bad = Hop(replies={"MAIL": "451 4.3.0 Queue file write error"})
    second = Hop(replies={"MAIL": "451 4.3.0 Queue file write error"})
    hops = (bad, second) if bad_first else (second, bad)
    async with before(tmp_path, *hops) as bench:
        await both_avoided(bench)
        second.replies.clear()
        taken = []
        for _ in range(5):
            taken.append((await send(bench)).taken)
            await asyncio.sleep(0.02)
        assert all(taken[1:])


async def test_the_preferred_one_gets_the_mail_again_once_it_is_sound(tmp_path: Path) -> None:
    """Though the other one has a connection that is always in use."""
    preferred, other = Hop(mute="MAIL"), Hop()
    timeouts = dataclasses.replace(TIMEOUTS, avoid=0.5, avoid_longest=0.5)
    async with before(tmp_path, preferred, other, timeouts=timeouts) as bench:
        assert (await send(bench)).taken
        preferred.mute = ""
        await asyncio.sleep(timeouts.avoid)
        assert all([(await send(bench)).soon for _ in range(10)])
        assert (len(preferred.taken), len(other.taken)) == (10, 1)


async def test_that_all_fail_shows_where_one_closes_and_the_other_is_down(tmp_path: Path) -> None:
    """Each message moves on to the other one: that it did must not hide the first one's failure."""
    state = NextHopState()
    async with before(tmp_path, Hop(closes="MAIL"), free_port(), hop_state=state) as bench:
        for _ in range(3):
            assert not (await send(bench)).taken
        assert state.trouble is not None
        assert len(state.failures) == 2


async def test_a_mute_one_is_not_waited_for_while_the_other_one_is_on_trial(
    tmp_path: Path,
) -> None:
    """Of two messages at once each tries another one first."""
    mute, second = Hop(mute="MAIL"), Hop(closes="MAIL")
    timeouts = dataclasses.replace(TIMEOUTS, command=3 * SILENCE)
    async with before(tmp_path, mute, second, timeouts=timeouts) as bench:
        await both_avoided(bench)
        second.closes, second.slow = "", {"MAIL": SILENCE / 8}
        sent = await asyncio.gather(send(bench), send(bench))
        assert [one.taken for one in sent] == [True, True]
