"""A server's connection by itself: its deadline."""

from __future__ import annotations

import asyncio
from unittest.mock import Mock

import pytest
from tdc.node_agent.smtp.connection import PeerSilent, ServerConnection


def up() -> ServerConnection:
    connection = ServerConnection(memoryview(bytearray(10)), lambda _: None)
    connection.connection_made(Mock(**{"get_write_buffer_size.return_value": 0}))
    return connection


async def test_what_came_at_the_last_moment_is_not_late() -> None:
    """A 421 before the 250 of a message that was relayed would have it sent once more."""
    connection = up()
    now = asyncio.get_running_loop().time()
    async with asyncio.TaskGroup() as group:
        group.create_task(connection.more(0.05, until=now + 0.05))
        await asyncio.sleep(0)
        while asyncio.get_running_loop().time() < now + 0.06:  # the timer is due, and not served
            pass
        connection.get_buffer(3)[:3] = b".\r\n"
        connection.buffer_updated(3)  # the task that waits has not run yet
    assert connection.inbound.body(10) == b""
    with pytest.raises(PeerSilent):
        await connection.more(0.01, until=now + 60)
