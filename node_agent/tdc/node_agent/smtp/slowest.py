"""PURE. Which session is ended where one has to go: the one whose client is slow for longest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol


class Timed(Protocol):
    """A session, as far as its client's pace goes."""

    def overdue(self, now: float) -> float:
        """Seconds by which the client is too slow at `now`, loop time; it may be ended if any.

        A client that waits for us is never too slow.
        """
        ...

    def expel(self) -> None:
        """End now, for another: the client is too slow."""
        ...


def expel_slowest(sessions: Iterable[Timed], now: float) -> bool:
    """End the session whose client is slow for longest; False if all are in time."""
    slowest = max(sessions, key=lambda one: one.overdue(now), default=None)
    if slowest is None or slowest.overdue(now) <= 0:
        return False
    slowest.expel()
    return True
