"""Connections that say nothing: cut off in time, and honest clients get through meanwhile."""

from __future__ import annotations

import asyncio
import resource
import ssl

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tdc.manager.rpc import server
from tdc.shared.edge import descriptors, grpc_tls
from tdc.shared.edge.clock import monotonic
from tdc.shared.edge.grpc_tls import client_channel

from tests.fakes.etcd import ExternalEtcd
from tests.stage.manager import Api, manager


@pytest.mark.proves("S15")
async def test_silent_connections_are_cut_off_and_keep_nobody_out(
    etcd: ExternalEtcd, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert grpc_tls.HANDSHAKE == 10.0
    monkeypatch.setattr(grpc_tls, "HANDSHAKE", 1.0)
    folder = tmp_path_factory.mktemp("silent") / "manager"
    async with manager(folder, etcd_endpoints=etcd.options.endpoints) as api:
        for port in (api.ports.main, api.ports.enrol):
            await _silent(api, port)


async def _silent(api: Api, port: int) -> None:
    began = monotonic()
    silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(100)]
    address = f"127.0.0.1:{api.ports.enrol}"
    async with client_channel(address, api.authority.ca_pem) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        await stub.Check(health_pb2.HealthCheckRequest(), timeout=10)
    async with asyncio.timeout(15):
        for reader, _ in silent:
            assert await _until_end(reader), "not a byte was said to who says nothing"
    assert monotonic() - began >= 0.9
    for _, writer in silent:
        writer.close()


@pytest.mark.slow
@pytest.mark.proves("S15")
async def test_a_connection_that_nobody_uses_ends_and_at_the_enrolment_port_any(
    etcd: ExternalEtcd, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anyone may finish a handshake there, and a call whose request never comes keeps it in use."""
    assert (server.IDLE, server.ENROL_IDLE, server.ENROL_AGE) == (300.0, 20.0, 120.0)
    monkeypatch.setattr(server, "ENROL_IDLE", 1.0)
    monkeypatch.setattr(server, "ENROL_AGE", 2.0)
    monkeypatch.setattr(server, "ENROL_GRACE", 1.0)
    folder = tmp_path_factory.mktemp("idle") / "manager"
    async with manager(folder, etcd_endpoints=etcd.options.endpoints) as api:
        context = ssl.create_default_context(cadata=api.authority.ca_pem.decode())
        context.set_alpn_protocols(["h2"])
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", api.ports.enrol, ssl=context, server_hostname=grpc_tls.SERVER_NAME
        )
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000"))
        address = f"127.0.0.1:{api.ports.enrol}"
        async with client_channel(address, api.authority.ca_pem) as channel, asyncio.timeout(10):
            watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
            await watch.read()
            await reader.read()  # until it is ended
            assert await watch.code() is grpc.StatusCode.UNAVAILABLE
        writer.close()


async def _until_end(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True


@pytest.mark.proves("S15")
def test_the_soft_limit_of_descriptors_is_raised_to_the_hard_one() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, before[1]), before[1]))
        assert descriptors.raise_limit(300) == 300
        assert descriptors.raise_limit(200) == 300
        assert descriptors.raise_limit() == before[1]
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
