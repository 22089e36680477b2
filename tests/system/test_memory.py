"""What a real agent holds of large mail: bounded while much comes at once, nothing afterwards."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from tests.stage.filter_dialogue import connected
from tests.stage.fleet import Gateway, RunningFleet
from tests.system.conftest import copying

__all__ = ["copying"]  # a fixture

pytestmark = pytest.mark.system

MEGABYTE = 1_000_000
BEGUN = b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<bob@corp.example>\r\nDATA\r\n"


def body_of(megabytes: int) -> bytes:
    return b"Subject: large\r\n\r\n" + (b"y" * 998 + b"\r\n") * 1_000 * megabytes


async def send(gateway: Gateway, body: bytes) -> bytes:
    """Hand a message over; return the final reply."""
    mta = await connected(gateway.port)
    try:
        await mta.expect("220 *")
        mta.writer.write(BEGUN)
        while not (await mta.reader.readline()).startswith(b"354"):
            pass
        mta.writer.write(body)
        await mta.writer.drain()
        mta.writer.write(b".\r\n")
        return await mta.reader.readline()
    finally:
        await mta.close()


def memory(gateway: Gateway, row: str) -> int:
    """Return a size of the agent's process in MB."""
    status = Path(f"/proc/{gateway.agent.pid}/status").read_text()
    found = re.search(rf"{row}:\s+(\d+)", status)
    assert found is not None
    return int(found[1]) * 1_024 // MEGABYTE


async def limited(fleet: RunningFleet, bytes_in_hand: int) -> Gateway:
    """A gateway whose agent.toml has this limit."""
    gateway = await fleet.add_gateway("mx1", group="Main_Group")
    await gateway.agent.stop()
    config = gateway.folder / "agent.toml"
    config.write_text(f"max_bytes_in_hand = {bytes_in_hand}\n{config.read_text()}")
    await gateway.agent.start()
    await fleet.in_sync()
    for sink in (fleet.intake, gateway.next_hop):
        assert sink is not None
        sink.count_only = True
    return gateway


@pytest.mark.proves("P12")
async def test_many_large_messages_at_once_stay_within_the_limit(copying: RunningFleet) -> None:
    """20 bodies of 40 MB, 800 MB in all, none refused and none of the copies missed."""
    limit = 96 * MEGABYTE
    gateway = await limited(copying, limit)
    base = memory(gateway, "VmRSS")
    body = body_of(40)
    answers = await asyncio.gather(*(send(gateway, body) for _ in range(20)))
    assert {answer[:3] for answer in answers} == {b"250"}
    await copying.intake.wait_for(20, timeout=120)
    # As docs/agent-toml.md has it: 800 MB are some way above this.
    assert memory(gateway, "VmHWM") < base + limit // MEGABYTE + 100 + 3 * 40
    assert "Copy missed" not in gateway.agent.log.read_text()


async def test_nothing_of_large_messages_stays(copying: RunningFleet) -> None:
    """No last content is referenced: not by a session, not by an idle connection to the intake."""
    gateway = await limited(copying, 512 * MEGABYTE)
    await send(gateway, body_of(1))
    base = memory(gateway, "VmRSS")
    body = body_of(100)
    for number in range(3):
        assert (await send(gateway, body)).startswith(b"250")
        await copying.intake.wait_for(2 + number, timeout=60)
    async with asyncio.timeout(45):
        while memory(gateway, "VmRSS") > base + 30:
            await asyncio.sleep(0.1)
