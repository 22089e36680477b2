"""A real etcd of a test's own, outside the manager: loopback TCP, with TLS and login if wanted."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import trustme
from tdc.manager.etcd.channel import EtcdOptions
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.errors import EtcdError, EtcdRefused, Reason
from tdc.manager.etcd.program import find_program
from tdc.manager.etcd.stubs.auth_pb2 import Permission
from tdc.manager.etcd.stubs.rpc_pb2 import (
    AuthEnableRequest,
    AuthenticateRequest,
    AuthRoleAddRequest,
    AuthRoleGrantPermissionRequest,
    AuthUserAddRequest,
    AuthUserGrantRoleRequest,
)
from tdc.manager.etcd.stubs.rpc_pb2_grpc import AuthStub
from tdc.manager.etcd.values import Put

from tests.fakes.listening import free_port
from tests.stage.freezing import freeze, thaw

if TYPE_CHECKING:
    from tdc.manager.etcd.stubs.rpc_pb2_grpc import AuthAsyncStub

USER, PASSWORD = "manager", "correct horse"

FULL_QUOTA = 2 * 1024 * 1024
"""Bytes that the database of a `full_etcd` may take."""


@dataclass
class ExternalEtcd:
    """A running etcd. `options` reach it; processes of it are ended with the context."""

    folder: Path
    options: EtcdOptions
    arguments: list[str]
    process: asyncio.subprocess.Process | None = None
    log: list[str] = field(default_factory=list)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def pause(self) -> None:
        """Freeze it (SIGSTOP): connections stay open and nothing is answered."""
        freeze(self.pid)

    def resume(self) -> None:
        thaw(self.pid)

    async def start(self, *, served: bool = True) -> None:
        """Start it; `served`: and wait until it answers, which takes a majority of members."""
        with (self.folder / "etcd.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.arguments, cwd=self.folder, stdout=log, stderr=log
            )
        if served:
            await wait_until_serving(replace(self.options, user=None, password=None))

    async def stop(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    async def restart(self) -> None:
        """Kill it and start it on the same data."""
        await self.stop()
        await self.start()


async def wait_until_serving(options: EtcdOptions) -> None:
    """Return when it answers; a refusal (login wanted) is an answer too."""
    async with asyncio.timeout(20):
        async with EtcdClient(replace(options, timeout=1.0)) as etcd:
            while True:
                try:
                    await etcd.get("/tdc/")
                except EtcdRefused:
                    return
                except EtcdError:
                    await asyncio.sleep(0.02)
                else:
                    return


async def answering(etcd: EtcdClient) -> None:
    """Return when it answers again: members elect a leader some time after they are back."""
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(EtcdError):
                await etcd.get("/tdc/")
                return
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def external_etcd(
    folder: Path, *, tls: bool = False, login: bool = False, arguments: Sequence[str] = ()
) -> AsyncIterator[ExternalEtcd]:
    """Run an etcd on a port chosen by the system.

    `tls`: TLS with a client certificate required. `login`: authentication enabled, tokens of one
    second, and the user `USER` with readwrite on /tdc/ alone.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    program = await find_program(None)
    port = free_port()
    url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    options = EtcdOptions(endpoints=(url,))
    command = [
        str(program.path),
        "--name=test",
        "--data-dir=data",
        f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}",
        "--listen-peer-urls=unix://localhost:2",
        "--initial-advertise-peer-urls=unix://localhost:2",
        "--initial-cluster=test=unix://localhost:2",
        "--logger=zap",
        "--log-level=warn",
        "--auth-token-ttl=1",
        "--bcrypt-cost=4",
        *arguments,
    ]
    if tls:
        options = _with_tls(folder, options)
        command += [
            "--cert-file=server.pem",
            "--key-file=server.pem",
            "--client-cert-auth",
            "--trusted-ca-file=ca.pem",
        ]
    etcd = ExternalEtcd(folder, options, command)
    try:
        await etcd.start()
        if login:
            async with administering(etcd) as auth:
                await _enable_login(auth)
            etcd.options = replace(options, user=USER, password=PASSWORD, prefix="/tdc/")
        yield etcd
    finally:
        await etcd.stop()


@contextlib.asynccontextmanager
async def full_etcd(folder: Path) -> AsyncIterator[EtcdClient]:
    """Run an etcd that has reached its quota: it accepts no more writes (NOSPACE)."""
    arguments = (f"--quota-backend-bytes={FULL_QUOTA}",)
    async with (
        external_etcd(folder, arguments=arguments) as etcd,
        EtcdClient(replace(etcd.options, quota=FULL_QUOTA)) as client,
    ):
        await fill(client)
        yield client


