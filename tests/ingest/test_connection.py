"""The MTA's connection by itself: its deadline."""

from __future__ import annotations

import asyncio

from tdc.node_agent.ingest.connection import MtaConnection


async def test_what_came_at_the_last_moment_is_not_late() -> None:
    """A 421 before the 250 of a message that was relayed would have it sent once more."""
    connection = MtaConnection("filter.example", 10.0, memoryview(bytearray(10)))
    connection._input = asyncio.get_running_loop().create_future()
    connection._deadline = 0.0
    connection.data_received(b".\r\n")  # the task that waits has not run yet
    connection._timeout_cb()
    assert not connection._replies
    assert not connection._ended
    assert connection._timeout_handle is not None
    connection._timeout_handle.cancel()
