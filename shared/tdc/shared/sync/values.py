"""PURE. Frozen values of the settings stream, before they are messages.

A `time` is Unix seconds by the clock of the end that reports it; durations are seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from tdc.shared.settings.values import Settings
from tdc.shared.sync.audit import NO_ENTRY, AuditHead


@dataclass(frozen=True, slots=True)
class Running:
    """What an agent runs. Revision 0 with an empty hash means the built-in defaults.

    `store_id` names the store that the revision counts in; revisions of different stores can't be
    compared. `history` is the chain value of that store's history at the revision; empty if it is
    not known. `left` has the stores that the agent ran before, oldest first; only the agent knows.
    """

    revision: int = 0
    hash: str = ""
    store_id: str = ""
    history: str = ""
    left: tuple[str, ...] = ()


MOST_LEFT = 16
"""Stores that an agent remembers to have left."""

BEHIND = "behind"
"""What a Welcome has for a chain value where the manager's store has not come to the revision that
the agent runs. No chain value reads so: they are hexadecimal."""

NOTHING_RUNS = Running()
"""The built-in defaults: nothing is copied."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a machine should run, by hash: the settings themselves stay in the view."""

    revision: int
    hash: str
    store_id: str
    history: str = ""

    @property
    def as_running(self) -> Running:
        """What an agent runs once it has applied it."""
        return Running(self.revision, self.hash, self.store_id, self.history)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Settings that the manager wants in force.

    `fault` says why the message could not be read. Only while it is empty do `settings` mean
    anything. `audit` is the audit log's head, as the manager knew it.
    """

    revision: int
    hash: str
    store_id: str
    settings: Settings = field(default_factory=Settings)
    fault: str = ""
    history: str = ""
    audit: AuditHead = NO_ENTRY

    def after(self, before: Running) -> Running:
        """What runs once it is applied where `before` ran."""
        left = before.left
        if before.store_id not in ("", self.store_id):
            left = (*left, before.store_id)[-MOST_LEFT:]
        return Running(self.revision, self.hash, self.store_id, self.history, left)


@dataclass(frozen=True, slots=True)
class Removed:
    """What the agent of a removed machine is told: whether it takes no more copies.

    `revision` of the store `store_id` removed the machine; 0 and empty if that was not told.
    """

    stops_copying: bool
    store_id: str = ""
    revision: int = 0


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
