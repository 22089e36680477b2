"""tdc.v1 messages of the settings stream <-> the pure values of `tdc.shared.sync`.

The only place where the two meet. What can't be read becomes a value that says so (a Wanted with
a `fault`) or raises `BadMessage`; it never becomes a default.
"""

from __future__ import annotations

from tdc.shared.settings.schema import SettingError
from tdc.shared.sync import stream_state as stream
from tdc.shared.sync.values import Attempt, BadIntervals, Intervals, Running, Wanted
from tdc.shared.wire.errors import BadMessage
from tdc.shared.wire.moments import timestamp, unix_seconds
from tdc.shared.wire.settings import settings_from_wire
from tdc.v1 import agents_pb2

PROTOCOL = 1
"""Newest version of the stream's protocol that this software speaks."""

MAX_AGENT_MESSAGE = 256 * 1024
"""Most bytes of a message from an agent: the manager keeps the last of each machine in memory."""
MAX_DESTINATIONS = 1_000
"""Most destinations in a status: each becomes a row for operators, whatever its bytes."""
MAX_TEXT = 2_000
"""Most characters of a reason or a reply that an agent tells; a longer one is cut."""


def agent_event(message: agents_pb2.AgentMessage) -> stream.Event:
    """Return what an agent's message tells the manager's half; raises BadMessage."""
    size, rows = message.ByteSize(), len(message.status.destinations)
    if size > MAX_AGENT_MESSAGE or rows > MAX_DESTINATIONS:
        raise BadMessage(
            f"a message of {size} bytes and {rows} destinations is none of an agent: at most "
            f"{MAX_AGENT_MESSAGE} bytes and {MAX_DESTINATIONS} destinations"
        )
    match message.WhichOneof("kind"):
        case "hello":
            hello = message.hello
            if hello.protocol < 1:
                raise BadMessage(f"the agent speaks protocol {hello.protocol}, which is none")
            attempt = attempt_of(hello.last_attempt) if hello.HasField("last_attempt") else None
            return stream.HelloSaid(running_of(hello.running), attempt)
        case "outcome":
            return stream.OutcomeSaid(attempt_of(message.outcome))
        case "status":
            status = message.status
            for destination in status.destinations:  # it is handed on to operators as it is
                unix_seconds(destination.oldest_queued)
            attempt = attempt_of(status.last_attempt) if status.HasField("last_attempt") else None
            return stream.StatusSaid(running_of(status.running), attempt)
        case "pong":
            return stream.PongSaid(message.pong.number)
    raise BadMessage("the agent sent a message of a kind that is not known here")


def manager_event(message: agents_pb2.ManagerMessage) -> stream.Event:
    """Return what a manager's message tells the agent's half; raises BadMessage."""
    match message.WhichOneof("kind"):
        case "welcome":
            said = message.welcome
            intervals = Intervals(said.status_interval, said.ping_interval, said.deadline)
            try:
                return stream.WelcomeSaid(intervals.checked())
            except BadIntervals as error:
                raise BadMessage(str(error)) from None
        case "wanted":
            return stream.WantedSaid(wanted_of(message.wanted))
        case "ping":
            return stream.PingSaid(message.ping.number)
    raise BadMessage("the manager sent a message of a kind that is not known here")


def running_of(message: agents_pb2.Running) -> Running:
    """Read what an agent says it runs."""
    return Running(message.revision, message.hash, message.store_id)


def running_to_wire(running: Running) -> agents_pb2.Running:
    """Return the message that says what runs."""
    return agents_pb2.Running(
        revision=running.revision, hash=running.hash, store_id=running.store_id
    )


def attempt_of(message: agents_pb2.Outcome) -> Attempt:
    """Read the outcome of an attempt; raises BadMessage."""
    time = unix_seconds(message.time)
    reason = "" if message.applied else message.reason or "the agent gave no reason"
    return Attempt(message.revision, message.hash, message.applied, reason, time)


def attempt_to_wire(attempt: Attempt) -> agents_pb2.Outcome:
    """Return the message of an attempt's outcome."""
    return agents_pb2.Outcome(
        revision=attempt.revision,
        hash=attempt.hash,
        applied=attempt.applied,
        reason=attempt.reason[:MAX_TEXT],
        time=timestamp(attempt.time),
    )


def wanted_of(message: agents_pb2.Wanted) -> Wanted:
    """Read wanted settings; what can't be read is their `fault`."""
    try:
        settings = settings_from_wire(message.settings)
    except SettingError as error:
        return Wanted(message.revision, message.hash, message.store_id, fault=str(error))
    return Wanted(message.revision, message.hash, message.store_id, settings)
