"""A document of the provider that is read once and kept for a while, for all who need it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from tdc.manager.provider.values import ProviderAway
from tdc.shared.edge.clock import Clock

T = TypeVar("T")

AGAIN = 5.0
"""Seconds after a failure in which it is not tried again: who waited meanwhile fails at once."""


class Kept(Generic[T]):
    """Keeps what `read` returns; `clock` is monotonic."""

    def __init__(self, read: Callable[[], Awaitable[T]], clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self._turn = asyncio.Lock()
        self._found: tuple[float, T] | None = None
        self._failed: tuple[float, str] | None = None

    async def get(self, age: float) -> T:
        """What was read at most `age` seconds ago; raises ProviderAway."""
        async with self._turn:
            if self._found is not None and self._clock() - self._found[0] <= age:
                return self._found[1]
            if self._failed is not None and self._clock() - self._failed[0] <= AGAIN:
                raise ProviderAway(self._failed[1])
            try:
                found = await self._read()
            except ProviderAway as error:
                self._failed = (self._clock(), str(error))
                raise
            self._found, self._failed = (self._clock(), found), None
            return found
