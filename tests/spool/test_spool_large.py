"""A spool with 200 000 copies at the start: soon open, little memory, new copies taken (F15)."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

import pytest
from tdc.node_agent.spool.rows import checksum_of, encode_envelope
from tdc.node_agent.spool.spool import Spool

from tests.spool.conftest import FakeClock
from tests.spool.queue_orders import longest_pause
from tests.spool.test_spool import ENVELOPE, INTAKE, put
from tests.surroundings import in_time

pytestmark = pytest.mark.slow


COPIES = 200_000


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def insert_many(folder: Path, now: float) -> None:
    """Add copies that wait, as the spool does, in a fraction of the time."""
    envelope, content = encode_envelope(ENVELOPE), b"x" * 200
    checksum = checksum_of(content, "0" * 32, INTAKE, envelope)
    connection = sqlite3.connect(folder / "spool.db")
    with connection:
        connection.executemany(
            "INSERT INTO copies (mid, state, report_id, intake, envelope, size, taken_at, next_at,"
            " attempts, checksum, reason) VALUES (?, 'queued', ?, ?, ?, ?, ?, ?, 0, ?, '')",
            (
                (mid, "0" * 32, INTAKE, envelope, len(content), now, now, checksum)
                for mid in range(1, COPIES + 1)
            ),
        )
        connection.executemany(
            "INSERT INTO contents VALUES (?, ?)",
            ((mid, content) for mid in range(1, COPIES + 1)),
        )
    connection.close()


@pytest.mark.proves("F15")
async def test_a_long_queue_is_read_soon_and_takes_little_memory(
    folder: Path, clock: FakeClock
) -> None:
    await (await Spool.open(folder, clocks=clock.machine)).close()
    insert_many(folder, clock.now)
    before, begun = resident(), time.monotonic()
    async with longest_pause() as pause:
        spool = await Spool.open(folder, clocks=clock.machine)
        took = time.monotonic() - begun
        assert spool.facts().queued == COPIES
        assert await put(spool, b"new mail is taken") == COPIES + 1
    assert in_time(took, 10), "0.7 s on a machine with nothing else to do"
    assert pause[0] < 2, "the event loop serves mail meanwhile"
    assert resident() - before < 100 * 1024**2
    drained = 0
    while drained < 2_000:
        copies = await spool.claim(spool.now(), 500)
        for copy in copies:
            spool.delivered(copy.mid, reply="250 ok")
        drained += len(copies)
    assert spool.facts().queued == COPIES + 1 - drained
    await spool.close()
