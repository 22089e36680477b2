"""A manager, or what stands in front of it, that breaks every connection in an odd way."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import ssl
import struct
import time
from enum import Enum
from pathlib import Path

import pytest

from tests.stage.settings_stream import ManagerSide, agent, until

GOAWAY, SETTINGS = 7, 4
NO_ERROR, ENHANCE_YOUR_CALM = 0, 11
INTAKE = "journal@intake.example"


def _frame(kind: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, 0, 0) + payload


def _goaway(last: int, error: int) -> bytes:
    return _frame(GOAWAY, struct.pack(">II", last, error))


class Moment(Enum):
    """When a client is sent away."""

    AS_IT_COMES = "as it comes"
    ONCE_IT_CALLS = "once it calls"


class GoesAway:
    """A TLS server that greets each client in HTTP/2 and sends it away; notes when they came."""

    def __init__(self, manager: ManagerSide, folder: Path, goodbye: bytes, *, when: Moment) -> None:
        issued = manager.authority.issue_server()
        chain, key = folder / "server.pem", folder / "server.key"
        chain.write_bytes(issued.certificate_pem)
        key.write_bytes(issued.key_pem)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(chain, key)
        self._context.set_alpn_protocols(["h2"])
        self._goodbye = goodbye
        self._when = when
        self.came: list[float] = []

    async def __aenter__(self) -> GoesAway:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0, ssl=self._context)
        host, port = self._server.sockets[0].getsockname()
        self.address = f"{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.came.append(time.monotonic())
        with contextlib.suppress(OSError):
            writer.write(_frame(SETTINGS))
            if self._when is Moment.ONCE_IT_CALLS:
                await reader.read(65_536)  # its settings, and perhaps its call
                await asyncio.sleep(0.05)
            writer.write(self._goodbye)
            await writer.drain()
            async with asyncio.timeout(2):
                while await reader.read(65_536):
                    pass
        writer.close()


@pytest.mark.slow
@pytest.mark.proves("F55")
async def test_an_agent_that_is_sent_away_again_and_again_comes_less_often_and_at_odd_times(
    manager: ManagerSide, machine: Path, tmp_path: Path
) -> None:
    """GOAWAY for a stream that was just opened: gRPC itself tries it once more, then we wait."""
    calm = _goaway(0, ENHANCE_YOUR_CALM)
    manager.view.commit(1, enabled=True, intake_address=INTAKE)
    async with agent(machine, manager.address):
        await until(lambda: manager.state() == "in sync")
    async with GoesAway(manager, tmp_path, calm, when=Moment.ONCE_IT_CALLS) as bad:
        async with agent(machine, bad.address, retry_maximum=0.8) as mx1:
            await asyncio.sleep(5)
            assert not mx1.stream.connected
            assert mx1.in_force.current().intake_address == INTAKE  # so mail and copies go on
        waits = [b - a for a, b in itertools.pairwise(bad.came) if b - a > 0.15]
        assert len(waits) >= 3
        assert len(bad.came) < 5 / (0.8 / 4) * 2
        assert max(waits) - min(waits) > 0.05


@pytest.mark.proves("F55")
@pytest.mark.parametrize("when", list(Moment))
async def test_an_agent_that_one_manager_sends_away_goes_to_another(
    manager: ManagerSide, machine: Path, tmp_path: Path, when: Moment
) -> None:
    """Also if it is sent away as it comes, when gRPC tries again by itself and says nothing."""
    manager.view.commit(1)
    async with (
        GoesAway(manager, tmp_path, _goaway(0, NO_ERROR), when=when) as bad,
        agent(machine, bad.address, manager.address),
    ):
        await until(lambda: manager.state() == "in sync", timeout=20)
