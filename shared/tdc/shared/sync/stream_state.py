"""PURE. Both halves of the settings stream, as step(state, event, now) -> (state, effects).

How the stream works
--------------------
The agent opens it and says Hello: what it *runs* and its *last attempt*, two facts. The manager
answers Welcome, and from then on knows three things: what is wanted, what runs, what was refused.
All it ever does follows from comparing them, in `manager_half._offer_if_due`:

- what runs has the wanted hash: nothing is sent, whatever the revisions say;
- the wanted hash was refused: nothing is sent, for the same answer would come back (but see
  `_was_refused` for the one refusal that time cures);
- else one Wanted goes out, and none after it until its outcome is known. What is wanted by then
  may be something else again: only the newest is offered, so a slow agent gets no backlog.

Belief is renewed, not stored: each Hello and each status says again what runs, so an agent that
was restored from a snapshot shows as out of sync and is repaired.

The agent judges a Wanted (`acceptance.objection`), then has it applied, and persists *before* it
answers. A failure that may pass by itself (a full disk) is answered as rejected and tried again
here every `RETRY_APPLY` seconds; the manager need not offer it again.

Life: the manager pings, the agent answers. Either end that hears nothing for `deadline` seconds
closes the stream; the manager sets the interval, so it can slow a whole fleet down.

How this file works
-------------------
A half (`manager_half`, `agent_half`) is a frozen state and one literal table: (phase, kind of
event) -> function. This file has what both speak of: events, effects, phases. A pair that
is not in the table is a fault of the peer: the stream is closed with a reason. `now` is seconds
of a monotonic clock. Nothing here sends, waits or reads a clock; `wake_at` says when the next
`Tick` is due.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

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
    """Manager: this is wanted now; None while the view can't say."""

    target: Target | None


@dataclass(frozen=True, slots=True)
class OutcomeSaid:
    """Manager: the agent applied or refused."""

    attempt: Attempt


@dataclass(frozen=True, slots=True)
class StatusSaid:
    """Manager: the agent's status, of which the stream needs two facts."""

    running: Running
    last_attempt: Attempt | None


@dataclass(frozen=True, slots=True)
class PongSaid:
    """Manager: a sign of life."""

    number: int


@dataclass(frozen=True, slots=True)
class Opened:
    """Agent: the stream is open."""


@dataclass(frozen=True, slots=True)
class WelcomeSaid:
    """Agent: the manager answered Hello."""

    intervals: Intervals


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

    `again` means that it failed for a reason that may pass by itself.
    """

    attempt: Attempt
    running: Running
    again: bool = False


@dataclass(frozen=True, slots=True)
class StatusDue:
    """Agent: something changed that the manager should hear of before the next interval."""


Event = (
    Tick
    | HelloSaid
    | TargetSet
    | OutcomeSaid
    | StatusSaid
    | PongSaid
    | Opened
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
class SayHello:
    """Agent: introduce itself."""


@dataclass(frozen=True, slots=True)
class Apply:
    """Agent: validate for this machine, persist, put in force; then report Settled."""

    wanted: Wanted


@dataclass(frozen=True, slots=True)
class Refuse:
    """Agent: record the refusal; then report Settled."""

    wanted: Wanted
    reason: str


@dataclass(frozen=True, slots=True)
class SayOutcome:
    """Agent: tell the manager."""

    attempt: Attempt


@dataclass(frozen=True, slots=True)
class SayStatus:
    """Agent: tell the manager how the machine does."""


@dataclass(frozen=True, slots=True)
class SayPong:
    """Agent: answer a Ping."""

    number: int


@dataclass(frozen=True, slots=True)
class Close:
    """Both: end the stream. `dead` means silence past the deadline, else the peer's fault."""

    reason: str
    dead: bool = False


Effect = (
    SayWelcome
    | Offer
    | SayPing
    | SayHello
    | Apply
    | Refuse
    | SayOutcome
    | SayStatus
    | SayPong
    | Close
)


class Phase(StrEnum):
    """Where a stream is in its life."""

    NEW = "new"  # the first message has not passed
    GREETED = "greeted"  # agent only: Hello said, no Welcome yet
    IDLE = "idle"  # nothing under way
    BUSY = "busy"  # manager: a Wanted is out; agent: one is being applied
    CLOSED = "closed"


def name_of(event: Event) -> str:
    """Return what an event is called in a reason."""
    return type(event).__name__.removesuffix("Said")


def silence(intervals: Intervals) -> str:
    """Return the reason of a stream that died."""
    return f"nothing heard for {intervals.deadline:g} s"
