"""A body that waits for room: our own pause is charged to nobody, a client's is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import pytest
from tdc.node_agent.smtp import in_hand
from tdc.node_agent.smtp.body_reader import MOST_CREDIT, BodyReader
from tdc.node_agent.smtp.connection import PeerSilent, ServerConnection
from tdc.node_agent.smtp.framing import Inbound
from tdc.node_agent.smtp.in_hand import READ, BytesInHand
from tdc.node_agent.smtp.server_options import ServerOptions

from tests.surroundings import in_time

PAUSE, BLOCK = 0.4, 0.2
OPTIONS = ServerOptions("mx1", 100, 60.0, BLOCK, 60.0, 1e9)


class _Client:
    """A session and its connection: the rest of a body comes as soon as it is asked for."""

    gone = False

    def __init__(self, overdue: float = 0.0) -> None:
        self.inbound = Inbound()
        self.inbound.feed(b"x" * (READ + 1))
        self.received = len(self.inbound)
        self.rest = [b"y", b"y" * 97 + b"\r\n.\r\n"]
        self.comes: Callable[[], object] = lambda: None  # called as a part comes
        self.expelled = False
        self._overdue = overdue

    async def more(self, allowed: float, *, until: float) -> None:
        if asyncio.get_running_loop().time() >= until:
            raise PeerSilent
        part = self.rest.pop(0)
        self.comes()
        self.inbound.feed(part)
        self.received += len(part)

    def overdue(self, now: float) -> float:
        return 0.0 if self.expelled else self._overdue

    def expel(self) -> None:
        self.expelled = True


async def test_a_pause_of_ours_is_not_charged_to_the_client() -> None:
    hand, oldest, other, client = BytesInHand(3 * READ), _Client(), _Client(), _Client()
    hand.hold(oldest, 1)
    reader = BodyReader(client, cast(ServerConnection, client), OPTIONS, hand)
    loop = asyncio.get_running_loop()

    def no_room_for_a_while() -> None:
        hand.hold(other, 3 * READ)
        loop.call_later(PAUSE, hand.drop, other)

    client.comes = no_room_for_a_while
    no_room_for_a_while()
    began = loop.time()
    body = await reader.read(10 * READ)
    assert len(body) == READ + 101
    assert loop.time() - began > 2 * PAUSE - 0.01  # a clock of milliseconds
    assert in_time(loop.time() - began, 2 * PAUSE + 1)
    assert reader.lag(loop.time()) < PAUSE / 2 - MOST_CREDIT
    hand.drop(other)
    assert hand.total == 1 + len(body)
    reader.done()
    assert hand.total == 1


async def test_who_is_slow_and_holds_much_is_ended_for_those_who_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(in_hand, "PRESSED_AFTER", 0.05)
    hand, quick, slow, waits = BytesInHand(READ), _Client(), _Client(5.0), _Client()
    for one in (quick, slow):
        hand.hold(one, READ)
    hand.hold(waits, 1)
    until = asyncio.get_running_loop().time() + 0.3
    assert not await hand.room(waits, until, lambda: False)
    assert (quick.expelled, slow.expelled, waits.expelled) == (False, True, False)
