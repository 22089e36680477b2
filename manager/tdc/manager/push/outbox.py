"""What one stream does besides reading: it writes what is to be written, and keeps time.

In: messages, the time until a step is due. Out: calls of `write` one after the other, of `tick`
when the time has come, of `late` where a message can't be written in time.
Promise: nobody who sends waits. A task exists only while there is something to do: of 10 000
streams nearly all are at rest, and a task at rest is memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tdc.v1 import agents_pb2

Write = Callable[[agents_pb2.ManagerMessage], Awaitable[None]]

LAST_MESSAGE = 1.0
"""Seconds that a message under way is given when its stream ends."""


@dataclass(frozen=True, slots=True)
class Duties:
    """What an outbox asks of its stream, and tells it."""

    wait: Callable[[], float]
    """Seconds until time alone makes a step due."""
    tick: Callable[[], None]
    """Does that step."""
    late: Callable[[], None]
    """A message could not be written within `longest` seconds."""
    longest: float


class Outbox:
    """`send` at any time; from `open` to `close` it is written, in the group's tasks."""

    __slots__ = ("_alarm", "_duties", "_group", "_messages", "_under_way", "_working", "_write")

    def __init__(self, duties: Duties) -> None:
        self._duties = duties
        self._messages: list[agents_pb2.ManagerMessage] = []
        self._group: asyncio.TaskGroup | None = None
        self._write: Write | None = None
        self._working: asyncio.Task[None] | None = None
        self._under_way = False  # a message is being written
        self._alarm: asyncio.TimerHandle | None = None

    def open(self, group: asyncio.TaskGroup, write: Write) -> None:
        """Begin; what `write` raises is raised by `group`."""
        self._group, self._write = group, write
        self.go_on()

    def send(self, message: agents_pb2.ManagerMessage) -> None:
        """Put a message on its way."""
        self._messages.append(message)
        self.go_on()

    def go_on(self) -> None:
        """See to it that what is to be written is, and that time is kept."""
        if self._group is None or self._write is None or self._working is not None:
            return
        wait = self._duties.wait()
        if self._messages or wait <= 0:
            self._working = self._group.create_task(self._work(self._write), name="write")
        else:
            self._set_alarm(wait)

    async def close(self) -> None:
        """Write no more; a message under way is given a second more."""
        self._group = None
        if self._alarm is not None:
            self._alarm.cancel()
        working = self._working
        if working is not None:
            if self._under_way:  # cut off in a message, gRPC could not send why the stream ends
                await asyncio.wait([working], timeout=LAST_MESSAGE)
            working.cancel()

    async def _work(self, write: Write) -> None:
        try:
            if self._duties.wait() <= 0:
                self._duties.tick()
            while self._messages and self._group is not None:
                await self._write_one(self._messages.pop(0), write)
        except BaseException:
            self._group = None  # it ends: no more tasks in it
            raise
        finally:
            self._working = None
        self.go_on()

    async def _write_one(self, message: agents_pb2.ManagerMessage, write: Write) -> None:
        self._under_way = True
        try:
            async with asyncio.timeout(self._duties.longest):
                await write(message)
        except TimeoutError:
            self._duties.late()
        self._under_way = False

    def _set_alarm(self, wait: float) -> None:
        """Come back in time; an alarm that rings too early is set again then."""
        loop = asyncio.get_running_loop()
        at = loop.time() + wait
        if self._alarm is not None:
            if self._alarm.when() <= at:
                return
            self._alarm.cancel()
        self._alarm = loop.call_at(at, self._rang)

    def _rang(self) -> None:
        self._alarm = None
        self.go_on()
