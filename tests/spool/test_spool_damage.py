"""Damaged rows, damaged files, and a disk that refuses writes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tdc.node_agent.spool.folder import SpoolFolder
from tdc.node_agent.spool.spool import Spool
from tdc.node_agent.spool.values import SpoolUnavailable
from tdc.shared.mail.envelope import Envelope

from tests.stage.delivery import dead_letters

INTAKE = "journal@intake.example"
ENVELOPE = Envelope("ann@example.com", ("bob@example.org",))


async def put(spool: Spool, content: bytes) -> int:
    mid = await spool.hold(ENVELOPE, content, INTAKE, "0" * 32)
    spool.release(mid)
    return mid


async def spool_with(folder: Path, copies: int) -> list[int]:
    spool = await Spool.open(folder)
    mids = [await put(spool, b"copy %d " % number * 1_000) for number in range(copies)]
    await spool.close()
    return mids


def change(folder: Path, statement: str, *values: object) -> None:
    connection = sqlite3.connect(folder / "spool.db")
    with connection:
        connection.execute(statement, values)
    connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE contents SET content = CAST(content || 'x' AS BLOB) WHERE mid = ?",
        "UPDATE contents SET content = zeroblob(length(content)) WHERE mid = ?",
        "UPDATE contents SET content = 'text' WHERE mid = ?",
        "DELETE FROM contents WHERE mid = ?",
        'UPDATE copies SET envelope = \'["mallory", [], false, "7BIT", null]\' WHERE mid = ?',
        "UPDATE copies SET intake = 'else@where.example' WHERE mid = ?",
        "UPDATE copies SET report_id = 'x' WHERE mid = ?",
        "UPDATE copies SET checksum = x'00' WHERE mid = ?",
        "UPDATE copies SET envelope = 'no json' WHERE mid = ?",
        "UPDATE copies SET envelope = '5' WHERE mid = ?",
        "UPDATE copies SET envelope = CAST(x'5bff' AS TEXT) WHERE mid = ?",
        "UPDATE copies SET report_id = CAST(x'ff41' AS TEXT) WHERE mid = ?",
        "UPDATE copies SET intake = CAST(x'ff41' AS TEXT) WHERE mid = ?",
        "UPDATE copies SET size = 'many' WHERE mid = ?",
        "UPDATE copies SET size = 9000000000000 WHERE mid = ?",
        "UPDATE copies SET size = -1 WHERE mid = ?",
        "UPDATE copies SET next_at = 'soon' WHERE mid = ?",
        "UPDATE copies SET next_at = 9e999 WHERE mid = ?",
        "UPDATE copies SET next_at = 1e17 WHERE mid = ?",
        "UPDATE copies SET taken_at = 'once' WHERE mid = ?",
        "UPDATE copies SET taken_at = 1e17 WHERE mid = ?",
        "UPDATE copies SET attempts = 'some' WHERE mid = ?",
        "UPDATE copies SET attempts = -5 WHERE mid = ?",
        "UPDATE copies SET state = 'qveued' WHERE mid = ?",
    ],
)
@pytest.mark.proves("P2", "F13")
async def test_a_damaged_row_is_set_aside_and_the_others_flow(
    folder: Path, statement: str, capfd: pytest.CaptureFixture[str]
) -> None:
    first, second, third = await spool_with(folder, 3)
    change(folder, statement, second)
    spool = await Spool.open(folder)
    copies = await spool.claim(spool.now(), 10)
    assert [copy.mid for copy in copies] == [first, third]
    assert spool.facts().dead == 1
    assert spool.facts().queued == 2
    (damaged,) = await dead_letters(spool)
    assert damaged.mid == second
    assert sum(backlog.dead for backlog in spool.backlogs().values()) == 1
    "".join(spool.backlogs()).encode()  # they go to the manager
    assert damaged.reason
    assert 0 <= spool.facts().bytes < 100_000, "what it says of its size is not believed"
    assert await put(spool, b"and new ones are taken") > third
    await spool.close()
    spool = await Spool.open(folder)
    assert spool.facts().dead == 1, "it stays aside after a restart"
    await spool.close()


async def test_damaged_pages_of_one_copy_do_not_stop_the_others(folder: Path) -> None:
    mids = await spool_with(folder, 40)
    path = folder / "spool.db"
    raw = bytearray(path.read_bytes())
    at = raw.index(b"copy 20 " * 200)
    raw[at : at + 64] = b"\xff" * 64
    path.write_bytes(raw)
    spool = await Spool.open(folder)
    copies = await spool.claim(spool.now(), 100)
    assert len(copies) == 39
    assert [damaged.mid for damaged in await dead_letters(spool)] == [mids[20]]
    await spool.close()


def damage_index(folder: Path, number: int, state: bytes) -> None:
    """Change a letter of one copy's entry in the index of the queue, and nowhere else."""
    path = folder / "spool.db"
    raw = bytearray(path.read_bytes())
    at = -1
    for _ in range(number):
        at = raw.index(state + INTAKE.encode(), at + 1)
    raw[at + len(state)] ^= 1
    path.write_bytes(raw)


