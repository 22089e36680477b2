"""PURE. Which CAs an installation trusts, which of them signs, and the steps of a rotation.

The policy
----------
A rotation has three steps, and at each of them everything that was good before it still is:

- *prepare*: a new CA is made and trusted beside the old one. Managers and machines learn of it;
  nothing is signed by it yet.
- *switch*: the new CA signs. Managers present certificates of it together with a certificate of the
  new CA by the old one (a *bridge*), so a peer that trusts the old CA alone trusts them too.
  Machines renew; the old CA is still trusted. `back` undoes a switch.
- *finish*: the old CA is trusted no more. It can't be undone.

*abort* drops the new CA again, before a switch or after `back`. Each step has the next number, so
that of two states the later is known whatever way it comes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum


class Phase(StrEnum):
    """Where a rotation is; a word for programs."""

    SETTLED = "settled"
    """One CA: no rotation is under way."""
    PREPARED = "prepared"
    """The old CA signs, the new one is trusted too."""
    SWITCHED = "switched"
    """The new CA signs, the old one is trusted still."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A CA: its certificate, and its private key where that is known. PEM."""

    certificate: str
    key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class CaState:
    """The CAs of an installation. `since` (Unix seconds) is when this step was made; 0 at first.

    `current` signs; `other` is trusted beside it while a rotation is under way. `bridges` are
    certificates (PEM, newest first) of later CAs by earlier ones. `used`: while there are two, each
    has signed.
    """

    current: Pair
    other: Pair | None = None
    phase: Phase = Phase.SETTLED
    bridges: tuple[str, ...] = ()
    number: int = 0
    since: float = 0.0
    used: bool = False

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """The trusted CAs, the one that signs first."""
        return (self.current,) if self.other is None else (self.current, self.other)


class StepRefused(Exception):
    """The step is not the next one; a sentence says which is."""


_NEXT = {
    Phase.SETTLED: "no rotation is under way: `tdc-manager ca prepare` begins one",
    Phase.PREPARED: "a new CA is prepared, and does not sign yet: `tdc-manager ca switch` is the "
    "next step, `tdc-manager ca abort` drops it again",
    Phase.SWITCHED: "the new CA signs: `tdc-manager ca finish` is the next step, `tdc-manager ca "
    "switch --back` undoes the last one",
}


def next_step(phase: Phase) -> str:
    """What can be done in this phase, in words."""
    return _NEXT[phase]


def prepared(state: CaState, new: Pair, bridge: str, now: float) -> CaState:
    """Trust a new CA too; `bridge` is its certificate by the present one."""
    _require(state, Phase.SETTLED)
    bridges = (bridge, *state.bridges)
    return replace(_step(state, Phase.PREPARED, now), other=new, bridges=bridges)


def switched(state: CaState, now: float) -> CaState:
    """Let the new CA sign."""
    _require(state, Phase.PREPARED)
    return replace(_exchanged(_step(state, Phase.SWITCHED, now)), used=True)


def switched_back(state: CaState, now: float) -> CaState:
    """Let the old CA sign again."""
    _require(state, Phase.SWITCHED)
    return _exchanged(_step(state, Phase.PREPARED, now))


def finished(state: CaState, now: float) -> CaState:
    """Trust the new CA alone. The bridges stay, for clients that have no certificate."""
    _require(state, Phase.SWITCHED)
    return replace(_step(state, Phase.SETTLED, now), other=None, used=False)


def aborted(state: CaState, now: float) -> CaState:
    """Trust the old CA alone again."""
    _require(state, Phase.PREPARED)
    step = _step(state, Phase.SETTLED, now)
    return replace(step, other=None, bridges=state.bridges[1:], used=False)


def _require(state: CaState, phase: Phase) -> None:
    if state.phase is not phase:
        raise StepRefused(f"{_NEXT[state.phase]}. Nothing was changed")


def _step(state: CaState, phase: Phase, now: float) -> CaState:
    return replace(state, phase=phase, number=state.number + 1, since=now)


def _exchanged(state: CaState) -> CaState:
    assert state.other is not None, "in these phases there are two"
    return replace(state, current=state.other, other=state.current)
