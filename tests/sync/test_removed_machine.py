"""A machine that is removed: its agent is told, keeps its word over restarts, and mail goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tdc.manager.levels.fleet import RemovedMachine
from tdc.node_agent.sync import removal
from tdc.node_agent.sync.ended import RETRY_REMOVED, StreamEnded, seconds_to_next_try
from tdc.shared.edge import durable_file
from tdc.shared.sync.acceptance import doubtful
from tdc.shared.sync.values import NOTHING_RUNS, Removed, Running
from tdc.shared.wire.removed import (
    REMOVED,
    REMOVED_BY,
    STOP_COPYING,
    removed_from_metadata,
    removed_to_metadata,
)

from tests.stage.settings_stream import MX1, AgentSide, ManagerSide, agent, until, wanted, whole

INTAKE = "copies@intake.example"


def _settings(manager: ManagerSide, revision: int) -> None:
    manager.view.commit(revision, enabled=True, intake_address=INTAKE)


def _copies(side: AgentSide) -> bool:
    return side.in_force.current().enabled


def _remove(manager: ManagerSide, *, stops: bool) -> None:
    manager.view.gone[MX1] = RemovedMachine(2, stops_copying=stops)
    manager.view.remove(MX1)


async def _told_to_stop(manager: ManagerSide, machine: Path) -> None:
    """An agent that copied was told of its removal, and to stop copying; it has ended."""
    _settings(manager, 1)
    async with agent(machine, manager.address) as mx1:
        await until(lambda: manager.state() == "in sync")
        _remove(manager, stops=True)
        await until(lambda: bool(mx1.in_force.removal.why))
        await until((machine / removal.FILE).exists)


@pytest.mark.parametrize("stops", [False, True])
async def test_a_connected_agent_is_told_at_once_and_keeps_to_it(
    manager: ManagerSide, machine: Path, stops: bool
) -> None:
    _settings(manager, 1)
    async with agent(machine, manager.address) as mx1:
        await until(lambda: manager.state() == "in sync")
        _remove(manager, stops=stops)
        await until(lambda: bool(mx1.in_force.removal.why))
        assert _copies(mx1) is not stops
        assert mx1.in_force.current().intake_address == INTAKE  # what is queued goes on
        assert (
            "machine mx1 was removed by revision 2 of cluster c1" in mx1.in_force.removal.sentence
        )
        assert len(manager.sessions) == 0
    # It starts again, and no manager answers.
    async with agent(machine, "127.0.0.1:1") as mx1:
        assert _copies(mx1) is not stops
        assert mx1.in_force.removal.stop_copying is stops


async def test_an_agent_that_was_away_is_told_when_it_comes(
    manager: ManagerSide, machine: Path
) -> None:
    _settings(manager, 1)
    async with agent(machine, manager.address):
        await until(lambda: manager.state() == "in sync")
    _remove(manager, stops=True)
    async with agent(machine, manager.address) as mx1:
        await until(lambda: bool(mx1.in_force.removal.why))
        assert not _copies(mx1)


async def test_a_machine_that_is_enrolled_again_copies_again(
    manager: ManagerSide, machine: Path
) -> None:
    await _told_to_stop(manager, machine)
    del manager.view.gone[MX1]
    manager.enrolled(machine / "identity", enrolment="e2")
    _settings(manager, 3)
    async with agent(machine, manager.address) as mx1:
        await until(lambda: _copies(mx1))
        await until(lambda: manager.state() == "in sync")
        await until(lambda: removal.load(machine) == removal.NOT_REMOVED)


async def test_a_manager_that_has_not_heard_of_it_starts_no_copying(
    manager: ManagerSide, machine: Path
) -> None:
    """One that is cut off from etcd, say: only what comes after the removal ends it."""
    await _told_to_stop(manager, machine)
    manager.view.enrolments[MX1] = "e1"
    manager.view.commit(1, enabled=True, intake_address=INTAKE)
    async with agent(machine, manager.address) as mx1:
        await until(lambda: manager.state() == "in sync")
        manager.view.commit(2, enabled=True, intake_address=f"x.{INTAKE}")
        await until(lambda: mx1.in_force.running.revision == 2)
        assert not _copies(mx1)
    async with agent(machine, manager.address) as mx1:
        await until(lambda: manager.state() == "in sync")
        assert not _copies(mx1)
        _settings(manager, 3)  # the machine is there after the removal: nobody removed it
        await until(lambda: _copies(mx1))
        await until(lambda: removal.load(machine) == removal.NOT_REMOVED)


async def test_a_store_that_was_adopted_since_has_the_machine_again(
    manager: ManagerSide, machine: Path
) -> None:
    """An older backup was restored, and the operator said that it counts."""
    await _told_to_stop(manager, machine)
    manager.view.enrolments[MX1] = "e1"
    adopted = wanted(whole(enabled=True, intake_address=f"x.{INTAKE}"), 1)
    adopted.store_id = "store-2"
    manager.view.put(adopted)
    async with agent(machine, manager.address) as mx1:
        await until(lambda: _copies(mx1))


@pytest.mark.parametrize(("running", "by"), [(5, 4), (5, 5)])
async def test_a_removal_of_another_history_stops_nothing(
    manager: ManagerSide,
    machine: Path,
    running: int,
    by: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A restored backup, or a copy of the store, in which a machine of this name was removed."""
    _settings(manager, running)
    async with agent(machine, manager.address):
        await until(lambda: manager.state() == "in sync")
    manager.view.gone[MX1] = RemovedMachine(by, stops_copying=True)
    manager.view.remove(MX1)
    async with agent(machine, manager.address) as mx1:
        await until(lambda: "an older state or another history" in caplog.text)
        assert _copies(mx1)
        assert not mx1.in_force.removal.why


