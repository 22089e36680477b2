"""A machine that is removed: its agent is told, keeps its word over restarts, and mail goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from tdc.manager.levels.fleet import RemovedMachine
from tdc.node_agent.sync import removal
from tdc.node_agent.sync.ended import RETRY_REMOVED, StreamEnded, seconds_to_next_try

from tests.stage.settings_stream import MX1, AgentSide, ManagerSide, agent, until

INTAKE = "copies@intake.example"


def _settings(manager: ManagerSide, revision: int) -> None:
    manager.view.commit(revision, enabled=True, intake_address=INTAKE)


def _copies(side: AgentSide) -> bool:
    return side.in_force.current().enabled


def _remove(manager: ManagerSide, *, stops: bool) -> None:
    manager.view.gone[MX1] = RemovedMachine(2, stops_copying=stops)
    manager.view.remove(MX1)


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
    _settings(manager, 1)
    async with agent(machine, manager.address):
        await until(lambda: manager.state() == "in sync")
        _remove(manager, stops=True)
        await until((machine / removal.FILE).exists)
    del manager.view.gone[MX1]
    manager.enrolled(machine / "identity", enrolment="e2")
    _settings(manager, 3)
    async with agent(machine, manager.address) as mx1:
        await until(lambda: _copies(mx1))
        await until(lambda: manager.state() == "in sync")
        await until(lambda: removal.load(machine) == removal.NOT_REMOVED)


def test_a_note_that_can_not_be_read_stops_nothing(tmp_path: Path) -> None:
    removal.save(tmp_path, removal.Removal("why", stop_copying=True))
    assert removal.load(tmp_path) == removal.Removal("why", stop_copying=True)
    (tmp_path / removal.FILE).write_bytes(b"damaged")
    assert removal.load(tmp_path) == removal.NOT_REMOVED


def test_a_removed_machine_asks_seldom() -> None:
    ended = StreamEnded("removed", denied=True, removal="keep-running")
    waits = [seconds_to_next_try(ended, failures, 3.0, 0.0) for failures in range(1, 20)]
    assert max(waits) == RETRY_REMOVED / 4
    assert seconds_to_next_try(StreamEnded("other", denied=True), 19, 3.0, 0.0) < max(waits)
