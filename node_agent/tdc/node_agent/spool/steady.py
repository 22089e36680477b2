"""PURE. The spool's own time: how old a copy is, and when it is due, whatever the clock is set to.

The problem. The wall clock is the only one that goes on while a machine is off, and the only one
that is ever wrong: a gateway that starts with an empty battery is in 1970, a mistyped date is a
year ahead. If it decided how old a copy is, one wrong step would put everything that waits on the
dead-letter list, or keep it there for ever.

The answer. The times in the spool's file are *steady seconds*. The scale begins as Unix time when
the file is made, and from then on only time that has really passed moves it:

- while the machine is on, by its clock since boot, which no one can set, also across a restart of
  the agent;
- across a start of the machine, by the difference of the wall clock, never less than nothing and
  never more than LONGEST_STEP. A machine that was off for longer counts that much: in the rest of
  the time nobody tried to deliver, and it is not held against the copies.

The scale may therefore differ from Unix time. What people see is converted when it is shown: the
wall clock now, less the age.
"""

from __future__ import annotations

from typing import NamedTuple

LONGEST_STEP = 3_600.0
"""Seconds by which the scale moves at most while the machine was off, or its clock was set."""


class Reading(NamedTuple):
    """A machine's clocks at one moment, seconds; `boot` names the start of the machine."""

    boot: str
    since_boot: float
    wall: float


class Anchor(NamedTuple):
    """Where the scale stood at a reading."""

    steady: float
    reading: Reading


def passed(before: Reading, now: Reading) -> float:
    """Seconds that passed between two readings, by what can be trusted of them."""
    if before.boot and before.boot == now.boot and now.since_boot >= before.since_boot:
        return now.since_boot - before.since_boot
    return min(max(now.wall - before.wall, 0.0), LONGEST_STEP)


def resumed(saved: Anchor | None, now: Reading) -> Anchor:
    """Where the scale stands when the agent starts; `saved` is what the file says, if anything."""
    if saved is None:
        return Anchor(now.wall, now)
    return Anchor(saved.steady + passed(saved.reading, now), now)


def steady_at(anchor: Anchor, since_boot: float) -> float:
    """Where the scale stands later in the same start of the machine."""
    return anchor.steady + max(0.0, since_boot - anchor.reading.since_boot)


def as_wall(at: float, steady: float, wall: float) -> float:
    """When `at` on the scale was, by a wall clock that shows `wall` while the scale is `steady`."""
    return wall - (steady - at)
