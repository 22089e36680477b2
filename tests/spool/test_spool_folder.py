"""The folder and the files in it: whose they are, their modes, and what happens if they go away."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tdc.node_agent.spool.folder import SpoolFolder
from tdc.node_agent.spool.spool import Spool
from tdc.node_agent.spool.values import SpoolLocked, SpoolUnavailable

from tests.spool.test_spool_damage import ENVELOPE, INTAKE, put, spool_with


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@contextmanager
def umask(value: int) -> Iterator[None]:
    before = os.umask(value)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.proves("S17")
@pytest.mark.parametrize("mask", [0, 0o077, 0o277])
async def test_the_files_and_folders_that_are_made_have_their_mode_whatever_the_umask(
    tmp_path: Path, mask: int
) -> None:
    folder = tmp_path / "above" / "spool"
    with umask(mask):
        spool = await Spool.open(folder)
        await put(spool, b"x" * 10_000)
        await spool.close()
    assert (mode(folder), mode(folder.parent)) == (0o700, 0o755)
    assert {mode(path) for path in folder.iterdir()} == {0o600}


@pytest.mark.proves("B96")
@pytest.mark.parametrize("link", [False, True])
async def test_a_folder_that_is_there_keeps_its_mode(tmp_path: Path, link: bool) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    theirs.chmod(0o775)
    folder = tmp_path / "link" if link else theirs
    if link:
        folder.symlink_to(theirs)
    spool = await Spool.open(folder)
    await put(spool, b"x")
    assert mode(theirs) == 0o775
    assert f"run chmod 700 {folder}" in (spool.facts().warning or "")
    await spool.close()


@pytest.mark.proves("B96")
async def test_a_folder_of_others_is_not_used(tmp_path: Path) -> None:
    """`/etc`, or `/`, by a slip."""
    theirs = tmp_path / "etc"
    theirs.mkdir(mode=0o755)
    (theirs / "passwd").write_text("x")
    spool = await Spool.open(theirs)
    assert "it holds files of others and no spool" in (spool.facts().unhealthy or "")
    assert [path.name for path in theirs.iterdir()] == ["passwd"]
    await spool.close()
    (theirs / "passwd").rename(theirs / "lost+found")
    spool = await Spool.open(theirs)
    assert spool.facts().unhealthy is None, "a disk of its own"
    await spool.close()


async def noticed(spool: Spool, folder: Path, *, within: float = 1.0) -> None:
    async with asyncio.timeout(within):
        while not (folder / "spool.db").exists() or not spool.facts().warning:
            await asyncio.sleep(0.02)


def replace(folder: Path) -> None:
    (folder / "theirs").write_bytes(b"theirs")
    (folder / "theirs").rename(folder / "spool.db")


def unlink_all(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


REMOVALS: dict[str, Callable[[Path], object]] = {
    "the file": lambda folder: (folder / "spool.db").unlink(),
    "its log": lambda folder: (folder / "spool.db-wal").unlink(),
    "the lock": lambda folder: (folder / "spool.lock").unlink(),
    "all": unlink_all,
    "the folder": shutil.rmtree,
    "it is replaced": replace,
    "it is moved": lambda folder: (folder / "spool.db").rename(folder / "spool.old"),
}


@pytest.mark.parametrize("removal", REMOVALS)
async def test_a_file_removed_while_the_agent_runs_is_made_again_with_all_that_was_in_it(
    folder: Path, removal: str
) -> None:
    await spool_with(folder, 50)  # of an earlier run: their content is in the file alone
    spool = await Spool.open(folder)
    fresh = await put(spool, b"in memory too")
    held = await spool.hold(ENVELOPE, b"not answered yet", INTAKE, "1" * 32)
    (first, *_) = await spool.claim(spool.now(), 1)
    REMOVALS[removal](folder)
    after = await put(spool, b"taken at once, before it is noticed")
    await noticed(spool, folder)
    assert spool.facts().unhealthy is None
    assert "removed or replaced" in (spool.facts().warning or "")
    spool.release(held)
    await spool.delivered(first.mid, reply="250 ok")
    await put(spool, b"and on it goes")
    with pytest.raises(SpoolLocked):
        await Spool.open(folder)
    await spool.close()
    assert {mode(path) for path in folder.iterdir() if path.name != "spool.old"} == {0o600} or (
        removal == "it is replaced"
    )
    if removal == "it is replaced":
        (aside,) = folder.glob("spool.damaged-*")
        assert aside.read_bytes() == b"theirs"

    spool = await Spool.open(folder)
    assert spool.facts().warning is None
    copies = {copy.mid: copy.content for copy in await spool.claim(spool.now(), 100)}
    assert len(copies) == 49 + 1 + 1 + 1 + 1
    assert {fresh, held, after} < copies.keys()
    assert first.mid not in copies
    assert await put(spool, b"numbers go on") == max(copies) + 1
    await spool.close()


@pytest.mark.slow
async def test_what_is_in_memory_is_saved_where_the_file_cannot_be_copied(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await spool_with(folder, 5)
    spool = await Spool.open(folder)
    fresh = await put(spool, b"in memory too")

    def refuses(_: SpoolFolder) -> Path:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(SpoolFolder, "renew", refuses)
        (folder / "spool.db").unlink()
        async with asyncio.timeout(5):
            while "No space" not in (spool.facts().unhealthy or ""):
                await asyncio.sleep(0.02)
        await asyncio.sleep(1.5)  # its tries are used up
    async with asyncio.timeout(5):
        while spool.facts().unhealthy is not None:
            await asyncio.sleep(0.02)
    assert "lost" in (spool.facts().warning or "")
    assert [copy.mid for copy in await spool.claim(spool.now(), 100)] == [fresh]
    await spool.close()


def truncate(path: Path) -> None:
    os.truncate(path, 0)


def restore(path: Path) -> None:
    """As `cp backup spool.db` does: the same file, with what was in it an hour ago."""
    path.write_bytes((path.parent.parent / "backup").read_bytes())


def scribble(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\0" * 40_000)


OVERWRITTEN: dict[str, Callable[[Path], object]] = {
    "truncated": truncate,
    "restored": restore,
    "scribbled on": scribble,
}


@pytest.mark.parametrize("name", ["spool.db", "spool.db-wal"])
@pytest.mark.parametrize("how", OVERWRITTEN)
async def test_nothing_is_acknowledged_into_a_file_that_another_program_wrote_into(
    tmp_path: Path, how: str, name: str
) -> None:
    """What was in it may be lost with it. What is taken afterwards is not."""
    folder = tmp_path / "spool"
    spool = await Spool.open(folder)
    for _ in range(20):
        await put(spool, os.urandom(100_000))
    await asyncio.sleep(0.6)
    (tmp_path / "backup").write_bytes((folder / name).read_bytes())
    for _ in range(300):  # more than the log and the cache hold
        await put(spool, os.urandom(100_000))
    await asyncio.sleep(0.6)
    OVERWRITTEN[how](folder / name)
    async with asyncio.timeout(20):
        while not spool.facts().warning:
            await asyncio.sleep(0.02)
    after: list[int] = []
    async with asyncio.timeout(20):
        while len(after) < 20:
            try:
                after.append(await put(spool, os.urandom(1_000)))
            except SpoolUnavailable:
                await asyncio.sleep(0.05)
    assert f"another program wrote into {name}" in (spool.facts().warning or "")
    shutil.copytree(folder, tmp_path / "killed")  # as kill -9 leaves it
    await spool.close()
    spool = await Spool.open(tmp_path / "killed")
    copies = {copy.mid for copy in await spool.claim(spool.now(), 1_000)}
    assert set(after) <= copies
    await spool.close()


async def test_a_file_that_was_touched_loses_nothing(folder: Path) -> None:
    await spool_with(folder, 50)
    spool = await Spool.open(folder)
    (folder / "spool.db").touch()
    await noticed(spool, folder, within=3)
    assert "All copies were still at hand" in (spool.facts().warning or "")
    assert len(await spool.claim(spool.now(), 100)) == 50
    await spool.close()
