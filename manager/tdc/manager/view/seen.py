"""PURE. What streams brought of one machine, at this manager or at another.

Ages are by a clock that nobody can set; the clock that people set only says when, to be shown.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from tdc.shared.sync.report import MachineReport
from tdc.shared.sync.values import NOTHING_RUNS, Attempt, Running

TAKEOVERS = 3
TAKEOVER_WINDOW = 600.0
"""So many live streams of one machine, replaced within so many seconds, mean two machines with one
certificate. A single replacement is an agent that was restarted."""


class SyncState(StrEnum):
    """The words that operators see (docs/glossary.md)."""

    IN_SYNC = "in sync"
    OUT_OF_SYNC = "out of sync"
    OFFLINE = "offline"
    STALE = "stale"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


class Moment(NamedTuple):
    """A moment by both clocks: `at` makes ages, `wall` is shown."""

    at: float
    wall: float


NEVER = Moment(0.0, 0.0)


@dataclass(slots=True)
class Seen:
    """What streams brought of one machine; `gone` says how the last one ended.

    `refused_since` is when it first refused the manager; it is forgotten once it is in sync, not
    when it merely comes back to look. `number` grows with each change of any machine at one
    manager. `clones` is what another manager says of takeovers there, empty for our own.
    """

    connected: bool = False
    heard: Moment = NEVER
    running: Running = NOTHING_RUNS
    last_attempt: Attempt | None = None
    status: MachineReport | None = None
    status_time: Moment | None = None
    agent_version: str = ""
    dead: bool = False
    gone: str = ""
    state: SyncState = SyncState.OFFLINE
    since: Moment = NEVER
    refused_since: Moment | None = None
    takeovers: deque[float] = field(default_factory=lambda: deque(maxlen=TAKEOVERS))
    rivals: tuple[str, str] = ("", "")
    number: int = 0
    clones: str = ""
    manager: str = ""

    @property
    def refuses(self) -> str:
        """Why it takes no settings from the manager; empty if it does."""
        return self.status.refuses_manager if self.status is not None else ""

    @property
    def rank(self) -> tuple[bool, float]:
        """Of what several managers saw of one machine, the greatest is what counts."""
        return self.connected, self.heard.at
