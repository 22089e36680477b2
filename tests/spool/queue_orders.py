"""A spool that operators order work on."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tdc.node_agent import queue_work
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.spool.spool import Spool
from tdc.shared.mail.envelope import Envelope
from tdc.shared.sync.queue_work import (
    QueueAnswer,
    QueueOrder,
    Selection,
    Work,
)

from tests.spool.conftest import FakeClock
from tests.spool.test_spool import INTAKE, OTHER, claim_all, put
from tests.stage.delivery import make_settings

ENVELOPE = Envelope("ann@example.com", ("bob@example.org",))


MESSAGE = b"Subject: x\r\nMessage-ID: <7@example.com>\r\n\r\nhello\r\n"


SETTINGS = make_settings(intake_address=OTHER)


EVERY = Selection(waiting=True, dead=True)


OLD_ONES = Selection(INTAKE, waiting=True, dead=True)


DEAD = Selection(dead=True)


@pytest.fixture
async def spool(folder: Path, clock: FakeClock) -> AsyncIterator[Spool]:
    opened = await Spool.open(folder, clocks=clock.machine)
    yield opened
    await opened.close()


async def ordered(
    spool: Spool, work: Work, number: str = "1", *, count_only: bool = False
) -> QueueAnswer:
    order = QueueOrder(number, "ann", work, count_only)
    return await queue_work.perform(order, spool, SETTINGS, TdcLog(), lambda: None)


async def killed(spool: Spool, clock: FakeClock, *, content: bytes = MESSAGE) -> int:
    """Put a copy onto the dead-letter list."""
    mid = await put(spool, content)
    copies = {copy.mid for copy in await claim_all(spool, clock)}
    await spool.dead(mid, reason="Message Refused: 554")
    spool.unclaim(copies - {mid})
    return mid


async def reopened(spool: Spool, folder: Path, clock: FakeClock) -> Spool:
    await spool.close()
    return await Spool.open(folder, clocks=clock.machine)


async def oldest(spool: Spool, intake: str) -> float | None:
    """It may lag by half a second."""
    async with asyncio.timeout(3):
        while spool.backlogs()[intake].oldest is None:
            await asyncio.sleep(0.02)
    return spool.backlogs()[intake].oldest


async def swept(spool: Spool) -> None:
    async with asyncio.timeout(8):
        while True:
            left = await spool._writer.ask(
                lambda database: database.ask("some_dropped", 10).fetchall()
            )
            if not left:
                return
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def longest_pause() -> AsyncIterator[list[float]]:
    """Measure for how long the event loop serves nothing else."""
    longest = [0.0]

    async def tick() -> None:
        before = time.monotonic()
        while True:
            await asyncio.sleep(0.001)
            now = time.monotonic()
            longest[0], before = max(longest[0], now - before), now

    task = asyncio.ensure_future(tick())
    await asyncio.sleep(0)
    yield longest
    task.cancel()


async def filled(folder: Path, clock: FakeClock, copies: int) -> None:
    """Make a spool with so many copies that wait, the quick way."""
    spool = await Spool.open(folder, clocks=clock.machine)
    for _ in range(copies // 1_000):
        await asyncio.gather(*(put(spool, b"x" * 50) for _ in range(1_000)))
    await spool.close()
