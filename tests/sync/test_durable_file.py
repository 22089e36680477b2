"""Small durable files: the order of system calls, modes, damage, and failures that keep the old."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tdc.shared.edge import durable_file
from tdc.shared.edge.durable_file import FileDamaged, Missing, NotReadable, NotWritten

WRITE = (
    "import sys; from pathlib import Path; from tdc.shared.edge import durable_file;"
    "durable_file.write(Path(sys.argv[1]), b'new')"
)


needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="no strace here")


def traced(path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Write `path` in a process of its own under strace."""
    trace = path.parent.parent / "trace"
    command = ["strace", "-f", "-y", "-o", str(trace), *options, sys.executable, "-c", WRITE]
    done = subprocess.run(
        [*command, str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},  # no file calls but ours
    )
    done.stdout = trace.read_text()
    return done


@needs_strace
def test_content_is_on_disk_before_the_name_and_the_name_before_it_returns(tmp_path: Path) -> None:
    """fsync(file), rename, fsync(folder): any other order loses or tears a file at power loss."""
    folder = tmp_path / "folder"
    folder.mkdir()
    done = traced(folder / "file", "-e", "trace=fsync,rename,renameat,renameat2")
    assert done.returncode == 0, done.stderr
    calls = [line for line in done.stdout.splitlines() if str(folder) in line]
    assert [re.sub(r"^\d+ +(\w+)\(.*", r"\1", line) for line in calls] == [
        "fsync",
        "rename",
        "fsync",
    ]
    assert f"<{folder}/.file." in calls[0]
    assert f"<{folder}>" in calls[2]


@needs_strace
@pytest.mark.parametrize(
    "fault",
    [
        "fsync:error=EIO:when=1",
        "fsync:error=EIO:when=2",
        "rename:error=ENOSPC:when=1",
    ],
)
@pytest.mark.proves("F11")
def test_a_disk_that_fails_is_told_and_leaves_a_whole_file(tmp_path: Path, fault: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_bytes(b"old")
    done = traced(folder / "file", "-e", f"inject={fault}")
    assert "INJECTED" in done.stdout
    assert "NotWritten" in done.stderr
    assert (folder / "file").read_bytes() in (b"old", b"new")
    assert [path.name for path in folder.iterdir()] == ["file"]


def test_a_private_file_is_private_from_its_first_moment(tmp_path: Path) -> None:
    durable_file.write(tmp_path / "key", b"secret")
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    durable_file.write(tmp_path / "ca", b"public", mode=durable_file.READABLE)
    durable_file.make_folder(tmp_path / "a" / "b")
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700


def test_what_can_not_be_written_or_read_is_said_in_our_words(tmp_path: Path) -> None:
    with pytest.raises(NotWritten, match="No such file"):
        durable_file.write(tmp_path / "none" / "file", b"")
    with pytest.raises(Missing):
        durable_file.read(tmp_path / "none")
    with pytest.raises(NotReadable):
        durable_file.read(tmp_path)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotWritten):
        durable_file.make_folder(tmp_path / "file")


@given(st.binary(max_size=200), st.data())
@pytest.mark.proves("F56")
def test_any_single_damage_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("damage") / "file"
    durable_file.write_checked(path, content)
    assert durable_file.read_checked(path) == content
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    if data.draw(st.booleans()):
        harmed = whole[:place]
    else:
        harmed = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
    path.write_bytes(harmed)
    with pytest.raises(FileDamaged):
        durable_file.read_checked(path)


@pytest.mark.parametrize("mask", [0o000, 0o077, 0o277])
def test_folders_and_files_have_their_mode_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    folder = tmp_path / "above" / "between" / "state"
    before = os.umask(mask)
    try:
        durable_file.make_folder(folder)
        durable_file.write(folder / "private", b"")
        durable_file.write(folder / "ports.json", b"", mode=durable_file.READABLE)
    finally:
        os.umask(before)
    found = [folder, folder.parent, folder.parent.parent, *sorted(folder.iterdir())]
    modes = [stat.S_IMODE(each.stat().st_mode) for each in found]
    assert modes == [0o700, 0o755, 0o755, 0o644, 0o600]


def test_a_pipe_in_a_files_place_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(durable_file.NotReadable, match="it is no regular file"):
        durable_file.read(tmp_path / "pipe")
