"""`make bench-manager`: what a manager costs, as its fleet grows. Ends with one line for each goal.

Starts all that it measures: managers, etcd, simulated machines, the bare peer. Where two things are
compared, their runs are interleaved. The goals are in docs/performance.md.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import resource
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.bench.cli_start import start_ratio
from tests.bench.commits import costs
from tests.bench.many import whole_fleet
from tests.bench.push import push_ratio


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    few: int
    many: int
    pushed: int
    rounds: int
    processes: int
    rest: float


async def _bench(sizes: Sizes, folder: Path) -> list[str]:
    """Measure; return the lines of the goals."""
    small, large = await costs(folder / "commits", sizes.few, sizes.many, 5 * sizes.rounds)
    status = await start_ratio(folder / "cli", 3 * sizes.rounds)
    ratio = await push_ratio(folder / "push", sizes.pushed, sizes.rounds, sizes.processes)
    fleet = await whole_fleet(folder / "many", sizes.many, sizes.processes, sizes.rest)
    between = f"{sizes.many}/{sizes.few} machines"
    return [
        f"push ratio ours/bare: {ratio:.2f}",
        f"one machine's plan, {between}: {large.plan / small.plan:.2f}",
        f"one machine's commit, {between}: {large.commit / small.commit:.2f}",
        f"plan over {sizes.many} machines: {1000 * large.plan_of_all:.0f} ms",
        f"{sizes.many} agents: {fleet.memory:.0f} MiB",
        f"etcd writes per agent and hour at rest: {fleet.writes:.3g}",
        f"tdc status / import grpc: {status:.2f}",
    ]


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="make bench-manager", description=__doc__)
    parser.add_argument("--few", type=int, default=100, help="machines of the small fleet")
    parser.add_argument("--many", type=int, default=10_000, help="machines of the large fleet")
    parser.add_argument("--pushed", type=int, default=1_000, help="agents that a commit reaches")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--processes", type=int, default=4, help="processes of agents")
    parser.add_argument("--rest", type=float, default=60, help="seconds at rest")
    sizes = Sizes(**vars(parser.parse_args()))
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores", flush=True)
    with tempfile.TemporaryDirectory(prefix="tdc-bench-") as folder:
        lines = asyncio.run(_bench(sizes, Path(folder)))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
