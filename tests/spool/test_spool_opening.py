"""A spool that can't be opened: the agent goes on without it until it can."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import resource
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.spool import writer
from tdc.node_agent.spool.database import SCHEMA_VERSION
from tdc.node_agent.spool.folder import SpoolFolder
from tdc.node_agent.spool.spool import Spool
from tdc.node_agent.spool.values import SpoolLocked, SpoolUnavailable

from tests.spool.test_spool_damage import (  # noqa: F401
    ENVELOPE,
    INTAKE,
    change,
    disk_limit,
    put,
    spool_with,
)
from tests.stage.delivery import dead_letters


@asynccontextmanager
async def unopened(folder: Path, why: str) -> AsyncIterator[Spool]:
    """Give a spool that could not be opened; at the end it must be open by itself."""
    out = io.StringIO()
    log = TdcLog(stream=out)
    log.configure("info", "text")
    spool = await Spool.open(folder, log=log)
    try:
        assert why in (spool.facts().unhealthy or "")
        with pytest.raises(SpoolUnavailable):
            await spool.hold(ENVELOPE, b"x", INTAKE, "1" * 32)
        assert await spool.claim(spool.now(), 10) == []
        assert spool.facts().queued == 0
        yield spool
        async with asyncio.timeout(8):
            await spool.arrived.wait()
        assert spool.facts().unhealthy is None
        mid = await put(spool, b"the first")
        assert mid in [copy.mid for copy in await spool.claim(spool.now(), 10)]
    finally:
        await spool.close()
        log.close()
    said = out.getvalue()
    assert said.count("Spool is not writable") == 1, said
    assert why in said
    assert said.count("Spool is writable again") == 1, said


def something_else(kind: str) -> tuple[Callable[[Path], None], Callable[[Path], None]]:
    makes: dict[str, Callable[[Path], None]] = {
        "folder": Path.mkdir,
        "symlink": lambda path: path.symlink_to("elsewhere"),
        "fifo": os.mkfifo,
    }
    return makes[kind], Path.rmdir if kind == "folder" else Path.unlink


@pytest.mark.parametrize("kind", ["folder", "symlink", "fifo"])
@pytest.mark.proves("F14")
async def test_something_else_in_the_place_of_the_file(folder: Path, kind: str) -> None:
    folder.mkdir()
    make, remove = something_else(kind)
    make(folder / "spool.db")
    async with unopened(folder, "spool.db"):
        assert not (folder / "elsewhere").exists()
        remove(folder / "spool.db")


async def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    async with unopened(tmp_path / "file" / "spool", "Not a directory; it must belong to") as spool:
        with pytest.raises(SpoolUnavailable):
            await dead_letters(spool)
        (tmp_path / "file").unlink()


async def test_a_number_of_messages_that_cannot_be_read(folder: Path) -> None:
    mids = await spool_with(folder, 2)
    (folder / "spool.mids").write_text("many")
    async with unopened(folder, "write a number above that of the last log line") as spool:
        (folder / "spool.mids").write_text("100001")
    assert spool.facts().queued == len(mids) + 1


@pytest.mark.proves("F20")
async def test_what_waits_in_a_file_that_opens_late_is_delivered(folder: Path) -> None:
    """A file of a newer version is left alone, byte for byte, and holds up no original."""
    mids = await spool_with(folder, 2)
    change(folder, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    before = (folder / "spool.db").read_bytes()
    async with unopened(folder, "newer version") as spool:
        assert (folder / "spool.db").read_bytes() == before
        change(folder, f"PRAGMA user_version = {SCHEMA_VERSION}")
        async with asyncio.timeout(8):
            await spool.arrived.wait()
        claimed = await spool.claim(spool.now(), 10)
        assert [copy.mid for copy in claimed] == mids
        spool.unclaim(mids)


@pytest.mark.usefixtures("disk_limit")
@pytest.mark.proves("F5")
async def test_a_full_disk(folder: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    async with unopened(folder, "can't be opened"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_message_numbers_go_on_where_the_file_was_made_and_no_more(folder: Path) -> None:
    mids = await spool_with(folder, 2)
    for path in folder.glob("spool.db*"):
        path.unlink()
    await (await Spool.open(folder)).close()
    spool = await Spool.open(folder)
    assert await put(spool, b"x") > max(mids)
    await spool.close()


@pytest.mark.proves("F12")
async def test_a_disk_that_hangs_does_not_hold_up_the_start(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()
    opens = SpoolFolder.locked

    def hang(path: Path) -> SpoolFolder:
        assert answers.wait(20)
        return opens(path)

    monkeypatch.setattr(SpoolFolder, "locked", hang)
    monkeypatch.setattr(writer, "OPEN_TIMEOUT", 0.1)
    async with unopened(folder, "its file is not open yet"):
        answers.set()


async def test_a_spool_of_another_agent_is_refused_and_not_called_unhealthy(folder: Path) -> None:
    out = io.StringIO()
    log = TdcLog(stream=out)
    log.configure("info", "text")
    spool = await Spool.open(folder)
    with pytest.raises(SpoolLocked, match=f"pid {os.getpid()}"):
        await Spool.open(folder, log=log)
    await spool.close()
    log.close()
    assert out.getvalue() == ""


@pytest.mark.proves("F14")
@pytest.mark.parametrize("kind", ["folder", "symlink", "fifo"])
@pytest.mark.parametrize("name", ["spool.lock", "spool.mids", "spool.suspects", "spool.db-wal"])
async def test_something_else_in_the_place_of_another_file_is_not_followed_nor_waited_for(
    folder: Path, name: str, kind: str
) -> None:
    mids = await spool_with(folder, 2)
    (folder / name).unlink(missing_ok=True)
    make, remove = something_else(kind)
    make(folder / name)
    async with asyncio.timeout(5):
        spool = await Spool.open(folder)
    assert not (folder / "elsewhere").exists()
    if spool.facts().unhealthy is not None:
        remove(folder / name)
        async with asyncio.timeout(8):
            while spool.facts().unhealthy is not None:
                await asyncio.sleep(0.05)
    assert [copy.mid for copy in await spool.claim(spool.now(), 10)] == mids
    await spool.close()


@pytest.mark.proves("F14")
async def test_a_file_of_no_bytes_and_files_of_the_future_and_of_others(folder: Path) -> None:
    mids = await spool_with(folder, 2)
    for path in folder.iterdir():
        os.utime(path, (4e9, 4e9))
    (folder / "notes of somebody.txt").write_text("x")
    spool = await Spool.open(folder)
    assert [copy.mid for copy in await spool.claim(spool.now(), 10)] == mids
    await spool.close()
    (folder / "spool.db").write_bytes(b"")
    spool = await Spool.open(folder)
    assert "missing or empty" in (spool.facts().warning or "")
    assert await put(spool, b"new") > max(mids)
    await spool.close()
    assert (folder / "notes of somebody.txt").read_text() == "x"


def open_descriptors(highest: int) -> int:
    found = 0
    for number in range(highest + 1):
        with contextlib.suppress(OSError):
            os.fstat(number)
            found += 1
    return found


@pytest.mark.slow
@pytest.mark.proves("F7")
async def test_a_process_without_descriptors_opens_the_spool_when_it_has_some(
    folder: Path,
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    spare = [os.open("/dev/null", os.O_RDONLY) for _ in range(50)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(spare) + 1, hard))
    try:
        async with unopened(folder, "Too many open files"):
            before = open_descriptors(max(spare))
            await asyncio.sleep(1)  # it is tried again, and loses none
            assert open_descriptors(max(spare)) == before
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for each in spare:
            os.close(each)
