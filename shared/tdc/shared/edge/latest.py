"""A mailbox of capacity one: the newest value wins, older ones are forgotten.

For a slow taker that needs the newest state and never a backlog. One event loop, any number of
senders, one taker.
"""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")


class Latest(Generic[T]):
    """Holds at most one value; `put` never waits, `take` waits for one and empties the box."""

    def __init__(self) -> None:
        self._box: list[T] = []
        self._filled = asyncio.Event()

    def put(self, value: T) -> None:
        """Replace whatever was not yet taken by `value`."""
        self._box = [value]
        self._filled.set()

    async def take(self) -> T:
        """Return the newest value, waiting for one; a cancelled wait loses nothing."""
        await self._filled.wait()
        self._filled.clear()
        return self._box.pop()

    def __bool__(self) -> bool:
        return bool(self._box)
