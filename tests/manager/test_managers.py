"""Several managers over one etcd: any of them answers for the whole fleet."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from tdc.manager.intent.managers import ETCD_PATIENCE
from tdc.manager.peers.peers import FRESH
from tdc.node_agent.sync.managers import FILE
from tdc.shared.sync.queue_work import QueueAnswer, QueueOrder
from tdc.v1 import agents_pb2, managers_pb2, operators_pb2

from tests.stage.managers import Several, holds, several
from tests.stage.settings_stream import agent, until
from tests.surroundings import in_time


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Several]:
    async with several(tmp_path, "one", "two") as managers:
        yield managers


async def test_each_lists_all_of_them(two: Several) -> None:
    for name in ("one", "two"):
        await holds(partial(_all_answer, two, name, {"one", "two"}))
        rows = await two[name].listed()
        assert {each.address for each in rows.values()} == {two["one"].address, two["two"].address}
        assert [each for each, row in rows.items() if row.asked] == [name]
        for row in rows.values():
            assert row.version
            assert row.started.seconds
            assert row.certificate_ends.seconds
            assert abs(row.clock_ahead) < 1
        assert [list(row.owns) for row in rows.values() if row.owns] == [["maintenance"]]


async def test_any_manager_answers_for_a_machine_wherever_its_stream_is(two: Several) -> None:
    await two.fleet("mx1", "mx2")
    await two.machine("mx1", "one", learns=False)
    await two.machine("mx2", "two", learns=False)
    for name in ("one", "two"):
        await holds(partial(_in_sync, two, name))
        status = await two[name].status()
        assert not status.warnings
        assert {each.name: each.manager for each in status.machines} == {"mx1": "one", "mx2": "two"}
        assert dict(status.by_state) == {"in sync": 2}
        delivery = await two[name].api.monitoring.GetDelivery(operators_pb2.DeliveryRequest())
        assert not delivery.warnings
        explained = await two[name].api.settings.Explain(
            operators_pb2.ExplainRequest(machine="mx1", setting="enabled")
        )
        assert explained.state == "in sync"
        assert explained.running.revision == 2


async def test_work_on_a_queue_goes_by_the_manager_that_has_the_stream(two: Several) -> None:
    """Once: sent again by either manager, it is the same order to the agent."""
    await two.fleet("mx1")
    folder = await two.enrolled("mx1")
    orders: list[QueueOrder] = []

    async def perform(order: QueueOrder) -> QueueAnswer:
        orders.append(order)
        return QueueAnswer(order.id, copies=3, bytes=30)

    request = operators_pb2.QueueWorkRequest(
        scope=operators_pb2.QueueScope(machines=["mx1"]),
        retry=agents_pb2.RetryCopies(selection=agents_pb2.CopySelection(dead=True)),
        request_id="r1",
    )
    suspension = operators_pb2.SuspendRequest(
        machines=["mx1"], delivery=True, reason="a test", request_id="s1"
    )

    async def suspended() -> bool:
        (row,) = (await two["one"].status()).machines
        return row.suspension.in_force and row.suspension.HasField("delivery")

    async with agent(folder, two["two"].address, perform=perform, learns=False):
        await holds(partial(_in_sync, two, "one"))
        for name in ("one", "two"):
            (row,) = (await two[name].api.queue.DoWork(request)).machines
            assert (row.problem, row.copies) == ("", 3)
        assert [order.id for order in orders if not order.count_only] == ["r1", "r1"]
        await two["one"].api.fleet.SuspendMachines(suspension)
        await holds(suspended)
    await two["two"].program.kill()
    await asyncio.sleep(FRESH + 0.1)
    (row,) = (await two["one"].api.queue.CountCopies(request)).machines
    assert "does not answer" in row.problem or "has stopped or is cut off" in row.problem


async def test_agents_at_rest_make_no_manager_write(two: Several) -> None:
    await two.fleet("mx1")
    side = await two.machine("mx1", "one")
    await holds(partial(_in_sync, two, "one"))
    before = side.statuses
    await until(lambda: side.statuses > before + 2)
    request = managers_pb2.ManagerStatusRequest()
    status = await two["one"].managers.GetManagerStatus(request)
    assert status.writes_per_agent_hour == 0
    assert status.writes["operators"] > 0, "what is asked for is counted"
    assert "agents" not in status.writes
    assert (status.etcd_problem, status.embedded) == ("", False)
    assert status.etcd_version
    assert status.size >= status.size_in_use > 0
    assert list(status.members) == ["test"]


async def test_a_frozen_etcd_is_named_in_time(two: Several) -> None:
    two.etcd.pause()
    try:
        for _ in range(2):
            began = time.monotonic()
            status = await two["one"].managers.GetManagerStatus(managers_pb2.ManagerStatusRequest())
            assert in_time(time.monotonic() - began, ETCD_PATIENCE + 1)
            assert "did not answer" in status.etcd_problem
            assert (list(status.members), status.manager.name) == ([], "one")
    finally:
        two.etcd.resume()


async def test_a_manager_that_is_killed_is_named_and_gone_within_seconds(two: Several) -> None:
    await two.fleet("mx1", "mx2")
    await two.machine("mx1", "one")
    await two.machine("mx2", "two", learns=False)
    await holds(lambda: _in_sync(two, "one"))
    await two["two"].program.kill()
    killed = time.monotonic()
    await asyncio.sleep(FRESH + 0.1)
    status = await two["one"].status()
    assert {each.name: each.state for each in status.machines} == {
        "mx1": "in sync",
        "mx2": "unknown",
    }
    (unknown,) = (each for each in status.machines if each.name == "mx2")
    assert f"connected to manager two ({two['two'].address})" in unknown.reason
    assert "does not answer" in unknown.reason
    (warning,) = status.warnings
    assert warning.startswith(f"manager two ({two['two'].address}) does not answer")

    async def gone() -> bool:
        return set(await two["one"].listed()) == {"one"}

    await holds(gone, timeout=20)
    assert in_time(time.monotonic() - killed, 10.0)
    (offline,) = (await two["one"].status("mx2")).machines
    assert offline.state == "offline"
    assert "to which it was connected, has stopped or is cut off" in offline.reason


async def test_a_manager_that_is_frozen_delays_an_answer_once(two: Several) -> None:
    await two.fleet("mx1")
    await two.machine("mx1", "two", learns=False)
    await holds(lambda: _in_sync(two, "one"))
    two["two"].program.signal(signal.SIGSTOP)
    try:
        await asyncio.sleep(FRESH + 0.1)
        began = time.monotonic()
        assert await two["one"].states() == {"mx1": "unknown"}
        assert in_time(time.monotonic() - began, 5.0)
        await asyncio.sleep(FRESH + 0.1)
        began = time.monotonic()
        assert (await two["one"].states())["mx1"] in ("unknown", "offline")  # its lease may be over
        assert in_time(time.monotonic() - began, 1.5)
    finally:
        two["two"].program.signal(signal.SIGCONT)
    await holds(lambda: _in_sync(two, "one"))


async def test_what_one_alone_does_goes_to_another_at_once(two: Several) -> None:
    """At once where its owner stops, and with its lease where it is killed."""
    await holds(partial(_all_answer, two, "one", {"one", "two"}))
    for end in ("stop", "kill"):
        owner = next(name for name, row in (await two["one"].listed()).items() if row.owns)
        other = "two" if owner == "one" else "one"
        ended = two[owner].program
        await (ended.stop() if end == "stop" else ended.kill())
        began = time.monotonic()
        await holds(partial(_owns, two, other), timeout=30)
        assert in_time(time.monotonic() - began, 1.5 if end == "stop" else 10.0)
        await two.again(owner)
        await holds(partial(_all_answer, two, "one", {"one", "two"}))


async def _owns(managers: Several, name: str) -> bool:
    return list((await managers[name].listed())[name].owns) == ["maintenance"]


async def _all_answer(managers: Several, asked: str, names: set[str]) -> bool:
    rows = await managers[asked].listed()
    owned = any(row.owns for row in rows.values())
    return set(rows) == names and all(row.answers for row in rows.values()) and owned


async def _in_sync(managers: Several, asked: str) -> bool:
    status = await managers[asked].status()
    return all(each.state == "in sync" for each in status.machines)


async def test_a_manager_that_is_added_later_is_used_by_agents_that_know_the_first(
    tmp_path: Path,
) -> None:
    """Nobody touches a gateway; and the agent knows it after a restart, without the first."""
    async with several(tmp_path, "one") as managers:
        await managers.fleet("mx1")
        async with contextlib.AsyncExitStack() as closing:
            folder = await managers.enrolled("mx1")
            known = managers["one"].address
            await closing.enter_async_context(agent(folder, known))
            await holds(partial(_in_sync, managers, "one"))
            await managers.add("two")
            await until(lambda: managers["two"].address.encode() in _remembered(folder))
            await managers["one"].program.kill()
            await holds(partial(_has, managers, "two", 1))
        await holds(partial(_has, managers, "two", 0))
        async with agent(folder, known):
            await holds(partial(_has, managers, "two", 1))


@pytest.mark.slow
async def test_twenty_agents_of_a_killed_manager_are_back_at_the_other(two: Several) -> None:
    names = [f"mx{number:02}" for number in range(20)]
    await two.fleet(*names)
    for number, name in enumerate(names):
        first, second = ("one", "two") if number % 2 else ("two", "one")
        await two.machine(name, first, second)
    await holds(partial(_in_sync, two, "one"), timeout=30)
    before = (await two["one"].listed())["one"].machines
    await two["two"].program.kill()
    killed = time.monotonic()
    await holds(partial(_has, two, "one", 20), timeout=60)
    assert in_time(time.monotonic() - killed, 10.0)
    assert before < 20, "some were at the other"
    await holds(partial(_in_sync, two, "one"))


async def _has(managers: Several, name: str, machines: int) -> bool:
    return (await managers[name].listed())[name].machines == machines


def _remembered(folder: Path) -> bytes:
    path = folder / FILE
    return path.read_bytes() if path.exists() else b""
