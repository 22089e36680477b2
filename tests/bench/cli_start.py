"""`tdc status` from start to end, against `python -c "import grpc"`: the least a client can take.

Both start a process of this Python; runs are interleaved, and the ratio is that of the medians.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from tdc.manager.first_setup import add_operator

from tests.bench.managers import fill, managed
from tests.stage.programs import BIN

MACHINES = 3
_NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"


async def start_ratio(folder: Path, runs: int) -> float:
    """Print the medians; return the ratio."""
    async with managed(folder / "manager") as manager:
        await fill(manager, MACHINES)
        config = add_operator(
            manager.folder / "manager", folder / "operator", "bea", f"127.0.0.1:{manager.port}"
        )
        commands = (
            [str(BIN / "tdc"), "--config", str(config), "status"],
            [sys.executable, "-c", "import grpc"],
        )
        took: list[list[float]] = [[], []]
        for _ in range(runs + 1):
            for command, seconds in zip(commands, took, strict=True):
                seconds.append(await _seconds(command))
        status, bare = (statistics.median(each[1:]) for each in took)  # the first reads the disk
        print(f"tdc status {1000 * status:.0f} ms, import grpc {1000 * bare:.0f} ms", flush=True)
        return status / bare


async def _seconds(command: list[str]) -> float:
    # As installed programs have it: what Python compiled at the first start is used again.
    environment = {name: each for name, each in os.environ.items() if name != _NO_BYTECODE}
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *command, stdout=subprocess.DEVNULL, env=environment
    )
    assert await process.wait() == 0, command
    return time.perf_counter() - began
