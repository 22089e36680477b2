"""Run pytest in a fork of a process that has the libraries already: most of a short run is imports.

Nothing of ours is imported before the fork, so each run sees the tree that it is to see.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

LIBRARIES = [
    "pytest",
    "_pytest.assertion.rewrite",
    "hypothesis",
    "hypothesis.strategies",
    "cryptography.x509",
    "dns.asyncresolver",
    "google.protobuf.descriptor_pool",
    "grpc.aio",
    "msgspec",
    "rich.console",
    "trustme",
    "uvloop",
    "yaml",
]

TREES = ("shared", "manager", "node_agent")

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(LIBRARIES)


def run(folder: Path, arguments: Sequence[str], longest: float) -> tuple[int | None, str]:
    """Run pytest in `folder`: its exit code, None if it is not over in `longest` seconds; output.

    What the tests started ends with them.
    """
    output = folder / "output"
    child = _forks.Process(target=_pytest, args=(folder, list(arguments), output))
    child.start()
    child.join(longest)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid or 0, signal.SIGKILL)
    child.join()
    code = child.exitcode
    return (None if code == -signal.SIGKILL else code), output.read_text(errors="replace")


def _pytest(folder: Path, arguments: list[str], output: Path) -> None:
    os.setpgid(0, 0)
    os.chdir(folder)
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(file, 1)
    os.dup2(file, 2)
    for name in [each for each in sys.modules if each.partition(".")[0] == "tests"]:
        del sys.modules[name]
    trees = [str(folder / name) for name in TREES]
    sys.path[:0] = [str(folder), *trees]
    sys.dont_write_bytecode = True
    os.environ |= {"PYTHONPATH": ":".join(trees), "PYTHONDONTWRITEBYTECODE": "1"}
    sys.exit(pytest.main(arguments))
