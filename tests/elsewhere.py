"""Run the suite once under each of the surroundings that it must not depend on.

    python -m tests.elsewhere                 all of them, one after the other
    python -m tests.elsewhere --together      all of them in as few runs as they allow
    python -m tests.elsewhere WORD ...        those whose name has one of these words
    python -m tests.elsewhere -- tests/pure   what follows goes to pytest

A test that fails is tried once more, as in CI (scripts/check). Last line: `elsewhere: N runs, N
passed`.
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

SUITE = (sys.executable, "scripts/check", "--tests")
BUSY = (sys.executable, "-c", "while True: pass")
BUSY_FOR_EACH_CPU = 2


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a run inherits: each of `prepare` is called in the process that starts the suite."""

    name: str
    prepare: tuple[Callable[[], object], ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    busy: int = 0

    def __or__(self, other: Surroundings) -> Surroundings:
        """Both at once."""
        return Surroundings(
            f"{self.name}, {other.name}",
            self.prepare + other.prepare,
            self.environment | other.environment,
            self.busy + other.busy,
        )

    def prepared(self) -> None:
        """Prepare this process."""
        for step in self.prepare:
            step()


def _few_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (1_024, 1_024))


SIGINT_IGNORED = Surroundings(
    "SIGINT ignored", (lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),)
)
UMASK_077 = Surroundings("umask 077", (lambda: os.umask(0o077),))
UMASK_000 = Surroundings("umask 000", (lambda: os.umask(0o000),))
LC_ALL_C = Surroundings("LC_ALL=C", environment={"LC_ALL": "C", "LANG": "C"})
TZ_FAR = Surroundings("TZ far away", environment={"TZ": "Pacific/Kiritimati"})
DESCRIPTORS = Surroundings("1024 descriptors", (_few_descriptors,))
LOAD = Surroundings("load beside it", busy=BUSY_FOR_EACH_CPU * (os.cpu_count() or 1))

ALL = (SIGINT_IGNORED, UMASK_077, UMASK_000, LC_ALL_C, TZ_FAR, DESCRIPTORS, LOAD)
TOGETHER = (SIGINT_IGNORED | UMASK_077 | LC_ALL_C, UMASK_000 | TZ_FAR | DESCRIPTORS, LOAD)


def main(arguments: Sequence[str]) -> int:
    """Run the suite in each; 1 if it failed in one."""
    words, more = list(arguments), []
    if "--" in words:
        at = words.index("--")
        words, more = words[:at], words[at + 1 :]
    together = "--together" in words
    if together:
        words.remove("--together")
    among: tuple[Surroundings, ...] = TOGETHER if together else ALL
    chosen = [each for each in among if not words or any(word in each.name for word in words)]
    passed = 0
    for each in chosen:
        began = time.monotonic()
        with _load(each.busy):
            run = subprocess.run(
                [*SUITE, *more],
                cwd=ROOT,
                env=os.environ | each.environment,
                preexec_fn=each.prepared,
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
