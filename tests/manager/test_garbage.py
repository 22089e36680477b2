"""Bytes that are no message: who may call is settled first, and none of it fills the log."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
import pytest
from tdc.manager.rpc.caller_log import LINES_EACH
from tdc.manager.rpc.callers import RPCS, Who
from tdc.shared.edge.grpc_tls import client_channel

from tests.stage.manager import Api, refused

GARBAGE = b"\xff\xff\xff\xff not a message"
STATUS = grpc.StatusCode
FOR_OPERATORS = sorted(
    name for name, row in RPCS.items() if row.who is Who.OPERATOR and name.startswith("tdc.v1.")
)


def _path(method: str) -> str:
    service, _, name = method.rpartition(".")
    return f"/{service}/{name}"


async def _call(channel: grpc.aio.Channel, method: str) -> None:
    call: Callable[..., Awaitable[object]] = channel.unary_unary(_path(method))
    await call(GARBAGE, timeout=10)


@pytest.mark.proves("B87")
async def test_garbage_is_answered_in_one_line_each_without_a_traceback(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    for method in FOR_OPERATORS:
        async with refused(STATUS.INVALID_ARGUMENT, "can't be read", str(len(GARBAGE))):
            await _call(api.channel, method)
    lines = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert len(lines) == min(len(FOR_OPERATORS), int(LINES_EACH.burst))
    assert not any(each.exc_info for each in caplog.records)
    assert all(len(each.getMessage()) < 200 for each in lines)


@pytest.mark.proves("B87", "S3")
async def test_who_may_not_call_is_told_so_before_his_bytes_are_looked_at(api: Api) -> None:
    for method in ("tdc.v1.Agents.Renew", "tdc.v1.Agents.Session"):
        async with refused(STATUS.PERMISSION_DENIED, method, "machine's certificate"):
            await _call(api.channel, method)


async def test_garbage_in_a_stream_ends_it_with_a_status(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    method = "grpc.reflection.v1alpha.ServerReflection.ServerReflectionInfo"
    stream: Any = api.channel.stream_stream(_path(method))(timeout=10)
    await stream.write(GARBAGE)
    async with refused(STATUS.INVALID_ARGUMENT, "can't be read"):
        await stream.read()
    assert not any(each.exc_info for each in caplog.records)


@pytest.mark.proves("S15")
async def test_garbage_without_a_certificate_can_not_fill_the_log(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    address = f"127.0.0.1:{api.ports.enrol}"
    async with client_channel(address, api.authority.ca_pem) as channel:
        for _ in range(3 * int(LINES_EACH.burst)):
            with pytest.raises(grpc.aio.AioRpcError):
                await _call(channel, "tdc.v1.Enrolment.Enrol")
    lines = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert len(lines) <= LINES_EACH.burst + 3, "and a few, as the budget fills again"
    assert not any(each.exc_info for each in caplog.records)
