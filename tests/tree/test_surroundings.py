"""The suite does not depend on the shell that starts it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.tree.source import ROOT

PATIENCE = 300.0  # seconds; about 20 on a machine that does nothing else

# One test of each kind that once failed so: keys, signals, modes, times, many connections.
TRIED = (
    "tests/cli/test_terminal.py",
    "tests/spool/test_spool.py::test_the_files_are_private",
    "tests/sync/test_durable_file.py",
    "tests/log/test_log_lines.py",
)


@pytest.mark.system
@pytest.mark.timeout(PATIENCE + 30)
@pytest.mark.parametrize(
    "begin",
    ["trap '' INT HUP; umask 077", "ulimit -S -n 1024; umask 000"],
    ids=["signals", "files"],
)
def test_tests_pass_from_any_shell(begin: str) -> None:
    odd = {"LC_ALL": "C", "TZ": "Pacific/Kiritimati", "COLUMNS": "30"}
    pytest_run = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *TRIED]
    done = subprocess.run(
        ["/bin/sh", "-c", f'{begin}; exec "$@"', "sh", *pytest_run],
        cwd=ROOT,
        env=os.environ | odd,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2_000:]
