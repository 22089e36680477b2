"""Requests that never come whole: refused at the headers, ended in time, and of little weight."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from tdc.manager.first_setup import CA_FOLDER, set_up
from tdc.manager.identity.authority import Authority, Issued
from tdc.manager.rpc import requests
from tdc.manager.rpc.callers import RPCS, Who
from tdc.manager.rpc.server import REQUEST_LIMIT, STREAMS, Ports
from tdc.manager.store.history import History
from tdc.shared.edge.clock import monotonic
from tdc.shared.edge.grpc_tls import client_channel
from tdc.v1 import operators_pb2

from tests.fakes.etcd import ExternalEtcd
from tests.stage.manager import (
    Api,
    Certificate,
    add_machine,
    connected,
    enrolled,
    key_and_request,
    manager,
    options_for,
    refused,
)
from tests.stage.programs import BIN, Program
from tests.stage.unfinished import Unfinished, memory_of
from tests.surroundings import in_time

STATUS = grpc.StatusCode
SOON = 2.0
MORE = 100 * 1024**2
"""Bytes of memory that a flood may cost."""


async def _begun(channel: grpc.aio.Channel, rpc: str) -> grpc.StatusCode:
    """Begin a call and send no request; return how it ends within SOON."""
    service, _, method = rpc.rpartition(".")
    call: Any = channel.stream_stream(f"/{service}/{method}")()
    async with asyncio.timeout(SOON):
        code: grpc.StatusCode = await call.code()
        return code


@pytest.mark.proves("S3", "S15")
async def test_who_may_not_call_is_refused_before_a_byte_of_his_request_comes(api: Api) -> None:
    """Else he decides how much of it the manager holds."""
    key, request = key_and_request()
    stranger = api.authority.issue_machine(request, "c1", "mx1", "no enrolment")
    async with connected(api.ports, api.authority, stranger, key) as machine:
        for rpc, row in RPCS.items():
            if row.who is Who.MACHINE:
                assert await _begun(api.channel, rpc) is STATUS.PERMISSION_DENIED, rpc
            if row.who in (Who.MACHINE, Who.OPERATOR):
                assert await _begun(machine.channel, rpc) is STATUS.PERMISSION_DENIED, rpc


@pytest.mark.proves("S15", "S22")
async def test_a_request_that_does_not_come_ends_its_call(
    etcd: ExternalEtcd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert requests.REQUEST == 15.0
    monkeypatch.setattr(requests, "REQUEST", 0.5)
    async with manager(tmp_path / "manager", etcd_endpoints=etcd.options.endpoints) as api:
        await api.create_cluster("c1")
        await api.commit(add_machine("mx1", "Main_Group"))
        certificate, key = await enrolled(api, "mx1")
        enrol = client_channel(f"127.0.0.1:{api.ports.enrol}", api.authority.ca_pem)
        async with connected(api.ports, api.authority, certificate, key) as mx1, enrol:
            calls = {
                rpc: _begun(api.channel, rpc)
                for rpc, row in RPCS.items()
                if row.who in (Who.OPERATOR, Who.ANYONE)
            }
            calls["tdc.v1.Agents.Renew"] = _begun(mx1.channel, "tdc.v1.Agents.Renew")
            calls["tdc.v1.Enrolment.Enrol"] = _begun(enrol, "tdc.v1.Enrolment.Enrol")
            ends: dict[str, grpc.StatusCode] = {}
            names, most = list(calls), STREAMS // 2  # at a time, on one connection
            for some in (names[at : at + most] for at in range(0, len(names), most)):
                ended = await asyncio.gather(*(calls[each] for each in some))
                ends.update(zip(some, ended, strict=True))
        assert ends == dict.fromkeys(ends, STATUS.DEADLINE_EXCEEDED)


async def test_work_that_is_cancelled_under_a_call_ends_the_call(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """gRPC sends no status for a handler that ends so, and its caller would wait for ever."""

    async def ended(*arguments: object, **others: object) -> None:
        raise asyncio.CancelledError

    await api.create_cluster("c1")
    monkeypatch.setattr(History, "commits", ended)
    request = operators_pb2.ListCommitsRequest(cluster="c1", limit=10)
    async with refused(STATUS.INTERNAL, "the manager failed at this call"):
        await api.changes.ListCommits(request, timeout=20)


async def test_a_call_that_ends_without_a_request_is_told_so(api: Api) -> None:
    call: Any = api.channel.stream_unary("/tdc.v1.Fleet/ListClusters")()
    await call.done_writing()
    async with refused(STATUS.INVALID_ARGUMENT, "without a request"):
        await call


@pytest.mark.proves("S15")
async def test_who_sends_nothing_keeps_the_same_operator_waiting_on_no_other_connection(
    api: Api,
) -> None:
    pair = _pem(api.authority.issue_operator("ana"))
    async with connected(api.ports, api.authority, *pair) as holder:
        held: list[Any] = [
            holder.channel.stream_unary("/tdc.v1.Fleet/ListClusters")()
            for _ in range(requests.OF_AN_IDENTITY + requests.ON_A_CONNECTION)
        ]
        await asyncio.sleep(0.2)
        began = monotonic()
        async with connected(api.ports, api.authority, *pair) as other:
            await other.fleet.ListClusters(operators_pb2.ListClustersRequest(), timeout=10)
        assert in_time(monotonic() - began, SOON)
        for call in held:
            call.cancel()


@pytest.mark.slow
@pytest.mark.proves("S15", "S22", "B84")
@pytest.mark.parametrize("who", ["a machine", "a machine that is denied", "anyone who enrols"])
async def test_unfinished_requests_take_no_memory_and_keep_nobody_waiting(
    tmp_path: Path, who: str
) -> None:
    async with _program(tmp_path) as (program, api):
        certificate: Certificate | None = await enrolled(api, "mx1")
        if who == "a machine that is denied":
            await enrolled(api, "mx1")
        port, path, size = api.ports.main, "/tdc.v1.Agents/Renew", REQUEST_LIMIT - 10
        if who == "anyone who enrols":
            port, path, size = api.ports.enrol, "/tdc.v1.Enrolment/Enrol", 16 * 1024
            certificate = None
        before = memory_of(program.pid)
        flood = Unfinished(port, api.authority.ca_pem, certificate, path, size)
        async with flood.running(connections=6 if certificate else 120, streams=128):
            for _ in range(6):
                await asyncio.sleep(0.5)
                began = monotonic()
                await api.monitoring.GetStatus(operators_pb2.StatusRequest(), timeout=10)
                assert in_time(monotonic() - began, SOON)
            assert flood.sent > 128 * 1024, "it was a flood"
            assert memory_of(program.pid) - before < MORE


@contextlib.asynccontextmanager
async def _program(folder: Path) -> AsyncIterator[tuple[Program, Api]]:
    """Run a manager in a process of its own, with a machine mx1, and connect as an operator."""
    data, ports_file = folder / "manager", folder / "ports.json"
    set_up(options_for(data), {"listen_port": "0", "enrol_port": "0"}, "ana")
    run = (str(BIN / "tdc-manager"), "run", "--folder", str(data), "--ports-file", str(ports_file))
    program = Program(run, log=folder / "manager.log", ports_file=ports_file)
    await program.start()
    try:
        ports = Ports(program.ports["main"], program.ports["enrol"])
        authority = Authority.load(data / CA_FOLDER)
        async with connected(ports, authority, *_pem(authority.issue_operator("ana"))) as api:
            await api.create_cluster("c1")
            await api.commit(add_machine("mx1", "Main_Group"))
            yield program, api
    finally:
        await program.stop()


def _pem(issued: Issued) -> Certificate:
    return issued.certificate_pem, issued.key_pem
