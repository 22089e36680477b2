"""The settings stream between a real client and a real server, over mTLS on loopback."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from tdc.manager.push.session import End
from tdc.manager.rpc.agents import _CODES
from tdc.node_agent.sync import last_good
from tdc.shared.edge import durable_file

from tests.stage.settings_stream import QUICK, ManagerSide, Proxy, agent, until, wanted, whole
from tests.surroundings import in_time

INTAKE = "journal@intake.example"


async def test_settings_reach_the_machine_and_its_status_the_manager(
    manager: ManagerSide, machine: Path
) -> None:
    manager.view.commit(1, enabled=True, intake_address=INTAKE)
    async with agent(machine, manager.address) as mx1:
        await until(lambda: manager.state() == "in sync")
        assert mx1.in_force.current().intake_address == INTAKE
        manager.view.commit(2, enabled=False)
        await until(lambda: not mx1.in_force.current().enabled)
        await until(lambda: manager.state() == "in sync")
        facts = manager.presence.facts("c1", "mx1")
        assert (facts.wanted_revision, facts.applied_revision, facts.reason) == (2, 2, "")
        await until(lambda: manager.presence.facts("c1", "mx1").status is not None)
        status = manager.presence.facts("c1", "mx1").status
        assert status is not None
        assert status.queued == 7
    await until(lambda: manager.state() == "offline")
    assert len(manager.sessions) == 0


@pytest.mark.proves("P15")
async def test_a_rejection_reaches_the_operator_with_its_reason_and_is_not_repeated(
    manager: ManagerSide, machine: Path
) -> None:
    """Enabled without an intake is valid setting by setting, not together."""
    manager.view.commit(1, enabled=False)
    async with agent(machine, manager.address) as mx1:
        await until(lambda: manager.state() == "in sync")
        manager.view.commit(2, enabled=True)
        await until(lambda: manager.state() == "rejected")
        facts = manager.presence.facts("c1", "mx1")
        assert "intake_address" in facts.reason
        assert (facts.wanted_revision, facts.applied_revision) == (2, 1)
        assert not mx1.in_force.current().enabled
        tried = mx1.in_force.last_attempt
        await asyncio.sleep(3 * QUICK.status)
        assert mx1.in_force.last_attempt is tried
    async with agent(machine, manager.address) as mx1:
        await until(lambda: manager.state() == "rejected")
        assert mx1.in_force.last_attempt == tried  # kept on disk, and not offered again
        manager.view.commit(3, enabled=True, intake_address=INTAKE)
        await until(lambda: manager.state() == "in sync")


async def test_a_machine_that_is_unchanged_is_not_sent_its_settings_again(
    manager: ManagerSide, machine: Path
) -> None:
    many = tuple(f"d{number}.example.com" for number in range(3_000))
    manager.view.commit(1, incoming_domains=many)
    async with Proxy(manager.port) as link:
        async with agent(machine, f"127.0.0.1:{link.port}"):
            await until(lambda: manager.state() == "in sync")
        first, link.bytes_down = link.bytes_down, 0
        assert first > 40_000
        async with agent(machine, f"127.0.0.1:{link.port}") as mx1:
            await until(lambda: manager.state() == "in sync")
            manager.view.commit(2, ("c1", "mx2"), enabled=False)
            manager.view.commit(2, incoming_domains=many)
            await until(lambda: mx1.statuses > 3)
            assert link.bytes_down < 10_000
            facts = manager.presence.facts("c1", "mx1")
            assert (facts.state, facts.applied_revision) == ("in sync", 2)


async def test_a_lower_revision_of_the_same_store_is_refused(
    manager: ManagerSide, machine: Path
) -> None:
    manager.view.commit(9, max_message_size=1_000_000)
    async with agent(machine, manager.address) as mx1:
        await until(lambda: manager.state() == "in sync")
        manager.view.commit(5, max_message_size=2_000_000)
        await until(lambda: manager.state() == "rejected")
        assert mx1.in_force.current().max_message_size == 1_000_000
        assert "older" in manager.presence.facts("c1", "mx1").reason
        manager.view.commit(10, max_message_size=2_000_000)
        await until(lambda: manager.state() == "in sync")


@pytest.mark.parametrize("torn", ["empty", "hash", "unknown field", "one missing"])
@pytest.mark.proves("B99", "P15")
async def test_what_is_not_whole_never_runs(manager: ManagerSide, machine: Path, torn: str) -> None:
    manager.view.commit(1, max_message_size=1_000_000)
    async with agent(machine, manager.address) as mx1:
        await until(lambda: manager.state() == "in sync")
        message = wanted(whole(max_message_size=2_000_000), 2)
        match torn:
            case "empty":
                message.ClearField("settings")
            case "hash":
                message.settings.max_message_size = 3_000_000
            case "unknown field":
                message.settings.MergeFromString(b"\xfa\x3f\x01x")
            case "one missing":
                message.settings.ClearField("spool_max_bytes")
        manager.view.put(message)
        await until(lambda: manager.state() == "rejected")
        assert mx1.in_force.current().max_message_size == 1_000_000


@pytest.mark.proves("F55")
async def test_both_ends_notice_a_link_that_fell_silent(
    manager: ManagerSide, machine: Path
) -> None:
    """Nothing is closed, nothing passes: the deadline is what tells."""
    manager.view.commit(1)
    async with (
        Proxy(manager.port) as link,
        agent(machine, f"127.0.0.1:{link.port}", retry_maximum=5) as mx1,
    ):
        await until(lambda: manager.state() == "in sync")
        assert mx1.stream.connected
        link.silence()
        began = time.monotonic()
        stale: list[float] = []
        lost: list[float] = []

        def both() -> bool:
            if not stale and manager.state() == "stale":
                stale.append(manager.presence.facts("c1", "mx1").since or 0.0)
            if not lost and not mx1.stream.connected:
                lost.append(time.monotonic())
            return bool(stale and lost)

        await until(both)
        assert in_time(time.monotonic() - began, 2 * QUICK.deadline)
        assert time.time() - stale[0] >= QUICK.deadline * 0.9  # since it was last heard
        manager.view.commit(2, enabled=True, intake_address=INTAKE)
        await until(lambda: manager.state() == "in sync")


async def test_an_agent_finds_its_manager_again_after_a_restart(
    manager: ManagerSide, machine: Path
) -> None:
    manager.view.commit(1)
    async with agent(machine, manager.address) as mx1:
        await until(lambda: manager.state() == "in sync")
        await manager.stop()
        await until(lambda: not mx1.stream.connected)
        manager.view.machines["c1", "mx1"] = wanted(whole(max_message_size=5_000), 2)
        await asyncio.sleep(0.5)
        await manager.start()
        await until(lambda: manager.state() == "in sync", timeout=8)
        assert mx1.in_force.current().max_message_size == 5_000
        assert manager.presence.facts("c1", "mx1").warning == ""


async def test_a_stream_that_the_manager_cancels_is_opened_again_at_once(
    manager: ManagerSide, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CANCELLED from the peer is not a cancellation of our own."""
    manager.view.commit(1)
    monkeypatch.setitem(_CODES, End.DENIED, grpc.StatusCode.CANCELLED)
    async with agent(machine, manager.address) as mx1:
        await until(lambda: manager.state() == "in sync")
        began = time.monotonic()
        manager.view.enrolments["c1", "mx1"] = "e2"
        manager.view.tell(("c1", "mx1"))
        manager.view.enrolments["c1", "mx1"] = "e1"
        await until(lambda: not mx1.stream.connected)
        await until(lambda: mx1.stream.connected)
        assert in_time(time.monotonic() - began, QUICK.deadline)


