"""PURE. The agent's half of one settings stream; `stream_state` explains how it works."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from tdc.shared.settings.known import KNOWN_HERE
from tdc.shared.sync.acceptance import another_history, foreign, objection, older
from tdc.shared.sync.stream_state import (
    Apply,
    Effect,
    EndStream,
    Event,
    Leave,
    NoteManager,
    Phase,
    PingSaid,
    Refuse,
    SayHello,
    SayOutcome,
    SayPong,
    SayStatus,
    Settled,
    StatusDue,
    StreamOpened,
    Tick,
    WantedSaid,
    WelcomeSaid,
    name_of,
    silence,
)
from tdc.shared.sync.values import (
    BEHIND,
    DEFAULT_INTERVALS,
    BadIntervals,
    Intervals,
    Running,
    Wanted,
)

RETRY_APPLY = 10.0
"""Seconds until an agent retries settings that failed for a reason that may pass by itself."""

ASKED_WITHIN = 2.0
"""Seconds that a manager which is refused has, at least, to ask what runs here: after an older
backup only the agents know it, and where there are several managers nobody would stay to be asked.
"""


@dataclass(frozen=True, slots=True)
class AgentHalf:
    """What an agent knows of its stream. Times are monotonic seconds.

    Invariant: `applying` is set in phase BUSY and only there, `next` only there too; `again` (what
    is to be retried at `again_at`) only in phase IDLE. `other_history` says that the manager's
    history is not the one that runs here; `behind`, that it had not come to what runs here. `known`
    are the settings that the manager knows.
    `refuses` is why no settings are taken from this manager, empty if they are; the stream is left
    for that at `leave_at`, and not before it was refused for ASKED_WITHIN.
    """

    running: Running
    leave_at: float = math.inf
    known: frozenset[str] = KNOWN_HERE
    refuses: str = ""
    other_history: str = ""
    behind: bool = False
    phase: Phase = Phase.NEW
    intervals: Intervals = DEFAULT_INTERVALS
    applying: Wanted | None = None
    next: Wanted | None = None
    again: Wanted | None = None
    again_at: float = 0.0
    heard_at: float = 0.0
    status_at: float = 0.0


AgentStep = tuple[AgentHalf, tuple[Effect, ...]]


def agent_opened(running: Running, now: float, leave_at: float = math.inf) -> AgentHalf:
    """Begin the agent's half, on a stream that is being opened."""
    return AgentHalf(running, leave_at, heard_at=now)


def agent_step(state: AgentHalf, event: Event, now: float) -> AgentStep:
    """Take one event: the next state, and the effects to perform in order."""
    if state.phase is Phase.CLOSED:
        return state, ()
    act = _AGENT.get((state.phase, type(event)))
    if act is None:
        return _agent_close(state, f"the manager sent {name_of(event)} in phase {state.phase}")
    if isinstance(event, WelcomeSaid | WantedSaid | PingSaid):
        state = replace(state, heard_at=now)
    return _left_if_due(*act(state, event, now), now)


def agent_wake_at(state: AgentHalf) -> float:
    """When this half needs its next Tick, as a reading of the monotonic clock."""
    if state.phase is Phase.CLOSED:
        return math.inf
    due = [state.heard_at + state.intervals.deadline]
    if state.phase in (Phase.IDLE, Phase.BUSY):
        due.append(state.status_at)
    if state.again:
        due.append(state.again_at)
    if state.refuses and state.phase is Phase.IDLE:
        due.append(state.leave_at)
    return min(due)


def _left_if_due(state: AgentHalf, effects: tuple[Effect, ...], now: float) -> AgentStep:
    """Leave a manager that is refused, once it is time; by a status, the manager learns why."""
    if not state.refuses or state.phase is not Phase.IDLE or now < state.leave_at:
        return state, effects
    said = effects if SayStatus() in effects else (*effects, SayStatus())
    return replace(state, phase=Phase.CLOSED), (*said, Leave())


def _leave_at(state: AgentHalf, refuses: str, now: float) -> float:
    """When to leave: later, if it is only now that the manager is refused."""
    if not refuses or state.refuses:
        return state.leave_at
    return max(state.leave_at, now + ASKED_WITHIN)


def _agent_open(state: AgentHalf, _: StreamOpened, now: float) -> AgentStep:
    return replace(state, phase=Phase.GREETED), (SayHello(),)