def test_what_a_store_that_was_left_removed_stops_nothing() -> None:
    runs = Running(5, "hash", "store-2", left=("store-1",))
    assert "older state or another history" in doubtful(Removed(True, "store-1", 9), runs)
    assert doubtful(Removed(True, "store-2", 6), runs) == ""
    assert doubtful(Removed(True, "store-3", 1), runs) == "", "it was adopted since"
    for each in (runs, NOTHING_RUNS):
        assert doubtful(Removed(True), each) == "", "a manager of before does not say"


@given(st.booleans(), st.text("0123456789abcdef-"), st.integers(0, 10**15))
def test_what_a_removed_machine_is_told_is_what_it_hears(
    stops: bool, store: str, revision: int
) -> None:
    told = Removed(stops, store, revision)
    assert removed_from_metadata(removed_to_metadata(told)) == told


def test_what_an_older_or_strange_manager_tells_is_heard_too() -> None:
    assert removed_from_metadata(()) is removed_from_metadata([(REMOVED_BY, "1 x")]) is None
    for by in ("", "x y", "\u0661 x", "9" * 5_000):
        told = [(REMOVED, STOP_COPYING), (REMOVED_BY, by)]
        assert removed_from_metadata(told) == Removed(stops_copying=True)


def test_a_note_that_can_not_be_read_stops_nothing(tmp_path: Path) -> None:
    note = removal.Removal("why", True, "store-1", 7, "e1")
    removal.save(tmp_path, note)
    assert removal.load(tmp_path) == note
    for damaged in (b"damaged", b"[]", b'{"why": "x", "stop_copying": true, "revision": []}'):
        durable_file.write_checked(tmp_path / removal.FILE, damaged)
        assert removal.load(tmp_path) == removal.NOT_REMOVED
    (tmp_path / removal.FILE).write_bytes(b"damaged")
    assert removal.load(tmp_path) == removal.NOT_REMOVED


def test_a_note_of_an_older_agent_is_read(tmp_path: Path) -> None:
    note = b'{"why": "why", "stop_copying": true}'
    durable_file.write_checked(tmp_path / removal.FILE, note)
    assert removal.load(tmp_path) == removal.Removal("why", stop_copying=True)


def test_a_removed_machine_asks_seldom() -> None:
    ended = StreamEnded("removed", denied=True, removed=Removed(stops_copying=False))
    waits = [seconds_to_next_try(ended, failures, 3.0, 0.0) for failures in range(1, 20)]
    assert max(waits) == RETRY_REMOVED / 4
    assert seconds_to_next_try(StreamEnded("other", denied=True), 19, 3.0, 0.0) < max(waits)
