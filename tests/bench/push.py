"""From a commit to the last agent's *applied*, against a bare broadcast of the same bytes.

A manager with an etcd of its own, and a bare grpc.aio server, each in a process; here the agents:
one mutual-TLS connection and one stream each, to both servers. Every round commits a change of the
cluster that all machines inherit, and broadcasts the very bytes that the first agent was sent.
Clocks start before the call that commits (broadcasts) and stop when the last agent has said
"applied". Rounds are interleaved. Then the manager is killed: how long until all are in sync again.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.values import Operation, Put
from tdc.manager.identity.authority import Authority
from tdc.manager.rpc.server import Ports
from tdc.manager.store.joins import ValidEnrolment, pack_enrolment
from tdc.manager.store.keys import enrolment_key
from tdc.node_agent.sync.identity import new_key, request_for
from tdc.shared.edge.clock import chance
from tdc.shared.edge.grpc_tls import client_channel
from tdc.shared.edge.tasks import running
from tdc.v1 import agents_pb2, agents_pb2_grpc, operators_pb2

from tests.bench.broadcast import SERVICE
from tests.fakes.etcd import ExternalEtcd, external_etcd
from tests.stage.manager import Api, add_machine, connected, put
from tests.stage.programs import BIN, Program

BareSession = grpc.aio.StreamStreamMultiCallable[bytes, bytes]
BareBroadcast = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]

CLUSTER = "bench"
_A_TRANSACTION = 100  # operations; etcd takes 128


class Settled:
    """Counts how many agents have applied the content of a hash; one waits for all of them."""

    def __init__(self, agents: int) -> None:
        self._agents = agents
        self.runs: dict[int, str] = {}
        self.sent = b""
        self._done = asyncio.Event()
        self._wanted = ""
        self._count = 0
        self.at = 0.0

    def expect(self) -> None:
        """Begin a round: every agent has to apply once more."""
        self._count = 0
        self._done.clear()

    def applied(self, number: int, content_hash: str, message: bytes) -> None:
        self.runs[number] = content_hash
        self.sent = message
        self._count += 1
        if self._count == self._agents:
            self.at = time.monotonic()
            self._done.set()

    async def all(self) -> float:
        """Return when the last one applied."""
        async with asyncio.timeout(30):
            await self._done.wait()
        return self.at


@dataclass(frozen=True)
class Identity:
    """A machine's certificate and key."""

    certificate: bytes
    key: bytes


async def _agent(number: int, port: int, ca: bytes, who: Identity, settled: Settled) -> None:
    """Be one machine: apply what is wanted, at once; come back when the manager was away."""
    while True:
        async with client_channel(f"127.0.0.1:{port}", ca, who.certificate, who.key) as channel:
            with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                await _session(number, agents_pb2_grpc.AgentsStub(channel), settled)
        await asyncio.sleep(0.2 + 2.8 * chance())


async def _session(number: int, stub: agents_pb2_grpc.AgentsAsyncStub, settled: Settled) -> None:
    call = stub.Session()
    runs = agents_pb2.Running(revision=1, hash=settled.runs.get(number, ""), store_id="")
    hello = agents_pb2.Hello(agent_version="bench", protocol=1, running=runs)
    await call.write(agents_pb2.AgentMessage(hello=hello))
    while isinstance(message := await call.read(), agents_pb2.ManagerMessage):
        if message.HasField("wanted"):
            wanted = message.wanted
            outcome = agents_pb2.Outcome(revision=wanted.revision, hash=wanted.hash, applied=True)
            await call.write(agents_pb2.AgentMessage(outcome=outcome))
            settled.applied(number, wanted.hash, message.SerializeToString())
        elif message.HasField("ping"):
            pong = agents_pb2.Pong(number=message.ping.number)
            await call.write(agents_pb2.AgentMessage(pong=pong))


async def _bare_agent(
    port: int, ca: bytes, who: Identity, registered: Settled, settled: Settled
) -> None:
    """Be one stream of the bare server: answer whatever comes with an outcome's bytes."""
    outcome = agents_pb2.Outcome(revision=1, hash="0" * 64, applied=True)
    answer = agents_pb2.AgentMessage(outcome=outcome).SerializeToString()
    async with client_channel(f"127.0.0.1:{port}", ca, who.certificate, who.key) as channel:
        session: BareSession = channel.stream_stream(f"/{SERVICE}/Session")
        call = session()
        await call.write(b"hello")
        await call.read()
        registered.applied(0, "", b"")
        while isinstance(await call.read(), bytes):
            await call.write(answer)
            settled.applied(0, "", b"")


async def _fill(api: Api, etcd: ExternalEtcd, authority: Authority, agents: int) -> list[Identity]:
    """Create the machines and enrol them: real certificates, enrolments put into the store."""
    await api.create_cluster(CLUSTER)
    names = [f"mx{number}" for number in range(agents)]
    revision = await api.commit(*(add_machine(name, "Main_Group") for name in names))
    who, now = [], time.time()
    for name in names:
        key = new_key()
        certificate = authority.issue_machine(request_for(key), CLUSTER, name, f"e-{name}")
        who.append(Identity(certificate, key))
    async with EtcdClient(etcd.options) as client:
        for first in range(0, agents, _A_TRANSACTION):
            writes: list[Operation] = [
                Put(key, pack_enrolment(key, enrolment))
                for name in names[first : first + _A_TRANSACTION]
                for key in (enrolment_key(CLUSTER, name),)
                for enrolment in (ValidEnrolment(f"e-{name}", now, number=1, born=revision),)
            ]
            await client.txn([], writes)
    return who


