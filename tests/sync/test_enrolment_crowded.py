"""Enrolment over a bad line: ask again while nothing was sent; say so where the answer is lost."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tdc.node_agent.sync import enrol as enrolling
from tdc.node_agent.sync.enrol import EnrolFailed, enrol

from tests.stage.settings_stream import ManagerSide


@contextlib.asynccontextmanager
async def crowded(address: str, closes: set[int]) -> AsyncIterator[str]:
    """A port before a manager that closes these of its connections at once; the first is 0."""
    count = -1

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        if count in closes:
            linger = struct.pack("ii", 1, 0)  # so that it ends by a reset
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
            return
        host, _, port = address.rpartition(":")
        up_reader, up_writer = await asyncio.open_connection(host, int(port))
        async with asyncio.TaskGroup() as group:
            group.create_task(_pass_on(reader, up_writer))
            group.create_task(_pass_on(up_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while octets := await reader.read(65_536):
            writer.write(octets)
    writer.close()


@pytest.mark.parametrize("closes", [{0, 1}, {1, 2}], ids=["its look at the CA", "its request"])
async def test_a_manager_without_room_for_a_connection_is_asked_again(
    manager: ManagerSide, tmp_path: Path, closes: set[int]
) -> None:
    """Nothing was sent to it, so the token is not used."""
    token = manager.joins.make(manager.authority).text
    async with crowded(manager.enrol_address, closes) as address:
        made = await enrol(address, token, tmp_path / "identity", tmp_path)
    assert made.machine == "mx1"


async def test_a_manager_that_never_has_room_is_given_up(
    manager: ManagerSide, tmp_path: Path
) -> None:
    token = manager.joins.make(manager.authority).text
    async with crowded(manager.enrol_address, set(range(100))) as address:
        with pytest.raises(EnrolFailed, match="closed the connection at once"):
            await enrol(address, token, tmp_path / "identity", tmp_path)


@pytest.mark.parametrize("hangs", [False, True], ids=["cut", "silent"])
async def test_an_answer_that_is_lost_is_no_refusal(
    manager: ManagerSide, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hangs: bool
) -> None:
    """The token is used by then, and the person at the gateway has to know that."""
    monkeypatch.setattr(enrolling, "TIMEOUT", 3.0)
    token = manager.joins.make(manager.authority).text
    host, _, port = manager.enrol_address.rpartition(":")

    async def until_used(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while octets := await reader.read(65_536):
                if not manager.joins.used:
                    writer.write(octets)
                elif not hangs:
                    writer.transport.abort()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection(host, int(port))
        async with asyncio.TaskGroup() as group:
            group.create_task(_pass_on(reader, up_writer))
            group.create_task(until_used(up_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        with pytest.raises(EnrolFailed) as caught:
            await enrol(address, token, tmp_path / "identity", tmp_path)
    finally:
        server.close()
    assert manager.joins.used
    assert "The token may be used up by now" in str(caught.value)
    assert ("did not answer within 3 s" if hangs else "the answer was lost") in str(caught.value)
    assert "refused:" not in str(caught.value)
