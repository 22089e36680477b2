"""`make demo` as a user runs it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder of our own, whose path leaves room for a socket's name."""
    with tempfile.TemporaryDirectory(prefix="tdc-") as folder:
        yield Path(folder)


@pytest.mark.system
def test_the_demo_ends_well_within_a_minute_and_leaves_nothing_behind(
    short_folder: Path,
) -> None:
    """Exit 0, a summary with counts as its last line, no process and no folder left."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.demo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
        env={**os.environ, "TMPDIR": str(short_folder)},  # another demo may run beside this one
    )
    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.strip().splitlines()[-1]
    summary = r"demo: OK: (\d+) messages sent, (\d+) originals .* (\d+) journal .* (\d+) s in all"
    match = re.fullmatch(summary, last)
    assert match, last
    assert match[1] == match[2]
    assert int(match[4]) < 60
    left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(short_folder) not in left
    assert list(short_folder.iterdir()) == []
