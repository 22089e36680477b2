"""PURE. What the settings stream is about: frozen values, before they are messages.

Times called `time` are Unix seconds by the clock of whoever states them; durations are seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from tdc.shared.settings.values import Settings


@dataclass(frozen=True, slots=True)
class Running:
    """What an agent runs. Revision 0 with an empty hash are the built-in defaults.

    `store_id` names the history that the revision counts in; revisions of different
    histories can't be compared.
    """

    revision: int = 0
    hash: str = ""
    store_id: str = ""


NOTHING_RUNS = Running()
"""The built-in defaults: nothing is copied."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a machine should run, without the settings themselves."""

    revision: int
    hash: str
    store_id: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """Settings that the manager wants in force.

    `fault` says why the message could not be read; empty if it could. Then, and only then,
    `settings` are what it carried.
    """

    revision: int
    hash: str
    store_id: str
    settings: Settings = field(default_factory=Settings)
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Outcome of an attempt to apply; `reason` is empty if and only if it was applied."""

    revision: int
    hash: str
    applied: bool
    reason: str
    time: float


class BadIntervals(ValueError):
    """Intervals that no stream can live by."""


@dataclass(frozen=True, slots=True)
class Intervals:
    """How often each end speaks, and after which silence the stream is dead. Seconds."""

    status: float = 10.0
    ping: float = 5.0
    deadline: float = 15.0

    def checked(self) -> Intervals:
        """Return them; raises BadIntervals (a NaN, a negative, a deadline below the ping)."""
        numbers = (self.status, self.ping, self.deadline)
        if not all(math.isfinite(number) and 0.01 <= number <= 86_400 for number in numbers):
            raise BadIntervals(f"intervals are not between 0.01 s and a day: {numbers}")
        if self.deadline <= self.ping:
            raise BadIntervals("the deadline is not longer than the time between pings")
        return self


DEFAULT_INTERVALS = Intervals()
"""What an agent goes by until the Welcome says otherwise."""
