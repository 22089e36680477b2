"""The suite does not depend on who starts it."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.tree.source import ROOT

# One test of each kind that once failed so: keys, signals, modes, times, many connections.
TRIED = (
    "tests/cli/test_terminal.py",
    "tests/spool/test_spool.py::test_the_files_are_private",
    "tests/sync/test_durable_file.py",
    "tests/log/test_log_lines.py",
)


def _ignore_signals() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _few_descriptors() -> None:
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (1_024, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    )


def _nothing_for_others() -> None:
    os.umask(0o077)


def _everything_for_others() -> None:
    os.umask(0)


@pytest.mark.system
@pytest.mark.parametrize(
    "begin", [_ignore_signals, _few_descriptors, _nothing_for_others, _everything_for_others]
)
def test_tests_pass_whoever_starts_them(begin: Callable[[], None]) -> None:
    odd = {"LC_ALL": "C", "TZ": "Pacific/Kiritimati", "COLUMNS": "30"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *TRIED],
        cwd=ROOT,
        env=os.environ | odd,
        preexec_fn=begin,  # pytest runs no threads here
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2_000:]
