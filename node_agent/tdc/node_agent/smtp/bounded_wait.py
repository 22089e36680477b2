"""Waiting for a peer, bounded, with one timer for all the waits of a connection.

At thousands of waits a second a timeout context for each costs more than the wait. Here a new
deadline is only a number; the timer looks at it when it fires, and is set again if it is not over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class BoundedWait:
    """One wait at a time. `expired` is called when its time is over; it should end the wait.

    `deadline` is the moment of the wait under way or of the last one, by the loop's clock;
    `allowed` the seconds that it was given, `since` the moment from which they count.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, expired: Callable[[], None]) -> None:
        self.since = 0.0
        self.deadline = 0.0
        self.allowed = 0.0
        self._loop = loop
        self._expired = expired
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = 0.0
        self._began = 0.0
        self._until: float | None = None

    @property
    def took(self) -> float:
        """The seconds from the beginning of the wait to its deadline."""
        return max(0.0, self.deadline - self._began)

    @property
    def under_way(self) -> bool:
        """True while somebody waits."""
        return self._waiter is not None

    async def wait(self, allowed: float, *, until: float | None = None) -> None:
        """Wait for `end`, at most `allowed` seconds and not past the moment `until`."""
        self.allowed = allowed
        self._began = self._loop.time()
        self._until = until
        self._set_deadline(self._began)
        if self._timer is None or self._rings_at > self.deadline:
            self._set_timer()
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def renew(self) -> None:
        """Some of what is waited for came: the rest has as long again, but not past `until`."""
        self._set_deadline(self._loop.time())

    def end(self) -> None:
        """End the wait, if there is one."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def cancel_timer(self) -> None:
        """Drop the timer, where no wait will follow."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set_deadline(self, now: float) -> None:
        self.since = now
        moment = now + self.allowed
        self.deadline = moment if self._until is None else min(moment, self._until)

    def _set_timer(self) -> None:
        self.cancel_timer()
        self._timer = self._loop.call_at(self.deadline, self._fired)
        self._rings_at = self.deadline

    def _fired(self) -> None:
        self._timer = None
        if self._waiter is None or self._waiter.done():
            return  # what ended the wait at the last moment was not late
        if self._loop.time() < self.deadline:
            self._set_timer()
        else:
            self._expired()
