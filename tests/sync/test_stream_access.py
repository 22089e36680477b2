"""Who may open a machine's stream, and how streams are ended, over mTLS on loopback."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import grpc
import grpc.aio
import pytest
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.sync import identity as identities
from tdc.node_agent.sync.apply import InForce
from tdc.node_agent.sync.ended import StreamEnded
from tdc.node_agent.sync.orders import Orders
from tdc.node_agent.sync.stream import Machine, _Session
from tdc.node_agent.sync.suspension import KeptSuspension
from tdc.shared.edge import grpc_tls
from tdc.shared.edge.clock import monotonic
from tdc.shared.edge.tasks import running
from tdc.shared.sync.queue_work import QueueAnswer, QueueOrder
from tdc.shared.wire.errors import BadMessage
from tdc.shared.wire.stream import MAX_AGENT_MESSAGE, MAX_BACKLOGS, MAX_DESTINATIONS
from tdc.v1 import agents_pb2, agents_pb2_grpc

from tests.stage.settings_stream import ManagerSide, agent, no_copies, until

Call = grpc.aio.StreamStreamCall[agents_pb2.AgentMessage, agents_pb2.ManagerMessage]
STATUS = grpc.StatusCode


HELLO = agents_pb2.Hello(protocol=1)


async def ending_of(call: Call, *messages: agents_pb2.AgentMessage) -> grpc.aio.AioRpcError:
    """Say `messages`, read to the end, and return the error that it ends with."""
    try:
        for message in messages:
            await call.write(message)
        while await call.read() is not grpc.aio.EOF:
            pass
    except grpc.aio.AioRpcError as error:
        return error
    raise AssertionError("the stream ended without an error")


@asynccontextmanager
async def opened(manager: ManagerSide, certificate: bytes, key: bytes) -> AsyncIterator[Call]:
    """Open a stream, with nothing said on it."""
    pem = (manager.authority.ca_pem, certificate, key)
    async with grpc_tls.client_channel(manager.address, *pem) as channel:
        yield agents_pb2_grpc.AgentsStub(channel).Session()


@asynccontextmanager
async def opened_by(manager: ManagerSide, machine: Path) -> AsyncIterator[Call]:
    """Open a stream as the machine whose state folder this is."""
    held = identities.load(machine / "identity")
    async with opened(manager, held.certificate_pem, held.key_pem) as call:
        yield call


async def session_refusal(manager: ManagerSide, certificate: bytes, key: bytes) -> grpc.StatusCode:
    # Nothing is said: who is denied is so at once, and a write that crosses the manager's word
    # fails in grpc.aio with an error of its own.
    async with opened(manager, certificate, key) as call:
        return (await ending_of(call)).code()


async def test_an_operator_can_not_open_a_machines_stream(manager: ManagerSide) -> None:
    anna = manager.authority.issue_operator("anna")
    code = await session_refusal(manager, anna.certificate_pem, anna.key_pem)
    assert code is grpc.StatusCode.PERMISSION_DENIED


async def test_a_certificate_of_an_earlier_enrolment_is_denied(
    manager: ManagerSide, machine: Path
) -> None:
    held = identities.load(machine / "identity")
    manager.view.enrolments["c1", "mx1"] = "e2"
    code = await session_refusal(manager, held.certificate_pem, held.key_pem)
    assert code is grpc.StatusCode.PERMISSION_DENIED


async def test_a_certificate_acts_for_its_own_machine_only(
    manager: ManagerSide, machine: Path
) -> None:
    """Nothing that an agent can say names a machine: mx1's settings are all it gets."""
    manager.view.commit(1, max_message_size=1_000)
    manager.view.enrolments["c1", "mx2"] = "e9"
    manager.view.commit(1, ("c1", "mx2"), max_message_size=2_000)
    async with agent(machine, manager.address) as mx1:
        await until(lambda: manager.state() == "in sync")
        assert mx1.in_force.current().max_message_size == 1_000
        assert manager.state("mx2") == "offline"


async def test_a_machine_that_is_removed_loses_its_stream_at_once(
    manager: ManagerSide, machine: Path
) -> None:
    manager.view.commit(1, max_message_size=1_000)
    async with agent(machine, manager.address) as mx1:
        await until(lambda: manager.state() == "in sync")
        manager.view.remove(("c1", "mx1"))
        await until(lambda: len(manager.sessions) == 0)
        await until(lambda: not mx1.stream.connected)
        facts = manager.presence.facts("c1", "mx1")
        assert (facts.state, facts.reason) == ("offline", "not enrolled yet")  # and forgotten
        assert (facts.applied_revision, facts.agent_version) == (0, "")
        assert mx1.in_force.current().max_message_size == 1_000  # mail goes on
        assert identities.load(machine / "identity").machine == "mx1"


class _CrossedCall:
    """A call as grpc.aio shows it when a write crosses the manager's status on its way."""

    def __init__(self) -> None:
        self.asked = 0

    async def write(self, message: agents_pb2.AgentMessage) -> None:
        raise grpc.aio.AioRpcError(
            grpc.StatusCode.INTERNAL, grpc.aio.Metadata(), grpc.aio.Metadata()
        )

    async def read(self) -> None:
        await asyncio.Future()

    async def code(self) -> grpc.StatusCode:
        self.asked += 1
        return STATUS.INTERNAL if self.asked < 3 else STATUS.PERMISSION_DENIED

    async def details(self) -> str:
        return "mx1 was removed"

    async def trailing_metadata(self) -> tuple[tuple[str, str], ...]:
        return ((grpc_tls.RETRY_AFTER, "3"),)


