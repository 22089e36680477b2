"""What agents run, asked of them: a store that was restored from an older backup lost it.

In: questions of operators, agents that refuse this manager, answers. Out: what runs, or why it is
not known.
Promise: a question never delays a stream; of agents that run the same, one is asked; what is kept
of it is bounded. Agents that refuse this manager are asked while they stay, for they leave.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Callable, Mapping

from tdc.shared.settings.values import Value
from tdc.shared.sync.queue_work import Unanswered
from tdc.shared.wire.errors import BadMessage
from tdc.shared.wire.running_settings import RunsThere, runs_of
from tdc.shared.wire.stream import KNOWN_SETTINGS
from tdc.v1 import agents_pb2

MOST_BYTES = 32 * 1024**2
"""Bytes of answers that are kept."""

Values = Mapping[str, Value | None]


class KnownRunning:
    """What runs under each hash, as agents answered; the oldest goes where there is no room."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, frozenset[str]], RunsThere] = {}
        self._bytes = 0

    def find(self, hash_: str, known: frozenset[str]) -> Values | None:
        """What agents run that report this hash and know these settings; None if not known."""
        found = self.answer(hash_, known)
        return found.values if found is not None else None

    def answer(self, hash_: str, known: frozenset[str]) -> RunsThere | None:
        """As `find`: the answer that they gave."""
        return self._found.get((hash_, known))

    def take(self, found: RunsThere, known: frozenset[str]) -> None:
        """Keep an answer, if it is good for every agent that reports the same."""
        if not found.proven or (found.running.hash, known) in self._found:
            return
        self._found[found.running.hash, known] = found
        self._bytes += found.size
        while self._bytes > MOST_BYTES:
            self._bytes -= self._found.pop(next(iter(self._found))).size


class AskedSettings:
    """The questions of one stream. `send` puts a message on its way and does not wait."""

    def __init__(
        self, send: Callable[[agents_pb2.ManagerMessage], None], kept: KnownRunning
    ) -> None:
        self._send = send
        self._kept = kept
        self._protocol = 0
        self._version = ""
        self._known: frozenset[str] = frozenset()
        self._over = ""
        self._under_way: tuple[str, asyncio.Future[RunsThere | Unanswered]] | None = None

    def greeted(self, hello: agents_pb2.Hello, known: frozenset[str]) -> None:
        """Note what the agent says of itself; before that it is asked nothing."""
        self._protocol, self._version, self._known = hello.protocol, hello.agent_version, known

    def wish(self, hash_: str) -> None:
        """Ask what runs under `hash_` unless that is known, and wait for nothing."""
        if self._protocol >= KNOWN_SETTINGS and self._kept.find(hash_, self._known) is None:
            self._asked()

    async def ask(self, timeout: float) -> RunsThere | Unanswered:
        """Ask, and wait for the answer for `timeout` seconds."""
        if 0 < self._protocol < KNOWN_SETTINGS:
            return Unanswered(
                f"its agent, version {self._version or 'unknown'}, can't be asked this: upgrade "
                "the agent"
            )
        if self._over or not self._protocol:
            return Unanswered(self._over or "it is just connecting: try again")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                return await asyncio.shield(self._asked())
        return Unanswered(f"it did not answer within {timeout:g} s")

    def answered(self, message: agents_pb2.RunningSettings) -> None:
        """Take the agent's answer; raises BadMessage if it is none to the question under way."""
        if self._under_way is None or self._under_way[0] != message.id:
            raise BadMessage("the agent answered a question for its settings that is not under way")
        _, waiting = self._under_way
        self._under_way = None
        found = runs_of(message, self._known)
        if isinstance(found, RunsThere):
            self._kept.take(found, self._known)
        waiting.set_result(found)

    def end(self, reason: str) -> None:
        """The stream is over: answer the callers that wait; once is enough."""
        self._over = self._over or f"its stream has just ended: {reason}"
        if self._under_way is not None:
            self._under_way[1].set_result(Unanswered(self._over))
            self._under_way = None

    def _asked(self) -> asyncio.Future[RunsThere | Unanswered]:
        """The answer to come; a question under way is not sent twice."""
        if self._under_way is None:
            question = uuid.uuid4().hex
            waiting: asyncio.Future[RunsThere | Unanswered]
            waiting = asyncio.get_running_loop().create_future()
            self._under_way = (question, waiting)
            ask = agents_pb2.AskSettings(id=question)
            self._send(agents_pb2.ManagerMessage(ask_settings=ask))
        return self._under_way[1]
