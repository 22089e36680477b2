"""PURE. Who sends what: the connections of one destination, and what waits, into actions.

The scheduler asks after every event and performs what comes back. The same rules answer for a
busy connection whether it may already be handed its next report (`takes_another`).

The rules
=========
A report goes to a connection that is idle. Only for those that find none are further connections
opened, as many as there is room for; one that is opening already counts as taken. A connection
is closed when it is idle and has carried all it may, was opened under settings that no longer
hold, was unused for too long, or is one too many. A busy connection is never interrupted: it
notices by itself when its report ends.

While the destination is on hold there is one connection with one report at a time, and none
before the next probe is due. Waiting reports never stand still without a reason that ends: a
busy connection ends or goes idle, `open_after` passes, a probe becomes due (`next_change`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class LaneState(StrEnum):
    """What a connection does."""

    OPENING = "opening"
    IDLE = "idle"
    BUSY = "busy"


class Lane(NamedTuple):
    """One connection as the rules see it.

    `number` is its DCID, `sent` the reports so far, `idle_since` is in seconds; `stale`: opened
    under settings that no longer hold.
    """

    number: int
    state: LaneState = LaneState.OPENING
    sent: int = 0
    idle_since: float = 0.0
    stale: bool = False

    def idle(self, now: float) -> Lane:
        """The connection waits for a report."""
        return Lane(self.number, LaneState.IDLE, self.sent, now, self.stale)

    def busy(self, *, reports: int = 0) -> Lane:
        """The connection is in use, for so many reports more."""
        return Lane(self.number, LaneState.BUSY, self.sent + reports, self.idle_since, self.stale)


class Limits(NamedTuple):
    """`connections` at most, `messages` for each of them, `idle` seconds until one closes.

    No connection is opened before `open_after`. `probe_at` is when a destination on hold may be
    probed, None if it is not on hold.
    """

    connections: int
    messages: int
    idle: float
    open_after: float = 0.0
    probe_at: float | None = None


@dataclass(frozen=True, slots=True)
class OpenConnection:
    """Open one connection."""


@dataclass(frozen=True, slots=True)
class SendNext:
    """Hand the next waiting report to this connection."""

    number: int


@dataclass(frozen=True, slots=True)
class CloseConnection:
    """Say goodbye on this connection."""

    number: int


Action = OpenConnection | SendNext | CloseConnection


def assign(waiting: int, lanes: Sequence[Lane], limits: Limits, now: float) -> tuple[Action, ...]:
    """Decide what to do now for one destination with `waiting` reports at hand."""
    connections, messages, open_after = limits.connections, limits.messages, limits.open_after
    if limits.probe_at is not None:
        connections, messages, open_after = 1, 1, limits.probe_at
    closing = [one for one in lanes if _is_spent(one, messages, limits.idle, now, waiting)]
    live = [one for one in lanes if one not in closing]
    idle = [one for one in live if one.state is LaneState.IDLE]
    surplus = max(0, len(live) - connections)
    closing += idle[len(idle) - min(surplus, len(idle)) :]
    idle = idle[: len(idle) - min(surplus, len(idle))]
    if limits.probe_at is not None and now < limits.probe_at:
        return tuple(CloseConnection(one.number) for one in (*closing, *idle))
    sends = idle[:waiting]
    opening = sum(one.state is LaneState.OPENING for one in live)
    room = connections - (len(live) - surplus if surplus else len(live))
    opens = min(room, waiting - len(sends) - opening) if now >= open_after else 0
    return (
        *(CloseConnection(one.number) for one in closing),
        *(SendNext(one.number) for one in sends),
        *(OpenConnection() for _ in range(max(0, opens))),
    )


def _is_spent(lane: Lane, messages: int, idle: float, now: float, waiting: int) -> bool:
    if lane.state is not LaneState.IDLE:
        return False
    idle_too_long = not waiting and now - lane.idle_since >= idle
    return lane.stale or lane.sent >= messages or idle_too_long


def takes_another(lane: Lane, limits: Limits, live: int) -> bool:
    """Say whether a busy connection, whose report is the `sent`-th, may announce one more."""
    within = lane.sent < limits.messages and live <= limits.connections
    return within and not lane.stale and limits.probe_at is None


def next_change(lanes: Sequence[Lane], limits: Limits, now: float) -> float | None:
    """Give the time when `assign` may decide differently although nothing happens, or None."""
    times = [one.idle_since + limits.idle for one in lanes if one.state is LaneState.IDLE]
    if limits.probe_at is not None:
        if not lanes:  # a probe under way reports by itself
            times.append(limits.probe_at)
    elif limits.open_after > now:
        times.append(limits.open_after)
    return min(times, default=None)
