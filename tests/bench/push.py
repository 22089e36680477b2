"""From a commit to the last agent's *applied*, against a bare broadcast of the same bytes.

A manager with an etcd of its own, and a bare grpc.aio server, each in a process; the machines of
both in several more (`agents`): one mutual-TLS connection and one stream each, and each makes what
it is sent durable before it answers. Every round commits a change of the cluster that all machines
inherit, and broadcasts the very bytes that the first agent was sent. Clocks start before the call
that commits (broadcasts) and stop when the last agent has said "applied". Rounds are interleaved.
Then the manager is killed: how long until all are in sync again.
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
from pathlib import Path

import grpc
import grpc.aio
from tdc.manager.identity.authority import Authority
from tdc.shared.edge.grpc_tls import client_channel

from tests.bench.agents import Machines, machines
from tests.bench.broadcast import SERVICE
from tests.bench.managers import CLUSTER, Managed, all_in_sync, enrol, fill, managed, memory
from tests.stage.manager import put

_CONNECTING = 300.0
"""Seconds for all of them to connect; each handshake costs both sides."""

BareBroadcast = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]


async def push_ratio(folder: Path, agents: int, rounds: int, processes: int) -> float:
    """Print what the rounds took; return the ratio of ours to the bare server's."""
    async with managed(folder / "manager") as manager, contextlib.AsyncExitStack() as closing:
        await fill(manager, agents)
        await enrol(manager, agents)
        print(f"{agents} machines created and enrolled", flush=True)
        ca, before, began = manager.ca_folder, memory(manager.program.pid), time.monotonic()
        ours = await closing.enter_async_context(
            machines(manager.port, ca, folder / "ours", agents, processes)
        )
        await ours.settled(timeout=_CONNECTING)
        await all_in_sync(manager, agents)
        grown = 1024 * (memory(manager.program.pid) - before) / agents
        print(f"connected and in sync: {time.monotonic() - began:.1f} s, {grown:.0f} KiB an agent")
        port, pid = await closing.enter_async_context(_bare_server(ca))
        before = memory(pid)
        bare = await closing.enter_async_context(
            machines(port, ca, folder / "bare", agents, processes, bare=True)
        )
        await bare.settled(timeout=_CONNECTING)
        print(f"bare: {1024 * (memory(pid) - before) / agents:.0f} KiB a stream", flush=True)
        channel = await closing.enter_async_context(_operator(port, manager.authority))
        commits, broadcasts = [], []
        for number in range(rounds + 1):
            commits.append(await _commit(manager, ours, 100 + number))
            broadcasts.append(await _broadcast(channel, bare, ours.sent()))
        _print("commit to last applied", commits[1:])
        _print("bare broadcast to last answer", broadcasts[1:])
        await manager.program.kill()
        began = time.monotonic()
        await manager.program.start()
        await all_in_sync(manager, agents)
        print(f"manager killed and started: all in sync after {time.monotonic() - began:.1f} s")
        ratio = statistics.median(commits[1:]) / statistics.median(broadcasts[1:])
        print(f"{len(ours.sent())} bytes to {agents} agents in {processes} processes")
        return ratio


async def _commit(manager: Managed, ours: Machines, value: int) -> float:
    """Return the seconds from an operator's commit until the last agent applied it."""
    edit = put("cluster", CLUSTER, retry__initial=value)
    plan = await manager.api.plan(edit)
    await ours.expect()
    began = time.monotonic()
    await manager.api.commit_as_planned(plan, edit)
    return await ours.settled() - began


async def _broadcast(channel: grpc.aio.Channel, bare: Machines, payload: bytes) -> float:
    await bare.expect()
    began = time.monotonic()
    broadcast: BareBroadcast = channel.unary_unary(f"/{SERVICE}/Broadcast")
    await broadcast(payload)
    return await bare.settled() - began


@contextlib.asynccontextmanager
async def _operator(port: int, authority: Authority) -> AsyncIterator[grpc.aio.Channel]:
    ana = authority.issue_operator("ana")
    address = f"127.0.0.1:{port}"
    async with client_channel(
        address, authority.ca_pem, ana.certificate_pem, ana.key_pem
    ) as channel:
        yield channel


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


def _print(what: str, seconds: list[float]) -> None:
    shown = [statistics.median(seconds), min(seconds), max(seconds)]
    print("{}: median {:.0f} ms (min {:.0f}, max {:.0f})".format(what, *(1000 * s for s in shown)))


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(prog="make bench-push", description=__doc__)
    parser.add_argument("--agents", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--processes", type=int, default=4)
    given = parser.parse_args()
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    processes = min(given.processes, given.agents)
    with tempfile.TemporaryDirectory(prefix="tdc-bench-") as folder:
        measured = push_ratio(Path(folder), given.agents, given.rounds, processes)
        print(f"push ratio ours/bare: {asyncio.run(measured):.2f}")


if __name__ == "__main__":
    main()
