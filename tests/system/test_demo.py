"""`make demo` as a user runs it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.system
def test_the_demo_ends_well_within_a_minute_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """Exit 0, a summary with counts as its last line, no process and no folder left."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.demo"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []
    assert programs(tmp_path) == []
    last = done.stdout.strip().splitlines()[-1]
    summary = r"demo: OK: (\d+) messages sent, (\d+) originals .* (\d+) journal .* (\d+) s in all"
    match = re.fullmatch(summary, last)
    assert match, last
    assert match[1] == match[2]
    assert int(match[4]) < 60


@pytest.mark.system
@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), (signal.SIGHUP, 130), (signal.SIGKILL, -signal.SIGKILL)],
    ids=["Ctrl-C", "closed terminal", "kill -9"],
)
def test_nothing_is_left_of_a_demo_that_is_ended(
    number: signal.Signals, status: int, tmp_path: Path
) -> None:
    """No process and no folder, a moment later, though manager and etcd were running."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.demo"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as demo:
        assert demo.stdout is not None
        assert any(line.startswith("== 2.") for line in demo.stdout)
        (folder,) = tmp_path.glob("tdc-demo-*")
        assert len(programs(folder)) > 1
        demo.send_signal(number)
        _, said = demo.communicate(timeout=30)
    assert demo.returncode == status
    assert "Traceback" not in said
    deadline = time.monotonic() + 15
    while (folder.exists() or programs(folder)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert programs(folder) == []
    assert list(tmp_path.iterdir()) == []


def programs(folder: Path) -> list[str]:
    """Return the command lines of running programs that name the folder, or work in it (etcd)."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended, or it is another user's
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if str(folder) in command or (process / "cwd").readlink().is_relative_to(folder):
                found.append(command)
    return found
