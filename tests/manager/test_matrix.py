"""Every RPC tried by every kind of caller on both ports: who may is let in, and nobody else.

What is expected is written here by service, not read from `rpc/callers.py`: a row that is widened
there fails here. Each call carries bytes that are no message. Who is let in is told that they can't
be read; who isn't is refused before. So nothing is changed by trying.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.values import Delete
from tdc.manager.identity.authority import Authority
from tdc.manager.rpc.callers import RPCS, Rpc, Who
from tdc.manager.store.keys import enrolment_key
from tdc.shared.edge.grpc_tls import client_channel

from tests.fakes.etcd import ExternalEtcd
from tests.stage.manager import Api, Certificate, add_machine, enrolled, key_and_request, manager

OPERATOR, MACHINE, MANAGER = "operator", "enrolled machine", "manager"
NOBODY_MAIN, NOBODY_ENROL = "no certificate", "no certificate, enrolment port"
OTHERS = (
    "removed machine",
    "machine enrolled again since",
    "machine never enrolled",
    "machine of a foreign CA",
    "the manager's own server certificate",
)

OF_MACHINES = frozenset({"tdc.v1.Agents"})
OF_MANAGERS = frozenset({"tdc.v1.Peers"})
OF_WHO_JOINS = frozenset({"tdc.v1.Enrolment"})
# TLS lets every certificate of our CA that is good for a client this far, revoked or not.
OF_ALL = frozenset({"grpc.health.v1.Health"})
OF_OUR_CLIENTS = frozenset({OPERATOR, MACHINE, MANAGER, *OTHERS[:3]})

Cell = tuple[str, str]
REFUSALS = frozenset(
    {
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNIMPLEMENTED,  # not on this port
        grpc.StatusCode.UNAVAILABLE,  # refused by TLS
    }
)
GARBAGE = b"\xff\xff\xff\xff not a message"


def _expected(rpc: str) -> frozenset[str]:
    """Who may make a call. A service that nobody named here is the operators' alone."""
    service = rpc.rpartition(".")[0]
    if service in OF_MACHINES:
        return frozenset({MACHINE})
    if service in OF_MANAGERS:
        return frozenset({MANAGER})
    if service in OF_WHO_JOINS:
        return frozenset({NOBODY_ENROL})
    if service in OF_ALL:
        return OF_OUR_CLIENTS | {NOBODY_ENROL}
    return frozenset({OPERATOR})


async def _remove_enrolment(etcd: ExternalEtcd, machine: str) -> None:
    """As a removal will: no operation removes a machine yet."""
    async with EtcdClient(etcd.options) as client:
        await client.txn([], [Delete(enrolment_key("c1", machine))])


def _issued(authority: Authority) -> Certificate:
    key, request = key_and_request()
    return authority.issue_machine(request, "c1", "mx1", "another-enrolment"), key


async def _certificates(api: Api, etcd: ExternalEtcd, folder: Path) -> dict[str, Certificate]:
    """One for each kind of caller who has one."""
    await api.create_cluster("c1")
    await api.commit(*(add_machine(name, "Main_Group") for name in ("mx1", "mx2", "mx3")))
    mine, removed, earlier = [await enrolled(api, name) for name in ("mx1", "mx2", "mx3")]
    await enrolled(api, "mx3")
    await _remove_enrolment(etcd, "mx2")
    server = api.authority.issue_server()
    bundle = folder / "operator"
    operator = ((bundle / "operator.pem").read_bytes(), (bundle / "operator.key").read_bytes())
    foreign = _issued(Authority.create(folder / "foreign-ca"))
    own_server = (server.certificate_pem, server.key_pem)
    others = (removed, earlier, _issued(api.authority), foreign, own_server)
    peer = api.authority.issue_manager("another")
    manager = (peer.certificate_pem, peer.key_pem)
    return {
        OPERATOR: operator,
        MACHINE: mine,
        MANAGER: manager,
        **dict(zip(OTHERS, others, strict=True)),
    }


@contextlib.asynccontextmanager
async def _channels(
    api: Api, etcd: ExternalEtcd, folder: Path
) -> AsyncIterator[Mapping[str, grpc.aio.Channel]]:
    main, enrol, ca = api.ports.main, api.ports.enrol, api.authority.ca_pem
    channels = {
        caller: client_channel(f"127.0.0.1:{main}", ca, *certificate)
        for caller, certificate in (await _certificates(api, etcd, folder)).items()
    }
    channels[NOBODY_MAIN] = client_channel(f"127.0.0.1:{main}", ca)
    channels[NOBODY_ENROL] = client_channel(f"127.0.0.1:{enrol}", ca)
    try:
        yield channels
    finally:
        await asyncio.gather(*(channel.close() for channel in channels.values()))


async def _is_let_in(channel: grpc.aio.Channel, rpc: str) -> bool:
    """Also of a stream: the call begins alike, and here no write can cross the server's answer."""
    service, _, name = rpc.rpartition(".")
    made: Any = channel.unary_unary(f"/{service}/{name}")
    call = made(GARBAGE, timeout=20)
    code, details = await call.code(), await call.details()
    assert code is not grpc.StatusCode.OK, (rpc, details)
    return code not in REFUSALS


async def _let_in(api: Api, etcd: ExternalEtcd, folder: Path) -> set[Cell]:
    async with _channels(api, etcd, folder) as channels:
        return {
            (rpc, caller)
            for rpc in RPCS
            for caller, channel in channels.items()
            if await _is_let_in(channel, rpc)
        }


@pytest.mark.proves("P17", "S3", "S4", "S22", "B83")
async def test_exactly_who_may_is_let_in(api: Api, etcd: ExternalEtcd, tmp_path: Path) -> None:
    found = await _let_in(api, etcd, tmp_path / "manager")
    assert found == {(rpc, caller) for rpc in RPCS for caller in _expected(rpc)}


async def test_the_matrix_sees_every_row_that_is_widened(
    etcd: ExternalEtcd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all rows open, each RPC lets somebody in who may not: no cell is blind."""
    assert isinstance(RPCS, dict)
    folder, rows = tmp_path / "manager", dict(RPCS)
    async with manager(folder, etcd_endpoints=etcd.options.endpoints) as api:
        certificates = await _certificates(api, etcd, folder)
    for rpc, row in rows.items():
        if row.who in (Who.OPERATOR, Who.MACHINE, Who.MANAGER):
            monkeypatch.setitem(RPCS, rpc, Rpc(Who.ANYONE))
    async with manager(folder, etcd_endpoints=etcd.options.endpoints) as api:
        address = f"127.0.0.1:{api.ports.main}"
        for caller in (OPERATOR, MACHINE, MANAGER, *OTHERS[:3]):
            async with client_channel(address, api.authority.ca_pem, *certificates[caller]) as each:
                for rpc, row in rows.items():
                    if row.who in (Who.OPERATOR, Who.MACHINE, Who.MANAGER):
                        assert await _is_let_in(each, rpc), (rpc, caller)


@pytest.mark.proves("S3")
async def test_an_unknown_rpc_lets_nobody_in(api: Api, etcd: ExternalEtcd, tmp_path: Path) -> None:
    async with _channels(api, etcd, tmp_path / "manager") as channels:
        for rpc in ("tdc.v1.Fleet.DropEverything", "tdc.v1.Nothing.Do"):
            for caller, channel in channels.items():
                assert not await _is_let_in(channel, rpc), (rpc, caller)
