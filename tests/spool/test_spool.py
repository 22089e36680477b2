"""The life of a copy in the spool, on a real disk."""

from __future__ import annotations

import asyncio
import io
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from unittest.mock import AsyncMock

import pytest
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.spool import health
from tdc.node_agent.spool.batch import Batch
from tdc.node_agent.spool.database import Database
from tdc.node_agent.spool.folder import SpoolFolder
from tdc.node_agent.spool.spool import Spool
from tdc.node_agent.spool.values import Copy, SpoolFull, SpoolLocked, SpoolUnavailable
from tdc.shared.mail.envelope import Envelope

from tests.spool.conftest import FakeClock
from tests.stage.delivery import dead_letters

INTAKE = "journal@intake.example"
OTHER = "journal@other.example"
ENVELOPE = Envelope(
    "ann@example.com", ("bob@example.org", "ü\udcff@x"), True, "8BITMIME", "192.0.2.7"
)


@pytest.fixture
async def spool(folder: Path, clock: FakeClock) -> AsyncIterator[Spool]:
    opened = await Spool.open(folder, clocks=clock.machine)
    yield opened
    await opened.close()


async def put(spool: Spool, content: bytes = b"content", intake: str = INTAKE) -> int:
    mid = await spool.hold(ENVELOPE, content, intake, f"{content[:4].hex():0>32}")
    spool.release(mid)
    return mid


async def claim_all(spool: Spool, clock: FakeClock) -> list[Copy]:
    return await spool.claim(clock(), 1_000)


async def test_a_copy_comes_out_as_it_went_in(spool: Spool, clock: FakeClock) -> None:
    mid = await put(spool, b"\0\r\n\xff" * 100)
    assert spool.arrived.is_set()
    (copy,) = await claim_all(spool, clock)
    assert copy == Copy(
        mid, f"{'000d0aff':0>32}", INTAKE, ENVELOPE, b"\0\r\n\xff" * 100, clock.now, 0, clock.now
    )
    await spool.delivered(mid, reply="250 ok", tls_version="TLSv1.3")
    assert await claim_all(spool, clock) == []
    assert spool.facts().bytes == 0


async def test_a_copy_comes_out_of_the_file_as_it_went_in(folder: Path, clock: FakeClock) -> None:
    spool = await Spool.open(folder, clocks=clock.machine)
    mid = await put(spool, b"\0\r\n\xff" * 100)
    await spool.close()
    spool = await Spool.open(folder, clocks=clock.machine)
    (copy,) = await claim_all(spool, clock)
    assert (copy.mid, copy.envelope, copy.content) == (mid, ENVELOPE, b"\0\r\n\xff" * 100)
    await spool.close()


@pytest.mark.slow
async def test_copies_being_read_from_the_file_still_count(folder: Path, clock: FakeClock) -> None:
    spool = await Spool.open(folder, clocks=clock.machine)
    for number in range(3):
        await put(spool, b"content %d" % number)
    await spool.close()
    spool = await Spool.open(folder, clocks=clock.machine)
    claiming = asyncio.ensure_future(claim_all(spool, clock))
    looks = 0
    while not claiming.done():
        await asyncio.sleep(0)
        looks += 1
        assert spool.facts().queued == 3
        assert spool.destinations()["intake.example"].waiting == 3
    assert looks > 1
    assert len(claiming.result()) == 3
    await spool.close()


async def test_a_claim_reads_no_more_than_it_may(folder: Path, clock: FakeClock) -> None:
    spool = await Spool.open(folder, clocks=clock.machine)
    mids = [await put(spool, b"%04d" % number * 250) for number in range(6)]
    await spool.close()
    spool = await Spool.open(folder, clocks=clock.machine)
    first = await spool.claim(clock(), 100, max_bytes=2_500)
    assert [copy.mid for copy in first] == mids[:3]
    assert spool.facts().queued == 6
    assert [copy.mid for copy in await spool.claim(clock(), 100, max_bytes=1)] == [mids[3]]
    spool.unclaim([mids[0]])
    rest = [copy.mid for copy in await claim_all(spool, clock)]
    assert rest == [mids[0], *mids[4:]]
    await spool.close()


