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
