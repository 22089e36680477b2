"""Running programs: started with a log of their own, stopped in good order, killed at need."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent
_PR_SET_PDEATHSIG = 1
_DIES_WITH_US = ("setpriv", "--pdeathsig", "TERM")
"""Becomes the program that follows. Not preexec_fn: that forks, and where gRPC is at work in this
process (the tests of the manager use it) a fork's child may crash before it is the program."""


class ProgramFailed(Exception):
    """A program ended, or did not get ready; the text has the end of its log."""


def die_with_parent() -> None:
    """Have the kernel send SIGTERM to this process when its parent ends (prctl(2))."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Program:
    """One program under test. `ports` is what it wrote to its ports file."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        ports_file: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.command = list(command)
        self.log = log
        self.ports: dict[str, Any] = {}
        self._ports_file = ports_file
        self._environment = {**os.environ, **(environment or {})}
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """The process's id; the program must have been started."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """True between start and end."""
        return self._process is not None and self._process.returncode is None

    async def start(self, *, timeout: float = 30) -> None:
        """Start the program and wait until it has written its ports file, if it has one."""
        if self._ports_file is not None:
            self._ports_file.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *_DIES_WITH_US,
                *self.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )
        if self._ports_file is not None:
            self.ports = await self._wait_for_ports(self._ports_file, timeout)

    async def _wait_for_ports(self, path: Path, timeout: float) -> dict[str, Any]:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while self.running:
                    with contextlib.suppress(OSError, ValueError):
                        return dict(json.loads(path.read_text()))
                    await asyncio.sleep(0.02)
        raise ProgramFailed(f"{self.command[:2]} did not get ready:\n{self.tail()}")

    async def stop(self, *, timeout: float = 20) -> int:
        """End it in good order (SIGTERM) and return its exit status; kill it past the timeout."""
        if self._process is None:
            return 0
        if self.running:
            self._process.terminate()
        try:
            async with asyncio.timeout(timeout):
                return await self._process.wait()
        except TimeoutError:
            await self.kill()
            raise ProgramFailed(
                f"{self.command[:2]} did not stop within {timeout} s:\n{self.tail()}"
            ) from None

    async def kill(self) -> None:
        """Kill it at once (SIGKILL)."""
        if self.running and self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def tail(self, lines: int = 25) -> str:
        """Return the end of its log."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])
