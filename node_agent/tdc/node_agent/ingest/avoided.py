"""PURE. Which next hops are tried last for a while, because they failed.

The longer, the more often in a row; then by one session at a time, until it is known how that went.
All moments are by the clock of the caller.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tdc.node_agent.ingest.timeouts import HopTimeouts


@dataclass(frozen=True, slots=True)
class _Failed:
    """It failed so often in a row, counted lately; tried last until then.

    Sessions that fail together count as one failure. `tried`: when it was last asked.
    """

    failures: int
    counted: float
    until: float
    tried: float


class Avoided:
    """The next hops that have failed: `known`, whether or not that time is over."""

    def __init__(self, timeouts: HopTimeouts) -> None:
        self._timeouts = timeouts
        self.known: dict[object, _Failed] = {}

    def now(self, address: object, now: float) -> bool:
        """Whether it is to be tried last at this moment."""
        bad = self.known.get(address)
        return bad is not None and now < bad.until

    def place(self, address: object, now: float) -> float:
        """Where it stands among others: a smaller one is tried first.

        Those to be tried last follow by the time since they were: all may be, and any of them
        may be sound by now.
        """
        return self.known[address].tried if self.now(address, now) else -math.inf

    def add(self, address: object, now: float) -> None:
        """It has failed."""
        failures, counted, tried = 1, now, now
        known = self.known.get(address)
        if known is not None:
            again = now - known.counted >= self._timeouts.avoid
            failures = known.failures + again
            counted = now if again else known.counted
            tried = known.tried
        until = now + self._timeouts.avoid_after(failures)
        self.known[address] = _Failed(failures, counted, until, tried)

    def on_trial(self, address: object, now: float) -> None:
        """One session tries it, if it has failed; the others need not wait for that."""
        known = self.known.get(address)
        if known is not None:
            until = max(known.until, now + self._timeouts.trial)
            self.known[address] = replace(known, until=until, tried=now)

    def remove(self, address: object) -> None:
        """It is good again."""
        self.known.pop(address, None)


def is_stuck(waited: Sequence[float], most: float, places: int) -> bool:
    """Whether an address gets no new message while another is there; those that wait wait on.

    `waited` are the seconds for which messages have waited for its replies. One that waits for
    `most` tells, and so do more of them in less time, together; and half of all `places`, so that a
    next hop that falls mute under load does not take them all. A sound one that is only busy
    replies in a moment, and has its turn again.
    """
    return bool(waited) and (sum(waited) >= most or 2 * len(waited) >= places)
