"""`tdc` on a real terminal: a pseudo terminal that is its controlling one, so Ctrl-C arrives."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

TDC = [sys.executable, "-c", "from tdc.shared.edge.entry_point import tdc; tdc()"]
"""As it is installed: begun where all programs begin."""
PATIENCE = 60.0
"""Seconds that a `tdc` may take, which starts in one: only a test that fails waits so long."""


# A session leader that opens a terminal without O_NOCTTY has it as its controlling one.
_ON_TERMINAL = ["/bin/sh", "-c", 'tty=$1; shift; exec "$@" <"$tty" >"$tty" 2>&1', "sh"]


@dataclass(frozen=True)
class Terminal:
    """A running `tdc`, and the keyboard and screen of its operator."""

    process: subprocess.Popen[bytes]
    ours: int

    def read_until(self, wanted: str | None) -> str:
        """Return what the screen shows until `wanted` is seen, or until the process has ended."""
        seen = b""
        while wanted is None or wanted.encode() not in seen:
            readable, _, _ = select.select([self.ours], [], [], 0.05)
            if readable:
                seen += os.read(self.ours, 4096)
            elif self.process.poll() is not None:
                break
        return seen.decode(errors="replace")

    def type(self, keys: bytes) -> None:
        os.write(self.ours, keys)

    def exit_code(self) -> int:
        return self.process.wait(PATIENCE)


@contextmanager
def on_terminal(
    words: list[str], environment: dict[str, str], program: Sequence[str] = TDC
) -> Iterator[Terminal]:
    """Run `tdc` with a terminal as all three streams; it is killed if it takes too long."""
    ours, theirs = pty.openpty()  # theirs stays open here: a terminal that nobody holds is gone
    with subprocess.Popen(
        [*_ON_TERMINAL, os.ttyname(theirs), *program, *words],
        env=environment,
        start_new_session=True,
    ) as process:
        watchdog = threading.Timer(PATIENCE, process.kill)
        watchdog.start()
        try:
            yield Terminal(process, ours)
        finally:
            watchdog.cancel()
            process.kill()
            process.wait()
            os.close(theirs)
            os.close(ours)
