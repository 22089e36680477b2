"""PURE. Who sends what: connections of one destination, and what waits, into actions.

The scheduler asks after every event and performs what comes back. The same rule answers for a
busy connection whether it may be handed its next report already (`takes_another`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class ConnectionState(StrEnum):
    """What a connection does."""

    OPENING = "opening"
    IDLE = "idle"
    BUSY = "busy"


@dataclass(frozen=True, slots=True)
class ConnectionView:
    """One connection: `sent` reports so far, `idle_since` seconds; `stale`: old settings."""

    number: int
    state: ConnectionState
    sent: int = 0
    idle_since: float = 0.0
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """`connections` at most, `messages` for each connection, `idle` seconds until one closes.

    No connection is opened before `open_after`.
    """

    connections: int
    messages: int
    idle: float
    open_after: float = 0.0


@dataclass(frozen=True, slots=True)
class HoldView:
    """The destination is on hold; one connection with one report probes it at `next_probe`."""

    next_probe: float


@dataclass(frozen=True, slots=True)
class Open:
    """Open one connection."""


@dataclass(frozen=True, slots=True)
class Send:
    """Hand the next waiting report to this connection."""

    number: int


@dataclass(frozen=True, slots=True)
class Close:
    """Say goodbye on this connection."""

    number: int


Action = Open | Send | Close


def assign(
    waiting: int,
    connections: Sequence[ConnectionView],
    limits: Limits,
    hold: HoldView | None,
    now: float,
) -> tuple[Action, ...]:
    """Return what to do now for one destination with `waiting` reports at hand."""
    if hold is not None:
        limits = Limits(1, 1, limits.idle, hold.next_probe)
    closing = [one for one in connections if _is_spent(one, limits, now, waiting)]
    live = [one for one in connections if one not in closing]
    idle = [one for one in live if one.state is ConnectionState.IDLE]
    surplus = max(0, len(live) - limits.connections)
    closing += idle[len(idle) - min(surplus, len(idle)) :]
    idle = idle[: len(idle) - min(surplus, len(idle))]
    if hold is not None and now < hold.next_probe:
        return tuple(Close(one.number) for one in (*closing, *idle))
    sends = idle[:waiting]
    opening = sum(one.state is ConnectionState.OPENING for one in live)
    room = limits.connections - (len(live) - surplus if surplus else len(live))
    opens = min(room, waiting - len(sends) - opening) if now >= limits.open_after else 0
    return (
        *(Close(one.number) for one in closing),
        *(Send(one.number) for one in sends),
        *(Open() for _ in range(max(0, opens))),
    )


def _is_spent(one: ConnectionView, limits: Limits, now: float, waiting: int) -> bool:
    if one.state is not ConnectionState.IDLE:
        return False
    idle_too_long = not waiting and now - one.idle_since >= limits.idle
    return one.stale or one.sent >= limits.messages or idle_too_long


def takes_another(one: ConnectionView, limits: Limits, hold: HoldView | None, live: int) -> bool:
    """Say whether a busy connection, whose report is the `sent`-th, may announce one more."""
    within = one.sent < limits.messages and live <= limits.connections
    return within and not one.stale and hold is None


def next_change(
    connections: Sequence[ConnectionView], limits: Limits, hold: HoldView | None, now: float
) -> float | None:
    """Return when `assign` may answer differently although nothing happens, None for never."""
    times = [one.idle_since + limits.idle for one in connections if _idle(one)]
    if hold is not None:
        if not connections:  # a probe under way reports by itself
            times.append(hold.next_probe)
    elif limits.open_after > now:
        times.append(limits.open_after)
    return min(times, default=None)


def _idle(one: ConnectionView) -> bool:
    return one.state is ConnectionState.IDLE
