"""A server's connection by itself: deadline, bounds, endings."""

from __future__ import annotations

import asyncio
from unittest.mock import Mock

import pytest
from tdc.node_agent.smtp.connection import HIGH_WATER, PeerGone, PeerSilent, ServerConnection
from tdc.node_agent.smtp.replies import reply


def up(unsent: int = 0) -> tuple[ServerConnection, Mock]:
    transport = Mock(**{"get_write_buffer_size.return_value": unsent})
    connection = ServerConnection(memoryview(bytearray(HIGH_WATER + 1)), lambda _: None)
    connection.connection_made(transport)
    return connection, transport


def soon() -> float:
    return asyncio.get_running_loop().time() + 5


async def test_what_came_at_the_last_moment_is_not_late() -> None:
    """A 421 before the 250 of a message that was relayed would have it sent once more."""
    connection, _ = up()
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


async def test_unread_commands_stop_the_reading_until_they_are_wanted() -> None:
    connection, transport = up()
    connection.buffer_updated(HIGH_WATER)
    transport.pause_reading.assert_not_called()
    connection.buffer_updated(1)
    connection.buffer_updated(1)
    transport.pause_reading.assert_called_once()
    async with asyncio.TaskGroup() as group:
        group.create_task(connection.more(5, until=soon()))
        await asyncio.sleep(0)
        transport.resume_reading.assert_called_once()
        connection.buffer_updated(1)
    connection.connection_lost(None)


async def test_a_peer_that_sends_and_never_reads_is_gone() -> None:
    connection, _ = up(unsent=HIGH_WATER + 1)
    with pytest.raises(PeerGone):
        await connection.more(5, until=soon())


async def test_a_half_closed_peer_still_gets_its_replies() -> None:
    connection, transport = up()
    connection.get_buffer(6)[:6] = b"QUIT\r\n"
    connection.buffer_updated(6)
    assert connection.eof_received()  # True keeps the transport open
    assert connection.inbound.line() == b"QUIT"
    connection.say(reply("221 2.0.0 Bye"))
    connection.close()
    transport.write.assert_called_once_with(b"221 2.0.0 Bye\r\n")
    with pytest.raises(PeerGone):
        await connection.more(5, until=soon())


async def test_a_lost_connection_ends_the_wait_and_cancels_nothing() -> None:
    connection, transport = up()
    asyncio.get_running_loop().call_later(0.01, connection.connection_lost, None)
    await connection.more(5, until=soon())
    assert connection.gone
    with pytest.raises(PeerGone):
        await connection.more(5, until=soon())
    connection.say(reply("250 2.0.0 Ok"))
    connection.close()
    transport.write.assert_not_called()
