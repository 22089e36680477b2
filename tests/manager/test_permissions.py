"""Who may call what: certificates of the wrong kind, no certificate, an incomplete table."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast
from unittest.mock import Mock

import grpc
import grpc.aio
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from tdc.manager.identity.peer import Denied
from tdc.manager.intent.permissions import PERMISSIONS, PermissionTableError
from tdc.manager.rpc.callers import RPCS, Rpc, Who, check_rpcs
from tdc.manager.rpc.entry import Context, Door, Entry
from tdc.manager.rpc.guard import Guard
from tdc.shared.edge.grpc_tls import client_channel
from tdc.shared.sync.identity import MachinePeer
from tdc.v1 import agents_pb2, agents_pb2_grpc, operators_pb2, operators_pb2_grpc

from tests.fakes.etcd import ExternalEtcd
from tests.stage.manager import Api, connected, key_and_request, manager, refused

STATUS = grpc.StatusCode


def _deny_all(peer: MachinePeer, address: str) -> MachinePeer:
    raise Denied(f"{peer} is denied, {address} or not")


async def test_a_machines_certificate_can_not_make_any_operators_call(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    key, request = key_and_request()
    certificate = api.authority.issue_machine(request, "c1", "mx1", "enrolment-1")
    async with connected(api.ports, api.authority, certificate, key) as machine:
        calls: dict[str, Awaitable[object]] = {
            "tdc.v1.Fleet.CreateCluster": machine.fleet.CreateCluster(
                operators_pb2.CreateClusterRequest(name="mine", request_id="r")
            ),
            "tdc.v1.SettingsReader.GetLevel": machine.settings.GetLevel(
                operators_pb2.GetLevelRequest()
            ),
            "tdc.v1.Changes.MakeCommit": machine.changes.MakeCommit(operators_pb2.CommitRequest()),
            "tdc.v1.Monitoring.GetStatus": machine.monitoring.GetStatus(
                operators_pb2.StatusRequest()
            ),
        }
        for name, call in calls.items():
            async with refused(STATUS.PERMISSION_DENIED, name, "operator", "machine mx1"):
                await call
    assert not (await api.fleet.ListClusters(operators_pb2.ListClustersRequest())).clusters
    logged = [each.message for each in caplog.records if each.levelno == logging.WARNING]
    assert sum("refused: tdc.v1." in message for message in logged) == len(calls)


async def test_an_operators_certificate_can_not_act_as_a_machine(api: Api) -> None:
    async with refused(STATUS.PERMISSION_DENIED, "tdc.v1.Agents.Renew", "machine's certificate"):
        await api.agents.Renew(agents_pb2.RenewRequest())
    async with refused(STATUS.PERMISSION_DENIED, "tdc.v1.Agents.Session"):
        await api.agents.Session().read()


async def test_a_machine_that_was_never_enrolled_here_is_denied_its_stream(api: Api) -> None:
    """Its certificate is of our CA, but no enrolment in the store stands behind it."""
    key, request = key_and_request()
    certificate = api.authority.issue_machine(request, "c1", "mx1", "enrolment-1")
    async with (
        connected(api.ports, api.authority, certificate, key) as machine,
        refused(STATUS.PERMISSION_DENIED, "mx1"),
    ):
        await machine.agents.Renew(agents_pb2.RenewRequest(csr_pem=request.decode()))


async def test_without_a_certificate_the_main_port_lets_nobody_in(api: Api) -> None:
    channel = client_channel(f"127.0.0.1:{api.ports.main}", api.authority.ca_pem)
    async with channel, refused(STATUS.UNAVAILABLE):
        await operators_pb2_grpc.FleetStub(channel).ListClusters(
            operators_pb2.ListClustersRequest(), timeout=5
        )


async def test_the_enrolment_port_serves_enrolment_and_health_only(api: Api) -> None:
    channel = client_channel(f"127.0.0.1:{api.ports.enrol}", api.authority.ca_pem)
    async with channel:
        health = health_pb2_grpc.HealthStub(channel)
        answer = await health.Check(health_pb2.HealthCheckRequest())
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        async with refused(STATUS.UNIMPLEMENTED):
            await operators_pb2_grpc.FleetStub(channel).ListClusters(
                operators_pb2.ListClustersRequest()
            )
        async with refused(STATUS.PERMISSION_DENIED, "join token"):
            _, request = key_and_request()
            await agents_pb2_grpc.EnrolmentStub(channel).Enrol(
                agents_pb2.EnrolRequest(token="no token", csr_pem=request.decode())
            )


async def test_health_and_reflection_answer_an_operator(api: Api) -> None:
    health = health_pb2_grpc.HealthStub(api.channel)
    answer = await health.Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    reflection = reflection_pb2_grpc.ServerReflectionStub(api.channel)
    call: Any = reflection.ServerReflectionInfo(
        iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    )
    response = await call.read()
    names = {each.name for each in response.list_services_response.service}
    assert {"tdc.v1.Fleet", "tdc.v1.Agents", "grpc.health.v1.Health"} <= names


@pytest.mark.proves("B86")
async def test_a_path_in_another_spelling_reaches_no_handler(api: Api) -> None:
    """The check is around the handler: there is no path that leads past it."""
    for path in ("tdc.v1.Fleet/ListClusters", "//tdc.v1.Fleet/ListClusters",
                 "/tdc.v1.Fleet/ListClusters/", "/tdc.v1.fleet/listclusters"):  # fmt: skip
        call: Callable[..., Awaitable[object]] = api.channel.unary_unary(path)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(b"", timeout=5)
        assert caught.value.code() in (STATUS.UNIMPLEMENTED, STATUS.INTERNAL, STATUS.UNAVAILABLE)


async def test_a_manager_with_a_method_without_row_does_not_start(
    etcd: ExternalEtcd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(RPCS, dict)
    monkeypatch.delitem(RPCS, "tdc.v1.Changes.GetCommit")
    with pytest.RaisesGroup(
        pytest.RaisesExc(PermissionTableError, match=r"tdc\.v1\.Changes\.GetCommit has no row"),
        flatten_subgroups=True,
    ):
        async with manager(tmp_path / "manager", etcd_endpoints=etcd.options.endpoints):
            pytest.fail("it serves")


async def test_a_row_without_method_does_not_start_either() -> None:
    guard = Guard(_deny_all, {**RPCS, "tdc.v1.Fleet.DropEverything": Rpc(Who.ANYONE)})
    with pytest.raises(PermissionTableError, match="DropEverything belongs to no RPC"):
        guard.check()
    check_rpcs(RPCS.keys())


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (Rpc(Who.OPERATOR), "carries no operation of the permission table: ''"),
        (Rpc(Who.OPERATOR, "fleet.drop"), "carries no operation of the permission table"),
        (Rpc(Who.MACHINE, "fleet.list_groups"), "is not an operator's, but has an operation"),
    ],
)
async def test_an_operators_rpc_carries_an_operation_and_no_other_does(
    row: Rpc, fault: str
) -> None:
    with pytest.raises(PermissionTableError, match=f"ListGroups {fault}"):
        check_rpcs(RPCS.keys(), {**RPCS, "tdc.v1.Fleet.ListGroups": row})


async def test_each_operators_rpc_carries_the_operation_of_its_row(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its operation's row an RPC is denied; so what runs is what the table says."""
    assert isinstance(PERMISSIONS, dict)
    for name, row in RPCS.items():
        if row.operation not in PERMISSIONS:
            continue
        service, _, method = name.rpartition(".")
        call: Callable[..., Awaitable[object]] = api.channel.unary_unary(f"/{service}/{method}")
        with monkeypatch.context() as patch:
            patch.delitem(PERMISSIONS, row.operation)
            async with refused(STATUS.PERMISSION_DENIED, row.operation, "ana"):
                await call(b"", timeout=5)


