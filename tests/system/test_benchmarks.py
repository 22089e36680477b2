"""Each benchmark still runs: a small run of each ends with the figures that it is for.

A benchmark writes into the product's store and spool by itself; what it writes has to stay valid.
"""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.bench.compare import BENCHMARKS
from tests.tree.source import ROOT

pytestmark = pytest.mark.system

SMALL = {
    "tests.bench.delivery": ("40", "2048"),
    "tests.bench.push": ("--agents", "3", "--rounds", "2"),
    "tests.bench.throughput": ("--messages", "40", "--runs", "1"),
}
LONGEST = 60
"""Seconds for one run."""

MANAGER = (
    r"push ratio ours/bare: \d+\.\d\d",
    r"one machine's plan, 30/3 machines: \d+\.\d\d",
    r"one machine's commit, 30/3 machines: \d+\.\d\d",
    r"plan over 30 machines: \d+ ms",
    r"30 agents: \d+ MiB",
    r"etcd writes per agent and hour at rest: 0",
    r"tdc status / import grpc: \d+\.\d\d",
)
"""The last lines of `make bench-manager`, small."""


@pytest.mark.parametrize("module", sorted({each.module for each in BENCHMARKS}))
def test_a_small_run_prints_what_a_comparison_reads(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, *SMALL[module]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST,
    )
    assert done.returncode == 0, done.stderr
    for benchmark in BENCHMARKS:
        if benchmark.module == module:
            for label, pattern in benchmark.figures:
                assert re.search(pattern, done.stdout), (label, done.stdout)


def test_the_managers_benchmark_ends_with_a_line_for_each_goal() -> None:
    """And, while nothing happens, its agents write nothing to etcd: that holds at any size."""
    sizes = ("--few", "3", "--many", "30", "--pushed", "4", "--processes", "2")
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.manager", *sizes, "--rounds", "1", "--rest", "12"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=3 * LONGEST,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()[-len(MANAGER) :]
    assert len(lines) == len(MANAGER)
    for line, pattern in zip(lines, MANAGER, strict=True):
        assert re.fullmatch(pattern, line), done.stdout
