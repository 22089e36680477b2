"""Each intake's facts are in the spool's file, no later than a copy for it, and not for ever."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tdc.node_agent.spool import batch, intake_book
from tdc.node_agent.spool.folder import SpoolFolder
from tdc.node_agent.spool.intake_book import safest
from tdc.node_agent.spool.spool import Spool
from tdc.shared.connector.intake import Intake

from tests.spool.conftest import FakeClock
from tests.spool.test_spool import ENVELOPE, claim_all, put
from tests.spool.test_spool_damage import change


def intake(number: int, *, port: int = 25) -> Intake:
    address = f"copies@{number}.example"
    route = (f"mx.{number}.example:{port}",)
    return Intake(address, route, True, "1.3", "pinned", ("x",), ("sha256:0",))


async def test_the_facts_are_written_with_the_first_copy_at_the_latest(
    folder: Path, clock: FakeClock
) -> None:
    """The file is copied as it is when the hold returns: that is what a crash would leave."""
    spool = await Spool.open(folder, clocks=clock.machine)
    spool.intakes.set_in_force([intake(1)])
    await spool.hold(ENVELOPE, b"x", intake(1).address, "1")
    crashed = folder.with_name("crashed")
    crashed.mkdir()
    for path in folder.glob("spool.db*"):
        (crashed / path.name).write_bytes(path.read_bytes())
    await spool.close()
    after = await Spool.open(crashed, clocks=clock.machine)
    assert after.intakes.find(intake(1).address) == intake(1)
    await after.close()


async def test_an_intake_is_as_it_was_last(folder: Path, clock: FakeClock) -> None:
    spool = await Spool.open(folder, clocks=clock.machine)
    spool.intakes.set_in_force([intake(1), intake(2)])
    spool.intakes.set_in_force([intake(2), intake(1, port=26)])
    spool.intakes.set_in_force([intake(3)])
    assert spool.intakes.find(intake(1).address) == intake(1, port=26)
    spool.intakes.set_in_force([intake(1, port=27)])
    assert spool.intakes.find(intake(1).address) == intake(1, port=27), "as it is now"
    spool.intakes.set_in_force([intake(1, port=26)])
    spool.intakes.set_in_force([])
    await spool.close()
    spool = await Spool.open(folder, clocks=clock.machine)
    assert spool.intakes.find(intake(1).address) == intake(1, port=26)
    assert spool.intakes.find("new@4.example") == safest("new@4.example")
    await spool.close()


async def test_settings_that_come_before_the_file_is_open_are_in_it_all_the_same(
    folder: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(_: Path) -> SpoolFolder:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(SpoolFolder, "locked", refuses)
        spool = await Spool.open(folder, clocks=clock.machine)
        spool.intakes.set_in_force([intake(1)])
    async with asyncio.timeout(8):
        await spool.arrived.wait()
    await put(spool, b"x", intake(1).address)
    spool.intakes.set_in_force([])
    await spool.close()
    spool = await Spool.open(folder, clocks=clock.machine)
    assert spool.intakes.find(intake(1).address) == intake(1)
    await spool.close()


async def test_what_nobody_needs_is_forgotten_and_what_copies_need_is_not(
    folder: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (batch, intake_book):
        monkeypatch.setattr(module, "KEEP_INTAKES", 3)
    from tdc.node_agent.spool import database  # noqa: PLC0415

    monkeypatch.setattr(database, "KEEP_INTAKES", 3)
    spool = await Spool.open(folder, clocks=clock.machine)
    for number in range(12):
        clock.now += 1
        spool.intakes.set_in_force([intake(number)])
        await asyncio.sleep(0.01)  # each is written by itself
        if number in (0, 1):
            await put(spool, b"x", intake(number).address)
        if number == 1:
            (first, _) = await claim_all(spool, clock)
            await spool.dead(first.mid, reason="no")
    for number in (0, 1, 11):
        assert spool.intakes.find(intake(number).address) == intake(number), "in memory as well"
    await spool.close()
    spool = await Spool.open(folder, clocks=clock.machine)
    known = [n for n in range(12) if spool.intakes.find(intake(n).address) == intake(n)]
    assert known[:2] == [0, 1], "a copy waits, or is dead, for them"
    assert known[-1] == 11
    assert len(known) <= 2 + 3 + 1
    await spool.close()


@pytest.mark.parametrize(
    "facts",
    ["no json", "[]", "{}", '{"route": []}', None, 7],
)
async def test_damaged_facts_are_not_known(folder: Path, clock: FakeClock, facts: object) -> None:
    spool = await Spool.open(folder, clocks=clock.machine)
    spool.intakes.set_in_force([intake(1)])
    await spool.close()
    if facts is None:
        change(folder, "UPDATE intakes SET facts = replace(facts, 'pinned', 'none')")
    else:
        change(folder, "UPDATE intakes SET facts = ?", facts)
    spool = await Spool.open(folder, clocks=clock.machine)
    assert spool.facts().unhealthy is None
    assert spool.intakes.find(intake(1).address) == safest(intake(1).address)
    await spool.close()


def test_nobody_is_trusted_for_an_intake_of_which_nothing_is_known() -> None:
    """Its MX by the DNS, on the public Internet, with a certificate of a public CA."""
    facts = safest("copies@intake.example")
    assert (facts.route, facts.private, facts.tls_verification) == (("usedns",), False, "webpki")
    assert (facts.tls_minimum_version, facts.tls_names, facts.tls_pins) == ("1.2", (), ())