async def test_a_write_that_crosses_the_managers_last_word_does_not_hide_it(tmp_path: Path) -> None:
    in_force = await InForce.open(tmp_path, TdcLog())
    suspension = await KeptSuspension.open(tmp_path, TdcLog(), monotonic)
    call = cast("Call", _CrossedCall())
    session = _Session(
        call,
        "manager:7443",
        in_force,
        Machine(agents_pb2.MachineStatus, no_copies, suspension),
        TdcLog(),
        monotonic,
        math.inf,
    )
    with pytest.raises(StreamEnded, match="mx1 was removed") as ended:
        await session.run()
    assert ended.value.denied
    assert ended.value.spread == 3
    in_force.close()


async def test_a_second_stream_of_the_same_machine_ends_the_first(
    manager: ManagerSide, machine: Path, tmp_path: Path
) -> None:
    manager.view.commit(1)
    async with agent(machine, manager.address, retry_maximum=30) as first:
        await until(lambda: manager.state() == "in sync")
        async with opened_by(manager, machine) as call:
            await call.write(agents_pb2.AgentMessage(hello=HELLO))
            await until(lambda: not first.stream.connected)
            assert len(manager.sessions) == 1
            call.cancel()


@pytest.mark.parametrize(
    "message",
    [
        agents_pb2.AgentMessage(),
        agents_pb2.AgentMessage(pong=agents_pb2.Pong(number=1)),
        agents_pb2.AgentMessage(hello=agents_pb2.Hello(protocol=0)),
        agents_pb2.AgentMessage(queue_answer=agents_pb2.QueueAnswer(id="nobody asked")),
    ],
    ids=["empty", "pong first", "no protocol", "answer first"],
)
async def test_what_is_not_the_protocol_ends_the_stream_with_a_reason(
    manager: ManagerSide, machine: Path, message: agents_pb2.AgentMessage
) -> None:
    async with opened_by(manager, machine) as call:
        ending = await ending_of(call, message)
        assert ending.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert ending.details()


@pytest.mark.parametrize(
    "status",
    [
        agents_pb2.MachineStatus(destinations=[agents_pb2.Destination()] * (MAX_DESTINATIONS + 1)),
        agents_pb2.MachineStatus(backlogs=[agents_pb2.Backlog()] * (MAX_BACKLOGS + 1)),
        agents_pb2.MachineStatus(warnings=["x" * MAX_AGENT_MESSAGE]),
    ],
    ids=["rows", "backlogs", "bytes"],
)
async def test_a_status_of_no_size_that_an_agent_sends_is_not_kept(
    manager: ManagerSide, machine: Path, status: agents_pb2.MachineStatus
) -> None:
    """One machine's key must not be enough to hide the fleet's delivery, or to stop a manager."""
    async with opened_by(manager, machine) as call:
        # The Welcome is on its way when the second comes, and must not hide how the stream ends.
        messages = agents_pb2.AgentMessage(hello=HELLO), agents_pb2.AgentMessage(status=status)
        ending = await ending_of(call, *messages)
    assert ending.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "at most" in (ending.details() or "")
    assert manager.presence.facts("c1", "mx1").status is None


@pytest.mark.parametrize(
    "answer",
    [
        agents_pb2.QueueAnswer(id="nobody asked"),
        agents_pb2.QueueAnswer(refused="x" * MAX_AGENT_MESSAGE),
    ],
    ids=["unasked", "bytes"],
)
async def test_an_answer_that_nobody_waits_for_ends_the_stream(
    manager: ManagerSide, machine: Path, answer: agents_pb2.QueueAnswer
) -> None:
    """Else one machine could fill a manager with lists that it never asked for."""
    async with opened_by(manager, machine) as call:
        messages = (
            agents_pb2.AgentMessage(hello=HELLO),
            agents_pb2.AgentMessage(queue_answer=answer),
        )
        ending = await ending_of(call, *messages)
    assert ending.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_second_order_before_the_answer_to_the_first_is_refused() -> None:
    """An agent has one order in hand, whatever a manager does."""
    said: list[QueueAnswer] = []
    hangs = asyncio.Event()

    async def perform(order: QueueOrder) -> QueueAnswer:
        await hangs.wait()
        return QueueAnswer(order.id)

    orders = Orders(perform, said.append, TdcLog())
    async with running(orders.run(), name="orders"):
        drop = agents_pb2.DropCopies(selection=agents_pb2.CopySelection(intake="a@b", dead=True))
        orders.take(agents_pb2.QueueOrder(id="1", drop=drop))
        await asyncio.sleep(0)
        with pytest.raises(BadMessage, match="before the answer to the last one"):
            orders.take(agents_pb2.QueueOrder(id="2", drop=drop))
        hangs.set()
        await until(lambda: said == [QueueAnswer("1")])
        orders.take(agents_pb2.QueueOrder(id="3"))
        await until(lambda: len(said) == 2)
    assert "upgrade the agent" in said[1].refused


async def test_work_that_takes_too_long_is_answered_as_not_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tdc.node_agent.sync.orders.LONGEST_WORK", 0.05)
    said: list[QueueAnswer] = []

    async def perform(order: QueueOrder) -> QueueAnswer:
        await asyncio.Event().wait()
        return QueueAnswer(order.id)

    orders = Orders(perform, said.append, TdcLog())
    async with running(orders.run(), name="orders"):
        orders.take(agents_pb2.QueueOrder(id="1", drop=agents_pb2.DropCopies()))
        await until(lambda: bool(said))
    assert "may still be" in said[0].refused
