"""A manager that is wrong for a machine, beside the right one, over mTLS on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.stage.settings_stream import (
    FakeJoins,
    FakeView,
    ManagerSide,
    agent,
    until,
    wanted,
    whole,
)

OLDER = "older than revision 9"


@pytest.fixture
async def fork(manager: ManagerSide) -> AsyncIterator[ManagerSide]:
    """Another manager with the same CA, and an older state of the store."""
    view = FakeView()
    view.enrolments["c1", "mx1"] = "e1"
    side = ManagerSide(manager.authority, view, FakeJoins(view))
    await side.start()
    view.commit(3, max_message_size=3_000)
    try:
        yield side
    finally:
        await side.stop()


async def _runs_revision_9(manager: ManagerSide, machine: Path) -> None:
    manager.view.commit(9, max_message_size=9_000)
    async with agent(machine, manager.address):
        await until(lambda: manager.state() == "in sync")


@pytest.mark.proves("P16", "F49")
async def test_an_agent_leaves_a_manager_that_it_refuses_for_one_that_is_right(
    manager: ManagerSide, machine: Path, fork: ManagerSide
) -> None:
    await _runs_revision_9(manager, machine)
    await manager.stop()
    async with agent(machine, fork.address, manager.address) as mx1:
        await until(lambda: OLDER in fork.presence.facts("c1", "mx1").reason)
        await until(lambda: fork.state() == "offline")
        facts = fork.presence.facts("c1", "mx1")
        assert facts.reason.startswith("it refused this manager: revision 3 is older")
        assert facts.refused_for is not None
        await manager.start()
        await until(lambda: manager.state() == "in sync")
        assert f"manager {fork.address} was refused: revision 3" in mx1.stream.warnings()[0]
        manager.view.commit(10, max_message_size=10_000)
        await until(lambda: mx1.in_force.current().max_message_size == 10_000)
        fork.view.commit(4, max_message_size=4_000)
        await asyncio.sleep(0.5)
        assert manager.state() == "in sync", "it stays with the right one"
        assert fork.state() == "offline"


async def test_an_agent_that_refuses_its_only_manager_stays_and_says_why(
    manager: ManagerSide, machine: Path, fork: ManagerSide
) -> None:
    await _runs_revision_9(manager, machine)
    async with agent(machine, fork.address) as mx1:
        await until(lambda: fork.state() == "rejected")
        await asyncio.sleep(0.5)
        facts = fork.presence.facts("c1", "mx1")
        assert facts.state == "rejected"
        assert facts.status is not None
        assert OLDER in facts.status.refuses_manager
        assert not [each for each in facts.status.warnings if OLDER in each]
        assert mx1.stream.warnings() == ()
        fork.view.commit(11, max_message_size=11_000)  # it has caught up
        await until(lambda: fork.state() == "in sync")
        assert mx1.in_force.current().max_message_size == 11_000


async def test_what_was_refused_of_one_manager_is_welcome_of_another(
    manager: ManagerSide, machine: Path, fork: ManagerSide
) -> None:
    """The same content: a refusal that the right manager heard of would keep it from offering."""
    await _runs_revision_9(manager, machine)
    await manager.stop()
    async with agent(machine, fork.address, manager.address) as mx1:
        await until(lambda: fork.state() == "offline" and mx1.stream.warnings() != ())
        await manager.start()
        await until(lambda: manager.state() == "in sync")
        await until(lambda: manager.presence.facts("c1", "mx1").status is not None)
        manager.view.commit(12, max_message_size=3_000)
        await until(lambda: mx1.in_force.running.revision == 12)


async def test_a_torn_message_sends_the_agent_to_another_manager(
    manager: ManagerSide, machine: Path, fork: ManagerSide
) -> None:
    await _runs_revision_9(manager, machine)
    await manager.stop()
    torn = wanted(whole(max_message_size=12_000), 12)
    torn.settings.max_message_size = 13_000
    fork.view.put(torn)
    async with agent(machine, fork.address, manager.address) as mx1:
        await until(lambda: "do not match their hash" in fork.presence.facts("c1", "mx1").reason)
        manager.view.commit(12, max_message_size=12_000)
        await manager.start()
        await until(lambda: mx1.in_force.current().max_message_size == 12_000)
