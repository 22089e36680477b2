"""Every RPC tried by every kind of caller on each port: who may is let in, and nobody else.

What is expected is written here by service, not read from `rpc/callers.py`: a row that is widened
there fails here. Each call carries bytes that are no message. Who is let in is told that they can't
be read; who isn't is refused before. So nothing is changed by trying.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.values import Delete
from tdc.manager.identity.authority import Authority
from tdc.manager.intent.permissions import PERMISSIONS
from tdc.manager.people.reach import Role
from tdc.manager.rpc.callers import RPCS, Rpc, Who
from tdc.manager.rpc.operators import BEARER
from tdc.manager.store.keys import enrolment_key
from tdc.shared.edge.clock import wall
from tdc.shared.edge.grpc_tls import client_channel
from tdc.v1 import people_pb2

from tests.fakes.etcd import ExternalEtcd
from tests.stage.least import needs_of, role_for
from tests.stage.manager import (
    Api,
    Certificate,
    add_machine,
    enrolled,
    key_and_request,
    logged_in,
    manager,
    of_people,
)

OPERATOR, MACHINE, MANAGER = "operator", "enrolled machine", "manager"
NOBODY_MAIN, NOBODY_ENROL = "no certificate", "no certificate, enrolment port"
OTHERS = (
    "removed machine",
    "machine enrolled again since",
    "machine never enrolled",
    "machine of a foreign CA",
    "the manager's own server certificate",
)

WITHDRAWN, OF_DELETED, EXPIRED = (
    "withdrawn operator's certificate",
    "operator's certificate of a deleted user",
    "expired operator's certificate",
)
SESSION, TOKEN = "session", "API token"
NO_SECRETS = (
    "no secret",
    "mistyped secret",
    "ended session",
    "session of a deleted user",
    "session from before a new role",
    "revoked API token",
    "expired API token",
)
AT_OPERATOR_PORT = frozenset({SESSION, TOKEN, *NO_SECRETS})
PASSWORD = "correct horse battery"

OF_WHO_LOG_IN = frozenset({"tdc.v1.Login", "tdc.v1.ProviderLogin"})
OF_MACHINES = frozenset({"tdc.v1.Agents"})
OF_MANAGERS = frozenset({"tdc.v1.Peers"})
OF_WHO_JOINS = frozenset({"tdc.v1.Enrolment"})
# TLS lets every certificate of our CA that is good for a client this far, revoked or not.
OF_ALL = frozenset({"grpc.health.v1.Health"})
OF_OUR_CLIENTS = frozenset({OPERATOR, MACHINE, MANAGER, *OTHERS[:3], WITHDRAWN, OF_DELETED})

STATUS = grpc.StatusCode

Cell = tuple[str, str]
REFUSALS = frozenset(
    {
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
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
    if service in OF_WHO_LOG_IN:
        return AT_OPERATOR_PORT
    if service in OF_ALL:
        return OF_OUR_CLIENTS | AT_OPERATOR_PORT | {NOBODY_ENROL}
    return frozenset({OPERATOR, SESSION, TOKEN})


@dataclass(frozen=True)
class Caller:
    channel: grpc.aio.Channel
    secret: str = ""

    async def calls(self, rpc: str, request: bytes) -> tuple[grpc.StatusCode, str]:
        """Also of a stream: it begins alike, and here no write can cross the server's answer."""
        service, _, name = rpc.rpartition(".")
        made: Any = self.channel.unary_unary(f"/{service}/{name}")
        shown = (("authorization", f"{BEARER}{self.secret}"),) if self.secret else ()
        call = made(request, timeout=20, metadata=shown)
        return await call.code(), await call.details()


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
    return {
        OPERATOR: operator,
        MACHINE: mine,
        MANAGER: (peer.certificate_pem, peer.key_pem),
        **dict(zip(OTHERS, others, strict=True)),
        **await _operators(api, folder),
    }


async def _operators(api: Api, folder: Path) -> dict[str, Certificate]:
    """Certificates of operators that are not good any more."""
    people, authority = of_people(api.channel), api.authority
    withdrawn, deleted = authority.issue_operator("wim"), authority.issue_operator("del")
    fingerprint = x509.load_pem_x509_certificate(withdrawn.certificate_pem).fingerprint(SHA256())
    request = people_pb2.WithdrawOperatorRequest(fingerprint=fingerprint.hex(), reason="lost")
    await people.WithdrawOperator(request)
    await people.CreateUser(people_pb2.CreateUserRequest(name="del", role="operator"))
    await people.DeleteUser(people_pb2.DeleteUserRequest(name="del"))
    long_ago = Authority.load(folder / "ca", clock=lambda: wall() - 400 * 86_400)
    issued = (withdrawn, deleted, long_ago.issue_operator("ana"))
    pairs = [(each.certificate_pem, each.key_pem) for each in issued]
    return dict(zip((WITHDRAWN, OF_DELETED, EXPIRED), pairs, strict=True))


async def _user(api: Api, name: str, role: str, reach: people_pb2.Reach | None = None) -> str:
    """A user with a session; its secret."""
    request = people_pb2.CreateUserRequest(name=name, role=role, reach=reach, password=PASSWORD)
    await of_people(api.channel).CreateUser(request)
    return await logged_in(api, name, PASSWORD)


