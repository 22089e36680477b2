"""Disks that fail in each of their ways, on real files: what was acknowledged is there."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tdc.node_agent.spool.health import SLOW_DISK

from tests.crash.test_spool_crash import CHILD, Promises, check
from tests.spool.conftest import file_system
from tests.surroundings import in_time

pytestmark = [
    pytest.mark.crash,
    pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace"),
]
DISK_CHILD = Path(__file__).with_name("disk_child.py")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert file_system(tmp_path) not in ("tmpfs", "ramfs"), "run these tests on a real disk"
    return tmp_path / "spool"


async def faulty(folder: Path, calls: str, fault: str, *, count: int = 60) -> Promises:
    """Run a child with a fault injected into its calls; it must heal, and nothing be lost."""
    trace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={calls}"]
    child = subprocess.run(
        [*trace, "-e", f"inject={calls}:{fault}", sys.executable, str(CHILD), str(folder),
         str(count), "8"],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    promises = Promises()
    promises.read(child.stdout)
    assert "closed" in child.stdout, child.stderr
    assert promises.held, "it did not heal"
    await check(folder, promises, complete=True)
    return promises


@pytest.mark.proves("F4")
@pytest.mark.parametrize("when", [1, 2, 3, 4, 5])
async def test_a_folder_that_cannot_be_synced_acknowledges_nothing(
    folder: Path,
    when: int,
) -> None:
    """Only names are synced by fsync, and the file of the highest number."""
    await faulty(folder, "fsync", f"error=EIO:when={when}")


@pytest.mark.proves("F5", "F7", "F9", "P19")
@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("ENOSPC", "disk is full"),
        ("EDQUOT", "disk I/O error"),
        ("EROFS", "disk I/O error"),
        ("EIO", "disk I/O error"),
    ],
)
async def test_writes_that_fail_for_a_while_refuse_copies_and_heal(
    folder: Path,
    error: str,
    words: str,
) -> None:
    # Each of the seven may cost a whole try to open the file again: up to 3 s.
    promises = await faulty(folder, "pwrite64", f"error={error}:when=40..46", count=200)
    assert any(words in reason for reason in promises.refused)


@pytest.mark.proves("F12", "P19")
async def test_a_sync_that_takes_long_refuses_copies_and_ends_nothing(
    folder: Path,
) -> None:
    """Delivery pauses as well: no copy is claimed while nothing can be marked."""
    begun = time.monotonic()
    promises = await faulty(folder, "fdatasync", "delay_exit=12000000:when=12")
    assert in_time(time.monotonic() - begun, 60)
    assert any(SLOW_DISK in reason for reason in promises.refused)


def on_small_disk(folder: Path, facts: str, most: int) -> list[object]:
    """Run the disk child with a file system of its own."""
    folder.mkdir()
    script = f'mount -t tmpfs -o {facts} tmpfs "$0" && exec "$@"'
    child = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", script, str(folder), sys.executable, str(DISK_CHILD),
         f"{folder}/spool", str(most)],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    if "unshare failed" in child.stderr or "permission denied" in child.stderr:
        pytest.skip(f"needs a file system of its own: {child.stderr.strip()}")
    assert child.returncode == 0, child.stderr
    answer: list[object] = json.loads(child.stdout)
    return answer


@pytest.mark.proves("P7", "F5")
def test_copies_are_refused_before_the_disk_is_full(tmp_path: Path) -> None:
    held, refused, unhealthy, delivered, again = on_small_disk(tmp_path / "disk", "size=90m", 400)
    assert isinstance(held, int)
    assert 20 < held < 130, "64 MiB are left free"
    assert "MiB left" in str(refused)
    assert unhealthy is None, "there is room for every mark"
    assert delivered == held
    assert again == 5, "what was delivered makes room"


@pytest.mark.proves("F6")
@pytest.mark.parametrize("inodes", [3, 4, 5])
def test_a_disk_without_inodes_is_told_from_a_full_one(tmp_path: Path, inodes: int) -> None:
    facts = f"size=200m,nr_inodes={inodes}"
    held, _, unhealthy, _, _ = on_small_disk(tmp_path / "disk", facts, 5)
    assert held == 0
    assert "the disk has no inodes left" in str(unhealthy)