@pytest.mark.parametrize("error", [SpoolUnavailable("no read returned"), asyncio.CancelledError()])
async def test_a_copy_that_can_not_be_read_now_waits_on(
    folder: Path, clock: FakeClock, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had left the queue for that, and is not in anybody's hands."""
    spool = await Spool.open(folder, clocks=clock.machine)
    mids = [await put(spool), await put(spool)]
    await spool.close()
    spool = await Spool.open(folder, clocks=clock.machine)
    with monkeypatch.context() as patch:
        patch.setattr(spool._writer, "ask", AsyncMock(side_effect=error))
        if isinstance(error, SpoolUnavailable):
            assert await spool.claim(clock(), 9) == []
        else:
            with pytest.raises(asyncio.CancelledError):
                await spool.claim(clock(), 9)
        assert spool.facts().queued == 2
    assert [copy.mid for copy in await spool.claim(clock(), 9)] == mids
    await spool.close()


async def test_a_held_copy_is_not_delivered_before_its_release(
    spool: Spool, clock: FakeClock
) -> None:
    mid = await spool.hold(ENVELOPE, b"x", INTAKE, "1")
    assert spool.facts().held == 1
    assert await claim_all(spool, clock) == []
    assert spool.next_due(clock()) is None
    spool.release(mid)
    assert spool.facts().queued == 1
    assert spool.next_due(clock()) == clock.now


async def test_a_discarded_copy_is_gone(folder: Path, clock: FakeClock) -> None:
    spool = await Spool.open(folder, clocks=clock.machine)
    mid = await spool.hold(ENVELOPE, b"x", INTAKE, "1")
    await spool.discard(mid)
    assert spool.facts().bytes == 0
    await spool.close()
    spool = await Spool.open(folder, clocks=clock.machine)
    assert spool.facts().queued == 0
    await spool.close()


async def test_a_copy_that_was_held_when_the_agent_died_is_due(
    folder: Path, clock: FakeClock
) -> None:
    """The original may have been accepted: a copy twice is better than none."""
    spool = await Spool.open(folder, clocks=clock.machine)
    mid = await spool.hold(ENVELOPE, b"x", INTAKE, "1")
    await spool.close()
    spool = await Spool.open(folder, clocks=clock.machine)
    assert [copy.mid for copy in await claim_all(spool, clock)] == [mid]
    await spool.close()


async def test_a_released_copy_was_not_waiting_for_an_answer(folder: Path) -> None:
    """Else each restart would speak of originals whose fate is not known."""
    spool = await Spool.open(folder)
    await put(spool)
    await spool.close()
    out = io.StringIO()
    log = TdcLog(stream=out)
    log.configure("info", "text")
    spool = await Spool.open(folder, log=log)
    assert spool.facts().queued == 1
    await spool.close()
    log.close()
    assert "waiting for the next hop's answer" not in out.getvalue()


async def test_nobody_claims_a_copy_twice(spool: Spool, clock: FakeClock) -> None:
    mids = [await put(spool) for _ in range(5)]
    first = await spool.claim(clock(), 3)
    second = await spool.claim(clock(), 3)
    assert [copy.mid for copy in first + second] == mids
    spool.unclaim([mids[4], mids[0]])
    assert [copy.mid for copy in await spool.claim(clock(), 3)] == [mids[0], mids[4]]


async def test_a_deferred_copy_waits_and_counts_its_attempts(
    folder: Path, clock: FakeClock
) -> None:
    spool = await Spool.open(folder, clocks=clock.machine)
    mid = await put(spool)
    await claim_all(spool, clock)
    await spool.defer(mid, next_at=clock.now + 60, reason="TLS Error \udcff\0")
    assert await claim_all(spool, clock) == []
    assert spool.next_due(clock()) == clock.now + 60
    await spool.close()
    spool = await Spool.open(folder, clocks=clock.machine)
    assert await claim_all(spool, clock) == []
    clock.now += 60
    (copy,) = await claim_all(spool, clock)
    assert (copy.mid, copy.attempts) == (mid, 1)
    await spool.close()


async def test_an_intake_on_hold_does_not_hold_the_others(spool: Spool, clock: FakeClock) -> None:
    mids = [await put(spool, intake=intake) for intake in (INTAKE, OTHER, INTAKE)]
    exclude = frozenset({INTAKE})
    copies = await spool.claim(clock(), 10, exclude_intakes=exclude)
    assert [copy.mid for copy in copies] == [mids[1]]
    assert spool.next_due(clock(), exclude_intakes=exclude) is None
    assert [copy.mid for copy in await claim_all(spool, clock)] == [mids[0], mids[2]]


async def test_a_dead_copy_is_on_the_list_and_counts_against_the_bounds(
    folder: Path, clock: FakeClock
) -> None:
    spool = await Spool.open(folder, clocks=clock.machine)
    mid = await put(spool, b"12345")
    await claim_all(spool, clock)
    await spool.dead(mid, reason="552 too large")
    await spool.close()
    spool = await Spool.open(folder, clocks=clock.machine)
    (letter,) = await dead_letters(spool)
    assert (letter.mid, letter.size, letter.reason) == (mid, 5, "552 too large")
    assert (letter.sender, letter.recipients) == (ENVELOPE.sender, ENVELOPE.recipients)
    facts = spool.facts()
    assert (facts.dead, facts.queued, facts.bytes) == (1, 0, 5)
    assert await claim_all(spool, clock) == []
    await spool.close()


async def test_history_tells_what_happened(spool: Spool, clock: FakeClock) -> None:
    mid = await put(spool)
    await claim_all(spool, clock)
    clock.now += 1
    await spool.defer(mid, next_at=clock.now + 60, reason="451 later")
    assert [event.what for event in await spool.history(mid)] == ["taken", "deferred"]
    clock.now += 60
    await claim_all(spool, clock)
    await spool.delivered(mid, reply="250 ok", tls_version="TLSv1.3")
    events = await spool.history(mid)
    assert [(event.what, event.text) for event in events] == [
        ("taken", ""),
        ("deferred", "451 later"),
        ("delivered", "250 ok (TLSv1.3)"),
    ]
    assert [event.at for event in events] == sorted(event.at for event in events)
    assert await spool.history(mid + 1) == []


async def test_message_numbers_never_repeat(folder: Path, clock: FakeClock) -> None:
    numbers = []
    for _ in range(3):
        spool = await Spool.open(folder, clocks=clock.machine)
        for _ in range(2):
            mid = await put(spool)
            await claim_all(spool, clock)
            await spool.delivered(mid, reply="250")
            numbers.append(mid)
        held = await spool.hold(ENVELOPE, b"x", INTAKE, "1")
        await spool.discard(held)
        numbers.append(held)
        await spool.close()
    assert numbers == list(range(1, 10))


@pytest.mark.proves("F38")
async def test_a_full_spool_takes_nothing_more(spool: Spool, clock: FakeClock) -> None:
    spool.set_limits(max_messages=2, max_bytes=100)
    await put(spool, b"x" * 60)
    with pytest.raises(SpoolFull, match="max_bytes is 100"):
        await put(spool, b"x" * 41)
    await put(spool, b"x" * 40)
    with pytest.raises(SpoolFull, match="max_messages is 2"):
        await put(spool, b"")
    (first, _) = await claim_all(spool, clock)
    await spool.delivered(first.mid, reply="250")
    await put(spool, b"x" * 60)


@pytest.mark.proves("P7")
async def test_the_disk_is_not_filled_to_the_brim(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(spool, b"x")
    monkeypatch.setattr(health, "FREE_RESERVE", 10**18)
    with pytest.raises(SpoolFull, match="MiB left"):
        await put(spool, b"x")


@pytest.mark.slow
async def test_room_made_on_the_disk_is_noticed_though_nothing_is_written(
    folder: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = 10 * 1024**2
    monkeypatch.setattr(SpoolFolder, "free_bytes", lambda _: free)
    spool = await Spool.open(folder, clocks=clock.machine)
    with pytest.raises(SpoolFull, match="10 MiB left"):
        await put(spool, b"x")
    free = 10 * 1024**3
    await asyncio.sleep(1.5)
    await put(spool, b"x")
    await spool.close()


async def test_many_holds_at_once_do_not_pass_the_bounds(spool: Spool) -> None:
    spool.set_limits(max_messages=10, max_bytes=10**9)
    results = await asyncio.gather(*(put(spool) for _ in range(30)), return_exceptions=True)
    assert sum(isinstance(result, int) for result in results) == 10
    assert sum(isinstance(result, SpoolFull) for result in results) == 20


async def test_a_taker_that_goes_away_leaves_no_copy(folder: Path, clock: FakeClock) -> None:
    spool = await Spool.open(folder, clocks=clock.machine)
    tasks = [asyncio.ensure_future(put(spool, b"y" * 5_000)) for _ in range(20)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (spool.facts().bytes, spool.facts().queued, spool.facts().held) == (0, 0, 0)
    await spool.close()
    spool = await Spool.open(folder, clocks=clock.machine)
    assert spool.facts().queued == 0
    await spool.close()


async def test_facts_and_destinations(spool: Spool, clock: FakeClock) -> None:
    start = clock.now
    assert spool.facts().oldest is None
    for intake in (INTAKE, OTHER, INTAKE):
        await put(spool, b"12", intake)
        clock.now += 10
    held = await spool.hold(ENVELOPE, b"12", INTAKE, "1")
    facts = spool.facts()
    assert (facts.queued, facts.held, facts.bytes) == (3, 1, 8)
    assert (facts.oldest, facts.newest) == (start, start + 30)
    await spool.discard(held)
    (first, *_) = await claim_all(spool, clock)
    assert spool.facts().queued == 3, "a copy in delivery's hands is still queued"
    waiting = spool.destinations()
    assert waiting["intake.example"].waiting == 2
    assert waiting["other.example"].oldest == start + 10
    await spool.delivered(first.mid, reply="250")
    assert spool.destinations()["intake.example"].waiting == 1
    assert spool.facts().oldest == start + 10


@pytest.mark.proves("F16")
async def test_two_agents_cannot_open_one_spool(spool: Spool, folder: Path) -> None:
    with pytest.raises(SpoolLocked, match=f"pid {os.getpid()}"):
        await Spool.open(folder)


@pytest.mark.proves("S17")
async def test_the_files_are_private(spool: Spool, folder: Path) -> None:
    await put(spool)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert {"spool.db", "spool.db-wal", "spool.lock", "spool.mids"} <= set(modes)
    assert set(modes.values()) == {0o600}


async def test_content_of_every_size_group_is_kept(spool: Spool, clock: FakeClock) -> None:
    """Rows go in by groups of 64, 16, 4 and 1: none may be lost between them."""
    contents = [bytes([number]) * number for number in range(107)]
    await asyncio.gather(*(put(spool, content) for content in contents))
    assert sorted(copy.content for copy in await claim_all(spool, clock)) == sorted(contents)


async def test_large_content_is_kept_exactly_and_held_in_memory_once(
    folder: Path, clock: FakeClock
) -> None:
    spool = await Spool.open(folder, clocks=clock.machine)
    sizes = (1024**2 - 1, 1024**2, 1024**2 + 1, 48 * 1024**2)
    contents = [os.urandom(1024) * (size // 1024) + b"x" * (size % 1024) for size in sizes]
    before = resident()
    await asyncio.gather(*(put(spool, content) for content in contents))
    held = resident() - before
    await spool.close()
    spool = await Spool.open(folder, clocks=clock.machine)
    copies = await claim_all(spool, clock)
    assert sorted(copy.content for copy in copies) == sorted(contents)
    assert spool.facts().dead == 0
    await spool.close()
    assert held < 40 * 1024**2, "beside the caller's own, and SQLite's cache of 16 MiB"


def resident() -> int:
    """Return the bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_holds_at_the_same_time_share_a_commit(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits: list[int] = []
    write = Database.write

    def counted(database: Database, batch: Batch) -> None:
        commits.append(len(batch.held))
        write(database, batch)

    monkeypatch.setattr(Database, "write", counted)
    await asyncio.gather(*(put(spool) for _ in range(100)))
    assert sum(commits) == 100
    assert len(commits) <= 5


async def test_marks_that_nobody_waits_for_are_written_at_the_close(
    folder: Path, clock: FakeClock
) -> None:
    spool = await Spool.open(folder, clocks=clock.machine)
    await asyncio.gather(*(put(spool) for _ in range(10)))
    for copy in await claim_all(spool, clock):
        spool.delivered(copy.mid, reply="250 ok")
    await spool.close()
    spool = await Spool.open(folder, clocks=clock.machine)
    assert spool.facts().queued == 0
    await spool.close()
