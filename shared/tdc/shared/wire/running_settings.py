"""What an agent runs, as it answers a manager that lost it (AskSettings): tdc.v1 <-> values.

Nothing is guessed: settings that this version does not know, or a gap, make the answer no answer,
with a sentence that says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tdc.shared.settings.known import hash_of, is_default
from tdc.shared.settings.schema import SCHEMA, SettingError, default_values
from tdc.shared.settings.values import Settings, Value
from tdc.shared.sync.queue_work import Unanswered
from tdc.shared.sync.values import Running
from tdc.shared.wire.printable import cut
from tdc.shared.wire.settings import settings_from_wire, settings_to_wire
from tdc.shared.wire.stream import MAX_AGENT_MESSAGE, running_of, running_to_wire
from tdc.v1 import agents_pb2

_ROOM = 1_024
"""Bytes of a message that are not its settings."""


@dataclass(frozen=True, slots=True)
class RunsThere:
    """What an agent runs: every setting of ours. `size` is that of the answer, bytes.

    `proven`: the values fit the hash that it reports, so they are those of each agent that reports
    it and knows the same settings.
    """

    running: Running
    values: Mapping[str, Value | None]
    size: int
    proven: bool


def runs_to_wire(
    question: str, running: Running, settings: Settings, known: frozenset[str]
) -> agents_pb2.RunningSettings:
    """The answer to a manager that knows these settings."""
    answer = agents_pb2.RunningSettings(id=question, running=running_to_wire(running))
    if not running.revision:
        answer.refused = "it has not had settings of a manager yet"
        return answer
    values = default_values() | dict(settings)
    sent = {
        name: value
        for name, value in values.items()
        if name in known or not is_default(name, value)
    }
    answer.settings.CopyFrom(settings_to_wire(sent))
    if answer.ByteSize() > MAX_AGENT_MESSAGE - _ROOM:
        answer.refused = f"its settings have {answer.ByteSize()} bytes, which no message can hold"
        answer.ClearField("settings")
    return answer


def runs_there_to_wire(found: RunsThere) -> agents_pb2.RunningSettings:
    """What an agent answered, as one manager passes it on to another."""
    return agents_pb2.RunningSettings(
        running=running_to_wire(found.running), settings=settings_to_wire(found.values)
    )


def runs_of(message: agents_pb2.RunningSettings, known: frozenset[str]) -> RunsThere | Unanswered:
    """Read the answer of an agent that knows these settings of ours."""
    if message.refused:
        return Unanswered(cut(message.refused))
    try:
        settings = settings_from_wire(message.settings)
    except SettingError as error:
        return Unanswered(f"it runs settings that this manager can't read: {error}")
    missing = [name for name in known if SCHEMA[name].default is not None and name not in settings]
    if missing:
        return Unanswered(f"its answer has no value for {', '.join(sorted(missing))}")
    running = running_of(message.running)
    values = {name: settings.get(name, row.default) for name, row in SCHEMA.items()}
    proven = hash_of(settings, known) == running.hash
    return RunsThere(running, values, message.ByteSize(), proven)