def _agent_welcome(state: AgentHalf, event: WelcomeSaid, now: float) -> AgentStep:
    try:
        intervals = event.intervals.checked()
    except BadIntervals as error:
        return _agent_close(state, f"the manager's Welcome is not usable: {error}")
    other = another_history(state.running, event.history)
    state = replace(
        state,
        phase=Phase.IDLE,
        intervals=intervals,
        status_at=now + intervals.status,
        other_history=other,
        known=event.known,
        refuses=other,
        leave_at=_leave_at(state, other, now),
        behind=event.history == BEHIND and bool(state.running.history),
    )
    return state, (NoteManager(other), SayStatus())


def _agent_wanted(state: AgentHalf, event: WantedSaid, now: float) -> AgentStep:
    wanted = event.wanted
    if state.phase is Phase.BUSY:
        return replace(state, next=wanted), ()  # latest wins: an older `next` is forgotten
    if _passed_unseen(state, wanted):
        return _agent_close(state, "its store has passed the revision that runs here; asking again")
    refuses = (
        objection(wanted, state.known)
        or foreign(wanted, state.running, state.other_history)
        or older(wanted, state.running)
    )
    noted = (NoteManager(refuses),) if refuses != state.refuses else ()
    busy = replace(
        state,
        phase=Phase.BUSY,
        applying=wanted,
        again=None,
        refuses=refuses,
        leave_at=_leave_at(state, refuses, now),
    )
    if refuses:
        return busy, (*noted, Refuse(wanted, refuses, of_manager=True))
    return busy, (*noted, Apply(wanted))


def _passed_unseen(state: AgentHalf, wanted: Wanted) -> bool:
    """Whether the manager was behind and is ahead now: only a new Welcome says by which history."""
    running = state.running
    same_store = wanted.store_id == running.store_id
    return state.behind and same_store and wanted.revision > running.revision


def _agent_settled(state: AgentHalf, event: Settled, now: float) -> AgentStep:
    tried, after = state.applying, state.next
    state = replace(state, phase=Phase.IDLE, applying=None, next=None, running=event.running)
    if event.again and after is None:
        state = replace(state, again=tried, again_at=now + RETRY_APPLY)
    said = SayOutcome(event.attempt)
    if after is None:
        return replace(state, status_at=now + state.intervals.status), (said, SayStatus())
    state, effects = _agent_wanted(state, WantedSaid(after), now)
    return state, (said, *effects)


def _agent_ping(state: AgentHalf, event: PingSaid, now: float) -> AgentStep:
    return state, (SayPong(event.number),)


def _agent_status(state: AgentHalf, _: StatusDue, now: float) -> AgentStep:
    return replace(state, status_at=now + state.intervals.status), (SayStatus(),)


def _agent_nothing(state: AgentHalf, _: StatusDue, now: float) -> AgentStep:
    return state, ()


def _agent_tick(state: AgentHalf, _: Tick, now: float) -> AgentStep:
    if now >= state.heard_at + state.intervals.deadline:
        return _agent_close(state, silence(state.intervals), dead=True)
    effects: tuple[Effect, ...] = ()
    if state.again is not None and now >= state.again_at:
        state, effects = _agent_wanted(state, WantedSaid(state.again), now)
    if state.phase is not Phase.GREETED and now >= state.status_at:
        state, effects = (
            replace(state, status_at=now + state.intervals.status),
            (*effects, SayStatus()),
        )
    return state, effects


def _agent_close(state: AgentHalf, reason: str, *, dead: bool = False) -> AgentStep:
    return replace(state, phase=Phase.CLOSED), (EndStream(reason, dead),)


_AGENT: Mapping[tuple[Phase, type], Callable[..., AgentStep]] = {
    (Phase.NEW, StreamOpened): _agent_open,
    (Phase.NEW, StatusDue): _agent_nothing,
    (Phase.GREETED, WelcomeSaid): _agent_welcome,
    (Phase.GREETED, StatusDue): _agent_nothing,
    (Phase.GREETED, Tick): _agent_tick,
    (Phase.IDLE, WantedSaid): _agent_wanted,
    (Phase.IDLE, PingSaid): _agent_ping,
    (Phase.IDLE, StatusDue): _agent_status,
    (Phase.IDLE, Tick): _agent_tick,
    (Phase.BUSY, WantedSaid): _agent_wanted,
    (Phase.BUSY, PingSaid): _agent_ping,
    (Phase.BUSY, Settled): _agent_settled,
    (Phase.BUSY, StatusDue): _agent_status,
    (Phase.BUSY, Tick): _agent_tick,
}
