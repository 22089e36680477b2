"""PURE. What delivery can do when an attempt ends, as values: `settle` returns, `perform` acts.

A copy gets exactly one `Fate`. An `Effect` is about its destination, the counters or the log.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from tdc.node_agent.deliver.mx import Candidate
from tdc.node_agent.smtp.dialogue import Extension


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a destination is on hold. Times are of the monotonic clock, seconds.

    `planned` is when it would have been probed next, if this probe was asked for, by an operator or
    by a restart; else None.
    """

    reason: str
    check: str
    since: float
    next_probe: float
    failures: int = 1
    planned: float | None = None


# The fates of a copy


class MarkDelivered(NamedTuple):
    """The intake has it: remove it from the spool."""

    mid: int
    reply: str
    tls_version: str
    number: int = 0


@dataclass(frozen=True, slots=True)
class Defer:
    """Count an attempt; due again at `next_at`, by the spool's own time."""

    mid: int
    next_at: float
    reason: str


@dataclass(frozen=True, slots=True)
class MarkDead:
    """Move it to the dead-letter list."""

    mid: int
    reason: str


@dataclass(frozen=True, slots=True)
class BackToQueue:
    """Return it to the spool, due as before; no attempt is counted."""

    mid: int


@dataclass(frozen=True, slots=True)
class SendAgain:
    """It stays in hand, to go first on another connection; no attempt is counted."""

    mid: int


Fate = MarkDelivered | Defer | MarkDead | BackToQueue | SendAgain


# Effects on the destination, the counters and the log


@dataclass(frozen=True, slots=True)
class CountFailure:
    """An attempt failed."""

    deferred: bool = False
    maybe_duplicate: bool = False


@dataclass(frozen=True, slots=True)
class NoteReply:
    """What the host of `candidate` replied."""

    candidate: Candidate
    reply: str


@dataclass(frozen=True, slots=True)
class NoteFailure:
    """A failure at a host is charged to the copy; `died`: it is dead of it. `at` is monotonic."""

    mid: int
    at: float
    died: bool = False
    candidate: Candidate | None = None


@dataclass(frozen=True, slots=True)
class UndoRun:
    """A run of refusals was the destination's fault: its copies are as if they had not failed."""


@dataclass(frozen=True, slots=True)
class WarnOfRefusals:
    """Some reports are refused while others may pass: alarm, once until none of them waits."""

    check: str


@dataclass(frozen=True, slots=True)
class CountMaybeDuplicate:
    """A whole report was sent and its reply will not be seen."""


@dataclass(frozen=True, slots=True)
class CountSentAgain:
    """The copy goes again without an attempt being counted."""

    mid: int


@dataclass(frozen=True, slots=True)
class HoldDestination:
    """Begin a hold, with the alarm; the probe is `wait` seconds away."""

    hold: Hold
    wait: float


@dataclass(frozen=True, slots=True)
class LengthenHold:
    """A probe failed: the hold goes on with a later one."""

    hold: Hold


@dataclass(frozen=True, slots=True)
class ReleaseHold:
    """The destination takes reports again."""


@dataclass(frozen=True, slots=True)
class GiveBackWaiting:
    """What is claimed for the destination and not in hand goes back, each logged as held."""

    reason: str
    check: str
    wait: float


@dataclass(frozen=True, slots=True)
class LimitConnections:
    """Have at most so many, and open none before `open_after` if that is given (monotonic)."""

    connections: int
    open_after: float | None = None


@dataclass(frozen=True, slots=True)
class LearnLimit:
    """Connection `number` ended by itself after so many messages."""

    number: int
    messages: int


@dataclass(frozen=True, slots=True)
class MarkHostBad:
    """Try the other hosts first, for `at_least` seconds or more, as connection `number` found.

    `at` is monotonic. `leave`: the connections to it that are open carry nothing more.
    """

    candidate: Candidate
    number: int
    at: float
    at_least: float = 0.0
    leave: bool = False


@dataclass(frozen=True, slots=True)
class DoWithout:
    """Send to this host without these extensions until then (monotonic)."""

    candidate: Candidate
    extensions: frozenset[Extension]
    until: float


@dataclass(frozen=True, slots=True)
class SendEncoded:
    """Send this copy with the original in base64 from now on."""

    mid: int


class LogDelivered(NamedTuple):
    """The intake accepted the report on connection `number`."""

    mid: int
    number: int
    reply: str
    tls_version: str


@dataclass(frozen=True, slots=True)
class LogFailed:
    """The attempt failed."""

    mid: int
    reason: str
    check: str


@dataclass(frozen=True, slots=True)
class LogHeld:
    """The copy waits because its destination is on hold; logged once in a hold."""

    mid: int
    reason: str
    check: str
    wait: float


@dataclass(frozen=True, slots=True)
class LogNextHost:
    """A host failed and the next one is tried."""

    reason: str
    check: str


@dataclass(frozen=True, slots=True)
class LogOtherwise:
    """A report goes again at once in another way; `how` says in which."""

    reason: str
    check: str
    how: str


@dataclass(frozen=True, slots=True)
class LogNoFurther:
    """A further connection could not be opened; those that work go on."""

    check: str


Effect = (
    CountFailure
    | CountMaybeDuplicate
    | CountSentAgain
    | NoteReply
    | NoteFailure
    | UndoRun
    | WarnOfRefusals
    | HoldDestination
    | LengthenHold
    | ReleaseHold
    | GiveBackWaiting
    | LimitConnections
    | LearnLimit
    | MarkHostBad
    | DoWithout
    | SendEncoded
    | LogDelivered
    | LogFailed
    | LogHeld
    | LogNextHost
    | LogOtherwise
    | LogNoFurther
)
