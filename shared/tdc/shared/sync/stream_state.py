"""PURE. Both halves of the settings stream, as step(state, event, now) -> (state, effects).

How the stream works
--------------------
The agent opens it and sends Hello with two facts: what it *runs*, and its *last attempt* to apply.
The manager answers Welcome. From then on it knows three things: what is wanted, what runs, what
was refused. All it ever does follows from comparing them, in `manager_half._offer_if_due`:

- what runs has the wanted hash: nothing is sent, whatever the revisions are;
- the wanted hash was refused: nothing is sent, because the same answer would come back (but see
  `_was_refused` for the one refusal that passes with time);
- otherwise one Wanted goes out, and no other until its outcome is known. Then only the newest is
  offered, so a slow agent never gets a backlog.

What an agent runs is reported again in each Hello and each status, never remembered from old
acknowledgements. So an agent that was restored from a snapshot shows as out of sync and is
repaired.

The agent judges a Wanted (`acceptance`), applies it, and persists it *before* it answers. A failure
that may pass by itself (a full disk) is answered as rejected, and the agent retries every
`RETRY_APPLY` seconds; the manager need not offer the settings again.

A Wanted may be refused for the settings, or for the *manager*: what it sends can't be used, is of
another history, of a store that was left, or older than what runs here. Another manager may do
better. So an agent that refuses a manager reports why in its status and then leaves (`Leave`), once
`leave_at` has come; `node_agent/sync/choice.py` decides when, because it knows the others. Where
there is no other it stays, and is shown as rejected.

The manager pings and the agent answers. Either end ends the stream if it receives nothing for
`deadline` seconds. The manager sets the intervals, so it can slow a whole fleet down.

How this file works
-------------------
A half (`manager_half`, `agent_half`) is a frozen state and one literal table: (phase, kind of
event) -> function. This file has what both need: events, effects, phases. A pair that is not in
the table is a fault of the peer: the stream is ended with a reason. `now` is a reading of a
monotonic clock, in seconds. Nothing here sends, waits or reads a clock; `…_wake_at` is when the
next `Tick` is due.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tdc.shared.settings.known import KNOWN_HERE
from tdc.shared.sync.values import Attempt, Intervals, Running, Target, Wanted

# --- what happens: events -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed; nothing else happened. Both halves."""


@dataclass(frozen=True, slots=True)
class HelloSaid:
    """Manager: the agent introduced itself."""

    running: Running
    last_attempt: Attempt | None


@dataclass(frozen=True, slots=True)
class TargetSet:
    """Manager: these settings are wanted now; None while the view does not know."""

    target: Target | None


@dataclass(frozen=True, slots=True)
class OutcomeSaid:
    """Manager: the agent applied or refused."""

    attempt: Attempt


@dataclass(frozen=True, slots=True)
class StatusSaid:
    """Manager: a status came; the stream needs these two facts of it."""

    running: Running
    last_attempt: Attempt | None


@dataclass(frozen=True, slots=True)
class PongSaid:
    """Manager: a sign of life."""

    number: int


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """Agent: the stream is open."""


@dataclass(frozen=True, slots=True)
class WelcomeSaid:
    """Agent: the manager answered Hello and set the intervals.

    `history` is what the manager's own history has at the revision that runs here; empty if it
    can't say. `known` are the settings of ours that the manager knows.
    """

    intervals: Intervals
    history: str = ""
    known: frozenset[str] = KNOWN_HERE


@dataclass(frozen=True, slots=True)
class WantedSaid:
    """Agent: these settings should run."""

    wanted: Wanted


@dataclass(frozen=True, slots=True)
class PingSaid:
    """Agent: the manager asks for a Pong."""

    number: int


@dataclass(frozen=True, slots=True)
class Settled:
    """Agent: an Apply or Refuse was performed and recorded; `running` is what runs now.

    `again`: it failed for a reason that may pass by itself.
    """

    attempt: Attempt
    running: Running
    again: bool = False


@dataclass(frozen=True, slots=True)
class StatusDue:
    """Agent: something changed that the manager should know before the next interval."""


Event = (
    Tick
    | HelloSaid
    | TargetSet
    | OutcomeSaid
    | StatusSaid
    | PongSaid
    | StreamOpened
    | WelcomeSaid
    | WantedSaid
    | PingSaid
    | Settled
    | StatusDue
)


# --- what is to be done: effects ----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SayWelcome:
    """Manager: answer Hello."""

    intervals: Intervals
    wanted_hash: str


@dataclass(frozen=True, slots=True)
class Offer:
    """Manager: send the settings with this hash."""

    target: Target


@dataclass(frozen=True, slots=True)
class SayPing:
    """Manager: ask for a Pong."""

    number: int


@dataclass(frozen=True, slots=True)
class NoteManager:
    """Agent: no settings are taken from this manager, and why; empty if they are."""

    refused: str


@dataclass(frozen=True, slots=True)
class Leave:
    """Agent: end the stream once all that was said is sent, and try other managers."""


@dataclass(frozen=True, slots=True)
class SayHello:
    """Agent: introduce itself."""


@dataclass(frozen=True, slots=True)
class Apply:
    """Agent: validate for this machine, persist, put in force; then hand back Settled."""

    wanted: Wanted


@dataclass(frozen=True, slots=True)
class Refuse:
    """Agent: record the refusal; then hand back Settled.

    `of_manager`: these settings are refused for the manager that sent them. Of another manager the
    same ones may be welcome, so the refusal is not told in the next Hello.
    """

    wanted: Wanted
    reason: str
    of_manager: bool = False


@dataclass(frozen=True, slots=True)
class SayOutcome:
    """Agent: report the outcome to the manager."""

    attempt: Attempt


@dataclass(frozen=True, slots=True)
class SayStatus:
    """Agent: report the machine's status."""


@dataclass(frozen=True, slots=True)
class SayPong:
    """Agent: answer a Ping."""

    number: int


@dataclass(frozen=True, slots=True)
class EndStream:
    """Both: end the stream. `dead`: silence past the deadline; otherwise a fault of the peer."""

    reason: str
    dead: bool = False


Effect = (
    SayWelcome
    | Offer
    | SayPing
    | NoteManager
    | Leave
    | SayHello
    | Apply
    | Refuse
    | SayOutcome
    | SayStatus
    | SayPong
    | EndStream
)


class Phase(StrEnum):
    """Where a stream is in its life."""

    NEW = "new"  # the first message has not passed
    GREETED = "greeted"  # agent only: Hello sent, no Welcome yet
    IDLE = "idle"  # nothing under way
    BUSY = "busy"  # manager: a Wanted is out; agent: one is being applied
    CLOSED = "closed"


def name_of(event: Event) -> str:
    """The name of a message in a reason: Hello for HelloSaid."""
    return type(event).__name__.removesuffix("Said")


def silence(intervals: Intervals) -> str:
    """The reason given for a dead stream."""
    return f"nothing heard for {intervals.deadline:g} s"
