"""The manager's half of one stream, without a transport: who does not read is let go."""

from __future__ import annotations

import asyncio

from tdc.manager.push.session import End, Ending, Session
from tdc.manager.view.presence import Presence
from tdc.shared.edge.clock import monotonic
from tdc.shared.sync.identity import MachinePeer
from tdc.v1 import agents_pb2

from tests.stage.settings_stream import MX1, QUICK, FakeView


async def test_a_machine_that_speaks_and_never_reads_is_let_go() -> None:
    """Its pongs and statuses show that it lives; what we say to it would gather without bound."""
    view = FakeView()
    view.commit(1)
    session = Session(MachinePeer(*MX1, "e1"), view, Presence(view), monotonic, QUICK, "here")
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
