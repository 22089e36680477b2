"""Programs that work in a test's own folder, whatever started them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path


def programs(folder: Path) -> dict[int, str]:
    """The command lines of programs that name the folder, or work in it (etcd), by process id."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended, or it is another user's
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if str(folder) in command or (process / "cwd").readlink().is_relative_to(folder):
                found[int(process.name)] = command
    return found


async def end_all_of(folder: Path, *, within: float = 15.0) -> None:
    """End them in good order; kill those that have not ended in time."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in _others(folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while _others(folder):
                    await asyncio.sleep(0.1)
                return


def _others(folder: Path) -> list[int]:
    """The managers and agents of the folder: an etcd ends with its manager."""
    return [
        pid
        for pid, command in programs(folder).items()
        if str(folder) in command and ("tdc-agent run" in command or "tdc-manager run" in command)
    ]