async def test_two_machines_with_one_certificate_do_not_flood_the_manager(
    manager: ManagerSide, machine: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    manager.view.commit(1)
    shutil.copytree(machine, tmp_path / "clone")
    caplog.set_level("INFO", "tdc.manager.push.agents")
    async with (
        agent(machine, manager.address, retry_maximum=3.0),
        agent(tmp_path / "clone", manager.address, retry_maximum=3.0),
    ):
        await asyncio.sleep(3)
        assert "two machines" in manager.presence.facts("c1", "mx1").warning
    streams = [each for each in caplog.messages if "reconnected from" in each]
    assert 1 <= len(streams) < 15


async def test_an_agent_goes_to_another_manager_when_its_own_is_away(
    manager: ManagerSide, machine: Path
) -> None:
    manager.view.commit(1)
    async with agent(machine, "127.0.0.1:1", manager.address):
        await until(lambda: manager.state() == "in sync")


async def test_what_was_applied_runs_again_without_a_manager(
    manager: ManagerSide, machine: Path
) -> None:
    manager.view.commit(4, enabled=True, intake_address=INTAKE)
    async with agent(machine, manager.address):
        await until(lambda: manager.state() == "in sync")
    async with agent(machine, "127.0.0.1:1") as mx1:
        assert mx1.in_force.current().intake_address == INTAKE
        assert mx1.in_force.running.revision == 4


async def test_a_damaged_file_falls_back_and_is_repaired_by_the_manager(
    manager: ManagerSide, machine: Path
) -> None:
    manager.view.commit(1, max_message_size=1_000)
    async with agent(machine, manager.address):
        await until(lambda: manager.state() == "in sync")
        manager.view.commit(2, max_message_size=2_000)
        await until(lambda: manager.state() == "in sync")
    newest = machine / last_good.NEWEST
    newest.write_bytes(newest.read_bytes().replace(b"2000", b"2001"))
    async with agent(machine, "127.0.0.1:1") as mx1:
        assert mx1.in_force.current().max_message_size == 1_000
        assert "revision 1" in mx1.in_force.warnings[0]
    async with agent(machine, manager.address) as mx1:
        await until(lambda: mx1.in_force.running.revision == 2)
        assert mx1.in_force.warnings == ()


async def test_settings_that_can_not_be_kept_are_not_applied_and_tried_again(
    manager: ManagerSide, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager.view.commit(1, max_message_size=1_000)
    async with agent(machine, manager.address) as mx1:
        await until(lambda: manager.state() == "in sync")

        def full(*_: object, **__: object) -> None:
            raise durable_file.NotWritten("no space left on device")

        with monkeypatch.context() as broken:
            broken.setattr(durable_file, "write", full)
            manager.view.commit(2, max_message_size=2_000)
            await until(lambda: manager.state() == "rejected")
            assert "no space" in manager.presence.facts("c1", "mx1").reason
            assert mx1.in_force.current().max_message_size == 1_000
    async with agent(machine, manager.address) as mx1:  # or after RETRY_APPLY, by itself
        await until(lambda: manager.state() == "in sync")
        assert mx1.in_force.current().max_message_size == 2_000


async def test_a_stream_that_ends_while_settings_are_written_leaves_disk_and_memory_agreed(
    manager: ManagerSide, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a rollback to what runs would send nothing, and a restart would run what was undone."""
    manager.view.commit(1, max_message_size=1_000)
    begun, go_on, save = threading.Event(), threading.Event(), last_good.save

    def slow(*arguments: Any) -> None:
        begun.set()
        go_on.wait(5)
        save(*arguments)

    async with agent(machine, manager.address) as mx1:
        await until(lambda: manager.state() == "in sync")
        monkeypatch.setattr(last_good, "save", slow)
        manager.view.commit(2, max_message_size=2_000)
        await until(begun.is_set)
        await manager.stop()
        await asyncio.sleep(0.1)
        go_on.set()
        manager.view.machines["c1", "mx1"] = wanted(whole(max_message_size=1_000), 3)
        await manager.start()
        await until(lambda: manager.state() == "in sync")
        assert mx1.in_force.current().max_message_size == 1_000
    assert last_good.load(machine).settings["max_message_size"] == 1_000
