"""Run the suite once under each of the surroundings that it must not depend on.

    python -m tests.elsewhere                 all of them, one after the other
    python -m tests.elsewhere WORD ...        those whose name has one of these words
    python -m tests.elsewhere -- tests/pure   what follows goes to pytest

Last line: `elsewhere: N runs, N passed`.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tests.tree.source import ROOT

SUITE = (sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")
BUSY = (sys.executable, "-c", "while True: pass")
BUSY_FOR_EACH_CPU = 2


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a run inherits: `prepare` is called in the process that becomes pytest."""

    name: str
    prepare: Callable[[], object] = lambda: None
    environment: dict[str, str] = field(default_factory=dict)
    busy: int = 0


def _few_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (1_024, 1_024))


ALL = (
    Surroundings("SIGINT ignored", lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)),
    Surroundings("umask 077", lambda: os.umask(0o077)),
    Surroundings("umask 000", lambda: os.umask(0o000)),
    Surroundings("LC_ALL=C", environment={"LC_ALL": "C", "LANG": "C"}),
    Surroundings("TZ far away", environment={"TZ": "Pacific/Kiritimati"}),
    Surroundings("1024 descriptors", _few_descriptors),
    Surroundings("load beside it", busy=BUSY_FOR_EACH_CPU * (os.cpu_count() or 1)),
)


def main(arguments: Sequence[str]) -> int:
    """Run the suite in each; 1 if it failed in one."""
    words, more = list(arguments), []
    if "--" in words:
        at = words.index("--")
        words, more = words[:at], words[at + 1 :]
    chosen = [each for each in ALL if not words or any(word in each.name for word in words)]
    passed = 0
    for each in chosen:
        began = time.monotonic()
        with _load(each.busy):
            run = subprocess.run(
                [*SUITE, *more],
                cwd=ROOT,
                env=os.environ | each.environment,
                preexec_fn=each.prepare,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
        ok = run.returncode == 0
        passed += ok
        took = time.monotonic() - began
        print(f"{'passed' if ok else 'FAILED'}  {took:5.0f} s  {each.name}", flush=True)
        if not ok:
            print(run.stdout[-4_000:], flush=True)
    print(f"elsewhere: {len(chosen)} runs, {passed} passed")
    return 0 if passed == len(chosen) else 1


@contextlib.contextmanager
def _load(processes: int) -> Iterator[None]:
    """Keep so many processes busy meanwhile."""
    running = [subprocess.Popen(BUSY) for _ in range(processes)]
    try:
        yield
    finally:
        for each in running:
            each.kill()
            each.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
