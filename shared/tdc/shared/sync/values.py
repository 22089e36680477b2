"""PURE. Frozen values of the settings stream, before they are messages.

A `time` is Unix seconds by the clock of the end that reports it; durations are seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from tdc.shared.settings.values import Settings


@dataclass(frozen=True, slots=True)
class Running:
    """What an agent runs. Revision 0 with an empty hash means the built-in defaults.

    `store_id` names the history that the revision counts in; revisions of different stores
    can't be compared.
    """

    revision: int = 0
    hash: str = ""
    store_id: str = ""


NOTHING_RUNS = Running()
"""The built-in defaults: nothing is copied."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a machine should run, by hash: the settings themselves stay in the view."""

    revision: int
    hash: str
    store_id: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """Settings that the manager wants in force.

    `fault` says why the message could not be read. Only while it is empty do `settings` mean
    anything.
    """

    revision: int
    hash: str
    store_id: str
    settings: Settings = field(default_factory=Settings)
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """The outcome of an attempt to apply settings. `reason` is empty exactly if `applied`."""

    revision: int
    hash: str
    applied: bool
    reason: str
    time: float


class BadIntervals(ValueError):
    """Intervals with which a stream can't work."""


@dataclass(frozen=True, slots=True)
class Intervals:
    """How often each end sends, and how long a silence means a dead stream. Seconds."""

    status: float = 10.0
    ping: float = 5.0
    deadline: float = 15.0

    def checked(self) -> Intervals:
        """Return them if a stream can work with them; raises BadIntervals (say, for a NaN)."""
        numbers = (self.status, self.ping, self.deadline)
        if not all(math.isfinite(number) and 0.01 <= number <= 86_400 for number in numbers):
            raise BadIntervals(f"intervals must be between 0.01 s and a day, not {numbers}")
        if self.deadline <= self.ping:
            raise BadIntervals("the deadline must be longer than the time between pings")
        return self


DEFAULT_INTERVALS = Intervals()
"""What an agent uses until the Welcome sets its own."""
