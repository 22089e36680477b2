"""Simulated machines in a process of their own: connections, streams and disk are real.

Each has a certificate, a mutual-TLS connection and a stream, and makes settings durable with the
agent's own code before it answers "applied". Towards the bare server of `broadcast` they do the
same with the same bytes. The first line of standard input is a `Spec` as JSON; after that each line
"expect" begins a round, answered "expecting"; "settled SECONDS" (the monotonic clock) is printed
once all machines of this process have applied something in the round. A round begins at the start.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import grpc
import grpc.aio
from tdc.manager.identity.authority import Authority
from tdc.node_agent.sync import last_good
from tdc.node_agent.sync.identity import new_key, request_for
from tdc.shared.edge.clock import chance
from tdc.shared.edge.grpc_tls import client_channel
from tdc.shared.sync.values import Running
from tdc.shared.wire.settings import settings_from_wire
from tdc.shared.wire.stream import running_to_wire
from tdc.v1 import agents_pb2, agents_pb2_grpc

from tests.bench.broadcast import SERVICE
from tests.bench.managers import CLUSTER, enrolment_of, machine_name

Call = grpc.aio.StreamStreamCall[agents_pb2.AgentMessage, agents_pb2.ManagerMessage]
BareSession = grpc.aio.StreamStreamMultiCallable[bytes, bytes]

SENT = "sent"
"""The file in a process's folder that has the message which its first machine was sent last."""
_AT_ONCE = 8
"""Connections that one process opens at the same time."""
_WRITERS = 16
"""Threads that write for the machines of a process: their flushes share the disk's commits."""


@dataclass(frozen=True)
class Spec:
    """Which machines of a fleet a process is, by number, of the manager or of the bare server."""

    port: int
    authority: str
    folder: str
    first: int
    after: int
    bare: bool = False


@dataclass
class Round:
    """Counts how many machines have applied since the round began."""

    machines: int
    applied: set[str] = field(default_factory=set)

    def note(self, name: str) -> None:
        """One more has; says so if it was the last."""
        if name in self.applied:
            return
        self.applied.add(name)
        if len(self.applied) == self.machines:
            print("settled", time.monotonic(), flush=True)


class Machine:
    """One machine: what it runs, and where it keeps that."""

    def __init__(self, number: int, spec: Spec, authority: Authority, round_: Round) -> None:
        name = machine_name(number)
        self._name = name
        self._spec = spec
        self._round = round_
        self._folder = Path(spec.folder) / name
        self._running = Running(0, "", "")
        key = new_key()
        self._identity = (
            authority.issue_machine(request_for(key), CLUSTER, name, enrolment_of(name)),
            key,
        )
        self._ca = authority.ca_pem
        self._first = number == spec.first
        self._writing = asyncio.Lock()

    async def run(self, connecting: asyncio.Semaphore, disk: ThreadPoolExecutor) -> None:
        """Be connected, and come back when the server was away."""
        address = f"127.0.0.1:{self._spec.port}"
        while True:
            async with client_channel(address, self._ca, *self._identity) as channel:
                with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                    async with connecting:
                        await channel.channel_ready()
                    await (
                        self._bare(channel, disk) if self._spec.bare else self._ours(channel, disk)
                    )
            await asyncio.sleep(0.2 + 2.8 * chance())

    async def _ours(self, channel: grpc.aio.Channel, disk: ThreadPoolExecutor) -> None:
        stub: agents_pb2_grpc.AgentsAsyncStub = agents_pb2_grpc.AgentsStub(channel)
        call = stub.Session()
        running = running_to_wire(self._running)
        hello = agents_pb2.Hello(agent_version="bench", protocol=1, running=running)
        await call.write(agents_pb2.AgentMessage(hello=hello))
        reporting = None
        try:
            while isinstance(message := await call.read(), agents_pb2.ManagerMessage):
                kind = message.WhichOneof("kind")
                if kind == "welcome":
                    reports = self._report(call, message.welcome.status_interval)
                    reporting = asyncio.get_running_loop().create_task(reports)
                elif kind == "wanted":
                    await self._write(call, await self._apply(message, disk))
                    self._round.note(self._name)
                elif kind == "ping":
                    pong = agents_pb2.Pong(number=message.ping.number)
                    await self._write(call, agents_pb2.AgentMessage(pong=pong))
        finally:
            if reporting is not None:
                reporting.cancel()

    async def _write(self, call: Call, message: agents_pb2.AgentMessage) -> None:
        async with self._writing:  # a call takes one message at a time
            await call.write(message)

    async def _report(self, call: Call, interval: float) -> None:
        """Send a status as an agent does: soon, then in the manager's interval."""
        await asyncio.sleep(interval * chance())
        while True:
            status = agents_pb2.MachineStatus(running=running_to_wire(self._running), copying=True)
            status.counters.originals_passed = status.counters.delivered = 12_345
            status.destinations.add(domain="the.tdc.queue", host_status="up", delivered=12_345)
            with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                await self._write(call, agents_pb2.AgentMessage(status=status))
            await asyncio.sleep(interval)

    async def _bare(self, channel: grpc.aio.Channel, disk: ThreadPoolExecutor) -> None:
        session: BareSession = channel.stream_stream(f"/{SERVICE}/Session")
        call = session()
        await call.write(b"hello")
        await call.read()
        self._round.note(self._name)
        while isinstance(raw := await call.read(), bytes):
            outcome = await self._apply(agents_pb2.ManagerMessage.FromString(raw), disk)
            await call.write(outcome.SerializeToString())
            self._round.note(self._name)

    async def _apply(
        self, message: agents_pb2.ManagerMessage, disk: ThreadPoolExecutor
    ) -> agents_pb2.AgentMessage:
        """Make the settings durable; the answer that they are applied."""
        wanted = message.wanted
        running = Running(wanted.revision, wanted.hash, wanted.store_id, wanted.history)
        settings = settings_from_wire(wanted.settings)
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(disk, last_good.save, self._folder, running, settings)
        self._running = running
        if self._first:
            (Path(self._spec.folder) / SENT).write_bytes(message.SerializeToString())
        outcome = agents_pb2.Outcome(revision=wanted.revision, hash=wanted.hash, applied=True)
        return agents_pb2.AgentMessage(outcome=outcome)


