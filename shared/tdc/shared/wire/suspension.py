"""What is suspended on a machine: tdc.v1 messages <-> `tdc.shared.sync.suspension`.

The texts of an operator come back through agents, whose keys may be stolen: they are cut like all
text of an agent.
"""

from __future__ import annotations

import math

from tdc.shared.sync.suspension import Suspended, Suspension, WantedSuspension
from tdc.shared.sync.suspension_state import SuspensionFacts
from tdc.shared.wire.errors import BadMessage
from tdc.shared.wire.moments import timestamp, unix_seconds
from tdc.shared.wire.printable import MOST_WORD, cut
from tdc.v1 import agents_pb2, operators_pb2

MOST_REASON = 1_000
"""Characters of a reason."""


def suspension_of(message: agents_pb2.Suspension) -> Suspension:
    """Read it; raises BadMessage for a time that is not valid."""
    return Suspension(
        message.number,
        part_of(message.copying) if message.HasField("copying") else None,
        part_of(message.delivery) if message.HasField("delivery") else None,
    )


def suspension_to_wire(suspension: Suspension) -> agents_pb2.Suspension:
    """As a message."""
    return agents_pb2.Suspension(
        number=suspension.number,
        copying=part_to_wire(suspension.copying),
        delivery=part_to_wire(suspension.delivery),
    )


def part_of(message: agents_pb2.SuspendedPart) -> Suspended:
    """Read one part; raises BadMessage for a time that is not valid."""
    since = unix_seconds(message.since)
    by, reason = cut(message.by, MOST_WORD), cut(message.reason, MOST_REASON)
    if not message.HasField("until"):
        return Suspended(by, reason, since)
    if not math.isfinite(message.left):
        raise BadMessage(f"a suspension lasts {message.left} s more")
    return Suspended(by, reason, since, unix_seconds(message.until), max(0.0, message.left))


def part_to_wire(part: Suspended | None) -> agents_pb2.SuspendedPart | None:
    """One part as a message; None for what is not suspended."""
    if part is None:
        return None
    return agents_pb2.SuspendedPart(
        by=part.by,
        reason=part.reason,
        since=timestamp(part.since),
        until=None if part.until is None else timestamp(part.until),
        left=part.left or 0.0,
    )


def wanted_suspension_of(message: agents_pb2.WantedSuspension) -> WantedSuspension:
    """Read what a manager wants suspended; raises BadMessage."""
    return WantedSuspension(suspension_of(message.suspension), cut(message.store_id, MOST_WORD))


def wanted_suspension_to_wire(wanted: WantedSuspension) -> agents_pb2.WantedSuspension:
    """What a manager wants suspended, as a message."""
    return agents_pb2.WantedSuspension(
        suspension=suspension_to_wire(wanted.suspension), store_id=wanted.store_id
    )


def state_to_wire(facts: SuspensionFacts) -> operators_pb2.SuspensionState | None:
    """What operators are shown; None if nothing is suspended, nor was resumed by anybody."""
    if not facts and facts.resumed_at is None:
        return None
    return operators_pb2.SuspensionState(
        copying=part_to_wire(facts.there.copying),
        delivery=part_to_wire(facts.there.delivery),
        wanted_copying=part_to_wire(facts.wanted.copying),
        wanted_delivery=part_to_wire(facts.wanted.delivery),
        in_force=not facts.pending,
        pending=facts.pending,
        resumed_by=facts.resumed_by,
        resumed_at=None if facts.resumed_at is None else timestamp(facts.resumed_at),
    )
