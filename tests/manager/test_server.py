"""The gRPC servers: ports first, then services."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tdc.manager.identity.authority import Authority
from tdc.manager.identity.own import ServerIdentity
from tdc.manager.identity.peer import Denied
from tdc.manager.intent.permissions import PermissionTableError
from tdc.manager.rpc.server import Ports, PortTaken, Registration, Servers
from tdc.shared.edge.grpc_tls import client_channel
from tdc.shared.sync.identity import MachinePeer
from tdc.v1 import (
    agents_pb2_grpc,
    audit_pb2_grpc,
    managers_pb2_grpc,
    operators_pb2_grpc,
    people_pb2_grpc,
    provider_pb2_grpc,
    recovery_pb2_grpc,
)

ANY = Ports(main=0, enrol=0)


def _empty(kind: Any) -> Any:
    """A service that answers every call with UNIMPLEMENTED."""
    return kind()


MAIN: list[Registration] = [
    partial(add, _empty(service))
    for add, service in (
        (operators_pb2_grpc.add_FleetServicer_to_server, operators_pb2_grpc.FleetServicer),
        (
            operators_pb2_grpc.add_SettingsReaderServicer_to_server,
            operators_pb2_grpc.SettingsReaderServicer,
        ),
        (operators_pb2_grpc.add_ChangesServicer_to_server, operators_pb2_grpc.ChangesServicer),
        (operators_pb2_grpc.add_DraftsServicer_to_server, operators_pb2_grpc.DraftsServicer),
        (
            operators_pb2_grpc.add_MonitoringServicer_to_server,
            operators_pb2_grpc.MonitoringServicer,
        ),
        (operators_pb2_grpc.add_QueueServicer_to_server, operators_pb2_grpc.QueueServicer),
        (recovery_pb2_grpc.add_RecoveryServicer_to_server, recovery_pb2_grpc.RecoveryServicer),
        (people_pb2_grpc.add_PeopleServicer_to_server, people_pb2_grpc.PeopleServicer),
        (audit_pb2_grpc.add_AuditServicer_to_server, audit_pb2_grpc.AuditServicer),
        (managers_pb2_grpc.add_ManagersServicer_to_server, managers_pb2_grpc.ManagersServicer),
        (managers_pb2_grpc.add_PeersServicer_to_server, managers_pb2_grpc.PeersServicer),
        (agents_pb2_grpc.add_AgentsServicer_to_server, agents_pb2_grpc.AgentsServicer),
    )
]
ENROL: list[Registration] = [
    partial(
        agents_pb2_grpc.add_EnrolmentServicer_to_server,
        _empty(agents_pb2_grpc.EnrolmentServicer),
    )
]

OPERATORS: list[Registration] = [
    partial(people_pb2_grpc.add_LoginServicer_to_server, _empty(people_pb2_grpc.LoginServicer)),
    partial(
        provider_pb2_grpc.add_ProviderLoginServicer_to_server,
        _empty(provider_pb2_grpc.ProviderLoginServicer),
    ),
]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "ca")


def servers(authority: Authority) -> Servers:
    issued = authority.issue_server()
    own = ServerIdentity(issued.certificate_pem, issued.key_pem, authority.ca_pem)
    return Servers(lambda: own)


def deny_all(peer: MachinePeer, address: str) -> MachinePeer:
    raise Denied(f"{peer} is denied, {address} or not")


async def _health(channel: grpc.aio.Channel) -> int:
    stub = health_pb2_grpc.HealthStub(channel)
    answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=10)
    return int(answer.status)


async def test_a_caller_who_comes_before_the_services_waits_for_them(authority: Authority) -> None:
    """Ports are known, and taken, before a service is made."""
    under_test = servers(authority)
    ports = under_test.bind("127.0.0.1", ANY)
    with pytest.raises(PortTaken, match=rf"can't listen on 127\.0\.0\.1:{ports.main}: [^(]*$"):
        servers(authority).bind("127.0.0.1", ports)
    async with (
        client_channel(f"127.0.0.1:{ports.enrol}", authority.ca_pem) as channel,
        asyncio.TaskGroup() as group,
    ):
        early = group.create_task(_health(channel))
        await asyncio.sleep(0.3)
        assert not early.done()
        await under_test.start(MAIN, ENROL, deny_all, OPERATORS)
        assert await early == health_pb2.HealthCheckResponse.SERVING
    await under_test.stop(0.5)


async def test_a_row_of_the_table_without_its_service_stops_the_start(authority: Authority) -> None:
    under_test = servers(authority)
    under_test.bind("127.0.0.1", ANY)
    with pytest.raises(PermissionTableError, match=r"tdc\.v1\.Fleet\.CreateCluster"):
        await under_test.start(MAIN[1:], ENROL, deny_all, OPERATORS)
    await under_test.stop(0.5)
