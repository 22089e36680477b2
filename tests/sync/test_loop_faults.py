"""A fault that only the event loop learns of ends its connection, and is one line in the log."""

from __future__ import annotations

import asyncio
import contextlib
import io

import uvloop
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.loop_faults import in_words, reporter


class _Fails(asyncio.Protocol):
    """Can't go on when there is room again; nobody is told but the loop."""

    def __init__(self) -> None:
        self.lost = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        raise MemoryError

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)


async def _until_lost() -> None:
    ended = asyncio.Event()

    async def read_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while await reader.read(65_536):
                pass
        writer.close()
        ended.set()

    server = await asyncio.start_server(read_all, "127.0.0.1", 0)
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_connection(_Fails, *server.sockets[0].getsockname()[:2])
    transport.write(b"x" * 8_000_000)  # beyond what fits: it is told to wait, then to go on
    async with asyncio.timeout(10):
        await protocol.lost
        await ended.wait()
    server.close()


def test_a_connection_on_which_the_code_failed_is_ended_and_said() -> None:
    """Else those who wait for its next step wait as long as the peer may take."""
    out = io.StringIO()
    log = TdcLog(stream=out)
    log.configure("info", "text")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.get_loop().set_exception_handler(reporter(log))
        runner.run(_until_lost())
    log.close()
    (line,) = out.getvalue().splitlines()
    assert "TDC: a fault in the agent: protocol.resume_writing() failed: MemoryError (" in line
    assert "test_loop_faults.py line" in line


def test_a_fault_without_an_exception_is_said_too() -> None:
    assert in_words({"message": "Task was destroyed"}) == "Task was destroyed"
    assert in_words({}) == "no reason given"
    assert in_words({"exception": OSError("no room")}) == "OSError: no room"
