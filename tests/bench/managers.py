"""Managers for the manager's benchmarks: a program with an etcd of its own, and its fleet."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path

import grpc.aio
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.values import Operation, Put
from tdc.manager.identity.authority import Authority
from tdc.manager.rpc.server import Ports
from tdc.manager.store.joins import ValidEnrolment, pack_enrolment
from tdc.manager.store.keys import enrolment_key
from tdc.v1 import operators_pb2

from tests.fakes.etcd import ExternalEtcd, external_etcd
from tests.stage.manager import Api, add_group, add_machine, connected, put
from tests.stage.programs import BIN, Program

CLUSTER = "bench"
_A_TRANSACTION = 100
"""Enrolments written at once; etcd takes 128 operations."""
_A_COMMIT = 2_000
"""Machines created at once."""
_A_GROUP = 100
"""Machines in a group."""
_OVERRIDES = 10
"""Each so manieth machine has a setting of its own."""


@dataclass
class Managed:
    """A manager that runs, an operator's connection to it, and its folder."""

    folder: Path
    program: Program
    etcd: ExternalEtcd
    authority: Authority
    api: Api

    @property
    def port(self) -> int:
        """Where agents and operators connect."""
        return int(self.program.ports["main"])

    @property
    def ca_folder(self) -> Path:
        """Where the CA's files are."""
        return self.folder / "manager/ca"


@contextlib.asynccontextmanager
async def managed(folder: Path, *flags: str) -> AsyncIterator[Managed]:
    """Run a manager with an etcd of its own, and further flags, until the body ends."""
    folder.mkdir(parents=True)
    async with external_etcd(folder / "etcd") as etcd, contextlib.AsyncExitStack() as closing:
        program = await _started(folder, etcd, flags)
        closing.push_async_callback(program.stop)
        authority = Authority.load(folder / "manager/ca")
        ports = Ports(program.ports["main"], program.ports["enrol"])
        ana = authority.issue_operator("ana")
        connecting = connected(ports, authority, ana.certificate_pem, ana.key_pem)
        api = await closing.enter_async_context(connecting)
        yield Managed(folder, program, etcd, authority, api)


async def _started(folder: Path, etcd: ExternalEtcd, flags: Iterable[str]) -> Program:
    data, ports = folder / "manager", folder / "manager/ports.json"
    program = str(BIN / "tdc-manager")
    made = await asyncio.create_subprocess_exec(
        *(program, "init", "--folder", str(data), "--listen-port", "0", "--enrol-port", "0"),
        stdout=subprocess.DEVNULL,
    )
    assert await made.wait() == 0
    endpoints = ("--etcd-endpoints", ",".join(etcd.options.endpoints))
    manager = Program(
        [program, "run", "--folder", str(data), "--ports-file", str(ports), *endpoints, *flags],
        log=folder / "manager.log",
        ports_file=ports,
    )
    await manager.start()
    return manager


def machine_name(number: int) -> str:
    """The name of a machine, the first of which is number 0."""
    return f"mx{number:05}"


def machine_names(machines: int) -> list[str]:
    """The machines of a fleet of this size."""
    return [machine_name(number) for number in range(machines)]


async def fill(managed: Managed, machines: int) -> int:
    """Make a cluster that copies, with machines in groups; return its revision.

    Each tenth machine has a setting of its own.
    """
    api, names = managed.api, machine_names(machines)
    groups = [f"group{number:03}" for number in range(-(-machines // _A_GROUP))]
    await api.create_cluster(CLUSTER)
    settings = put("cluster", CLUSTER, enabled=True, intake_address="j@intake.example")
    await api.commit(settings, *map(add_group, groups))
    for first in range(0, machines, _A_COMMIT):
        some = range(first, min(machines, first + _A_COMMIT))
        await api.commit(
            *(add_machine(names[each], groups[each // _A_GROUP]) for each in some),
            cluster=CLUSTER,
        )
    own = names[::_OVERRIDES]
    return await api.commit(
        *(put("machine", name, max_message_size=1_000_000) for name in own), cluster=CLUSTER
    )


async def enrol(managed: Managed, machines: int) -> None:
    """Put an enrolment of each machine into the store; its id is `enrolment_of` its name."""
    now = time.time()
    writes: list[Operation] = [
        Put(key, pack_enrolment(key, ValidEnrolment(enrolment_of(name), now, number=1, born=born)))
        for name, born in _born(machines)
        for key in (enrolment_key(CLUSTER, name),)
    ]
    async with EtcdClient(managed.etcd.options) as client:
        for first in range(0, len(writes), _A_TRANSACTION):
            await client.txn([], writes[first : first + _A_TRANSACTION])


def enrolment_of(machine: str) -> str:
    """The id of the enrolment that `enrol` gives a machine."""
    return f"e-{machine}"


def _born(machines: int) -> list[tuple[str, int]]:
    """Machines with the revision that created each: the commits of `fill`, in their order."""
    return [(name, 3 + number // _A_COMMIT) for number, name in enumerate(machine_names(machines))]


def memory(pid: int) -> float:
    """Return a process's resident memory, MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return float(status.split("VmRSS:")[1].split()[0]) / 1024


async def all_in_sync(managed: Managed, machines: int, timeout: float = 120) -> None:
    """Return once the manager says so of all machines; raises TimeoutError."""
    async with asyncio.timeout(timeout):
        while await in_sync(managed) < machines:
            await asyncio.sleep(0.2)


async def in_sync(managed: Managed) -> int:
    """How many machines are in sync, as the manager says; 0 while it does not answer."""
    try:
        asked = operators_pb2.StatusRequest(limit=1)
        status = await managed.api.monitoring.GetStatus(asked)
    except grpc.aio.AioRpcError:
        return 0
    return status.by_state["in sync"]
