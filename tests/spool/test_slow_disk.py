"""A disk that is slow: it costs one wait and not one for each message; a busy one gets its time."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.spool import awake, health, writer
from tdc.node_agent.spool.batch import Batch
from tdc.node_agent.spool.database import Database
from tdc.node_agent.spool.faults import DatabaseFault
from tdc.node_agent.spool.spool import Spool
from tdc.node_agent.spool.values import SpoolUnavailable
from tdc.shared.edge.clock import monotonic

from tests.spool.test_spool_damage import ENVELOPE, INTAKE, put

pytestmark = pytest.mark.slow


MEBIBYTE = 1024**2
NEVER = 2.0**40


class Disk:
    """What each commit takes: some seconds, and more for its octets. `fault` follows a commit."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 0.0
        self.rate = float("inf")
        self.fault: DatabaseFault | None = None
        write, probe = Database.write, Database.probe

        def slow_write(database: Database, batch: Batch) -> None:
            octets = sum(len(copy.content) for copy in batch.held)
            time.sleep(self.seconds + octets / self.rate)
            write(database, batch)
            fault, self.fault = self.fault, None
            if fault is not None:
                raise fault

        def slow_probe(database: Database) -> None:
            time.sleep(self.seconds)
            probe(database)

        monkeypatch.setattr(Database, "write", slow_write)
        monkeypatch.setattr(Database, "probe", slow_probe)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    monkeypatch.setattr(writer, "WRITE_TIMEOUT", 0.4)
    monkeypatch.setattr(writer, "PROMPT", 0.2)
    monkeypatch.setattr(health, "STALLED_AFTER", 0.3)
    return Disk(monkeypatch)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[Spool, io.StringIO]]:
    out = io.StringIO()
    log = TdcLog(stream=out)
    log.configure("info", "text")
    spool = await Spool.open(folder, log=log)
    try:
        yield spool, out
    finally:
        await spool.close()
        log.close()


async def refused(spool: Spool) -> float:
    """Try to hold a copy; return how long the refusal took."""
    began = asyncio.get_running_loop().time()
    with pytest.raises(SpoolUnavailable, match="slow disk"):
        await spool.hold(ENVELOPE, b"refused", INTAKE, "1" * 32)
    return asyncio.get_running_loop().time() - began


async def healed(spool: Spool) -> None:
    async with asyncio.timeout(8):
        while spool.facts().unhealthy is not None:
            await asyncio.sleep(0.02)


@pytest.mark.proves("F12")
async def test_a_slow_disk_costs_one_wait_and_says_so_until_it_is_sound(
    folder: Path, disk: Disk
) -> None:
    async with opened(folder) as (spool, out):
        disk.seconds = 1.0
        assert await refused(spool) < 0.9
        for _ in range(30):
            assert await refused(spool) < 0.1
            await asyncio.sleep(0.1)  # past the end of that write, and of several tries to recover
        assert (spool.facts().unhealthy or "").startswith("slow disk")
        disk.seconds = 0.0
        await healed(spool)
        mid = await put(spool, b"taken")
        assert [copy.mid for copy in await spool.claim(NEVER, 10)] == [mid]
    assert out.getvalue().count("Spool is not writable: slow disk") == 1, out.getvalue()
    assert out.getvalue().count("Spool is writable again") == 1


@pytest.mark.proves("F12")
async def test_a_copy_that_was_refused_never_appears(folder: Path, disk: Disk) -> None:
    """Its write is done late, when nobody waits for it: neither now nor after a restart."""
    async with opened(folder) as (spool, _):
        kept = await put(spool, b"kept")
        disk.seconds = 0.8
        await refused(spool)
        disk.seconds = 0.0
        await healed(spool)
        await spool.history(kept)  # behind all that was written
    async with opened(folder) as (spool, _):
        assert [copy.content for copy in await spool.claim(NEVER, 10)] == [b"kept"]
        assert spool.facts().queued == 1


