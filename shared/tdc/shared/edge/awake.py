"""Seconds in which this process ran.

A process that is stopped (SIGSTOP, a paused virtual machine, a laptop asleep) hears nobody
meanwhile. When it goes on, what it knows is not older for it: it must not take every peer for
silent, and every machine for lost, before it has read what is waiting.
"""

from __future__ import annotations

import asyncio

from tdc.shared.edge.clock import Clock, monotonic

LOOK_EVERY = 1.0
"""Seconds between two looks at the clock."""

LONGEST_STEP = 5.0
"""Seconds that may pass between two looks. More is time in which the process was stopped."""


class AwakeClock:
    """A clock, for one event loop. Keep `run` running, else time that nobody asks in is lost."""

    def __init__(self, clock: Clock = monotonic) -> None:
        self._clock = clock
        self._looked = clock()
        self._seconds = 0.0

    def __call__(self) -> float:
        """Seconds since it was made in which the process ran."""
        now = self._clock()
        self._seconds += min(max(now - self._looked, 0.0), LONGEST_STEP)
        self._looked = now
        return self._seconds

    async def run(self) -> None:
        """Look at the clock until cancelled."""
        while True:
            self()
            await asyncio.sleep(LOOK_EVERY)
