"""kill -9 of the agent when the intake has accepted a report, and nobody has marked it."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tests.demo.send import send_all
from tests.fakes.journal_reader import read_report
from tests.fakes.listening import free_port
from tests.fakes.smtp_faults import Faults
from tests.fakes.smtp_session import Session
from tests.stage.accepted import Unmarked, report_ids
from tests.stage.fleet import Gateway, RunningFleet
from tests.stage.freezing import freeze
from tests.system.conftest import copying
from tests.system.test_kill import numbered

__all__ = ["copying"]  # a fixture

pytestmark = [pytest.mark.system, pytest.mark.crash]

KILLS = 2
MESSAGES = 10


@pytest.mark.proves("F34", "P4")
async def test_a_report_that_was_accepted_in_the_moment_of_a_kill_is_repeated_once(
    copying: RunningFleet,
) -> None:
    """The agent is stopped, the reply is sent to it, and it is killed before it can read it."""
    gateway = await copying.add_gateway("mx1", group="Main_Group", listen=free_port())
    await copying.in_sync()
    intake, unmarked = copying.intake, Unmarked(gateway, copying.intake)
    intake.faults = Faults(delays={"ehlo": 0.4})  # all originals are through before it begins
    for turn in range(KILLS):
        first = turn * MESSAGES
        intake.drop_connections()
        killed = _kill_at(copying, gateway, report=first + turn + 1)
        messages = [numbered(number) for number in range(first, first + MESSAGES)]
        await send_all("127.0.0.1", gateway.port, messages)
        await asyncio.wait_for(killed.wait(), 10)
        await gateway.agent.kill()
        assert await unmarked.look(), "the kill fell into no window"
        await gateway.agent.start()
        async with asyncio.timeout(20):
            while report_ids(intake).total() < first + MESSAGES + unmarked.times.total():
                await asyncio.sleep(0.02)
    await copying.wait_for(lambda rows: rows["mx1"]["queued"] == 0)
    arrived = report_ids(intake)
    assert len(arrived) == KILLS * MESSAGES, "a copy was lost, or taken twice"
    assert arrived - Counter(arrived.keys()) == unmarked.times
    originals = {read_report(message.content).original for message in intake.messages}
    assert originals == {numbered(number).content for number in range(KILLS * MESSAGES)}


def _kill_at(fleet: RunningFleet, gateway: Gateway, *, report: int) -> asyncio.Event:
    """Stop the agent when the intake has stored so many different reports; set once it replied."""
    replied, intake = asyncio.Event(), fleet.intake
    store = type(intake).store

    def store_and_stop(session: Session, content: bytes, via: str) -> int:
        number = store(intake, session, content, via)
        if len(report_ids(intake)) == report and not replied.is_set():
            freeze(gateway.agent.pid)
            # The reply follows in this very step of the loop.
            asyncio.get_running_loop().call_later(0.05, replied.set)
        return number

    intake.store = store_and_stop  # type: ignore[method-assign]
    return replied
