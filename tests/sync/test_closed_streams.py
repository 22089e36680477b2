"""Programs that are started with standard input, output or error closed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.stage.programs import BIN
from tests.stage.settings_stream import until
from tests.sync.test_program import AGENT, config

CLOSED = ("2>&-", ">&- 2>&-", "<&- >&- 2>&-")


def shell(command: str) -> int:
    return subprocess.run(["sh", "-c", command], check=False, timeout=60).returncode


@pytest.mark.parametrize("closed", CLOSED)
async def test_the_agent_runs_and_its_lines_go_nowhere(tmp_path: Path, closed: str) -> None:
    """Not into a connection either: the numbers 0, 1 and 2 stay taken."""
    path = config(tmp_path)
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", f"exec {AGENT} run --config {path} {closed}"
    )
    try:
        await until((tmp_path / "ports.json").exists, timeout=20)
        for number in (0, 1, 2) if closed.startswith("<") else (2,):
            assert os.readlink(f"/proc/{process.pid}/fd/{number}") == "/dev/null"  # noqa: PTH115
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("closed", CLOSED)
def test_each_program_ends_with_the_code_that_it_would(tmp_path: Path, closed: str) -> None:
    path = config(tmp_path)
    for command, code in (
        (f"{AGENT} check --config {path}", 0),
        (f"{AGENT} check --config {path}.none", 2),
        (f"{AGENT} enrol --config {path} --manager 127.0.0.1:1 --token-file -", 1),
        (f"{BIN}/tdc --help", 0),
        (f"{BIN}/tdc status --config {tmp_path}/none.toml", 3),
        (f"{BIN}/tdc no-such-command", 2),
        (f"{BIN}/tdc-manager --version", 0),
        (f"{BIN}/tdc-manager run --no-such-flag", 2),
    ):
        assert shell(f"{command} {closed}") == code, command
