"""Managers that go, or come to another address, while they are asked.

The other end takes connections and never says a word, as a frozen manager does.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

import grpc.aio
import pytest
from tdc.manager.peers.peer import Peer
from tdc.manager.store.announced import Announced
from tdc.manager.view.seen import Moment
from tdc.shared.edge.clock import monotonic, wall
from tdc.shared.sync.queue_work import ListDead, QueueOrder, Selection, Unanswered

TWO = Announced("two", "two", "127.0.0.1:1", "1", "run", 0.0, 0.0)
ORDER = QueueOrder("1", "ana", ListDead(Selection()))


@contextlib.asynccontextmanager
async def frozen() -> AsyncIterator[str]:
    """The address of something that takes connections and is silent."""
    taken: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: taken.append(writer), "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        yield f"{host}:{port}"
        for each in taken:
            each.close()


@contextlib.asynccontextmanager
async def asked() -> AsyncIterator[Peer]:
    async with frozen() as address:
        peer = Peer(
            replace(TWO, address=address),
            grpc.aio.insecure_channel(address),
            lambda: Moment(monotonic(), wall()),
        )
        yield peer
        await peer.close()


@pytest.mark.parametrize("before", [False, True], ids=["amid the question", "before it"])
async def test_one_that_is_let_go_has_not_answered(before: bool) -> None:
    async with asked() as peer, asyncio.timeout(10):
        if before:
            await peer.close()
        questions = (
            asyncio.create_task(peer.pull(lambda _: None)),
            asyncio.create_task(peer.facts(wall)),
            asyncio.create_task(peer.order(("c1", "mx1"), ORDER, 5.0)),
        )
        if not before:
            await asyncio.sleep(0.2)
            await peer.close()
        _, facts, order = await asyncio.gather(*questions)
        assert "at another address now" in peer.silent
        assert isinstance(facts, str)
        assert "at another address now" in facts
        assert isinstance(order, Unanswered)
        assert (order.sent, "It may do it all the same" in order.reason) == (True, True)
