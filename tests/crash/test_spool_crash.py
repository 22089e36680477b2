"""What the spool promised is there after kill -9 and after a failed fsync, on a real disk."""

from __future__ import annotations

import hashlib
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tdc.node_agent.spool.spool import Spool

from tests.spool.conftest import file_system

pytestmark = pytest.mark.crash

CHILD = Path(__file__).with_name("spool_child.py")
FAR_FUTURE = 4e9


@dataclass
class Promises:
    """What a child said before its end. `sent` but not `gone` may be there or not."""

    held: dict[int, str] = field(default_factory=dict)
    sent: set[int] = field(default_factory=set)
    gone: set[int] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)

    def read(self, output: str) -> None:
        for line in output.splitlines():
            word, *rest = line.split(" ")
            if word == "held":
                self.held[int(rest[0])] = rest[1]
            elif word == "sent":
                self.sent.add(int(rest[0]))
            elif word == "gone":
                self.gone.add(int(rest[0]))
            elif word == "refused":
                self.refused.append(" ".join(rest))


async def check(folder: Path, promises: Promises, *, complete: bool = False) -> None:
    spool = await Spool.open(folder)
    try:
        found: dict[int, str] = {}
        while copies := await spool.claim(FAR_FUTURE, 500):
            found |= {copy.mid: hashlib.sha256(copy.content).hexdigest() for copy in copies}
        assert spool.facts().dead == 0
        assert spool.facts().warning is None
        due = promises.held.keys() - promises.sent
        assert due - found.keys() == set(), "acknowledged copies are lost"
        assert promises.gone & found.keys() == set(), "delivered copies came back"
        if complete:  # the child ended in order: it has named every copy that it held
            assert found.keys() - promises.held.keys() == set(), "refused copies are there"
        wrong = [mid for mid in found if found[mid] != promises.held.get(mid, found[mid])]
        assert wrong == []
    finally:
        await spool.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert file_system(tmp_path) not in ("tmpfs", "ramfs"), "run these tests on a real disk"
    return tmp_path / "spool"


@pytest.mark.proves("F1", "F35")
async def test_every_acknowledged_copy_survives_kill_9(folder: Path) -> None:
    promises = Promises()
    chance = random.Random(7)
    for _ in range(10):
        child = subprocess.Popen(
            [sys.executable, str(CHILD), str(folder), "1000000", "8"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
        timer = time.monotonic() + chance.uniform(0.02, 0.35)
        said = []
        while time.monotonic() < timer:
            said.append(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        rest, _ = child.communicate()
        promises.read("".join(said) + rest)
        await check(folder, promises)
    assert len(promises.held) > 500
    assert promises.gone


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.parametrize("when", [4, 9, 14, 25])
@pytest.mark.proves("F3")
async def test_a_failed_fsync_acknowledges_nothing_and_heals(folder: Path, when: int) -> None:
    """The kernel forgets a failed write at the next fsync, so the file is opened again.

    The first of them falls into the opening at the start.
    """
    trace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync,fsync"]
    fault = ["-e", f"inject=fdatasync,fsync:error=EIO:when={when}"]
    child = subprocess.run(
        [*trace, *fault, sys.executable, str(CHILD), str(folder), "40", "8"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    promises = Promises()
    promises.read(child.stdout)
    assert "closed" in child.stdout, child.stderr
    assert any("I/O error" in reason.replace("Input/output", "I/O") for reason in promises.refused)
    assert len(promises.held) > 100, "it did not heal"
    await check(folder, promises, complete=True)


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.parametrize("call", ["fdatasync", "pwrite64"])
@pytest.mark.parametrize("when", [3, 9, 14, 31])
@pytest.mark.proves("P1", "F1", "F35")
async def test_a_kill_at_any_write_or_sync_loses_nothing(
    folder: Path, call: str, when: int
) -> None:
    trace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}"]
    child = subprocess.run(
        [*trace, "-e", f"inject={call}:signal=KILL:when={when}", sys.executable, str(CHILD),
         str(folder), "40", "8"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert child.returncode != 0
    promises = Promises()
    promises.read(child.stdout)
    await check(folder, promises)


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.proves("P1", "F2", "F11")
def test_nothing_is_acknowledged_before_it_and_its_names_are_synced(folder: Path) -> None:
    """kill -9 keeps what the kernel has; only the order of calls shows what power loss keeps."""
    log = folder.parent / "strace.log"
    calls = "trace=openat,pwrite64,write,fdatasync,fsync,rename"
    child = subprocess.run(
        ["strace", "-f", "-qq", "-y", "-s", "16", "-o", str(log), "-e", calls,
         sys.executable, str(CHILD), str(folder), "30", "1"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert child.stdout.count("held") == 30
    unsynced: set[str] = set()
    acknowledged = synced = 0
    pending: dict[str, str] = {}
    for line in log.read_text().splitlines():
        thread, call = line.split(maxsplit=1)
        if call.endswith("<unfinished ...>"):
            pending[thread] = call
            if "sync(" in call:
                continue  # a sync counts when it returns, a write when it begins
        elif call.startswith("<..."):
            call = pending.pop(thread)
            if "sync(" not in call:
                continue
        if path := re.search(r"f(?:data)?sync\(\d+<([^>]+)>", call):
            unsynced.discard(path[1])
            synced += 1
        elif path := re.search(r"pwrite64\(\d+<([^>]+)>", call):
            if path[1].endswith("-wal"):
                unsynced.add(path[1])
        elif path := re.search(rf'openat\(.*"({re.escape(str(folder))}/[^"]+)".*O_CREAT', call):
            if not path[1].endswith((".lock", "-shm")):
                unsynced.add(str(folder))
        elif call.startswith("rename("):
            unsynced.add(str(folder))
        elif call.startswith("write(1<") and '"held' in call:
            assert unsynced == set(), call
            acknowledged += 1
    assert acknowledged == 30
    assert synced >= 30
