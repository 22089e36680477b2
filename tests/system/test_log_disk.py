"""The log can't be written, or its reader hangs: mail, copies and commits go on."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from tests.demo.messages import Message
from tests.demo.send import send_all
from tests.stage.fleet import RunningFleet
from tests.stage.programs import Program
from tests.surroundings import in_time

pytestmark = pytest.mark.system


def _stuck(path: Path) -> int:
    """Make a pipe that is full, and that nobody reads; return a descriptor that keeps it open."""
    os.mkfifo(path)
    held = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    for size in (65_536, 1):  # to the last byte
        while True:
            try:
                os.write(held, b"x" * size)
            except BlockingIOError:
                break
    return held


async def _restarted(program: Program, stderr: Path) -> None:
    """Start it again with its standard error there."""
    await program.stop()
    command = f'exec "$0" "$@" 2<>{stderr}'
    program.command = ["sh", "-c", command, *program.command]
    await program.start()


@pytest.mark.proves("F57")
@pytest.mark.parametrize("how", ["full disk", "stuck reader"])
async def test_mail_and_commits_go_on_without_a_log(copying: RunningFleet, how: str) -> None:
    gateway = await copying.add_gateway("mx1", group="Main_Group")
    await copying.in_sync()
    where, held = Path("/dev/full"), -1
    if how == "stuck reader":
        where = copying.folder / "stuck"
        held = _stuck(where)
    await _restarted(copying.manager, where)
    await _restarted(gateway.agent, where)
    await copying.in_sync()

    content = b"Subject: x\r\n\r\nx\r\n"
    ann, bob = "ann@partner.example", ("bob@corp.example",)
    began = time.monotonic()
    await send_all("127.0.0.1", gateway.port, [Message("x", ann, bob, content)] * 50)
    assert in_time(time.monotonic() - began, 10)
    await copying.intake.wait_for(50)
    revision = (await copying.status())["mx1"]["applied_revision"]
    for size in range(2):
        await copying.tdc(
            "settings", "set", "cluster", "demo", f"max_message_size={size + 10}m", "--yes"
        )
    await copying.wait_for(lambda rows: rows["mx1"]["applied_revision"] == revision + 2)
    ends = await asyncio.gather(copying.manager.stop(), gateway.agent.stop())
    assert set(ends) == {0}
    if held >= 0:
        os.close(held)