async def _be(spec: Spec) -> None:
    authority = Authority.load(Path(spec.authority))
    round_ = Round(spec.after - spec.first)
    connecting = asyncio.Semaphore(_AT_ONCE)
    with ThreadPoolExecutor(_WRITERS) as disk:
        async with asyncio.TaskGroup() as tasks:
            for number in range(spec.first, spec.after):
                machine = Machine(number, spec, authority, round_)
                tasks.create_task(machine.run(connecting, disk), name=f"machine {number}")
                await asyncio.sleep(0)
            while await asyncio.to_thread(sys.stdin.readline):
                round_.applied.clear()
                print("expecting", flush=True)
            raise SystemExit  # the benchmark has ended


class Machines:
    """Machines in several processes; made by `machines`."""

    def __init__(self, processes: list[asyncio.subprocess.Process], folders: list[Path]) -> None:
        self._processes = processes
        self._folders = folders

    async def expect(self) -> None:
        """Begin a round: every machine has to apply once more."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(b"expect\n")
        await asyncio.gather(*(_line(each, "expecting", 30) for each in self._processes))

    async def settled(self, timeout: float = 60) -> float:
        """When the last one applied, by the monotonic clock; raises TimeoutError."""
        waits = (_line(each, "settled", timeout) for each in self._processes)
        return max(float(line.split()[1]) for line in await asyncio.gather(*waits))

    def sent(self) -> bytes:
        """The message that the first machine was sent last."""
        return (self._folders[0] / SENT).read_bytes()


async def _line(process: asyncio.subprocess.Process, begins: str, timeout: float) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(timeout):
        while line := (await process.stdout.readline()).decode():
            if line.startswith(begins):
                return line
    raise RuntimeError("a process of simulated machines ended")


@contextlib.asynccontextmanager
async def machines(
    port: int, authority: Path, folder: Path, of: int, processes: int, *, bare: bool = False
) -> AsyncIterator[Machines]:
    """Run `of` machines in so many processes until the body ends."""
    started: list[asyncio.subprocess.Process] = []
    folders: list[Path] = []
    try:
        for number in range(processes):
            own = folder / f"machines-{number}"
            own.mkdir(parents=True)
            first, after = of * number // processes, of * (number + 1) // processes
            spec = Spec(port, str(authority), str(own), first, after, bare)
            process = await asyncio.create_subprocess_exec(
                *("setpriv", "--pdeathsig", "TERM"),
                *(sys.executable, "-m", "tests.bench.agents"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            started.append(process)
            folders.append(own)
            assert process.stdin is not None
            process.stdin.write(json.dumps(asdict(spec)).encode() + b"\n")
        yield Machines(started, folders)
    finally:
        await _end(started)


async def _end(processes: Iterable[asyncio.subprocess.Process]) -> None:
    for process in processes:
        if process.returncode is None:
            process.kill()
        await process.wait()


if __name__ == "__main__":
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(_be(Spec(**json.loads(sys.stdin.readline()))))
