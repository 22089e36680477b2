"""A manager of a test's own, as clients see it: real ports, mutual TLS, generated stubs."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tdc.manager.first_setup import CA_FOLDER, set_up
from tdc.manager.identity.authority import Authority
from tdc.manager.options import Options
from tdc.manager.rpc.server import Ports
from tdc.manager.serve import served
from tdc.shared.edge.grpc_tls import client_channel
from tdc.shared.settings.check import checked
from tdc.shared.settings.values import Level
from tdc.shared.wire.settings import LEVEL_TO_WIRE, settings_to_wire
from tdc.v1 import (
    agents_pb2,
    agents_pb2_grpc,
    audit_pb2_grpc,
    fleet_pb2,
    operators_pb2,
    operators_pb2_grpc,
    people_pb2,
    people_pb2_grpc,
)

Certificate = tuple[bytes, bytes]
"""PEM of a certificate and of its key."""

_numbers = itertools.count(1)


def options_for(folder: Path, **given: object) -> Options:
    """Options of a manager on ports chosen by the system."""
    return Options(folder, **{"listen_port": 0, "enrol_port": 0, "operator_port": 0, **given})  # type: ignore[arg-type]


def level(kind: str, name: str, cluster: str = "") -> fleet_pb2.LevelRef:
    return fleet_pb2.LevelRef(level=LEVEL_TO_WIRE[Level(kind)], name=name, cluster=cluster)


def put(kind: str, name: str, cluster: str = "", **values: object) -> fleet_pb2.Edit:
    """An edit that sets settings; `_` in a name stands for `.` where a setting has one."""
    settings = settings_to_wire(checked({_setting(key): each for key, each in values.items()}))
    where = level(kind, name, cluster)
    return fleet_pb2.Edit(set=fleet_pb2.SetSettings(level=where, settings=settings))


def unset(kind: str, name: str, *settings: str) -> fleet_pb2.Edit:
    return fleet_pb2.Edit(unset=fleet_pb2.UnsetSettings(level=level(kind, name), names=settings))


def add_group(name: str) -> fleet_pb2.Edit:
    return fleet_pb2.Edit(add_group=fleet_pb2.AddGroup(name=name))


def add_machine(name: str, group: str) -> fleet_pb2.Edit:
    return fleet_pb2.Edit(add_machine=fleet_pb2.AddMachine(name=name, group=group))


def rename_cluster(name: str, to: str) -> fleet_pb2.Edit:
    return fleet_pb2.Edit(rename_cluster=fleet_pb2.RenameCluster(name=name, to=to))


def rename_group(name: str, to: str) -> fleet_pb2.Edit:
    return fleet_pb2.Edit(rename_group=fleet_pb2.RenameGroup(name=name, to=to))


def rename_machine(name: str, to: str) -> fleet_pb2.Edit:
    return fleet_pb2.Edit(rename_machine=fleet_pb2.RenameMachine(name=name, to=to))


def remove_machine(name: str, *, stop: bool = False) -> fleet_pb2.Edit:
    return fleet_pb2.Edit(remove_machine=fleet_pb2.RemoveMachine(name=name, stop_copying=stop))


def restore(revision: int) -> fleet_pb2.Edit:
    return fleet_pb2.Edit(restore=fleet_pb2.RestoreRevision(revision=revision))


def _setting(key: str) -> str:
    return key.replace("__", ".")


@dataclass
class Api:
    """One operator's (or machine's) connection to one manager."""

    channel: grpc.aio.Channel
    ports: Ports
    authority: Authority

    def __post_init__(self) -> None:
        self.fleet: operators_pb2_grpc.FleetAsyncStub = operators_pb2_grpc.FleetStub(self.channel)
        self.audit: audit_pb2_grpc.AuditAsyncStub = audit_pb2_grpc.AuditStub(self.channel)
        self.settings: operators_pb2_grpc.SettingsReaderAsyncStub = (
            operators_pb2_grpc.SettingsReaderStub(self.channel)
        )
        self.changes: operators_pb2_grpc.ChangesAsyncStub = operators_pb2_grpc.ChangesStub(
            self.channel
        )
        self.drafts: operators_pb2_grpc.DraftsAsyncStub = operators_pb2_grpc.DraftsStub(
            self.channel
        )
        self.monitoring: operators_pb2_grpc.MonitoringAsyncStub = operators_pb2_grpc.MonitoringStub(
            self.channel
        )
        self.queue: operators_pb2_grpc.QueueAsyncStub = operators_pb2_grpc.QueueStub(self.channel)
        self.agents: agents_pb2_grpc.AgentsAsyncStub = agents_pb2_grpc.AgentsStub(self.channel)

    async def plan(self, *edits: fleet_pb2.Edit, cluster: str = "") -> fleet_pb2.Plan:
        return await self.changes.MakePlan(operators_pb2.PlanRequest(cluster=cluster, edits=edits))

    async def commit_as_planned(
        self,
        plan: fleet_pb2.Plan,
        *edits: fleet_pb2.Edit,
        cluster: str = "",
        comment: str = "",
        request_id: str = "",
    ) -> operators_pb2.CommitResponse:
        return await self.changes.MakeCommit(
            operators_pb2.CommitRequest(
                cluster=cluster,
                edits=edits,
                fingerprint=plan.fingerprint,
                comment=comment,
                request_id=request_id or f"test-{next(_numbers)}",
            )
        )

    async def commit(self, *edits: fleet_pb2.Edit, cluster: str = "", comment: str = "") -> int:
        """Plan and commit; the new revision."""
        plan = await self.plan(*edits, cluster=cluster)
        made = await self.commit_as_planned(plan, *edits, cluster=cluster, comment=comment)
        return made.revision

    async def create_cluster(self, name: str) -> None:
        await self.fleet.CreateCluster(
            operators_pb2.CreateClusterRequest(name=name, request_id=f"test-{next(_numbers)}")
        )

    async def enabled(self, machine: str, cluster: str = "") -> bool:
        """Whether `enabled` is in force on a machine."""
        effective = await self.settings.GetEffective(
            operators_pb2.GetEffectiveRequest(machine=machine, cluster=cluster)
        )
        return effective.settings.enabled

    async def own(self, kind: str, name: str, cluster: str = "") -> bool | None:
        """What a level stores of `enabled`; None if it is absent there."""
        request = operators_pb2.GetLevelRequest(level=level(kind, name, cluster))
        found = await self.settings.GetLevel(request)
        return found.settings.enabled if found.settings.HasField("enabled") else None


@contextlib.asynccontextmanager
async def connected(
    ports: Ports, authority: Authority, certificate: bytes, key: bytes
) -> AsyncIterator[Api]:
    """Connect with a certificate."""
    channel = client_channel(f"127.0.0.1:{ports.main}", authority.ca_pem, certificate, key)
    try:
        yield Api(channel, ports, authority)
    finally:
        await channel.close()


def of_people(channel: grpc.aio.Channel) -> people_pb2_grpc.PeopleAsyncStub:
    """The calls about people."""
    return people_pb2_grpc.PeopleStub(channel)


async def logged_in(api: Api, name: str, password: str) -> str:
    """Log in at the operator port; the session's secret."""
    address = f"127.0.0.1:{api.ports.operators}"
    async with client_channel(address, api.authority.ca_pem) as channel:
        stub: people_pb2_grpc.LoginAsyncStub = people_pb2_grpc.LoginStub(channel)
        return (await stub.LogIn(people_pb2.LogInRequest(name=name, password=password))).secret


