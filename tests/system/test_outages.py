"""Manager and etcd killed while mail flows."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.demo.messages import Message
from tests.demo.send import send_all
from tests.fakes.journal_reader import read_report
from tests.stage.fleet import Gateway, RunningFleet
from tests.surroundings import in_time

pytestmark = pytest.mark.system


def _message(number: int) -> Message:
    content = f"Subject: {number}\r\n\r\nnumber {number}\r\n".encode()
    return Message(str(number), "alice@partner.example", ("bob@corp.example",), content)


async def _send(gateway: Gateway, first: int, count: int) -> None:
    await send_all("127.0.0.1", gateway.port, [_message(first + n) for n in range(count)])


def _etcd_of(stage: RunningFleet) -> int:
    """Return the process id of the manager's embedded etcd."""
    children = Path(f"/proc/{stage.manager.pid}/task/{stage.manager.pid}/children").read_text()
    for child in map(int, children.split()):
        with contextlib.suppress(OSError):  # it has ended
            if b"etcd" in Path(f"/proc/{child}/cmdline").read_bytes():
                return child
    raise AssertionError("the manager has no etcd")


@pytest.mark.proves("P14")
async def test_mail_and_copies_go_on_without_manager_and_etcd(copying: RunningFleet) -> None:
    """Both are killed; copies go on, also after a restart of the agent; all back: in sync."""
    gateway = await copying.add_gateway("mx1", group="Main_Group")
    await copying.in_sync()
    await _send(gateway, 0, 20)

    etcd = _etcd_of(copying)
    await copying.manager.kill()
    with_etcd_gone = time.monotonic() + 5
    while Path(f"/proc/{etcd}").exists() and time.monotonic() < with_etcd_gone:
        await asyncio.sleep(0.05)
    await _send(gateway, 20, 20)
    await copying.intake.wait_for(40)

    await gateway.agent.kill()
    await gateway.agent.start()
    await _send(gateway, 40, 20)
    await copying.intake.wait_for(60)
    assert copying.run_tdc("status").returncode == 3

    await copying.manager.start()
    back = time.monotonic()
    await copying.in_sync(timeout=15)
    assert in_time(time.monotonic() - back, 5)
    received = Counter(read_report(report.content).original for report in copying.intake.messages)
    assert set(received) == {_message(number).content for number in range(60)}
    # The kill may have fallen between the intake's reply to the last report and its durable mark.
    assert received.total() <= 61


async def test_a_killed_etcd_is_started_again_and_nothing_is_lost(copying: RunningFleet) -> None:
    """The manager serves what it knows, refuses writes clearly, and heals by itself."""
    await copying.add_gateway("mx1", group="Main_Group")
    await copying.in_sync()
    os.kill(_etcd_of(copying), signal.SIGKILL)
    assert copying.run_tdc("status").returncode == 0
    deadline = time.monotonic() + 15
    while True:
        done = copying.run_tdc("settings", "set", "group", "Main_Group", "enabled=false", "--yes")
        if done.returncode == 0:
            break
        assert "Traceback" not in done.stderr
        assert time.monotonic() < deadline, done.stderr
    await copying.wait_for(lambda rows: not rows["mx1"]["copying"])
    await copying.in_sync()


async def test_an_agent_starts_from_its_last_settings_without_a_manager(
    copying: RunningFleet,
) -> None:
    """From disk; a damaged file means the one before it, or copying off: mail flows."""
    gateway = await copying.add_gateway("mx1", group="Main_Group")
    await copying.in_sync()
    await copying.manager.kill()
    await gateway.agent.stop()

    for path in (gateway.folder / "state").rglob("*"):
        if path.is_file() and b"intake_address" in path.read_bytes():
            path.write_bytes(path.read_bytes().replace(b"intake.example", b"INTAKE.example"))
    await gateway.agent.start()
    await _send(gateway, 0, 5)
    assert gateway.next_hop is not None
    await gateway.next_hop.wait_for(5)
    log = gateway.agent.log.read_text()
    assert "does not match its checksum" in log
    assert "copying is off until a manager sends settings; mail flow continues" in log
    assert copying.intake.counts.messages == 0

    await copying.manager.start()
    await copying.in_sync()
    await _send(gateway, 5, 5)
    await copying.intake.wait_for(5)
