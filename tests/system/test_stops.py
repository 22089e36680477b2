"""An agent that is stopped or frozen under load: nothing is lost, and nothing stale is sent."""

from __future__ import annotations

import asyncio
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from socket import SO_LINGER, SOL_SOCKET

import pytest

from tests.fakes.listening import free_port
from tests.stage.filter_dialogue import Side, connected
from tests.stage.fleet import Gateway, RunningFleet
from tests.stage.freezing import freeze, thaw
from tests.surroundings import in_time
from tests.system.conftest import copying
from tests.system.mta import Mta
from tests.system.test_kill import Load, check, drained

__all__ = ["copying"]  # a fixture

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

STOP_WITHIN = 30.0
BEGUN = b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<bob@corp.example>\r\nDATA\r\n"


@pytest.mark.proves("F19")
async def test_a_stop_under_load_is_soon_and_loses_nothing(copying: RunningFleet) -> None:
    """SIGTERM, several times, during mail on eight connections."""
    gateway = await copying.add_gateway("mx1", group="Main_Group", listen=free_port())
    await copying.in_sync()
    load = Load()
    mta = Mta(gateway.port, connections=8)
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(mta.send(load, timeout=120))
        for _ in range(4):
            await asyncio.sleep(0.7)
            began = time.monotonic()
            assert await gateway.agent.stop(timeout=STOP_WITHIN) == 0
            assert in_time(time.monotonic() - began, STOP_WITHIN)
            await gateway.agent.start()
        load.over = True
    await drained(copying, load.messages)
    check(gateway, copying.reports, load.messages, sending.result(), Counter())


@pytest.mark.proves("F18")
async def test_a_freeze_under_load_sends_nothing_stale(copying: RunningFleet) -> None:
    """SIGSTOP and SIGCONT: the streams to manager and intake go on or are made again."""
    gateway = await copying.add_gateway("mx1", group="Main_Group", listen=free_port())
    await copying.in_sync()
    load = Load()
    mta = Mta(gateway.port, connections=4)
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(mta.send(load, timeout=120))
        for _ in range(2):
            await asyncio.sleep(0.5)
            async with frozen(gateway):
                await asyncio.sleep(6)  # longer than the manager waits for a sign of life
        await asyncio.sleep(0.5)
        load.over = True
    await drained(copying, load.messages)
    check(gateway, copying.reports, load.messages, sending.result(), Counter())
    await copying.in_sync()


@pytest.mark.proves("F24", "F18")
@pytest.mark.parametrize("complete", [False, True])
async def test_a_message_that_its_mta_gave_up_in_a_freeze_is_not_sent(
    copying: RunningFleet, complete: bool
) -> None:
    """The MTA has it still, and sends it again: it must not arrive twice, nor its copy."""
    gateway = await copying.add_gateway("mx1", group="Main_Group")
    await copying.in_sync()
    assert gateway.next_hop is not None
    mta = await begun(gateway)
    async with frozen(gateway):
        mta.writer.write(b"Subject: frozen\r\n\r\n" + b"x" * 100_000 + b"\r\n")
        if complete:
            mta.writer.write(b".\r\n")
        await asyncio.sleep(0.3)
        mta.writer.get_extra_info("socket").setsockopt(
            SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0)
        )
        await mta.close()
    again = await begun(gateway)
    again.writer.write(b"Subject: again\r\n\r\nx\r\n.\r\n")
    await again.expect("250 *")
    await copying.intake.wait_for(1)
    await asyncio.sleep(0.5)
    assert [b"Subject: again" in one.content for one in gateway.next_hop.messages] == [True]
    assert len(copying.intake.messages) == 1


async def begun(gateway: Gateway) -> Side:
    mta = await connected(gateway.port)
    mta.writer.write(BEGUN)
    while not (await mta.reader.readline()).startswith(b"354"):
        pass
    return mta


@asynccontextmanager
async def frozen(gateway: Gateway) -> AsyncIterator[None]:
    freeze(gateway.agent.pid)
    try:
        yield
    finally:
        thaw(gateway.agent.pid)