def _memory(pid: int) -> float:
    """Return a process's resident memory, KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return float(status.split("VmRSS:")[1].split()[0])


async def _all_in_sync(api: Api, agents: int) -> None:
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(grpc.aio.AioRpcError):
                status = await api.monitoring.GetStatus(operators_pb2.StatusRequest())
                if sum(row.state == "in sync" for row in status.machines) == agents:
                    return
            await asyncio.sleep(0.1)


async def _commit(api: Api, settled: Settled, value: int) -> float:
    """Return the seconds from an operator's commit until the last agent applied it."""
    edit = put("cluster", CLUSTER, retry__initial=value)
    plan = await api.plan(edit)
    settled.expect()
    began = time.monotonic()
    await api.commit_as_planned(plan, edit)
    return await settled.all() - began


async def _broadcast(channel: grpc.aio.Channel, settled: Settled, payload: bytes) -> float:
    settled.expect()
    began = time.monotonic()
    broadcast: BareBroadcast = channel.unary_unary(f"/{SERVICE}/Broadcast")
    await broadcast(payload)
    return await settled.all() - began


@contextlib.asynccontextmanager
async def _bare_server(ca_folder: Path) -> AsyncIterator[tuple[int, int]]:
    """Run the bare server; its port and process id."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.broadcast", str(ca_folder), stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield int(await process.stdout.readline()), process.pid
    finally:
        process.kill()
        await process.wait()


async def _set_up(folder: Path, etcd: ExternalEtcd) -> Program:
    data, ports = folder / "manager", folder / "manager/ports.json"
    program = str(BIN / "tdc-manager")
    made = await asyncio.create_subprocess_exec(
        *(program, "init", "--folder", str(data), "--listen-port", "0", "--enrol-port", "0"),
        stdout=subprocess.DEVNULL,
    )
    assert await made.wait() == 0
    endpoints = ("--etcd-endpoints", ",".join(etcd.options.endpoints))
    manager = Program(
        [program, "run", "--folder", str(data), "--ports-file", str(ports), *endpoints],
        log=folder / "manager.log",
        ports_file=ports,
    )
    await manager.start()
    return manager


async def _bench(agents: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="tdc-bench-") as name:
        folder = Path(name)
        async with external_etcd(folder / "etcd") as etcd, contextlib.AsyncExitStack() as closing:
            manager = await _set_up(folder, etcd)
            closing.push_async_callback(manager.stop)
            authority = Authority.load(folder / "manager/ca")
            ports = Ports(manager.ports["main"], manager.ports["enrol"])
            ana = authority.issue_operator("ana")
            api = await closing.enter_async_context(
                connected(ports, authority, ana.certificate_pem, ana.key_pem)
            )
            who = await _fill(api, etcd, authority, agents)
            print(f"{agents} machines created and enrolled", flush=True)
            await _measure(closing, folder, manager, api, authority, who, rounds)


async def _measure(  # one story, in its order
    closing: contextlib.AsyncExitStack,
    folder: Path,
    manager: Program,
    api: Api,
    authority: Authority,
    who: list[Identity],
    rounds: int,
) -> None:
    agents, ca, port = len(who), authority.ca_pem, int(manager.ports["main"])
    ours, bare, registered = Settled(agents), Settled(agents), Settled(agents)
    before, began = _memory(manager.pid), time.monotonic()
    for number, each in enumerate(who):
        work = _agent(number, port, ca, each, ours)
        await closing.enter_async_context(running(work, name=f"agent {number}"))
        await asyncio.sleep(0)
    await ours.all()
    await _all_in_sync(api, agents)
    grown = (_memory(manager.pid) - before) / agents
    print(f"connected and in sync: {time.monotonic() - began:.1f} s, {grown:.0f} KiB an agent")
    bare_port, bare_pid = await closing.enter_async_context(_bare_server(folder / "manager/ca"))
    bare_before = _memory(bare_pid)
    for number, each in enumerate(who):
        work = _bare_agent(bare_port, ca, each, registered, bare)
        await closing.enter_async_context(running(work, name=f"bare {number}"))
    await registered.all()
    print(f"bare: {(_memory(bare_pid) - bare_before) / agents:.0f} KiB a stream", flush=True)
    channel = await closing.enter_async_context(
        client_channel(f"127.0.0.1:{bare_port}", ca, who[0].certificate, who[0].key)
    )
    commits, broadcasts = [], []
    for number in range(rounds + 1):
        commits.append(await _commit(api, ours, 100 + number))
        broadcasts.append(await _broadcast(channel, bare, ours.sent))
    _print("commit to last applied", commits[1:])
    _print("bare broadcast to last answer", broadcasts[1:])
    await manager.kill()
    began = time.monotonic()
    await manager.start()
    await _all_in_sync(api, agents)
    print(f"manager killed and started: all in sync after {time.monotonic() - began:.1f} s")
    ratio = statistics.median(commits[1:]) / statistics.median(broadcasts[1:])
    print(f"{len(ours.sent)} bytes to {agents} agents; push ratio ours/bare: {ratio:.2f}")


def _print(what: str, seconds: list[float]) -> None:
    shown = [statistics.median(seconds), min(seconds), max(seconds)]
    print("{}: median {:.0f} ms (min {:.0f}, max {:.0f})".format(what, *(1000 * s for s in shown)))


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    asyncio.run(_bench(given.agents, given.rounds))


if __name__ == "__main__":
    main()
