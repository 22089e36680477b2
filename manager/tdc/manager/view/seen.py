"""PURE. What streams brought of one machine, at this manager or at another.

Ages are by a clock that nobody can set; the clock that people set only says when, to be shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, TypeVar

from tdc.manager.view.names import MachineKey
from tdc.shared.sync.report import MachineReport
from tdc.shared.sync.values import NOTHING_RUNS, Attempt, Running

Entry = TypeVar("Entry")

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
    manager. `known` are the settings of ours that the agent knows, None before it has connected.
    `clones` is what another manager says of takeovers there, `manager` its name, `enrolment` which
    machine it speaks of; all empty for our own.
    """

    connected: bool = False
    heard: Moment = NEVER
    running: Running = NOTHING_RUNS
    last_attempt: Attempt | None = None
    status: MachineReport | None = None
    status_time: Moment | None = None
    agent_version: str = ""
    known: frozenset[str] | None = None
    dead: bool = False
    gone: str = ""
    state: SyncState = SyncState.OFFLINE
    since: Moment = NEVER
    refused_since: Moment | None = None
    takeovers: tuple[float, ...] = ()
    rivals: tuple[str, str] = ("", "")
    number: int = 0
    clones: str = ""
    manager: str = ""
    enrolment: str = ""

    @property
    def refuses(self) -> str:
        """Why it takes no settings from the manager; empty if it does."""
        return self.status.refuses_manager if self.status is not None else ""

    @property
    def rank(self) -> tuple[bool, float]:
        """Of what several managers saw of one machine, the greatest is what counts."""
        return self.connected, self.heard.at


@dataclass(frozen=True, slots=True)
class Stranger:
    """A machine that comes from `address` with a certificate of ours that the store doesn't know.

    `replaced`: the store knows another enrolment by that name, so it is not the machine listed.
    """

    cluster: str
    machine: str
    address: str
    replaced: bool


def rename(known: dict[MachineKey, Entry], names: Mapping[MachineKey, MachineKey]) -> None:
    """Give entries other keys, all at once: one may take the name that another has left."""
    moved = {now: known.pop(was) for was, now in names.items() if was in known}
    known |= moved
