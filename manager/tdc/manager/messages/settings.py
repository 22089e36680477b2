"""Settings as operators read them -> tdc.v1 messages: one level, and why what is in force is."""

from __future__ import annotations

from tdc.manager.intent.settings import Explanation, StoredLevel
from tdc.manager.messages.wire import step_to_wire
from tdc.shared.wire.moments import timestamp
from tdc.shared.wire.settings import LEVEL_TO_WIRE, settings_to_wire
from tdc.shared.wire.stream import attempt_to_wire, running_to_wire
from tdc.shared.wire.suspension import state_to_wire
from tdc.v1 import fleet_pb2, operators_pb2


def level_to_wire(found: StoredLevel) -> operators_pb2.LevelSettings:
    """What is present at one level as a message."""
    return operators_pb2.LevelSettings(
        level=fleet_pb2.LevelRef(
            level=LEVEL_TO_WIRE[found.key.level], name=found.key.name, cluster=found.cluster
        ),
        revision=found.revision,
        settings=settings_to_wire(found.stored.settings),
        set_by=found.stored.set_by,
    )


def explanation_to_wire(explained: Explanation) -> operators_pb2.ExplainResponse:
    """The chains behind values as a message, with what the machine runs."""
    attempt = explained.attempt
    return operators_pb2.ExplainResponse(
        machine=explained.machine,
        cluster=explained.cluster,
        revision=explained.revision,
        settings=[
            operators_pb2.Explanation(
                setting=name,
                steps=[step_to_wire(name, step) for step in chain],
                unknown_there=name in explained.unknown_there,
            )
            for name, chain in explained.chains.items()
        ],
        state=explained.state,
        running=None if explained.running is None else running_to_wire(explained.running),
        unread=explained.unread,
        since=None if explained.since is None else timestamp(explained.since),
        reason=explained.reason,
        last_attempt=None if attempt is None else attempt_to_wire(attempt),
        suspension=state_to_wire(explained.suspension),
        agent_version=explained.agent_version,
    )
