"""tdc.v1 messages of the settings stream <-> the pure values of `tdc.shared.sync`.

The only place where the two meet. Wanted settings that can't be read become a Wanted with a
`fault`, so that the agent refuses it and says why; any other message that can't be read raises
BadMessage, which ends the stream. Nothing unreadable becomes a default.
"""

from __future__ import annotations

from collections.abc import Collection

from tdc.shared.settings.known import MOST_KNOWN, known_of
from tdc.shared.settings.schema import SettingError
from tdc.shared.settings.values import Settings
from tdc.shared.sync import stream_state as stream
from tdc.shared.sync.values import Attempt, BadIntervals, Intervals, Running, Wanted
from tdc.shared.wire.audit import head_of, witness_of
from tdc.shared.wire.errors import BadMessage
from tdc.shared.wire.moments import timestamp, unix_seconds
from tdc.shared.wire.printable import MOST_WORD, cut
from tdc.shared.wire.settings import settings_from_wire
from tdc.shared.wire.suspension import suspension_of
from tdc.v1 import agents_pb2

PROTOCOL = 4
"""Newest version of the stream's protocol that this software speaks."""

QUEUE_ORDERS = 2
"""The first version of the protocol whose agents take queue orders."""

SUSPENSIONS = 3
"""The first version of the protocol whose agents take suspensions."""

KNOWN_SETTINGS = 4
"""The first version of the protocol whose agents say which settings they know and run."""

MAX_AGENT_MESSAGE = 256 * 1024
"""Bytes: the manager keeps the last message of each machine in memory."""
MAX_DESTINATIONS = 1_000
"""Destinations in a status: each becomes a row for operators, whatever its bytes."""
MAX_BACKLOGS = 200
"""Intakes with copies in a status."""
MAX_TEXT = 2_000
"""Characters of a reason or a reply that an agent reports; the rest is cut off."""


def agent_event(message: agents_pb2.AgentMessage) -> stream.Event:
    """An agent's message as an event of the manager's half; raises BadMessage."""
    check_size(message)
    match message.WhichOneof("kind"):
        case "hello":
            hello = message.hello
            if hello.protocol < 1:
                raise BadMessage(f"unsupported protocol version {hello.protocol}")
            known_to(hello.settings)
            attempt = attempt_of(hello.last_attempt) if hello.HasField("last_attempt") else None
            return stream.HelloSaid(running_of(hello.running), attempt)
        case "outcome":
            return stream.OutcomeSaid(attempt_of(message.outcome))
        case "status":
            status = message.status
            _check_times(status)
            attempt = attempt_of(status.last_attempt) if status.HasField("last_attempt") else None
            return stream.StatusSaid(running_of(status.running), attempt)
        case "pong":
            return stream.PongSaid(message.pong.number)
    raise BadMessage("the agent sent a message of an unknown kind")


def check_size(message: agents_pb2.AgentMessage) -> None:
    """Raise BadMessage for a message that is larger than an agent's may be."""
    size, rows = message.ByteSize(), len(message.status.destinations)
    backlogs = len(message.status.backlogs)
    if size > MAX_AGENT_MESSAGE or rows > MAX_DESTINATIONS or backlogs > MAX_BACKLOGS:
        raise BadMessage(
            f"the agent sent {size} bytes with {rows} destinations and {backlogs} backlogs; a "
            f"message has at most {MAX_AGENT_MESSAGE} bytes, {MAX_DESTINATIONS} destinations and "
            f"{MAX_BACKLOGS} backlogs"
        )


def _check_times(status: agents_pb2.MachineStatus) -> None:
    """Raise BadMessage for a time that is none: operators are shown all of them."""
    ends = status.certificate_ends
    for moment in (status.delivered_at, status.time, status.oldest_queued, ends):
        unix_seconds(moment)
    for missed in status.missed:
        unix_seconds(missed.since)
        unix_seconds(missed.last)
    for destination in status.destinations:
        unix_seconds(destination.oldest_queued)
        unix_seconds(destination.held_since)
        unix_seconds(destination.next_probe)
    for backlog in status.backlogs:
        unix_seconds(backlog.oldest)
    suspension_of(status.suspension)
    witness_of(status.audit)


def manager_event(message: agents_pb2.ManagerMessage) -> stream.Event:
    """A manager's message as an event of the agent's half; raises BadMessage."""
    match message.WhichOneof("kind"):
        case "welcome":
            welcome = message.welcome
            intervals = Intervals(welcome.status_interval, welcome.ping_interval, welcome.deadline)
            try:
                intervals.checked()
                return stream.WelcomeSaid(intervals, welcome.history, known_to(welcome.settings))
            except BadIntervals as error:
                raise BadMessage(str(error)) from None
        case "wanted":
            return stream.WantedSaid(wanted_of(message.wanted))
        case "ping":
            return stream.PingSaid(message.ping.number)
    raise BadMessage("the manager sent a message of an unknown kind")


def known_to(names: Collection[str]) -> frozenset[str]:
    """The settings of ours that a peer knows; raises BadMessage for too many names."""
    if len(names) > MOST_KNOWN:
        raise BadMessage(f"the peer knows {len(names)} settings; there are at most {MOST_KNOWN}")
    return known_of(names)


def running_of(message: agents_pb2.Running) -> Running:
    """What an agent reports to run."""
    hash_, store_id = cut(message.hash, MOST_WORD), cut(message.store_id, MOST_WORD)
    return Running(message.revision, hash_, store_id, cut(message.history, MOST_WORD))


def running_to_wire(running: Running) -> agents_pb2.Running:
    """What runs, as a message."""
    return agents_pb2.Running(
        revision=running.revision,
        hash=running.hash,
        store_id=running.store_id,
        history=running.history,
    )


def attempt_of(message: agents_pb2.Outcome) -> Attempt:
    """The outcome of an attempt; raises BadMessage."""
    time = unix_seconds(message.time)
    reason = "" if message.applied else cut(message.reason) or "the agent gave no reason"
    return Attempt(message.revision, cut(message.hash, MOST_WORD), message.applied, reason, time)


def attempt_to_wire(attempt: Attempt) -> agents_pb2.Outcome:
    """The outcome of an attempt as a message; raises ValueError for an invalid time."""
    return agents_pb2.Outcome(
        revision=attempt.revision,
        hash=attempt.hash,
        applied=attempt.applied,
        reason=attempt.reason[:MAX_TEXT],
        time=timestamp(attempt.time),
    )


def wanted_of(message: agents_pb2.Wanted) -> Wanted:
    """Wanted settings; why they can't be read is their `fault`."""
    settings, fault = Settings(), ""
    try:
        settings = settings_from_wire(message.settings)
    except SettingError as error:
        fault = str(error)
    return Wanted(
        message.revision,
        message.hash,
        message.store_id,
        settings,
        fault,
        message.history,
        head_of(message.audit),
    )