async def test_a_new_service_that_nobody_gave_a_row_does_not_start() -> None:
    """As it happens when a proto gains a service and the table is forgotten."""
    pool = descriptor_pool.Default()
    file = descriptor_pb2.FileDescriptorProto(name="test/new_service.proto", package="test")
    file.message_type.add(name="Nothing")
    service = file.service.add(name="New")
    service.method.add(name="Do", input_type=".test.Nothing", output_type=".test.Nothing")
    pool.Add(file)
    handler: grpc.RpcMethodHandler[Any, Any] = grpc.unary_unary_rpc_method_handler(
        lambda request, context: request
    )
    with pytest.raises(PermissionTableError, match=r"test\.New\.Do has no row"):
        Guard(_deny_all).guarded("test.New", {"Do": handler})


@pytest.mark.proves("B84")
async def test_a_request_above_its_limit_is_refused(api: Api, tmp_path: Path) -> None:
    request = operators_pb2.CreateClusterRequest(name="c1", comment="x" * (5 * 1024**2))
    async with refused(STATUS.RESOURCE_EXHAUSTED):
        await api.fleet.CreateCluster(request)


async def test_a_caller_that_has_gone_is_no_failure_of_ours(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What gRPC raises then is left to gRPC: a page of traceback would send people looking."""
    # Nothing but this is asked of it: an abort would fail again.
    context = cast("Context", Mock(spec=["invocation_metadata"], invocation_metadata=tuple))
    with pytest.raises(grpc.aio.InternalError):
        async with Entry(Door(_deny_all), "tdc.v1.Agents.Session", Who.ANYONE).admitted(context):
            raise grpc.aio.InternalError
    assert not caplog.records
