"""`make bench-compare BASE=REVISION`: what a change costs, as ratios to an earlier revision.

Each benchmark runs in both trees in turn, A B A B, each tree with its own code, environment and
benchmark, so that a drift of the machine's speed falls on both. Printed are the median of each
figure in each tree and the median of the ratios pair by pair: 1.00 means no change, below 1.00
that this tree is cheaper. Figures are times or CPU, never rates, so smaller is always better.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parents[2]
TIMEOUT = 600.0
"""Seconds that one run of a benchmark may take."""


@dataclass(frozen=True)
class Benchmark:
    """A benchmark, its arguments, and the numbers read from its output: label, pattern."""

    module: str
    arguments: tuple[str, ...]
    figures: tuple[tuple[str, str], ...]


BENCHMARKS = (
    Benchmark(
        "tests.bench.delivery",
        ("4000", "10240"),
        (("delivery: µs CPU a report", r"(\d+) us of processor"),),
    ),
    Benchmark(
        "tests.bench.throughput",
        ("--runs", "1", "--messages", "1500", "--reuse"),
        (
            ("ingest to intake, kept connections: ms CPU", r"ours \(.*?([\d.]+) ms CPU"),
            ("the same as a ratio to Postfix", r"CPU ratio ours/postfix: ([\d.]+)"),
        ),
    ),
    Benchmark(
        "tests.bench.throughput",
        ("--runs", "1", "--messages", "1000"),
        (("ingest to intake, a connection each: ms CPU", r"ours \(.*?([\d.]+) ms CPU"),),
    ),
    Benchmark(
        "tests.bench.push",
        ("--agents", "1", "--rounds", "40"),
        (("one machine's commit until applied: ms", r"commit to last applied: median (\d+) ms"),),
    ),
    Benchmark(
        "tests.bench.push",
        ("--agents", "300", "--rounds", "9"),
        (
            ("commit until 300 agents applied: ms", r"commit to last applied: median (\d+) ms"),
            ("the same as a ratio to a bare broadcast", r"push ratio ours/bare: ([\d.]+)"),
        ),
    ),
)


def _run(tree: Path, benchmark: Benchmark) -> list[float]:
    """Return the figures of one run; raises RuntimeError with the output if one is missing."""
    done = subprocess.run(
        [tree / ".venv/bin/python", "-m", benchmark.module, *benchmark.arguments],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )
    found = [re.search(pattern, done.stdout) for _, pattern in benchmark.figures]
    numbers = [float(match[1]) for match in found if match is not None]
    if done.returncode or len(numbers) != len(found):
        raise RuntimeError(f"{benchmark.module} in {tree}:\n{done.stdout}\n{done.stderr}")
    return numbers


def _compare(base: Path, benchmark: Benchmark, rounds: int) -> None:
    ours: list[list[float]] = []
    theirs: list[list[float]] = []
    for _ in range(rounds):
        theirs.append(_run(base, benchmark))
        ours.append(_run(HERE, benchmark))
    for column, (label, _) in enumerate(benchmark.figures):
        here = [run[column] for run in ours]
        there = [run[column] for run in theirs]
        ratios = [one / other for one, other in zip(here, there, strict=True)]
        print(
            f"{label:46} {statistics.median(here):8.2f} was {statistics.median(there):8.2f}  "
            f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
            flush=True,
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(prog="make bench-compare", description=__doc__)
    parser.add_argument("base", type=Path, help="a set-up checkout of the earlier revision")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="only benchmarks whose module has this text")
    given = parser.parse_args(arguments)
    if not (given.base / ".venv/bin/python").exists():
        sys.exit(f"{given.base} has no environment: run scripts/setup system there first")
    for benchmark in BENCHMARKS:
        if given.only in benchmark.module:
            _compare(given.base.resolve(), benchmark, given.rounds)


if __name__ == "__main__":
    main()
