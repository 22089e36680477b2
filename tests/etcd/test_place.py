"""Where the embedded data belongs: copies are refused, ordinary life is not."""

from __future__ import annotations

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
from tdc.manager.etcd.errors import EmbeddedError
from tdc.manager.etcd.values import Put


async def _used(folder: Path) -> None:
    async with EmbeddedEtcd(folder) as endpoint, EtcdClient(EtcdOptions((endpoint,))) as etcd:
        await etcd.txn([], [Put("/tdc/a", b"1")])


@pytest.mark.proves("P16")
async def test_a_copy_is_refused_and_adopted_on_request(tmp_path: Path) -> None:
    await _used(tmp_path / "m1/etcd")
    copy = tmp_path / "m2/etcd"
    shutil.copytree(tmp_path / "m1", tmp_path / "m2")
    with pytest.raises(EmbeddedError, match="adopt --folder") as caught:
        await _used(copy)
    assert f"({(tmp_path / 'm1/etcd').resolve()}, here)" in str(caught.value)
    assert not (copy / "localhost:1").exists(), "etcd was not started"
    member = EmbeddedEtcd(copy, anywhere=True)
    async with member as endpoint, EtcdClient(EtcdOptions((endpoint,))) as etcd:
        assert await etcd.get("/tdc/a") is not None
    with pytest.raises(EmbeddedError, match="adopt"):
        await _used(copy)
    async with member:
        member.settle()
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
    await _used(tmp_path / "etcd")
    (tmp_path / "etcd/place").unlink()
    await _used(tmp_path / "etcd")
    assert (tmp_path / "etcd/place").exists()


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
