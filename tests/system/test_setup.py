"""`scripts/setup` says that it goes on, whatever it waits for and wherever its output goes."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONGEST_SILENCE = 3.0

SLOW_PYTHON = """#!/bin/sh
case "$*" in
    "-m venv"*) sleep {venv}; mkdir -p .venv/bin; cp "$0" .venv/bin/python ;;
    "-m pip install"*) sleep {pip} ;;
    -V) echo Python 3.11 ;;
esac
"""


@pytest.mark.parametrize(("venv", "pip"), [(5, 0), (0, 5)])
def test_no_silence_is_long_in_a_pipe_either(tmp_path: Path, venv: int, pip: int) -> None:
    for name in ("scripts/setup", "requirements/dev.txt", "pyproject.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    python = tmp_path / "slow-python"
    python.write_text(SLOW_PYTHON.format(venv=venv, pip=pip))
    python.chmod(0o755)
    silences = []
    with subprocess.Popen(
        [tmp_path / "scripts" / "setup", "python"],
        stderr=subprocess.PIPE,
        env={"PATH": "/usr/bin:/bin", "PYTHON": str(python)},
    ) as process:
        assert process.stderr is not None
        began = time.monotonic()
        while process.stderr.read(1):
            silences.append(time.monotonic() - began)
            began = time.monotonic()
        assert process.wait(20) == 0
    assert max(silences) < LONGEST_SILENCE
    assert (tmp_path / ".venv" / ".ready").exists()
