"""`make bench`: our content filter with everything on against Postfix with always_bcc over TLS.

Both get the same load (smtp-source), hand the original to the same plain next hop and the copy to
the same intake over TLS, on this machine. Runs are interleaved; a run ends when both receivers
have every message. Everything is on for ours: durable before the 250, journal reports, verified
TLS, logs, status to a manager with etcd. PERFORMANCE goal: docs/performance.md.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from tests.demo.messages import HOME
from tests.stage.fleet import INTAKE_ADDRESS, INTAKE_DOMAIN, INTAKE_HOST, stage, write_certificate
from tests.system.postfix import PrivatePostfix, private_postfix, smtp_source

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Run:
    """One run: messages a second end to end, and CPU milliseconds of the system a message."""

    rate: float
    cpu_ms: float


@dataclass(frozen=True)
class Peer:
    """A system under test: where it takes mail, and how to read its CPU seconds so far."""

    name: str
    port: int
    cpu_seconds: Callable[[], float]


class Sinks:
    """The receivers' process."""

    def __init__(self, process: asyncio.subprocess.Process, plain: int, intake: int) -> None:
        self._process = process
        self.plain, self.intake = plain, intake

    async def wait(self, count: int) -> float:
        """Return the time at which both had `count` messages more; raises RuntimeError."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"wait {count}\n".encode())
        answer = (await self._process.stdout.readline()).split()
        if answer[0] != b"done":
            raise RuntimeError(f"messages are missing: {answer}")
        return float(answer[1])


@contextlib.asynccontextmanager
async def _sinks(chain: Path, key: Path) -> AsyncIterator[Sinks]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.bench.sinks",
        str(chain),
        str(key),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        plain, intake = map(int, (await process.stdout.readline()).split())
        yield Sinks(process, plain, intake)
    finally:
        process.terminate()
        await process.wait()


def _postfix_settings(sinks: Sinks) -> tuple[str, str]:
    main = (
        f"always_bcc = {INTAKE_ADDRESS}\n"
        f"relay_transport = smtp:[127.0.0.1]:{sinks.plain}\n"
        f"relay_domains = {HOME}, {INTAKE_DOMAIN}\n"
        f"transport_maps = inline:{{ {INTAKE_DOMAIN}=copies:[127.0.0.1]:{sinks.intake} }}\n"
        "smtp_tls_session_cache_database = btree:${data_directory}/smtp_scache\n"
    )
    master = "copies unix - - n - - smtp\n    -o smtp_tls_security_level=encrypt\n"
    return main, master


async def _run(peer: Peer, sinks: Sinks, options: argparse.Namespace, messages: int) -> Run:
    cpu, began = peer.cpu_seconds(), time.monotonic()
    await smtp_source(
        peer.port,
        messages=messages,
        size=options.size,
        connections=options.connections,
        reuse=options.reuse,
    )
    ended = await sinks.wait(messages)
    spent = peer.cpu_seconds() - cpu
    return Run(messages / (ended - began), 1_000 * spent / messages)


def _process_cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / _TICKS


def _peak_rss(pid: int) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    return f"{peak / 1024:.0f} MB"


def _show(name: str, runs: list[Run], *, digits: int = 0) -> None:
    rates, cpus = [run.rate for run in runs], [run.cpu_ms for run in runs]
    print(
        f"{name:28} {statistics.median(rates):8.{digits}f} msg/s "
        f"({min(rates):.{digits}f} to {max(rates):.{digits}f})   "
        f"{statistics.median(cpus):.2f} ms CPU a message ({min(cpus):.2f} to {max(cpus):.2f})"
    )


async def _bench(options: argparse.Namespace, folder: Path) -> None:
    async with stage(folder) as fleet:
        chain, key = write_certificate(
            fleet.authority, folder / "bench", INTAKE_HOST, INTAKE_DOMAIN
        )
        async with _sinks(chain, key) as sinks:
            await fleet.tdc("cluster", "create", "demo")
            await fleet.tdc(
                "settings",
                "set",
                "cluster",
                "demo",
                "enabled=true",
                f"intake_address={INTAKE_ADDRESS}",
                f"incoming_domains={HOME}",
                "--yes",
            )
            gateway = await fleet.add_gateway(
                "mx1", group="Main_Group", next_hop_port=sinks.plain, intake_port=sinks.intake
            )
            await fleet.in_sync()
            main, master = _postfix_settings(sinks)
            with private_postfix(main=main, master=master) as postfix:
                ours = Peer("ours", gateway.port, lambda: _process_cpu(gateway.agent.pid))
                theirs = Peer("postfix", postfix.port, postfix.cpu_seconds)
                await _compare(ours, theirs, sinks, options, postfix)
                print(f"peak RSS of our agent: {_peak_rss(gateway.agent.pid)}")
                _conclude()


_RUNS: dict[str, list[Run]] = {"ours": [], "postfix": []}


async def _compare(
    ours: Peer, theirs: Peer, sinks: Sinks, options: argparse.Namespace, postfix: PrivatePostfix
) -> None:
    kept = "each kept for many messages" if options.reuse else "each for one message"
    print(
        f"Python {platform.python_version()}, Postfix {postfix.version()}, {os.cpu_count()} cores; "
        f"{options.messages} messages of {options.size} bytes a run, {options.connections} "
        f"connections at a time, {kept}; {options.runs} runs each, interleaved"
    )
    for peer in (ours, theirs):
        await _run(peer, sinks, options, max(200, options.messages // 5))  # warm-up, not counted
    for number in range(options.runs):
        for peer in (ours, theirs):
            run = await _run(peer, sinks, options, options.messages)
            _RUNS[peer.name].append(run)
            print(f"run {number + 1} {peer.name:8} {run.rate:8.0f} msg/s", flush=True)
    _show("ours (filter + journal)", _RUNS["ours"])
    _show("postfix (relay + always_bcc)", _RUNS["postfix"])


def _conclude() -> None:
    pairs = list(zip(_RUNS["ours"], _RUNS["postfix"], strict=True))
    cpu = statistics.median(ours.cpu_ms / theirs.cpu_ms for ours, theirs in pairs)
    rate = statistics.median(ours.rate / theirs.rate for ours, theirs in pairs)
    print(f"CPU ratio ours/postfix: {cpu:.2f}")
    print(f"throughput ratio ours/postfix: {rate:.2f}")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--messages", type=int, default=2_000)
    parser.add_argument("--size", type=int, default=10_240)
    parser.add_argument("--connections", type=int, default=20)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument(
        "--reuse",
        action="store_true",
        help="keep each connection for many messages, as an MTA hands over under load;"
        " without it each message has a connection of its own",
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tdc-bench-") as folder:
        asyncio.run(_bench(options, Path(folder)))


if __name__ == "__main__":
    main()
