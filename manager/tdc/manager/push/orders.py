"""The queue orders of one stream: one under way at a time, each wait bounded.

In: orders from operators, answers from the agent. Out: messages for the stream, answers or why
there is none.
Promise: an order never delays the stream; a second one waits for the first. An order whose answer
does not come in time stays under way until it does, so that an agent has one in hand at most.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from tdc.shared.sync.queue_work import QueueAnswer, QueueOrder, Unanswered
from tdc.shared.wire.errors import BadMessage
from tdc.shared.wire.queue_work import answer_of, order_to_wire
from tdc.shared.wire.stream import QUEUE_ORDERS
from tdc.v1 import agents_pb2

Answer = QueueAnswer | Unanswered

_BUSY = "it is still busy with an order before this one: try again in a moment"


class Orders:
    """The orders of one stream. `send` puts a message on its way and does not wait."""

    def __init__(self, send: Callable[[agents_pb2.ManagerMessage], None]) -> None:
        self._send = send
        self._turn: asyncio.Lock | None = None  # made when it is needed: most never are
        self._under_way: tuple[str, asyncio.Future[Answer]] | None = None
        self._protocol = 0
        self._version = ""
        self._over = ""

    def greeted(self, hello: agents_pb2.Hello) -> None:
        """Note what the agent says of itself; before that it takes no orders."""
        self._protocol, self._version = hello.protocol, hello.agent_version

    async def ask(self, order: QueueOrder, timeout: float) -> Answer:
        """Send an order and wait for its answer, `timeout` seconds in all."""
        if 0 < self._protocol < QUEUE_ORDERS:
            return Unanswered(
                f"its agent, version {self._version or 'unknown'}, can't be asked this: upgrade "
                "the agent"
            )
        sent = False
        turn = self._turn = self._turn or asyncio.Lock()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout), turn:
                if self._over or not self._protocol:
                    return Unanswered(self._over or "it is just connecting: try again")
                if self._under_way is not None and self._under_way[0] != order.id:
                    return Unanswered(_BUSY)
                sent = True
                return await asyncio.shield(self._sent(order))
        if not sent:
            return Unanswered(_BUSY)
        return Unanswered(
            f"it did not answer within {timeout:g} s, and may do it all the same", sent=True
        )

    def answered(self, message: agents_pb2.QueueAnswer) -> None:
        """Take the agent's answer; raises BadMessage if it is none to the order under way."""
        answer = answer_of(message)
        if self._under_way is None or self._under_way[0] != answer.id:
            raise BadMessage(f"the agent answered a queue order that is not under way: {answer.id}")
        _, waiting = self._under_way
        self._under_way = None
        waiting.set_result(answer)

    def end(self, reason: str) -> None:
        """The stream is over: answer the callers that wait, and take no more; once is enough."""
        self._over = self._over or f"its stream has just ended: {reason}"
        if self._under_way is not None:
            words = f"{self._over}. It may do it all the same"
            self._under_way[1].set_result(Unanswered(words, sent=True))
            self._under_way = None

    def _sent(self, order: QueueOrder) -> asyncio.Future[Answer]:
        """The answer to come; an order that is under way already is not sent twice."""
        if self._under_way is not None:
            return self._under_way[1]
        waiting: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._under_way = (order.id, waiting)
        self._send(agents_pb2.ManagerMessage(queue_order=order_to_wire(order)))
        return waiting
