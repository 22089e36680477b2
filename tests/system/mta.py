"""A client that behaves as an MTA's queue does: it owns each message until it has a 250 for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tests.demo.messages import Message
from tests.demo.send import stuffed


@dataclass
class Account:
    """What became of each message, by its name.

    `ambiguous` counts attempts that broke between the final dot and its reply: the only place
    where a repeat of the original, or of its copy, is allowed (RFC 1047).
    """

    accepted: set[str] = field(default_factory=set)
    ambiguous: Counter[str] = field(default_factory=Counter)
    tempfailed: Counter[str] = field(default_factory=Counter)
    attempts: int = 0


class _Queue:
    """New messages, and those that must be tried again."""

    def __init__(self, new: Iterator[Message]) -> None:
        self._new = new
        self._again: deque[Message] = deque()
        self._under_way = 0
        self._ended = False

    def empty(self) -> bool:
        """True once every message was accepted."""
        return self._ended and not self._again and not self._under_way

    def take(self) -> Message | None:
        """Return a message to send; None if none is left just now."""
        message = self._again.popleft() if self._again else next(self._new, None)
        if message is None:
            self._ended = True
        else:
            self._under_way += 1
        return message

    def done(self) -> None:
        """A taken message was accepted."""
        self._under_way -= 1

    def give_back(self, message: Message) -> None:
        """A taken message must be tried again."""
        self._under_way -= 1
        self._again.append(message)


class Mta:
    """Sends messages over several connections, again and again until each was accepted."""

    def __init__(self, port: int, *, connections: int = 8, pause: float = 0.05) -> None:
        self.port = port
        self.account = Account()
        self._connections = connections
        self._pause = pause

    async def send(self, messages: Iterable[Message], *, timeout: float = 120) -> Account:
        """Take messages from `messages` as fast as they are accepted; return when all were."""
        queue = _Queue(iter(messages))
        async with asyncio.timeout(timeout), asyncio.TaskGroup() as group:
            for _ in range(self._connections):
                group.create_task(self._worker(queue))
        return self.account

    async def _worker(self, queue: _Queue) -> None:
        while not queue.empty():
            with contextlib.suppress(OSError, EOFError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=2**20)
                try:
                    await self._session(reader, writer, queue)
                finally:
                    writer.transport.abort()
            await asyncio.sleep(self._pause)

    async def _session(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, queue: _Queue
    ) -> None:
        if await _reply(reader) != 220:
            return
        writer.write(b"EHLO mta.example\r\n")
        if await _reply(reader) != 250:
            return
        while (message := queue.take()) is not None:
            done = False
            try:
                done = await self._transaction(reader, writer, message)
                if not done:
                    return
                queue.done()
            finally:
                if not done:
                    queue.give_back(message)

    async def _transaction(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, message: Message
    ) -> bool:
        self.account.attempts += 1
        parameters = "".join(f" {parameter}" for parameter in message.parameters)
        commands = [f"MAIL FROM:<{message.sender}>{parameters}"]
        commands += [f"RCPT TO:<{recipient}>" for recipient in message.recipients]
        writer.write("".join(f"{line}\r\n" for line in [*commands, "DATA"]).encode())
        replies = [await _reply(reader) for _ in range(len(commands) + 1)]
        if replies[-1] != 354:
            self.account.tempfailed[message.name] += 1
            return False
        writer.write(stuffed(message.content))
        try:
            reply = await _reply(reader)
        except (OSError, EOFError):
            self.account.ambiguous[message.name] += 1
            raise
        if reply != 250:
            self.account.tempfailed[message.name] += 1
            return False
        self.account.accepted.add(message.name)
        return True


async def _reply(reader: asyncio.StreamReader) -> int:
    while True:
        line = await reader.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        if line[3:4] != b"-":
            return int(line[:3])
