"""Holds this folder to its name: a test here that touches the world outside fails, and says where.

Reading a file is allowed, since stories and dialogues are files. What a property-testing library
keeps for itself does not count: only calls that our code or the test made.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import pytest

ROOT = str(Path(__file__).parents[2])
INSTALLED = str(Path(pytest.__file__).parents[1])

# Audit events (PEP 578) of sockets, so event loops too, and of processes, threads, files, sleep.
OUTSIDE = (
    *("socket.", "subprocess.", "os.fork", "os.exec", "os.posix_spawn", "os.system", "_thread."),
    *("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.truncate", "os.link", "os.symlink"),
    *("sqlite3.", "tempfile.", "shutil.", "time.sleep"),
)


@dataclass
class Watch:
    """Whether a test is running, and what it did so far; an audit hook can never be taken off."""

    on: bool = False
    seen: list[str] = field(default_factory=list)


WATCH = Watch()


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    if WATCH.on and (event.startswith(OUTSIDE) or (event == "open" and _writes(arguments))):
        frame = _maker(sys._getframe(1))
        if frame is not None:
            where = traceback.format_stack(frame, limit=1)[0].strip()
            WATCH.seen.append(f"{event}{arguments!r:.80}: {where}")


def _writes(arguments: tuple[object, ...]) -> bool:
    _, mode, flags = arguments
    return set(str(mode or "")) & set("wax+") != set() or (isinstance(flags, int) and flags & 3 > 0)


def _maker(frame: FrameType | None) -> FrameType | None:
    """Find the code of ours that made a call; None if a library of the tests made it."""
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(ROOT) and not name.startswith(INSTALLED):
            return frame
        if "hypothesis" in name or "_pytest" in name:
            return None
        frame = frame.f_back
    return None


sys.addaudithook(_audit)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Watch the test itself, not what runs around it; fail it by what was seen."""
    WATCH.on = True
    try:
        yield
    finally:
        WATCH.on = False
        seen, WATCH.seen = WATCH.seen, []
    if seen:
        pytest.fail("touched the world outside:\n" + "\n".join(seen[:5]), pytrace=False)
