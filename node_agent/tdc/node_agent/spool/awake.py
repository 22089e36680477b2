"""PURE. Notices that this process did not run: it was stopped, or its machine was paused.

The clocks go on meanwhile. A disk must not be blamed for that time: what a write seemed to take is
then no fact about the disk, and copies would be missed for it.
"""

from __future__ import annotations

LOOK_EVERY = 1.0
"""Seconds between two looks, while a write is waited for."""

ASLEEP = 1.0
"""Seconds by which a look has to be late before the process counts as stopped in between."""


class Awake:
    """`woke_at` is when the process last went on after it had been stopped. Times are monotonic."""

    def __init__(self) -> None:
        self.woke_at = 0.0

    def slept(self, due: float, now: float) -> float:
        """The seconds that the process did not run, at a look that was due at `due`; else 0."""
        late = now - due
        if late < ASLEEP:
            return 0.0
        self.woke_at = now
        return late
