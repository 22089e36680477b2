"""Plant each fault in a copy of the source, run the tests that should notice it, and count.

    python -m tests.mutants              all of them, two at a time
    python -m tests.mutants WORD ...     those whose file or name has one of these words

A mutant is *killed* if its tests fail, *survives* if they pass; anything else (its text is no
longer in the file, its tests can't be collected) is an error, for then nothing was tried. Tests
that took too long may have lacked a processor: they count if the sound source passes them then.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from queue import SimpleQueue

from tests.mutants import forked
from tests.mutants.planted import MUTANTS
from tests.mutants.values import Mutant
from tests.tree.source import ROOT

AT_ONCE = 2
LONGEST = 120
"""Seconds for one mutant's tests: a fault that makes them hang is noticed too."""
LONGEST_TEST = 60
"""Seconds for one of them."""
TOO_LONG = "Timeout"
"""What is printed of a test that took too long, by its own limit or by that for all."""

COPIED = ("manager", "node_agent", "shared", "tests", "deploy", "docs", "proto", "scripts")


class Fate(StrEnum):
    """What became of a mutant."""

    KILLED = "killed"
    SURVIVED = "SURVIVED"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True)
class Result:
    """One mutant's fate, its seconds, and what the tests printed."""

    mutant: Mutant
    fate: Fate
    seconds: float
    output: str


def main(words: Sequence[str]) -> int:
    """Try the mutants; 1 if one of them survived or could not be tried."""
    began = time.monotonic()
    chosen = [each for each in MUTANTS if not words or any(word in str(each) for word in words)]
    with _copies() as copies, ThreadPoolExecutor(AT_ONCE) as pool:
        results = []
        for result in pool.map(lambda mutant: _try_in_one_of(copies, mutant), chosen):
            print(f"{result.fate:9} {result.seconds:5.1f} s  {result.mutant}", flush=True)
            if result.fate is Fate.ERROR:
                print(result.output[-2_000:])
            results.append(result)
    killed = sum(each.fate is Fate.KILLED for each in results)
    longest = max((each.seconds for each in results), default=0.0)
    print(f"in {time.monotonic() - began:.0f} s, the longest in {longest:.1f} s")
    print(f"mutants: {len(results)} planted, {killed} killed")
    return 0 if killed == len(results) else 1


@contextmanager
def _copies() -> Iterator[SimpleQueue[Path]]:
    """Copies of the tree, one for each mutant at a time."""
    free: SimpleQueue[Path] = SimpleQueue()
    with tempfile.TemporaryDirectory(prefix="tdc-mutants-") as folder:
        for number in range(AT_ONCE):
            copy = Path(folder) / str(number)
            for name in COPIED:
                shutil.copytree(
                    ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__")
                )
            for name in ("pyproject.toml", "README.md", "Makefile"):
                shutil.copy(ROOT / name, copy)
            (copy / ".venv").symlink_to(ROOT / ".venv")
            free.put(copy)
        yield free


def _try_in_one_of(copies: SimpleQueue[Path], mutant: Mutant) -> Result:
    copy = copies.get()
    try:
        return try_in(copy, mutant)
    finally:
        copies.put(copy)


def try_in(copy: Path, mutant: Mutant) -> Result:
    """Plant the fault in a copy of the tree, run its tests there, and take it out again."""
    path, start = copy / mutant.file, time.monotonic()
    sound = path.read_text()
    if sound.count(mutant.sound) != 1:
        found = sound.count(mutant.sound)
        return Result(mutant, Fate.ERROR, 0.0, f"its text is {found} times in {mutant.file}")
    path.write_text(sound.replace(mutant.sound, mutant.planted))
    try:
        code, output = _run(copy, mutant.tests)
    finally:
        path.write_text(sound)
    if code == 1 and TOO_LONG in output:
        code, of_sound = _run(copy, mutant.tests)
        if code != 0:
            output = f"the sound source fails its tests too:\n{of_sound}"
            return Result(mutant, Fate.ERROR, time.monotonic() - start, output)
        code = 1
    fate = {0: Fate.SURVIVED, 1: Fate.KILLED}.get(code, Fate.ERROR)
    return Result(mutant, fate, time.monotonic() - start, output)


def _run(copy: Path, tests: Sequence[str]) -> tuple[int, str]:
    """Run tests against a copy; the exit code is pytest's, 1 if they hang."""
    options = (
        "--hypothesis-profile=mutants",
        f"--timeout={LONGEST_TEST}",
        "--timeout-method=thread",
    )
    arguments = ["-x", "-q", "--tb=line", "-p", "no:cacheprovider", *options, *tests]
    code, output = forked.run(copy, arguments, LONGEST)
    return (1, f"{TOO_LONG}: not over after {LONGEST} s") if code is None else (code, output)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
