"""A spool's file that an earlier agent wrote is opened, and nothing in it is lost."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from tdc.node_agent.spool.spool import Spool

from tests.spool.conftest import FakeClock
from tests.spool.test_spool import INTAKE
from tests.stage.delivery import dead_letters

SCRIPT = Path(__file__).with_name("spool_with_state_damaged.sql")
"""1 delivered, 2 deferred, 3 dead, 4 damaged, 5 and 7 queued, 6 discarded, 8 held."""


def written_before(folder: Path) -> None:
    folder.mkdir()
    connection = sqlite3.connect(folder / "spool.db")
    connection.executescript(SCRIPT.read_text())
    connection.close()


async def test_the_copies_of_an_earlier_agent_are_delivered(folder: Path, clock: FakeClock) -> None:
    written_before(folder)
    clock.now += 120  # 2 is due 300 s after it was deferred
    spool = await Spool.open(folder, clocks=clock.machine)
    assert spool.facts().warning is None
    copies = await spool.claim(clock(), 10)
    assert [copy.mid for copy in copies] == [5, 7, 8]
    assert copies[0].content == b"Subject: copy 5\r\n\r\n"
    clock.now += 240
    [deferred] = await spool.claim(clock(), 10)
    assert (deferred.mid, deferred.attempts) == (2, 1)
    assert [event.what for event in await spool.history(1)] == ["taken", "delivered"]
    assert await spool.hold(copies[0].envelope, b"x", INTAKE, "9" * 32) == 9
    await spool.close()


async def test_a_damaged_copy_of_an_earlier_agent_is_dead_with_its_reason(
    folder: Path, clock: FakeClock
) -> None:
    """It had a state and an event of its own; a dead copy is a dead copy, whatever the reason."""
    written_before(folder)
    spool = await Spool.open(folder, clocks=clock.machine)
    assert spool.facts().dead == 2
    assert {letter.mid: letter.reason for letter in await dead_letters(spool)} == {
        3: "Message Refused: 552 5.3.4 too big",
        4: "its bytes don't match their checksum",
    }
    assert [event.what for event in await spool.history(4)] == ["taken", "dead"]
    await spool.close()
    spool = await Spool.open(folder, clocks=clock.machine)
    assert spool.facts().dead == 2
    await spool.close()