async def _secrets(api: Api, channel: grpc.aio.Channel) -> dict[str, str]:
    """What each of those shows who come to the operator port."""
    people = of_people(api.channel)
    good, ended, old, gone = [
        await _user(api, name, "administrator") for name in ("sue", "end", "old", "off")
    ]
    await people.EndSessions(people_pb2.EndSessionsRequest(user="end"))
    await people.SetRole(people_pb2.SetRoleRequest(name="old", role="operator"))
    await people.DeleteUser(people_pb2.DeleteUserRequest(name="off"))
    tokens = []
    for label, lifetime in (("ci", 0), ("leaked", 0), ("short", 1)):
        made = await of_people(channel).CreateApiToken(
            people_pb2.CreateApiTokenRequest(label=label, lifetime=lifetime),
            metadata=(("authorization", f"{BEARER}{good}"),),
        )
        tokens.append(made)
    await people.RevokeApiTokens(people_pb2.RevokeApiTokensRequest(ids=[tokens[1].token.id]))
    await asyncio.sleep(1.1)
    token, revoked, expired = (each.secret for each in tokens)
    others = ("", good[:-1] + "x", ended, gone, old, revoked, expired)
    return {SESSION: good, TOKEN: token, **dict(zip(NO_SECRETS, others, strict=True))}


@contextlib.asynccontextmanager
async def _channels(
    api: Api, etcd: ExternalEtcd, folder: Path
) -> AsyncIterator[Mapping[str, Caller]]:
    main, enrol, ca = api.ports.main, api.ports.enrol, api.authority.ca_pem
    channels = {
        caller: client_channel(f"127.0.0.1:{main}", ca, *certificate)
        for caller, certificate in (await _certificates(api, etcd, folder)).items()
    }
    channels[NOBODY_MAIN] = client_channel(f"127.0.0.1:{main}", ca)
    channels[NOBODY_ENROL] = client_channel(f"127.0.0.1:{enrol}", ca)
    by_secret = client_channel(f"127.0.0.1:{api.ports.operators}", ca)
    callers = {name: Caller(channel) for name, channel in channels.items()}
    try:
        secrets = await _secrets(api, by_secret)
        yield callers | {name: Caller(by_secret, each) for name, each in secrets.items()}
    finally:
        await asyncio.gather(*(channel.close() for channel in (*channels.values(), by_secret)))


async def _is_let_in(caller: Caller, rpc: str) -> bool:
    code, details = await caller.calls(rpc, GARBAGE)
    assert code is not grpc.StatusCode.OK, (rpc, details)
    return code not in REFUSALS


async def _let_in(api: Api, etcd: ExternalEtcd, folder: Path) -> set[Cell]:
    async with _channels(api, etcd, folder) as channels:
        return {
            (rpc, caller)
            for rpc in RPCS
            for caller, each in channels.items()
            if await _is_let_in(each, rpc)
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
                        assert await _is_let_in(Caller(each), rpc), (rpc, caller)


@pytest.mark.proves("S3")
async def test_an_unknown_rpc_lets_nobody_in(api: Api, etcd: ExternalEtcd, tmp_path: Path) -> None:
    async with _channels(api, etcd, tmp_path / "manager") as channels:
        for rpc in ("tdc.v1.Fleet.DropEverything", "tdc.v1.Nothing.Do"):
            for caller, each in channels.items():
                assert not await _is_let_in(each, rpc), (rpc, caller)


# -- what who is let in may do -------------------------------------------------------------------

GROUP = people_pb2.GroupName(cluster="c1", group="Main_Group")
REACHES = {
    "everywhere": people_pb2.Reach(),
    "a cluster": people_pb2.Reach(clusters=["c1"]),
    "a group": people_pb2.Reach(groups=[GROUP]),
}
ENOUGH = {"": set(REACHES), "a whole cluster": {"everywhere", "a cluster"}}


@pytest.mark.proves("S12")
async def test_each_role_with_each_reach_does_what_it_may_and_no_more(api: Api) -> None:
    """By a session and by a certificate: requests without content, refused before they are read."""
    await api.create_cluster("c1")
    rows = {rpc: row.operation for rpc, row in RPCS.items() if row.operation in PERMISSIONS}
    last = "tdc.v1.People.EndSessions"  # without content it ends the session that asks for it
    ordered = [*(rpc for rpc in rows if rpc != last), last]
    found, expected = set(), set()
    async with client_channel(
        f"127.0.0.1:{api.ports.operators}", api.authority.ca_pem
    ) as by_secret:
        for role, (where, reach) in itertools.product(Role, REACHES.items()):
            name = f"{role}-{where}".replace(" ", "-")
            secret = await _user(api, name, str(role), reach)
            issued = api.authority.issue_operator(name)
            pair = (issued.certificate_pem, issued.key_pem)
            main = f"127.0.0.1:{api.ports.main}"
            async with client_channel(main, api.authority.ca_pem, *pair) as by_certificate:
                for rpc in ordered:
                    operation = rows[rpc]
                    far = where in ENOUGH.get(needs_of(operation), {"everywhere"})
                    if role >= role_for(operation) and far:
                        expected |= {(rpc, name, means) for means in ("secret", "certificate")}
                    for means, each in (
                        ("certificate", Caller(by_certificate)),
                        ("secret", Caller(by_secret, secret)),
                    ):
                        code, details = await each.calls(rpc, b"")
                        assert code is not STATUS.UNAUTHENTICATED, (rpc, name, details)
                        if code is not STATUS.PERMISSION_DENIED:
                            found.add((rpc, name, means))
    assert found == expected
