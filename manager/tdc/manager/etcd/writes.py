"""PURE. How many transactions have written to etcd, and who asked for them: of the last hour.

An etcd lives by how much is written to it. What an operator changes is worth a write; that an agent
is connected and well is not, and this is how it shows that it costs none.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping

HOUR = 3_600.0
_SLOT = 60.0


class Writes:
    """Counts writes; `asked_by` names who asks for what runs now, `clock` gives seconds."""

    def __init__(self, asked_by: Callable[[], str], clock: Callable[[], float]) -> None:
        self._asked_by = asked_by
        self._clock = clock
        self._began = clock()
        self._slots: deque[tuple[float, Counter[str]]] = deque()

    def note(self) -> None:
        """Count one."""
        now = self._clock()
        if not self._slots or now - self._slots[-1][0] >= _SLOT:
            self._forget(now)
            self._slots.append((now, Counter()))
        self._slots[-1][1][self._asked_by()] += 1

    def last_hour(self) -> Mapping[str, int]:
        """How many of the last hour, by who asked."""
        self._forget(self._clock())
        total: Counter[str] = Counter()
        for _, counted in self._slots:
            total += counted
        return total

    @property
    def watched(self) -> float:
        """Seconds that `last_hour` is about: an hour, or since the start."""
        return min(self._clock() - self._began, HOUR)

    def _forget(self, now: float) -> None:
        while self._slots and now - self._slots[0][0] > HOUR:
            self._slots.popleft()