@contextlib.asynccontextmanager
async def manager(folder: Path, **given: object) -> AsyncIterator[Api]:
    """Run a manager and connect to it as the operator ana; sets the folder up if it is new."""
    options = options_for(folder, **given)
    if not (folder / CA_FOLDER).exists():
        set_up(options, {}, "ana")
    authority = Authority.load(folder / CA_FOLDER)
    async with served(options) as ports:
        bundle = folder / "operator"
        certificate = (bundle / "operator.pem").read_bytes()
        key = (bundle / "operator.key").read_bytes()
        async with connected(ports, authority, certificate, key) as api:
            yield api


@contextlib.asynccontextmanager
async def refused(code: grpc.StatusCode, *words: str) -> AsyncIterator[None]:
    """The body's call must end with this status, and with these words in its sentence."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        yield
    assert caught.value.code() is code, caught.value
    details = caught.value.details() or ""
    for word in words:
        assert word in details


def key_and_request() -> tuple[bytes, bytes]:
    """A new key and its certificate request, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, request.sign(key, hashes.SHA256()).public_bytes(pem)


async def enrolled(api: Api, machine: str, token: str = "") -> Certificate:
    """Enrol a machine, with a new token if there is none."""
    if not token:
        request = operators_pb2.CreateJoinTokenRequest(machine=machine)
        token = (await api.fleet.CreateJoinToken(request)).token
    key, csr = key_and_request()
    address = f"127.0.0.1:{api.ports.enrol}"
    async with client_channel(address, api.authority.ca_pem) as channel:
        stub: agents_pb2_grpc.EnrolmentAsyncStub = agents_pb2_grpc.EnrolmentStub(channel)
        answer = await stub.Enrol(agents_pb2.EnrolRequest(token=token, csr_pem=csr.decode()))
    return answer.certificate_pem.encode(), key
