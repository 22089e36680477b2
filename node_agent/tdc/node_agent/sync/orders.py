"""The queue orders that come over one stream: one in hand at a time, each with its answer.

In: QueueOrder messages. Out: QueueAnswers; the work itself is the performer's.
Promise: an order never delays settings, pings or mail; whatever goes wrong becomes an answer in
words, and work that takes too long is answered as not known.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tdc.node_agent.log.lines import TdcLog
from tdc.shared.sync.queue_work import QueueAnswer, QueueOrder
from tdc.shared.wire.errors import BadMessage
from tdc.shared.wire.queue_work import order_of
from tdc.v1 import agents_pb2

LONGEST_WORK = 60.0
"""Seconds after which an order is answered, done or not; the manager waits less."""

Perform = Callable[[QueueOrder], Awaitable[QueueAnswer]]
"""Does the work of an order; an order that was done already is answered alike again."""


class Orders:
    """The orders of one stream; `run` does them. `say` puts an answer on its way."""

    def __init__(self, perform: Perform, say: Callable[[QueueAnswer], None], log: TdcLog) -> None:
        self._perform = perform
        self._say = say
        self._log = log
        self._taken: asyncio.Queue[agents_pb2.QueueOrder] = asyncio.Queue(1)
        self._in_hand = False

    def take(self, message: agents_pb2.QueueOrder) -> None:
        """Take an order; raises BadMessage while there is one in hand."""
        if self._in_hand:
            raise BadMessage("the manager sent a QueueOrder before the answer to the last one")
        self._in_hand = True
        self._taken.put_nowait(message)

    async def run(self) -> None:
        """Do orders until cancelled."""
        while True:
            message = await self._taken.get()
            answer = await self._answer(message)
            self._in_hand = False
            self._say(answer)

    async def _answer(self, message: agents_pb2.QueueOrder) -> QueueAnswer:
        try:
            async with asyncio.timeout(LONGEST_WORK):
                return await self._perform(order_of(message))
        except BadMessage as error:
            return QueueAnswer(message.id, refused=str(error))
        except TimeoutError:
            words = f"it was not done within {LONGEST_WORK:g} s, and may still be"
        except Exception as error:  # a fault of ours must not end the stream
            words = f"it failed: {type(error).__name__}: {error}"
        self._log.error(f"queue order of {message.operator}: {words}")
        return QueueAnswer(message.id, refused=words)
