"""A spool's file that an earlier agent wrote is opened, and nothing in it is lost."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from tdc.node_agent.spool import database
from tdc.node_agent.spool.database import Database
from tdc.node_agent.spool.faults import DatabaseFault
from tdc.node_agent.spool.queries import upgrade_from
from tdc.node_agent.spool.spool import Spool
from tdc.node_agent.spool.steady import LONGEST_STEP

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


def schema_of(path: Path) -> dict[str, set[object]]:
    """Table or index -> its columns."""
    connection = sqlite3.connect(path)
    names = connection.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'")
    found = {
        name: {tuple(row)[1:] for row in connection.execute(f"PRAGMA table_xinfo({name})")}
        | {tuple(row)[2:] for row in connection.execute(f"PRAGMA index_xinfo({name})")}
        for (name,) in names.fetchall()
    }
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.close()
    return {**found, "version": {version}}


@pytest.mark.proves("F20")
async def test_an_upgraded_file_has_the_schema_of_a_new_one(
    tmp_path: Path, clock: FakeClock
) -> None:
    written_before(tmp_path / "old")
    for name in ("old", "new"):
        await (await Spool.open(tmp_path / name, clocks=clock.machine)).close()
    assert schema_of(tmp_path / "old" / "spool.db") == schema_of(tmp_path / "new" / "spool.db")


async def test_dead_copies_of_version_1_have_the_time_of_their_death(
    folder: Path, clock: FakeClock
) -> None:
    written_before(folder)
    spool = await Spool.open(folder, clocks=clock.machine)
    by_mid = {letter.mid: letter for letter in await dead_letters(spool)}
    events = {event.what: event.at for event in await spool.history(3)}
    assert by_mid[3].dead_at == events["dead"]
    assert by_mid[4].dead_at - by_mid[4].taken_at == 60
    await spool.close()


@pytest.mark.proves("F20")
async def test_an_upgrade_that_is_cut_off_leaves_version_1_as_it_was(
    folder: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    written_before(folder)
    before = schema_of(folder / "spool.db")
    statements = upgrade_from(1)
    for count in (3, 7, len(statements)):
        with monkeypatch.context() as patch:
            cut = (*statements[:count], "SELECT no_such_function()")
            patch.setattr(database, "upgrade_from", lambda _, cut=cut: cut)
            with pytest.raises(DatabaseFault):
                Database(folder / "spool.db", clock.now)
        assert schema_of(folder / "spool.db") == before
    spool = await Spool.open(folder, clocks=clock.machine)
    assert [copy.mid for copy in await spool.claim(spool.now() + 400, 10)] == [5, 7, 8, 2]
    await spool.close()


@pytest.mark.proves("F20")
async def test_version_1_leaves_a_file_of_version_2_alone(
    folder: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    written_before(folder)
    await (await Spool.open(folder, clocks=clock.machine)).close()
    before = (folder / "spool.db").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(database, "SCHEMA_VERSION", 1)
        spool = await Spool.open(folder, clocks=clock.machine)
        assert "its schema version is 2, this agent knows 1" in (spool.facts().unhealthy or "")
        await spool.close()
    assert (folder / "spool.db").read_bytes() == before
    spool = await Spool.open(folder, clocks=clock.machine)
    assert [copy.mid for copy in await spool.claim(spool.now() + 400, 10)] == [5, 7, 8, 2]
    await spool.close()


@pytest.mark.proves("F21")
@pytest.mark.parametrize("wrong_by", [10 * 365 * 86_400.0, -10 * 365 * 86_400.0])
async def test_a_clock_that_is_wrong_at_the_upgrade_makes_nothing_old(
    folder: Path, clock: FakeClock, wrong_by: float
) -> None:
    written_before(folder)
    clock.wrong_by = wrong_by
    spool = await Spool.open(folder, clocks=clock.machine)
    copies = await spool.claim(spool.now() + 400, 10)
    assert {copy.mid for copy in copies} == {2, 5, 7, 8}
    ages = [spool.now() - copy.taken_at for copy in copies]
    assert all(0 <= age <= LONGEST_STEP + 86_400 for age in ages)
    assert max(copy.dated for copy in copies) < 2e9, "the report's Date is that of the take"
    await spool.close()
