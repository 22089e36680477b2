"""The octets of message bodies that all sessions hold together, bounded by reading no further.

A bound for each message says nothing of a hundred of them. So a session that holds more than READ
of a body asks here before it reads on. When all of them hold the limit, it waits, unread, and TCP
makes its client wait: nothing is refused, nothing is lost.

Two rules keep it going. *The oldest body may always grow*: it is the first to end and to make room,
however large it is, so there is no deadlock between halves of messages. *Those who wait go on in
the order in which they came.* What is held is so at most the limit, what the oldest has beyond it,
and one read of each session. A client whose message is held and who has fallen silent is ended in
favour of those who wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tdc.node_agent.smtp.slowest import Timed, expel_slowest

READ = 256 * 1024
"""Octets of a body that nobody counts, and that are read at a time."""

PRESSED_AFTER = 1.0
"""Seconds that one waits before a slow one is ended, and between two that are."""


class BytesInHand:
    """Counts for one listener."""

    def __init__(self, limit: int) -> None:
        self.total = 0
        self.limit = limit
        self._sizes: dict[Timed, int] = {}  # in the order in which they came
        self._waiting: dict[Timed, asyncio.Future[None]] = {}
        self._expelled_at = 0.0

    def hold(self, who: Timed, size: int) -> None:
        """Count `size` octets for a session, instead of what was counted for it."""
        self.total += size - self._sizes.get(who, 0)
        self._sizes[who] = size

    def drop(self, who: Timed) -> None:
        """A session holds nothing any more."""
        size = self._sizes.pop(who, None)
        if size is not None:
            self.total -= size
            self._wake()

    def may_grow(self, who: Timed) -> bool:
        """Whether a session that holds something may read on."""
        return self.total < self.limit or who is next(iter(self._sizes), who)

    async def room(self, who: Timed, until: float, gone: Callable[[], bool]) -> bool:
        """Wait until a session may read on; False at the moment `until` or once it is `gone`."""
        loop = asyncio.get_running_loop()
        while not self.may_grow(who):
            if gone() or loop.time() >= until:
                return False
            self._waiting[who] = loop.create_future()
            try:
                await asyncio.wait((self._waiting[who],), timeout=PRESSED_AFTER)
            finally:
                woken = self._waiting.pop(who).done()
            if not woken and loop.time() - self._expelled_at >= PRESSED_AFTER:
                self._expelled_at = loop.time()
                expel_slowest(self._sizes, loop.time())
        return True

    def _wake(self) -> None:
        """Let those who came first read on, as many as there is room for."""
        room = self.limit - self.total
        for who in self._sizes:
            waiting = self._waiting.get(who)
            if waiting is None or waiting.done():
                continue
            if room <= 0 and not self.may_grow(who):
                return
            waiting.set_result(None)
            room -= READ
