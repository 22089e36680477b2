"""Several managers over one etcd, each a program of its own, and agents that know some of them."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import grpc.aio
from tdc.manager.identity.authority import Authority
from tdc.manager.rpc.server import Ports
from tdc.node_agent.sync.enrol import enrol
from tdc.v1 import managers_pb2, managers_pb2_grpc, operators_pb2

from tests.fakes.etcd import ExternalEtcd, external_etcd
from tests.stage.manager import Api, add_machine, connected, put
from tests.stage.programs import BIN, Program
from tests.stage.settings_stream import AgentSide, agent

QUICK = (
    *("--status-interval", "0.5", "--ping-interval", "0.5", "--deadline", "3"),
    *("--listen-port", "0", "--enrol-port", "0"),
)


@dataclass
class OneManager:
    """A manager's program, its folder, and an operator's connection to it once it serves."""

    name: str
    folder: Path
    program: Program
    authority: Authority
    api: Api = field(init=False)

    @property
    def address(self) -> str:
        """Where agents and operators connect."""
        return f"127.0.0.1:{self.program.ports['main']}"

    @property
    def enrol_address(self) -> str:
        return f"127.0.0.1:{self.program.ports['enrol']}"

    @property
    def managers(self) -> managers_pb2_grpc.ManagersAsyncStub:
        return managers_pb2_grpc.ManagersStub(self.api.channel)

    async def listed(self) -> dict[str, managers_pb2.Manager]:
        """What `tdc manager list` asks for, by name."""
        answer = await self.managers.ListManagers(managers_pb2.ListManagersRequest())
        return {each.name: each for each in answer.managers}

    async def status(self, machine: str = "") -> operators_pb2.StatusResponse:
        return await self.api.monitoring.GetStatus(operators_pb2.StatusRequest(machine=machine))

    async def states(self) -> dict[str, str]:
        return {each.name: each.state for each in (await self.status()).machines}


@dataclass
class Several:
    """Managers of one store, by name."""

    folder: Path
    etcd: ExternalEtcd
    managers: dict[str, OneManager] = field(default_factory=dict)
    closing: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    def __getitem__(self, name: str) -> OneManager:
        return self.managers[name]

    async def add(self, name: str, *flags: str) -> OneManager:
        """Start one more; the first makes the CA, the others are set up from a package of it."""
        folder = self.folder / name
        first = next(iter(self.managers.values()), None)
        endpoints = ",".join(self.etcd.options.endpoints)
        if first is None:
            await tdc_manager("init", "--folder", str(folder), "--etcd-endpoints", endpoints)
        else:
            await joined(first.folder, folder)
        return await self.run(name, *flags)

    async def run(self, name: str, *flags: str, etcd: str = "") -> OneManager:
        """Start a manager in its folder, which is set up; `etcd` is where it finds etcd."""
        folder = self.folder / name
        endpoints = etcd or ",".join(self.etcd.options.endpoints)
        ports = folder / "ports.json"
        program = Program(
            [
                *(str(BIN / "tdc-manager"), "run", "--folder", str(folder), "--name", name),
                *("--etcd-endpoints", endpoints, "--ports-file", str(ports), *QUICK, *flags),
            ],
            log=self.folder / f"{name}.log",
            ports_file=ports,
        )
        self.closing.push_async_callback(program.kill)
        await program.start()
        made = OneManager(name, folder, program, Authority.load(folder / "ca"))
        await self._connect(made)
        self.managers[name] = made
        return made

    async def again(self, name: str) -> None:
        """Start a manager that has ended, in its folder."""
        one = self.managers[name]
        await one.program.start()
        await self._connect(one)

    async def _connect(self, one: OneManager) -> None:
        ports = Ports(one.program.ports["main"], one.program.ports["enrol"])
        issued = one.authority.issue_operator("ana")
        one.api = await self.closing.enter_async_context(
            connected(ports, one.authority, issued.certificate_pem, issued.key_pem)
        )

    async def fleet(self, *machines: str) -> None:
        """A cluster with these machines, which copies."""
        first = next(iter(self.managers.values()))
        await first.api.create_cluster("c1")
        edits = [add_machine(name, "Main_Group") for name in machines]
        copies = put("cluster", "c1", enabled=True, intake_address="journal@intake.example")
        await first.api.commit(*edits, copies)

    async def enrolled(self, machine: str) -> Path:
        """Enrol a machine with a manager; returns its folder."""
        first = next(iter(self.managers.values()))
        request = operators_pb2.CreateJoinTokenRequest(machine=machine)
        token = (await first.api.fleet.CreateJoinToken(request)).token
        folder = self.folder / "machines" / machine
        folder.mkdir(parents=True)
        await enrol(first.enrol_address, token, folder / "identity", folder)
        return folder

    async def machine(self, name: str, *managers: str, learns: bool = True) -> AgentSide:
        """Enrol a machine and run its agent, which knows these managers, and `learns` of others."""
        folder = await self.enrolled(name)
        addresses = [self.managers[each].address for each in managers]
        return await self.closing.enter_async_context(agent(folder, *addresses, learns=learns))


@contextlib.asynccontextmanager
async def several(folder: Path, *names: str) -> AsyncIterator[Several]:
    """An etcd and a manager of each name; all of it ends with the body."""
    async with external_etcd(folder / "etcd") as etcd, contextlib.AsyncExitStack() as closing:
        made = Several(folder, etcd, closing=closing)
        for name in names:
            await made.add(name)
        yield made


async def joined(first: Path, folder: Path, *flags: str) -> None:
    """Set up a folder as an operator does: a package made at the first, opened here."""
    package = first.parent / f"{folder.name}.package"
    printed = await tdc_manager("package", "--folder", str(first), "--out", str(package))
    secret = package.with_suffix(".passphrase")
    secret.write_text(printed.splitlines()[1])
    opening = ("--join", str(package), "--passphrase-file", str(secret))
    await tdc_manager("init", "--folder", str(folder), *opening, *flags)


async def tdc_manager(*arguments: str, expect: int = 0) -> str:
    """Run a verb of `tdc-manager` that ends; return what it printed."""
    done = await asyncio.to_thread(
        subprocess.run,
        [str(BIN / "tdc-manager"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == expect, f"{arguments}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


async def holds(ask: Callable[[], Awaitable[bool]], *, timeout: float = 10) -> None:
    """Wait until `ask` says so."""
    async with asyncio.timeout(timeout):
        while True:
            with contextlib.suppress(grpc.aio.AioRpcError):
                if await ask():
                    return
            await asyncio.sleep(0.05)
