"""Waits between attempts that never end: growing, jittered, from the one clock of asyncio."""

from __future__ import annotations

import asyncio

from tenacity import AsyncRetrying, RetryCallState, wait_random_exponential


class Pause:
    """Await it after each failed attempt; `reset` after one that went well for a while.

    For loops that hand on results in between, which a retrying call can't; the law is
    tenacity's full jitter: a random wait up to 0.1 s, 0.2 s, 0.4 s ... up to `longest`.
    """

    def __init__(self, *, longest: float, first: float = 0.1) -> None:
        """Take the bounds of the wait in seconds."""
        self._wait = wait_random_exponential(multiplier=first, max=longest)
        self._state = RetryCallState(AsyncRetrying(), None, (), {})

    async def __call__(self) -> None:
        """Wait."""
        seconds = self._wait(self._state)
        self._state.attempt_number += 1
        await asyncio.sleep(seconds)

    def reset(self) -> None:
        """Begin with short waits again."""
        self._state.attempt_number = 1
