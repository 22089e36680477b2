"""Waits between attempts that never end: growing, jittered, bounded."""

from __future__ import annotations

import asyncio

from tdc.shared.edge.clock import Chance, chance


class Backoff:
    """Wait after each failed attempt; `reset` after one that went well for a while.

    Full jitter: a random wait of up to `first` seconds, then up to twice that, and so on, but
    never more than `longest`. Random from zero, so that many who lost the same etcd in the same
    moment do not come back in the same moment.
    """

    def __init__(self, *, longest: float, first: float = 0.1, chance: Chance = chance) -> None:
        """Take the bounds of a wait in seconds."""
        self._first = first
        self._longest = longest
        self._bound = first
        self._chance = chance

    async def wait(self) -> None:
        """Wait, and double the bound of the next wait."""
        seconds = self._chance() * min(self._bound, self._longest)
        self._bound = min(2 * self._bound, self._longest)
        await asyncio.sleep(seconds)

    def reset(self) -> None:
        """Begin with short waits again."""
        self._bound = self._first
