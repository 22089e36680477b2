"""Whether any next hop takes mail, as the mail itself shows: nothing is probed.

With several next hops there is trouble only once each of them has failed, and not answered a
message since. A banner alone ends no trouble: one that greets and then falls silent passes no mail.
While there is trouble the MTA keeps its messages and tries them again, so its end shows soon.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from tdc.shared.edge.clock import Clock, monotonic


@dataclass(frozen=True, slots=True)
class HopTrouble:
    """No next hop takes mail: since when (monotonic seconds), and the last failure of each."""

    since: float
    reason: str


class NextHopState:
    """What the pool of connections knows of its next hops, for status."""

    def __init__(self, clock: Clock = monotonic) -> None:
        self._clock = clock
        self._failures: dict[object, str] = {}
        self._since: float | None = None

    @property
    def trouble(self) -> HopTrouble | None:
        """Why no mail passes; None while a next hop works, and before the first message."""
        if self._since is None:
            return None
        return HopTrouble(self._since, "; ".join(self._failures.values()))

    def failed(self, address: object, why: str, among: Collection[object]) -> None:
        """A next hop was tried in vain; `among` are all there are."""
        self._failures[address] = f"{address}: {why}"
        if self._since is None and all(one in self._failures for one in among):
            self._since = self._clock()

    def works(self, address: object) -> None:
        """A next hop has answered a message."""
        self._failures.pop(address, None)
        self._since = None
