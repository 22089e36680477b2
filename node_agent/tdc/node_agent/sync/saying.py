"""What an agent says on a stream, as messages.

In: effects of the pure half, answers of other rooms. Out: AgentMessages. Facts are read as late as
possible, when a message is sent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tdc.node_agent.sync.apply import InForce
from tdc.node_agent.version import VERSION
from tdc.shared.settings.known import KNOWN_HERE
from tdc.shared.sync import stream_state as stream
from tdc.shared.sync.queue_work import QueueAnswer
from tdc.shared.wire.queue_work import answer_to_wire
from tdc.shared.wire.running_settings import runs_to_wire
from tdc.shared.wire.stream import PROTOCOL, attempt_to_wire, running_to_wire
from tdc.v1 import agents_pb2


@dataclass(frozen=True, slots=True)
class SayRunning:
    """Say what runs here, to a manager that asked and knows these settings."""

    question: str
    known: frozenset[str]


Said = stream.Effect | QueueAnswer | SayRunning


def message_of(
    said: Said, in_force: InForce, status: Callable[[], agents_pb2.MachineStatus]
) -> agents_pb2.AgentMessage:
    """The message that says it."""
    match said:
        case QueueAnswer():
            return agents_pb2.AgentMessage(queue_answer=answer_to_wire(said))
        case SayRunning(question, known):
            runs = runs_to_wire(question, in_force.running, in_force.settings, known)
            return agents_pb2.AgentMessage(running_settings=runs)
        case stream.SayHello():
            return agents_pb2.AgentMessage(hello=_hello(in_force))
        case stream.SayOutcome(attempt):
            return agents_pb2.AgentMessage(outcome=attempt_to_wire(attempt))
        case stream.SayPong(number):
            return agents_pb2.AgentMessage(pong=agents_pb2.Pong(number=number))
        case stream.SayStatus():
            return agents_pb2.AgentMessage(status=status())
    raise AssertionError(f"{said} is not a message of an agent")


def _hello(in_force: InForce) -> agents_pb2.Hello:
    hello = agents_pb2.Hello(
        agent_version=VERSION,
        protocol=PROTOCOL,
        running=running_to_wire(in_force.running),
        settings=sorted(KNOWN_HERE),
    )
    if (attempt := in_force.greets()) is not None:
        hello.last_attempt.CopyFrom(attempt_to_wire(attempt))
    return hello
