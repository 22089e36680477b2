"""Turns of those of whom nothing is known yet: who logs in, enrols, or asks for health.

There is nothing to tell them apart by but the address and the connection, so a turn goes to the
address that has the fewest, and there to the connection that has the fewest. Who has had his turn
for GRACE and sent nothing whole gives it up once somebody waits for it.
Promise: of an address and in all there are so many requests under way; who holds turns keeps others
of his address waiting for a GRACE or two, and those of other addresses no longer than that.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

OF_AN_ADDRESS = 16
"""Turns of one address: people behind one router share it."""

OF_ALL = 32
"""Turns in all: each may take as much memory as the port takes for one request."""

GRACE = 1.0
"""Seconds for which a turn is kept even if others wait: a request follows its headers at once."""


@dataclass(slots=True, eq=False)
class _Turn:
    """A call that waits for its turn or has one, since a moment of the event loop's clock."""

    address: str
    connection: str
    limit: asyncio.Timeout
    begins: asyncio.Future[None]
    since: float = 0.0
    gives_way: bool = False


class Strangers:
    """The turns of one manager."""

    def __init__(self) -> None:
        self._turns: list[_Turn] = []
        self._waiting: list[_Turn] = []
        self._look: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._turns) + len(self._waiting)

    @contextlib.asynccontextmanager
    async def turn(
        self, address: str, connection: str, limit: asyncio.Timeout
    ) -> AsyncIterator[None]:
        """Run the body in a turn; if it has to give way, `limit`, which is around it, ends it."""
        mine = _Turn(address, connection, limit, asyncio.get_running_loop().create_future())
        self._waiting.append(mine)
        self._begin()
        try:
            await mine.begins
            yield
        finally:
            (self._turns if mine in self._turns else self._waiting).remove(mine)
            self._begin()

    def _begin(self) -> None:
        """Begin the turns that there is room for; look again while somebody waits."""
        loop = asyncio.get_running_loop()
        while (chosen := self._next()) is not None:
            self._waiting.remove(chosen)
            self._turns.append(chosen)
            chosen.since = loop.time()
            if not chosen.begins.done():  # else it is about to leave
                chosen.begins.set_result(None)
        if self._waiting and self._look is None:
            self._look = loop.call_later(GRACE / 4, self._hurry)

    def _next(self) -> _Turn | None:
        """Whose turn it is; None if there is room for nobody who waits."""
        if not self._waiting or len(self._turns) >= OF_ALL:
            return None
        addresses = Counter(each.address for each in self._turns)
        connections = Counter(each.connection for each in self._turns)
        free = [each for each in self._waiting if addresses[each.address] < OF_AN_ADDRESS]
        fewest = lambda each: (addresses[each.address], connections[each.connection])  # noqa: E731
        return min(free, key=fewest, default=None)  # of equals the one that waits for longest

    def _hurry(self) -> None:
        """End turns that are over for those who wait, of the address first that has the most."""
        self._look = None
        now = asyncio.get_running_loop().time()
        addresses = Counter(each.address for each in self._turns)
        over = sorted(self._over(now), key=lambda each: (-addresses[each.address], each.since))
        leaving = sum(each.gives_way for each in self._turns)
        for each in over[: max(len(self._waiting) - leaving, 0)]:
            each.gives_way = True
            each.limit.reschedule(now)
        self._begin()

    def _over(self, now: float) -> Iterator[_Turn]:
        """The turns that somebody waits for who could have them, and that had their time."""
        full = len(self._turns) >= OF_ALL
        wanted = {each.address for each in self._waiting}
        for each in self._turns:
            had_time = now - each.since >= GRACE and not each.gives_way
            if had_time and (full or each.address in wanted):
                yield each