async def test_a_copy_whose_sync_failed_never_appears(folder: Path, disk: Disk) -> None:
    """The commit may be in the file all the same: a refused hold must not come back with it."""
    async with opened(folder) as (spool, _):
        disk.fault = DatabaseFault("disk I/O error (SQLITE_IOERR_FSYNC)")
        with pytest.raises(SpoolUnavailable):
            await spool.hold(ENVELOPE, b"refused", INTAKE, "1" * 32)
        await healed(spool)
        assert await spool.claim(NEVER, 10) == []
    async with opened(folder) as (spool, _):
        assert await spool.claim(NEVER, 10) == []
        assert spool.facts().queued == 0


async def test_a_copy_whose_taker_went_away_never_appears(folder: Path, disk: Disk) -> None:
    async with opened(folder) as (spool, _):
        disk.seconds = 0.2
        taker = asyncio.create_task(spool.hold(ENVELOPE, b"refused", INTAKE, "1" * 32))
        await asyncio.sleep(0.1)
        taker.cancel()
        await asyncio.gather(taker, return_exceptions=True)
        assert spool.facts().bytes == 0
    async with opened(folder) as (spool, _):
        assert await spool.claim(NEVER, 10) == []
        assert spool.facts().queued == 0


@pytest.mark.proves("F12")
async def test_a_busy_but_sound_disk_has_time_in_proportion(
    folder: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten large copies at once take many times the limit of one small write; none is missed."""
    for module in (health, writer):
        monkeypatch.setattr(module, "SOUND_RATE", 4.0 * MEBIBYTE)
    disk.rate = 8.0 * MEBIBYTE
    async with opened(folder) as (spool, out):
        content = b"x" * MEBIBYTE

        def held(first: int, count: int) -> asyncio.Future[list[int]]:
            numbers = range(first, first + count)
            return asyncio.gather(
                *(spool.hold(ENVELOPE, content, INTAKE, f"{n:032x}") for n in numbers)
            )

        many = held(0, 10)
        await asyncio.sleep(0.1)
        few = held(10, 2)  # behind the others
        assert len({*await many, *await few}) == 12
        assert spool.facts().held == 12
    assert "not writable" not in out.getvalue()


def test_what_a_commit_may_take_goes_by_its_octets() -> None:
    state = health.Health()
    assert state.reason(health.STALLED_AFTER + 9.9, int(10 * health.SOUND_RATE)) is None
    assert "slow disk" in (
        state.reason(health.STALLED_AFTER + 10.1, int(10 * health.SOUND_RATE)) or ""
    )


async def test_a_process_that_was_stopped_blames_no_disk_for_it(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGSTOP, a paused machine: the clocks went on, and the write under way was not slow."""
    monkeypatch.setattr(writer, "LOOK_EVERY", 0.05)
    monkeypatch.setattr(awake, "ASLEEP", 0.2)
    spool = await Spool.open(tmp_path / "spool")
    disk.seconds = 0.3
    under_way = asyncio.ensure_future(put(spool, b"one"))
    await asyncio.sleep(0.1)
    time.sleep(0.6)  # noqa: ASYNC251  # the loop stands still, past both of the bounds
    during = asyncio.ensure_future(put(spool, b"two"))
    disk.seconds = 0.0
    assert await under_way
    assert await during
    assert spool.facts().unhealthy is None
    await spool.close()


async def test_a_commit_takes_no_time_in_which_the_process_did_not_run(tmp_path: Path) -> None:
    spool = await Spool.open(tmp_path / "spool")
    await spool.close()  # its thread has ended: nothing but this looks at the writer now
    one = spool._writer
    assert one.busy_for() == 0.0
    now = monotonic()
    one.busy_since = now - 60
    assert one.busy_for() >= 60
    one._awake.slept(now - 50, now - 1)  # a look that was due 49 s before it came
    assert 1 <= one.busy_for() < 50
