"""PURE. The manager's half of one settings stream; `stream_state` explains how it works.

What a machine is sent, and when, is decided in one function: `_offer_if_due`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from tdc.shared.sync.stream_state import (
    Effect,
    EndStream,
    Event,
    HelloSaid,
    Offer,
    OutcomeSaid,
    Phase,
    PongSaid,
    SayPing,
    SayWelcome,
    StatusSaid,
    TargetSet,
    Tick,
    name_of,
    silence,
)
from tdc.shared.sync.values import NOTHING_RUNS, Attempt, Intervals, Running, Target

OUTCOME_WAIT = 60.0
"""Seconds to wait for the outcome of a Wanted before the manager ends the stream."""


@dataclass(frozen=True, slots=True)
class ManagerHalf:
    """What a manager knows of one stream. Times are monotonic seconds.

    Invariant: `offered` is set in phase BUSY and only there.
    """

    intervals: Intervals
    target: Target | None
    phase: Phase = Phase.NEW
    running: Running = NOTHING_RUNS
    last_attempt: Attempt | None = None
    offered: Target | None = None
    heard_at: float = 0.0
    ping_at: float = 0.0
    outcome_by: float = 0.0
    last_offer: Target | None = None
    offer_again_at: float = 0.0
    pings: int = 0

    @property
    def refused(self) -> bool:
        """True if the agent's last attempt refused what is wanted now."""
        return self.target is not None and _was_refused(self, self.target)


ManagerStep = tuple[ManagerHalf, tuple[Effect, ...]]


def manager_opened(target: Target | None, intervals: Intervals, now: float) -> ManagerHalf:
    """Begin the manager's half, on a stream that was just opened."""
    return ManagerHalf(intervals, target, heard_at=now, ping_at=now + intervals.ping)


def manager_step(state: ManagerHalf, event: Event, now: float) -> ManagerStep:
    """Take one event: the next state, and the effects to perform in order."""
    if state.phase is Phase.CLOSED:
        return state, ()
    act = _MANAGER.get((state.phase, type(event)))
    if act is None:
        return _manager_close(state, f"the agent sent {name_of(event)} in phase {state.phase}")
    if not isinstance(event, Tick | TargetSet):
        state = replace(state, heard_at=now)
    return act(state, event, now)


def manager_wake_at(state: ManagerHalf) -> float:
    """When this half needs its next Tick, as a reading of the monotonic clock."""
    due = [state.heard_at + state.intervals.deadline]
    if state.phase is not Phase.NEW:
        due.append(state.ping_at)
    if state.phase is Phase.BUSY:
        due.append(state.outcome_by)
    return min(due)


def _manager_hello(state: ManagerHalf, event: HelloSaid, now: float) -> ManagerStep:
    state = replace(state, phase=Phase.IDLE, running=event.running, last_attempt=event.last_attempt)
    wanted_hash = state.target.hash if state.target else ""
    state, offers = _offer_if_due(state, now)
    return state, (SayWelcome(state.intervals, wanted_hash), *offers)


def _manager_target(state: ManagerHalf, event: TargetSet, now: float) -> ManagerStep:
    return _offer_if_due(replace(state, target=event.target), now)


def _manager_outcome(state: ManagerHalf, event: OutcomeSaid, now: float) -> ManagerStep:
    attempt, offered = event.attempt, state.offered
    state = replace(state, last_attempt=attempt)
    if offered is None or attempt.hash != offered.hash:
        return state, ()  # the outcome of older settings, which the agent retried by itself
    if attempt.applied:
        state = replace(state, running=offered.as_running)
    return _offer_if_due(replace(state, phase=Phase.IDLE, offered=None), now)


def _manager_own_try(state: ManagerHalf, event: OutcomeSaid, now: float) -> ManagerStep:
    """Handle an outcome that was not awaited: the agent retried by itself."""
    attempt = event.attempt
    state = replace(state, last_attempt=attempt)
    if attempt.applied and state.target and attempt.hash == state.target.hash:
        state = replace(state, running=state.target.as_running)
    return _offer_if_due(state, now)


def _manager_status(state: ManagerHalf, event: StatusSaid, now: float) -> ManagerStep:
    # A status without its last attempt does not undo a refusal that was received.
    attempt = event.last_attempt or state.last_attempt
    return _offer_if_due(replace(state, running=event.running, last_attempt=attempt), now)


def _manager_pong(state: ManagerHalf, _: PongSaid, now: float) -> ManagerStep:
    return state, ()


def _manager_tick(state: ManagerHalf, _: Tick, now: float) -> ManagerStep:
    if now >= state.heard_at + state.intervals.deadline:
        return _manager_close(state, silence(state.intervals), dead=True)
    if state.phase is Phase.BUSY and now >= state.outcome_by:
        return _manager_close(state, f"no outcome of a Wanted within {OUTCOME_WAIT:g} s")
    if state.phase is Phase.NEW or now < state.ping_at:
        return state, ()
    number = state.pings + 1
    return replace(state, pings=number, ping_at=now + state.intervals.ping), (SayPing(number),)


def _offer_if_due(state: ManagerHalf, now: float) -> ManagerStep:
    """Offer what is wanted unless it runs already, is under way, or was refused."""
    target = state.target
    if state.phase is not Phase.IDLE or target is None:
        return state, ()
    if state.running.hash == target.hash or _was_refused(state, target):
        return state, ()
    if target == state.last_offer and now < state.offer_again_at:
        return state, ()  # it reports "applied" but runs something else: retry once an interval
    busy = replace(
        state,
        phase=Phase.BUSY,
        offered=target,
        outcome_by=now + OUTCOME_WAIT,
        last_offer=target,
        offer_again_at=now + state.intervals.status,
    )
    return busy, (Offer(target),)


def _was_refused(state: ManagerHalf, target: Target) -> bool:
    """True if the agent refused this hash for a reason that still holds.

    Two refusals pass. If the revision was older than the one that runs, a newer revision with the
    same content is welcome: after a restored backup, a commit above the agent's revision must reach
    it. And what was refused of one store may be welcome of another (its history has a new id): it
    is offered once on each stream.
    """
    attempt, running = state.last_attempt, state.running
    if attempt is None or attempt.applied or attempt.hash != target.hash:
        return False
    if running.store_id not in ("", target.store_id) and state.last_offer != target:
        return False
    too_old = attempt.revision < running.revision and running.store_id == target.store_id
    return not (too_old and target.revision >= running.revision)


def _manager_close(state: ManagerHalf, reason: str, *, dead: bool = False) -> ManagerStep:
    return replace(state, phase=Phase.CLOSED, offered=None), (EndStream(reason, dead),)


# Each function takes the class of event that its key in the table names.
_MANAGER: Mapping[tuple[Phase, type], Callable[..., ManagerStep]] = {
    (Phase.NEW, HelloSaid): _manager_hello,
    (Phase.NEW, TargetSet): _manager_target,
    (Phase.NEW, Tick): _manager_tick,
    (Phase.IDLE, TargetSet): _manager_target,
    (Phase.IDLE, OutcomeSaid): _manager_own_try,
    (Phase.IDLE, StatusSaid): _manager_status,
    (Phase.IDLE, PongSaid): _manager_pong,
    (Phase.IDLE, Tick): _manager_tick,
    (Phase.BUSY, TargetSet): _manager_target,
    (Phase.BUSY, OutcomeSaid): _manager_outcome,
    (Phase.BUSY, StatusSaid): _manager_status,
    (Phase.BUSY, PongSaid): _manager_pong,
    (Phase.BUSY, Tick): _manager_tick,
}