async def test_a_damaged_index_entry_does_not_refuse_marks_for_good(folder: Path) -> None:
    await spool_with(folder, 40)
    damage_index(folder, 7, b"queued")
    spool = await Spool.open(folder)
    copies = await spool.claim(spool.now(), 100)
    assert len(copies) == 40
    async with asyncio.timeout(8):
        for copy in copies:
            await spool.delivered(copy.mid, reply="250 ok")
        while spool.facts().unhealthy is not None:
            await asyncio.sleep(0.05)
    await spool.close()
    spool = await Spool.open(folder)
    assert spool.facts().queued == 0, "delivered copies would be delivered again"
    assert spool.facts().warning is None
    await spool.close()


async def test_a_damaged_index_entry_of_a_held_copy_loses_no_copy_at_open(folder: Path) -> None:
    await spool_with(folder, 3)
    change(folder, "UPDATE copies SET state = 'held'")
    damage_index(folder, 2, b"held")
    spool = await Spool.open(folder)
    assert len(await spool.claim(spool.now(), 10)) == 3
    assert spool.facts().warning is None
    assert not list(folder.glob("spool.damaged-*"))
    await spool.close()


async def test_a_file_that_can_take_no_copy_is_kept_and_a_new_one_begun(folder: Path) -> None:
    mids = await spool_with(folder, 40)
    connection = sqlite3.connect(folder / "spool.db")
    ask = "SELECT rootpage FROM sqlite_master WHERE name = 'contents'"
    (root,) = connection.execute(ask).fetchone()
    (page_size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    path = folder / "spool.db"
    raw = bytearray(path.read_bytes())
    raw[(root - 1) * page_size : root * page_size] = bytes(page_size)
    path.write_bytes(raw)
    spool = await Spool.open(folder)
    assert "could not be read" in (spool.facts().warning or "")
    assert len(list(folder.glob("spool.damaged-*"))) == 1
    assert await put(spool, b"new") > max(mids)
    assert spool.facts().unhealthy is None
    await spool.close()


async def test_damage_met_while_running_is_left_behind_without_a_restart(folder: Path) -> None:
    """The disk damages pages of the content: no mark of those copies goes in.

    No program wrote into the file, so the time of its last write is as it was.
    """
    await spool_with(folder, 40)
    spool = await Spool.open(folder)
    path = folder / "spool.db"
    before_it = path.stat()
    raw = bytearray(path.read_bytes())
    first, last = (raw.index(b"copy %d " % number * 200) // 8_192 for number in (10, 30))
    raw[first * 8_192 : (last + 1) * 8_192] = bytes((last + 1 - first) * 8_192)
    path.write_bytes(raw)
    os.utime(path, ns=(before_it.st_atime_ns, before_it.st_mtime_ns))

    before = await spool.claim(spool.now(), 100)
    held = await spool.hold(ENVELOPE, b"its original is not answered yet", INTAKE, "1" * 32)
    fresh = await put(spool, b"released, and still in memory")
    for copy in before[:-1]:
        await spool.delivered(copy.mid, reply="250 ok")
    assert spool.facts().unhealthy is not None, "a mark met damage"
    async with asyncio.timeout(20):
        while spool.facts().unhealthy is not None:
            await asyncio.sleep(0.05)
    (aside,) = folder.glob("spool.damaged-*")
    assert str(aside) in (spool.facts().warning or "")

    spool.unclaim([before[-1].mid])  # its content is in the damaged file only
    spool.release(held)
    new = await put(spool, b"taken from now on")
    facts = spool.facts()
    copies = {copy.mid: copy for copy in await spool.claim(spool.now(), 100)}
    assert copies.keys() == {held, fresh, new}
    assert facts.queued == 4
    assert spool.facts().dead == 1
    await spool.defer(held, next_at=spool.now(), reason="read it from the new file")
    [again] = await spool.claim(spool.now(), 10)
    assert again.content == copies[held].content
    assert again.attempts == 1
    await spool.delivered(held, reply="250 ok")
    await spool.close()

    spool = await Spool.open(folder)
    assert {copy.mid for copy in await spool.claim(spool.now(), 100)} == {fresh, new}
    assert spool.facts().warning is None
    await spool.close()


@pytest.mark.parametrize("raw", [b"no database at all" * 1_000, b"\0" * 16_384])
@pytest.mark.proves("P2", "F13")
async def test_a_file_that_cannot_be_read_is_kept_and_a_new_one_begun(
    folder: Path, raw: bytes
) -> None:
    mids = await spool_with(folder, 3)
    (folder / "spool.db").write_bytes(raw)
    spool = await Spool.open(folder)
    warning = spool.facts().warning
    assert warning is not None
    (aside,) = folder.glob("spool.damaged-*")
    assert str(aside) in warning
    assert aside.read_bytes() == raw
    assert await put(spool, b"new") > max(mids), "message numbers don't repeat"
    await spool.close()
    spool = await Spool.open(folder)
    assert spool.facts().warning is None
    assert spool.facts().queued == 1
    await spool.close()


def test_a_file_and_its_log_stay_together_wherever_setting_them_aside_is_cut(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest copies are in the log alone."""
    steps_left = 0

    def cut(name: str) -> Callable[..., object]:
        whole = getattr(Path, name)

        def step(*given: object, **more: object) -> object:
            nonlocal steps_left
            steps_left -= 1
            if steps_left < 0:
                raise OSError("cut")
            return whole(*given, **more)

        return step

    for steps in range(6):
        here = SpoolFolder.locked(folder / str(steps))
        (folder / str(steps) / "spool.db").write_bytes(b"file")
        (folder / str(steps) / "spool.db-wal").write_bytes(b"log")
        steps_left = steps
        with monkeypatch.context() as patch, contextlib.suppress(OSError):
            for name in ("rename", "hardlink_to", "unlink"):
                patch.setattr(Path, name, cut(name))
            here.set_aside(1.0)
        here.close()
        names = [each for each in (folder / str(steps)).iterdir() if each.read_bytes() == b"file"]
        assert [Path(f"{each}-wal").read_bytes() for each in names] == [b"log"]
    assert steps_left >= 0, "the last time nothing was cut"
    assert [each.name for each in names] == ["spool.damaged-1"]


async def test_a_file_that_vanished_is_told_and_message_numbers_go_on(folder: Path) -> None:
    mids = await spool_with(folder, 3)
    (folder / "spool.db").unlink()
    spool = await Spool.open(folder)
    assert "missing" in (spool.facts().warning or "")
    assert await put(spool, b"new") > max(mids)
    await spool.close()


async def test_a_foreign_database_is_set_aside_whole(folder: Path) -> None:
    folder.mkdir()
    connection = sqlite3.connect(folder / "spool.db")
    with connection:
        connection.execute("CREATE TABLE theirs (x)")
        connection.execute("INSERT INTO theirs VALUES (42)")
    connection.close()
    spool = await Spool.open(folder)
    assert "not a spool" in (spool.facts().warning or "")
    await spool.close()
    (aside,) = folder.glob("spool.damaged-*")
    connection = sqlite3.connect(aside)
    assert connection.execute("SELECT x FROM theirs").fetchone() == (42,)
    connection.close()


@pytest.fixture
def disk_limit() -> Iterator[None]:
    """Restore the limit on file size, and let a write over it fail instead of killing us."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.usefixtures("disk_limit")
@pytest.mark.proves("F8", "F9", "P19")
async def test_a_disk_that_refuses_writes_stops_taking_and_delivering_until_it_heals(
    folder: Path,
) -> None:
    spool = await Spool.open(folder)
    mids = [await put(spool, b"x" * 10_000) for _ in range(8)]
    (claimed, *others) = await spool.claim(spool.now(), 4)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    used = (folder / "spool.db-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (used, hard))

    with pytest.raises(SpoolUnavailable):
        await put(spool, b"y" * 10_000)
    assert spool.facts().unhealthy
    assert await spool.claim(spool.now(), 10) == [], "what can't be marked must not be sent"
    async with asyncio.timeout(3):  # the mark is kept, its caller is not held up
        await spool.delivered(claimed.mid, reply="250 ok")
        await spool.defer(others[0].mid, next_at=spool.now(), reason="later")
        await spool.dead(others[1].mid, reason="refused")
    with pytest.raises(SpoolUnavailable):
        await spool.hold(ENVELOPE, b"z", INTAKE, "1")

    spool.arrived.clear()
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    async with asyncio.timeout(8):
        await spool.arrived.wait()
    assert spool.facts().unhealthy is None
    assert spool.facts().bytes == 7 * 10_000, "what was refused does not count"
    new = await put(spool, b"n" * 10_000)
    await spool.close()

    spool = await Spool.open(folder)
    found = {copy.mid: copy.attempts for copy in await spool.claim(spool.now(), 100)}
    assert set(found) == {*mids, new} - {claimed.mid, others[1].mid}
    assert found[others[0].mid] == 1
    assert spool.facts().dead == 1
    await spool.close()


@pytest.mark.usefixtures("disk_limit")
@pytest.mark.proves("F10")
async def test_marks_that_were_kept_are_written_at_the_end_at_the_latest(folder: Path) -> None:
    spool = await Spool.open(folder)
    first = await put(spool, b"x" * 10_000)
    second = await put(spool, b"x" * 10_000)
    await spool.claim(spool.now(), 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    used = (folder / "spool.db-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (used, hard))
    await spool.delivered(first, reply="250 ok")
    assert spool.facts().unhealthy
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    await spool.close()
    spool = await Spool.open(folder)
    assert [copy.mid for copy in await spool.claim(spool.now(), 10)] == [second]
    await spool.close()


async def test_a_closed_spool_takes_nothing(folder: Path) -> None:
    spool = await Spool.open(folder)
    await spool.close()
    with pytest.raises(SpoolUnavailable):
        await spool.hold(ENVELOPE, b"x", INTAKE, "1")
    assert await spool.claim(spool.now(), 1) == []
