"""PURE. Which manager an agent tries next, and how long it stays with one that it refuses.

The problem. Managers of one fleet are equal, so an agent takes the one that answers. But a manager
may be wrong for this machine: it serves a copy of the store with a history of its own, a store that
the machine has left, an older state, or what this agent can't read. The agent keeps what it runs
then (`shared/sync/acceptance.py`), and an agent that stayed would get no settings at all, while the
right manager waits for it.

The answer. A manager that is refused is avoided for a while, longer each time:

- while there is another one that is not avoided, the stream is left at once;
- a manager that was refused is tried again when it is no longer avoided, after all others have
  failed. It may have been put right (`tdc-manager adopt`) while the others are away;
- if all are refused, or there is only this one, the agent stays where it is, so that operators see
  why, until the first of the others may be tried again.

So a manager that is refused sees the agent once in AVOID_LONGEST or so, and a good one never waits
for it. Times are monotonic seconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

AVOID_FIRST = 15.0
"""Seconds, at most, that a manager is avoided after its first refusal; twice as long each time."""
AVOID_LONGEST = 300.0
"""As AVOID_FIRST: the most. As long as a machine may be away before it is critical."""
SHOWN = 900.0
"""Seconds that a refusal is shown to the managers that were not refused."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A manager that was refused `times` in a row, the last time `at`."""

    times: int
    until: float
    at: float
    why: str


@dataclass(frozen=True, slots=True)
class Choice:
    """What is known of the managers at `addresses`. `first` is where the next round begins.

    `tried` are those that failed since one was reached last.
    """

    addresses: tuple[str, ...]
    first: int = 0
    tried: frozenset[str] = frozenset()
    avoided: Mapping[str, Refused] = field(default_factory=lambda: MappingProxyType({}))

    def among(self, addresses: tuple[str, ...]) -> Choice:
        """The same with these managers: some may be known since, or known no more."""
        if addresses == self.addresses:
            return self
        avoided = {each: how for each, how in self.avoided.items() if each in addresses}
        tried = self.tried & {*addresses}
        return replace(self, addresses=addresses, tried=tried, avoided=MappingProxyType(avoided))

    def next(self, now: float) -> tuple[str, Choice]:
        """The address to try now."""
        untried = [each for each in self._in_turn() if each not in self.tried]
        good = [each for each in untried if each not in self.avoided]
        again = [each for each in untried if not self._is_avoided(each, now)]
        only_avoided = all(self._is_avoided(each, now) for each in self.addresses)
        found = good or again or (untried if only_avoided else [])
        if not found:  # the round is over
            return replace(self, tried=frozenset()).next(now)
        return found[0], replace(self, first=self.addresses.index(found[0]) + 1)

    def leave_at(self, address: str, now: float) -> float:
        """When to leave the manager at `address`, should it be refused."""
        others = [each for each in self.addresses if each != address]
        if any(each not in self.avoided for each in others):
            return now
        return min((self.avoided[each].until for each in others), default=math.inf)

    def failed(self, address: str) -> Choice:
        """The manager at `address` could not be reached."""
        return replace(self, tried=self.tried | {address})

    def served(self, address: str) -> Choice:
        """The manager at `address` had settings for this machine, until the stream ended."""
        avoided = {each: how for each, how in self.avoided.items() if each != address}
        return replace(self, tried=frozenset(), avoided=MappingProxyType(avoided))

    def refused(self, address: str, why: str, now: float, jitter: float, *, left: bool) -> Choice:
        """The manager at `address` was refused to the end of its stream; `jitter` in [0, 1).

        If it was not `left` it ended the stream itself, say to restart with another store: it is
        the first to be tried.
        """
        before = self.avoided.get(address)
        times = 1 if before is None else before.times + 1
        bound = min(AVOID_LONGEST, AVOID_FIRST * 2.0 ** min(times - 1, 16))
        until = now + bound * (0.5 + 0.5 * jitter) if left else now
        avoided = {**self.avoided, address: Refused(times, until, now, why)}
        first = self.first if left else self.addresses.index(address)
        return replace(self, tried=frozenset(), first=first, avoided=MappingProxyType(avoided))

    def refused_lately(self, now: float) -> tuple[tuple[str, str], ...]:
        """Managers that were refused, and why."""
        return tuple(
            (address, how.why) for address, how in self.avoided.items() if now - how.at < SHOWN
        )

    def _in_turn(self) -> tuple[str, ...]:
        start = self.first % len(self.addresses)
        return self.addresses[start:] + self.addresses[:start]

    def _is_avoided(self, address: str, now: float) -> bool:
        return address in self.avoided and now < self.avoided[address].until
