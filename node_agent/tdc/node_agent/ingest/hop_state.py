"""Whether any next hop takes mail, as the mail itself shows: nothing is probed.

With several next hops there is trouble only once each of them has failed, and not answered a
message since. A banner alone ends no trouble: one that greets and then falls silent passes no mail.
While there is trouble the MTA keeps its messages and tries them again, so its end shows soon.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
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
        self._failures: dict[str, str] = {}
        self._since: float | None = None

    def resume(
        self, failures: Mapping[str, str], since: float | None, among: Collection[object]
    ) -> None:
        """Go on from what was known before a restart, as far as these next hops are still meant."""
        known = set(map(str, among))
        self._failures = {each: why for each, why in failures.items() if each in known}
        if known <= self._failures.keys():
            self._since = since

    @property
    def failures(self) -> Mapping[str, str]:
        """The last failure of each next hop that has not answered a message since."""
        return self._failures

    @property
    def since(self) -> float | None:
        """The moment since when none takes mail; None while one works."""
        return self._since

    @property
    def trouble(self) -> HopTrouble | None:
        """Why no mail passes; None while a next hop works, and before the first message."""
        if self._since is None:
            return None
        return HopTrouble(self._since, "; ".join(self._failures.values()))

    def failed(self, address: object, why: str, among: Collection[object]) -> None:
        """A next hop was tried in vain; `among` are all there are."""
        self._failures[str(address)] = f"{address}: {why}"
        if self._since is None and all(str(one) in self._failures for one in among):
            self._since = self._clock()

    def works(self, address: object) -> None:
        """A next hop has answered a message."""
        self._failures.pop(str(address), None)
        self._since = None
