"""Limits of memory for a running program: by the kernel's OOM killer, by refused allocations."""

from __future__ import annotations

import contextlib
import os
import re
import resource
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_NAME = f"tdc-test-{os.getpid()}"


def size_of(pid: int, row: str) -> int:
    """A row of the process's status, octets."""
    found = re.search(rf"{row}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def refuse_allocations(pid: int, more: int) -> None:
    """Let the process map so many octets more, and then no more."""
    limit = size_of(pid, "VmSize") + more
    resource.prlimit(pid, resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


def allow_allocations(pid: int) -> None:
    """End `refuse_allocations`."""
    resource.prlimit(pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@contextlib.contextmanager
def killed_beyond(pid: int, limit: int) -> Iterator[bool]:
    """Have the kernel kill the process when it holds more than so many octets.

    Yields False where this process may make no cgroup: then somebody else must watch and kill.
    """
    second = (_ROOT / "cgroup.controllers").exists()
    group = _ROOT / _NAME if second else _ROOT / "memory" / _NAME
    try:
        group.mkdir()
        (group / ("memory.max" if second else "memory.limit_in_bytes")).write_text(str(limit))
        with contextlib.suppress(OSError):  # where there is no swap there is no such file
            (group / "memory.swap.max").write_text("0")
        (group / "cgroup.procs").write_text(str(pid))
    except OSError:
        with contextlib.suppress(OSError):
            group.rmdir()
        yield False
        return
    try:
        yield True
    finally:
        for left in (group / "cgroup.procs").read_text().split():
            with contextlib.suppress(OSError):
                (group.parent / "cgroup.procs").write_text(left)
        group.rmdir()
