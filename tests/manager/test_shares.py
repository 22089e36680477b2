"""Connections of one identity: it has a share, keeps its newest, and none once it is denied."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio
import pytest
from tdc.manager.rpc.known import MACHINE_SHARE
from tdc.shared.edge.clock import monotonic
from tdc.shared.edge.grpc_tls import client_channel
from tdc.v1 import agents_pb2, agents_pb2_grpc, operators_pb2

from tests.stage.manager import Api, Certificate, add_machine, enrolled
from tests.surroundings import in_time

SOON = 5.0
"""Seconds; a look comes every half second, on a busy machine a little later."""


class Held:
    """A connection on which a machine was let in, and a call whose request never comes."""

    def __init__(self, channel: grpc.aio.Channel, call: Any) -> None:
        self.channel = channel
        self._call = call

    @property
    def ended(self) -> bool:
        return bool(self._call.done())


async def _hold(stack: contextlib.AsyncExitStack, api: Api, certificate: Certificate) -> Held:
    address = f"127.0.0.1:{api.ports.main}"
    channel = client_channel(address, api.authority.ca_pem, *certificate)
    await stack.enter_async_context(channel)
    stub: agents_pb2_grpc.AgentsAsyncStub = agents_pb2_grpc.AgentsStub(channel)
    call: Any = stub.Renew(agents_pb2.RenewRequest(csr_pem="nothing"))
    assert await call.code() is not grpc.StatusCode.PERMISSION_DENIED
    return Held(channel, channel.stream_unary("/tdc.v1.Agents/Renew")())


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(SOON):
        while not holds():
            await asyncio.sleep(0.05)


@pytest.fixture
async def mx1(api: Api) -> Certificate:
    """The certificate of a machine."""
    await api.create_cluster("c1")
    await api.commit(add_machine("mx1", "Main_Group"), add_machine("mx2", "Main_Group"))
    return await enrolled(api, "mx1")


async def _served(api: Api) -> None:
    began = monotonic()
    await api.monitoring.GetStatus(operators_pb2.StatusRequest(), timeout=10)
    assert in_time(monotonic() - began, SOON)


@pytest.mark.proves("S15", "S22")
async def test_a_machine_has_its_share_of_connections_and_keeps_the_newest(
    api: Api, mx1: Certificate, caplog: pytest.LogCaptureFixture
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        held = [await _hold(stack, api, mx1) for _ in range(3 * MACHINE_SHARE)]
        surplus, rest = held[:-MACHINE_SHARE], held[-MACHINE_SHARE:]
        await _until(lambda: all(each.ended for each in surplus))
        assert not any(each.ended for each in rest)
        await _served(api)
    assert "machine mx1 of cluster c1 may have" in caplog.text


@pytest.mark.proves("S15", "S22")
async def test_a_machine_that_enrols_again_ends_what_its_old_certificate_holds(
    api: Api, mx1: Certificate, caplog: pytest.LogCaptureFixture
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        other = await _hold(stack, api, await enrolled(api, "mx2"))
        stolen = [await _hold(stack, api, mx1) for _ in range(MACHINE_SHARE)]
        again = await _hold(stack, api, await enrolled(api, "mx1"))
        await _until(lambda: all(each.ended for each in stolen))
        assert not again.ended
        assert not other.ended
    assert "its certificate is denied" in caplog.text
