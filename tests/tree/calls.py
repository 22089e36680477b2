"""Which functions of ours ran, in the order of their first start; every thread counts."""

from __future__ import annotations

import contextlib
import dis
import functools
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType

from tests.tree.source import TREES


class Recorded:
    """What ran, by file and qualified name.

    `started` has the place of the first start in the order of all, `last` that of the last; `ran`
    also what had begun before and went on after a wait.
    """

    def __init__(self) -> None:
        self.started: dict[tuple[Path, str], int] = {}
        self.last: dict[tuple[Path, str], int] = {}
        self._count = 0
        self.ran: set[tuple[Path, str]] = set()

    def note(self, path: Path, name: str, *, starts: bool) -> None:
        """Take in one call."""
        self.ran.add((path, name))
        if starts:
            self._count += 1
            self.started.setdefault((path, name), self._count)
            self.last[path, name] = self._count


class Calls:
    """Watches the calls of our functions; made by `watched`."""

    def __init__(self) -> None:
        self._into: Recorded | None = None
        self._trees = tuple(str(tree) for tree in TREES.values())

    @contextlib.contextmanager
    def recording(self) -> Iterator[Recorded]:
        """Record while the body runs."""
        self._into = recorded = Recorded()
        try:
            yield recorded
        finally:
            self._into = None

    def called(self, frame: FrameType, event: str, _: object) -> None:
        """Be the profile function of a thread (sys.setprofile)."""
        into, code = self._into, frame.f_code
        if into is not None and event == "call" and code.co_filename.startswith(self._trees):
            starts = frame.f_lasti <= _start_of(code)
            into.note(Path(code.co_filename), code.co_qualname, starts=starts)


@functools.cache
def _start_of(code: CodeType) -> int:
    """Where a call enters; a coroutine that goes on after a wait enters further down."""
    resumes = (each for each in dis.get_instructions(code) if each.opname == "RESUME")
    return next((each.offset for each in resumes if each.arg == 0), 0)


@contextlib.contextmanager
def watched() -> Iterator[Calls]:
    """Watch this thread, and those that begin from here on."""
    calls = Calls()
    threading.setprofile(calls.called)
    sys.setprofile(calls.called)
    try:
        yield calls
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
