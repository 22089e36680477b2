"""The manager's half of one stream, without a transport: who does not read is let go."""

from __future__ import annotations

import asyncio

import pytest
from tdc.manager.push.session import BYTES_AT_ONCE, MESSAGES_AT_ONCE, End, Ending, Session
from tdc.manager.view.presence import Presence
from tdc.shared.edge.clock import Clock, monotonic
from tdc.shared.sync.identity import MachinePeer
from tdc.v1 import agents_pb2

from tests.stage.settings_stream import MX1, QUICK, FakeView


def session_of_mx1(clock: Clock = monotonic) -> Session:
    view = FakeView()
    view.commit(1)
    return Session(MachinePeer(*MX1, "e1"), view, Presence(view), clock, QUICK, "here")


class Says:
    """An agent that says hello, and then nothing."""

    def __init__(self) -> None:
        self._greeted = False

    async def __call__(self) -> agents_pb2.AgentMessage | None:
        if not self._greeted:
            self._greeted = True
            return agents_pb2.AgentMessage(hello=agents_pb2.Hello(protocol=2))
        await asyncio.Event().wait()
        return None


async def test_a_machine_that_says_nothing_is_pinged_and_let_go() -> None:
    told: list[agents_pb2.ManagerMessage] = []

    async def write(message: agents_pb2.ManagerMessage) -> None:
        told.append(message)

    async with asyncio.timeout(10 * QUICK.deadline):
        ending = await session_of_mx1().run(Says(), write)
    assert ending.end is End.DEAD
    kinds = [each.WhichOneof("kind") for each in told]
    assert kinds[:2] == ["welcome", "wanted"]
    assert set(kinds[2:]) == {"ping"}


async def test_a_stream_at_rest_has_no_task_of_its_own() -> None:
    session = session_of_mx1()
    told = asyncio.Event()

    async def write(message: agents_pb2.ManagerMessage) -> None:
        if message.WhichOneof("kind") == "wanted":
            told.set()

    async with asyncio.timeout(10 * QUICK.deadline), asyncio.TaskGroup() as group:
        serving = group.create_task(session.run(Says(), write))
        await told.wait()
        await asyncio.sleep(0.01)
        assert asyncio.all_tasks() - {asyncio.current_task(), serving} == set()
        session.end(End.STOPPING)
    assert serving.result().end is End.STOPPING


async def test_what_is_on_its_way_when_a_stream_ends_arrives_whole() -> None:
    session = session_of_mx1()
    begun, arrived = asyncio.Event(), list[str | None]()

    async def write(message: agents_pb2.ManagerMessage) -> None:
        begun.set()
        await asyncio.sleep(0.05)
        arrived.append(message.WhichOneof("kind"))

    async with asyncio.timeout(10 * QUICK.deadline), asyncio.TaskGroup() as group:
        serving = group.create_task(session.run(Says(), write))
        await begun.wait()
        session.end(End.STOPPING)
    assert serving.result().end is End.STOPPING
    assert arrived == ["welcome"]


async def test_what_writing_raises_ends_the_stream_with_it() -> None:
    async def write(message: agents_pb2.ManagerMessage) -> None:
        raise ConnectionError("broken")

    async with asyncio.timeout(10 * QUICK.deadline):
        with pytest.raises(ExceptionGroup) as raised:
            await session_of_mx1().run(Says(), write)
    assert raised.group_contains(ConnectionError, match="broken")


async def test_a_machine_that_speaks_and_never_reads_is_let_go() -> None:
    """Its pongs and statuses show that it lives; what we say to it would gather without bound."""
    session = session_of_mx1()
    said = 0

    async def read() -> agents_pb2.AgentMessage:
        nonlocal said
        said += 1
        if said == 1:
            return agents_pb2.AgentMessage(hello=agents_pb2.Hello(protocol=2))
        await asyncio.sleep(QUICK.ping)
        return agents_pb2.AgentMessage(status=agents_pb2.MachineStatus())

    async def write(message: agents_pb2.ManagerMessage) -> None:
        await asyncio.Event().wait()

    async with asyncio.timeout(10 * QUICK.deadline):
        ending = await session.run(read, write)
    assert ending == Ending(End.DEAD, "agent is not reading")
    assert said > 2


@pytest.mark.proves("F55", "S15", "S22")
@pytest.mark.parametrize(
    ("length", "most"),
    [(100, int(MESSAGES_AT_ONCE)), (200_000, int(BYTES_AT_ONCE / 200_000))],
    ids=["messages", "bytes"],
)
@pytest.mark.parametrize("more", [-1, 2])
async def test_what_a_machine_sends_at_once_is_bounded(length: int, most: int, more: int) -> None:
    said = agents_pb2.Outcome(revision=1, hash="h", reason="x" * length)
    status = agents_pb2.AgentMessage(status=agents_pb2.MachineStatus(last_attempt=said))
    hello = agents_pb2.AgentMessage(hello=agents_pb2.Hello(protocol=1))
    messages = iter([hello, *[status] * (most + more - 1)])

    async def read() -> agents_pb2.AgentMessage | None:
        return next(messages, None)

    async def write(message: agents_pb2.ManagerMessage) -> None:
        pass

    async with asyncio.timeout(10):
        ending = await session_of_mx1(lambda: 0.0).run(read, write)
    assert ending.end is (End.LEFT if more < 0 else End.FLOOD)