async def fill(client: EtcdClient) -> None:
    """Write until etcd has reached its quota."""
    try:
        for _ in range(200):  # etcd looks at its size some time after a write
            await client.txn([], [Put("/tdc/t/big", os.urandom(400_000))])
    except EtcdRefused as error:
        if error.reason is Reason.NO_SPACE:
            return
        raise
    raise AssertionError("etcd took all of it")


def of_all(members: list[ExternalEtcd]) -> EtcdOptions:
    """Options that reach all members of an etcd, the first one first."""
    return EtcdOptions(tuple(each.options.endpoints[0] for each in members), timeout=3.0)


@contextlib.asynccontextmanager
async def etcd_cluster(folder: Path, members: int = 3) -> AsyncIterator[list[ExternalEtcd]]:
    """Run one etcd of several members; the options of each reach that member alone."""
    program = await find_program(None)
    ports = [(free_port(), free_port()) for _ in range(members)]
    initial = ",".join(
        f"m{number}=http://127.0.0.1:{peer}" for number, (_, peer) in enumerate(ports)
    )
    running: list[ExternalEtcd] = []
    for number, (port, peer) in enumerate(ports):
        home = folder / f"m{number}"
        home.mkdir(parents=True, mode=0o700)
        url, peer_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer}"
        command = [
            str(program.path),
            f"--name=m{number}",
            "--data-dir=data",
            f"--listen-client-urls={url}",
            f"--advertise-client-urls={url}",
            f"--listen-peer-urls={peer_url}",
            f"--initial-advertise-peer-urls={peer_url}",
            f"--initial-cluster={initial}",
            "--logger=zap",
            "--log-level=warn",
        ]
        running.append(ExternalEtcd(home, EtcdOptions((url,)), command))
    try:
        async with asyncio.TaskGroup() as group:
            for member in running:
                group.create_task(member.start())
        yield running
    finally:
        for member in running:
            await member.stop()


def _with_tls(folder: Path, options: EtcdOptions) -> EtcdOptions:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
        folder / "server.pem"
    )
    client = authority.issue_cert("manager.example.com")
    client.private_key_pem.write_to_path(folder / "client.key")
    client.cert_chain_pems[0].write_to_path(folder / "client.crt")
    return replace(
        options,
        ca_file=folder / "ca.pem",
        cert_file=folder / "client.crt",
        key_file=folder / "client.key",
    )


@contextlib.asynccontextmanager
async def administering(etcd: ExternalEtcd) -> AsyncIterator[AuthAsyncStub]:
    """Yield what an etcd's administrator calls."""
    target = etcd.options.endpoints[0].partition("://")[2]
    options = etcd.options
    if options.ca_file is None:
        channel = grpc.aio.insecure_channel(target)
    else:
        assert options.cert_file is not None
        assert options.key_file is not None
        files = (options.ca_file, options.key_file, options.cert_file)
        credentials = grpc.ssl_channel_credentials(*(each.read_bytes() for each in files))
        channel = grpc.aio.secure_channel(target, credentials)
    async with channel:
        stub: AuthAsyncStub = AuthStub(channel)
        yield stub


async def as_root(auth: AuthAsyncStub) -> tuple[tuple[str, str], ...]:
    """The metadata of a call by root, where authentication is enabled."""
    answer = await auth.Authenticate(AuthenticateRequest(name="root", password="root"))
    return (("token", answer.token),)


async def _enable_login(auth: AuthAsyncStub) -> None:
    await auth.UserAdd(AuthUserAddRequest(name="root", password="root"))
    await auth.UserGrantRole(AuthUserGrantRoleRequest(user="root", role="root"))
    await auth.UserAdd(AuthUserAddRequest(name=USER, password=PASSWORD))
    await auth.RoleAdd(AuthRoleAddRequest(name="tdc"))
    permission = Permission(permType=Permission.READWRITE, key=b"/tdc/", range_end=b"/tdc0")
    await auth.RoleGrantPermission(AuthRoleGrantPermissionRequest(name="tdc", perm=permission))
    await auth.UserGrantRole(AuthUserGrantRoleRequest(user=USER, role="tdc"))
    await auth.AuthEnable(AuthEnableRequest())
