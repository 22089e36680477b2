"""What is suspended on a machine: taken, kept, ended in time, whatever clocks and disk do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tdc.manager.levels.fleet import RemovedMachine
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.spool.clock import MachineClocks
from tdc.node_agent.sync import suspension as kept
from tdc.node_agent.sync.suspension import KeptSuspension
from tdc.shared.edge import durable_file
from tdc.shared.edge.clock import wall
from tdc.shared.edge.tasks import running
from tdc.shared.sync.suspension import NOT_SUSPENDED, Suspended, Suspension, WantedSuspension
from tdc.shared.wire import stream

from tests.stage.settings_stream import MX1, AgentSide, ManagerSide, agent, until, wanted, whole

ADA = Suspended("ada", "disk change", 1_795_425_302.0)
FOR_2H = replace(ADA, until=1_795_432_502.0, left=7_200.0)
BOTH = WantedSuspension(Suspension(5, ADA, FOR_2H), "s1")


class Lines(TdcLog):
    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def suspended(self, work: str, by: str, how: str) -> None:
        self.said.append(f"{work} suspended {how}")

    def resumed(self, work: str, why: str) -> None:
        self.said.append(f"{work} resumed: {why}")

    def warning(self, text: str) -> None:
        self.said.append(text)

    def error(self, text: str) -> None:
        self.said.append(text)


@dataclass
class Clocks:
    """Clocks that a test sets."""

    since_boot: float = 1_000.0
    wall: float = 2e9
    boot: str = "first"

    @property
    def machine(self) -> MachineClocks:
        return MachineClocks(lambda: self.since_boot, lambda: self.wall, self.boot)


async def opened(folder: Path, clocks: Clocks, log: TdcLog | None = None) -> KeptSuspension:
    return await KeptSuspension.open(folder, log or Lines(), lambda: clocks.wall, clocks.machine)


async def test_it_holds_across_a_restart_and_each_part_ends_by_itself(tmp_path: Path) -> None:
    clocks = Clocks()
    first = await opened(tmp_path, clocks)
    await first.take(BOTH, "e1")
    clocks.since_boot += 3_600
    log = Lines()
    again = await opened(tmp_path, clocks, log)
    now = again.current()
    assert now.copying == ADA
    assert now.delivery == replace(FOR_2H, left=3_600.0)
    assert len(log.said) == 2, "each start says what is suspended"
    clocks.since_boot += 3_600
    later = await opened(tmp_path, clocks, log)
    assert later.current() == Suspension(5, ADA)
    assert log.said[-1] == "delivery resumed: its time is over"


@pytest.mark.parametrize("step", [-86_400.0, 9e8])
async def test_a_clock_that_is_set_neither_ends_it_nor_makes_it_last(
    tmp_path: Path, step: float
) -> None:
    clocks = Clocks()
    here = await opened(tmp_path, clocks)
    await here.take(BOTH, "e1")
    clocks.wall += step
    assert here.current().delivery == FOR_2H
    assert (await opened(tmp_path, clocks)).current().delivery == FOR_2H
    clocks.since_boot += 7_200
    assert here.current().delivery is None


@pytest.mark.parametrize(("passed", "left"), [(600.0, 6_600.0), (9e8, 3_600.0), (-9e8, 7_200.0)])
async def test_a_start_of_the_machine_counts_an_hour_at_most(
    tmp_path: Path, passed: float, left: float
) -> None:
    clocks = Clocks()
    await (await opened(tmp_path, clocks)).take(BOTH, "e1")
    after = Clocks(5.0, clocks.wall + passed, "second")
    part = (await opened(tmp_path, after)).current().delivery
    assert part is not None
    assert part.left == left


async def test_it_ends_in_time_and_says_so(tmp_path: Path) -> None:
    log = Lines()
    here = await KeptSuspension.open(tmp_path, log, wall)
    seen: list[Suspension] = []
    here.on_change(seen.append)
    short = replace(FOR_2H, left=0.3)
    async with running(here.run(), name="time"):
        await here.take(WantedSuspension(Suspension(7, delivery=short), "s1"), "e1")
        assert here.suspended() == ("delivery",)
        await until(lambda: len(seen) == 3)
    assert seen[-1] == Suspension(7)
    assert log.said[-1] == "delivery resumed: its time is over"
    (span,) = here.spans
    assert span.end is not None
    assert 0.2 < span.end - span.begin < 5
    assert (await KeptSuspension.open(tmp_path, log, wall)).current() == Suspension(7)


async def test_time_that_passed_is_written_now_and_then(tmp_path: Path) -> None:
    clocks = Clocks()
    here = await opened(tmp_path, clocks)
    await here.take(BOTH, "e1")
    clocks.since_boot += kept.SAVE_EVERY
    async with running(here.run(), name="time"):
        await until(lambda: kept.load(tmp_path)[0].reading.since_boot == clocks.since_boot)
    part = kept.load(tmp_path)[0].suspension.delivery
    assert part is not None
    assert part.left == 7_200 - kept.SAVE_EVERY


async def test_what_is_older_is_not_taken_of_the_same_store(tmp_path: Path) -> None:
    log = Lines()
    here = await opened(tmp_path, Clocks(), log)
    await here.take(BOTH, "e1")
    await here.take(WantedSuspension(Suspension(4), "s1"), "e1")
    assert here.current().copying
    assert "older than 5" in log.said[-1]
    await here.take(WantedSuspension(Suspension(4), "s2"), "e1")
    assert here.current() == Suspension(4)


async def test_another_enrolment_is_another_machine(tmp_path: Path) -> None:
    here = await opened(tmp_path, Clocks())
    await here.take(BOTH, "e1")
    await here.welcome("e1")
    assert here.current().copying
    await here.welcome("e2")
    assert here.current() == NOT_SUSPENDED
    assert (await opened(tmp_path, Clocks())).current() == NOT_SUSPENDED


async def test_what_can_t_be_written_is_not_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Lines()
    here = await opened(tmp_path, Clocks(), log)

    def fails(*_: object) -> None:
        raise durable_file.NotWritten("no space left")

    monkeypatch.setattr(kept, "save", fails)
    await here.take(BOTH, "e1")
    assert here.current() == NOT_SUSPENDED
    assert "no space left" in log.said[-1]


@pytest.mark.parametrize(
    "content",
    [
        b"[]", b"{}", b"null", b'{"format": 2}', b"\xff", b"[" * 100_000,
        json.dumps({"format": 1, "number": 1, "store_id": "", "enrolment": "", "spans": [[1]],
                    "reading": ["x", 1, 1]}).encode(),
        json.dumps({"format": 1, "number": 1, "store_id": "", "enrolment": "", "spans": [],
                    "reading": ["x", 1, 1], "copying": {"by": "x"}}).encode(),
    ],
)  # fmt: skip
async def test_a_file_that_makes_no_sense_is_said_and_suspends_nothing(
    tmp_path: Path, content: bytes
) -> None:
    durable_file.write_checked(tmp_path / kept.FILE, content)
    log = Lines()
    assert (await opened(tmp_path, Clocks(), log)).current() == NOT_SUSPENDED
    assert "nothing is suspended until a manager says so again" in log.said[0]


# -- over the stream -----------------------------------------------------------------------------


@asynccontextmanager
async def suspended(
    manager: ManagerSide, machine: Path, left: float | None = None
) -> AsyncIterator[AgentSide]:
    """An agent that runs settings, and was sent a suspension of delivery."""
    manager.view.put(wanted(whole(), 1))
    end = None if left is None else wall() + left
    manager.view.suspensions[MX1] = Suspension(5, delivery=replace(ADA, until=end))
    async with agent(machine, manager.address) as mx1:
        await until(lambda: reported(manager) == ("delivery",))
        yield mx1


def reported(manager: ManagerSide) -> tuple[str, ...] | None:
    status = manager.presence.facts(*MX1).status
    if status is None or status.suspension is None:
        return None
    return tuple(work for work, _ in status.suspension.parts())


async def test_it_goes_to_the_agent_and_back_and_lasts_without_a_manager(
    manager: ManagerSide, machine: Path
) -> None:
    async with suspended(manager, machine) as mx1:
        assert mx1.suspension.suspended() == ("delivery",)
        manager.view.suspend(Suspension(6, copying=ADA))
        await until(lambda: reported(manager) == ("copying",))
    await manager.stop()
    async with agent(machine, manager.address) as mx1:
        assert mx1.suspension.suspended() == ("copying",)
        manager.view.suspensions[MX1] = Suspension(7)
        await manager.start()
        await until(lambda: reported(manager) == ())
        assert not mx1.suspension.current()


async def test_it_ends_in_time_though_no_manager_is_there(
    manager: ManagerSide, machine: Path
) -> None:
    async with suspended(manager, machine, left=1.5) as mx1:
        await manager.stop()
        await until(lambda: not mx1.suspension.current(), timeout=10)
        await manager.start()
        await until(lambda: reported(manager) == ())
        await asyncio.sleep(0.5)
        assert reported(manager) == (), "and the manager does not begin it again"


async def test_a_removed_machine_has_none(manager: ManagerSide, machine: Path) -> None:
    async with suspended(manager, machine) as mx1:
        manager.view.gone[MX1] = RemovedMachine(2)
        manager.view.remove(MX1)
        await until(lambda: not mx1.suspension.current())
    assert kept.load(machine)[0].suspension == NOT_SUSPENDED


async def test_an_agent_that_does_not_know_suspensions_is_sent_none(
    manager: ManagerSide, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tdc.node_agent.sync.saying.PROTOCOL", stream.SUSPENSIONS - 1)
    manager.view.put(wanted(whole(), 1))
    manager.view.suspensions[MX1] = Suspension(5, delivery=ADA)
    async with agent(machine, manager.address) as mx1:
        await until(lambda: mx1.statuses > 3)
        manager.view.suspend(Suspension(6, delivery=ADA))
        await asyncio.sleep(0.5)
        assert not mx1.suspension.current()
        assert manager.state() == "in sync", "its stream goes on"


async def test_nothing_is_taken_from_a_store_that_was_left(
    manager: ManagerSide, machine: Path
) -> None:
    async with suspended(manager, machine) as mx1:
        mx1.in_force.running = replace(mx1.in_force.running, left=("old",))
        manager.view.store_id = "old"
        manager.view.suspend(Suspension(9))
        await asyncio.sleep(0.6)
        assert mx1.suspension.suspended() == ("delivery",)
