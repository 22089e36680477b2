"""`make demo` as a user runs it."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.stage.leftovers import programs
from tests.surroundings import in_time

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
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []
    assert programs(tmp_path) == {}
    last = done.stdout.strip().splitlines()[-1]
    summary = r"demo: OK: (\d+) messages sent, (\d+) originals .* (\d+) journal .* (\d+) s in all"
    match = re.fullmatch(summary, last)
    assert match, last
    assert match[1] == match[2]
    history = done.stdout.rpartition("$ tdc commit history\n")[2].splitlines()
    newest = int(history[1].split()[0])
    told = re.search(r"^tdc commit rollback (\d+) ", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert told is not None
    assert int(told[1]) == newest, "the one before the reader's own change"
    assert in_time(int(match[4]), 60)


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
    assert programs(folder) == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.system
def test_a_part_started_again_by_hand_is_where_it_was_and_ends_with_the_demo(
    tmp_path: Path,
) -> None:
    """By the lines that the demo prints: its port is the one to send mail to."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.demo", "--keep"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as demo:
        assert demo.stdout is not None
        told = list(itertools.takewhile(lambda line: "mx3: kill" not in line, demo.stdout))
        text = "".join(told)
        port = re.search(r"mx1: send mail to 127\.0\.0\.1:(\d+)", text)
        again = re.search(r"mx1: kill -9 (\d+)\n +(.*)", text)
        assert port is not None
        assert again is not None
        os.kill(int(again[1]), signal.SIGKILL)
        by_hand = subprocess.Popen(
            shlex.split(again[2]),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        _wait_for(lambda: _answers(int(port[1])))
        demo.send_signal(signal.SIGINT)
        demo.stdout.read()
        demo.wait(60)
    assert by_hand.wait(10) == 0
    _wait_for(lambda: list(tmp_path.iterdir()) == [] and programs(tmp_path) == {})


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as caller:
        caller.settimeout(5)
        return caller.recv(3) == b"220"
    return False


def _wait_for(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)
