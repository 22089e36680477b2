"""Which copy is in hand, so that one by which the agent dies is known at the next start.

A small file in the spool's folder says which copy is being read from the spool and for which one a
report is being built. It is written without a sync: what a process wrote outlives its end by a
signal, and losing power is no copy's fault. Both steps run without a pause, and a copy that passes
a step is cleared of it, so that one which only happens to be in the queue when the agent is killed
is not blamed.

A run that follows one which ended in order notes nothing, and fresh copies are never noted: all of
this costs nothing where nothing went wrong. So the first death is not seen; it puts the next run
on its guard.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator
from contextlib import AbstractContextManager
from enum import Enum
from pathlib import Path
from typing import Self

DEATHS = 2
"""Deaths with the same copy in hand that were seen, after which it is set aside: with the one
before them, three."""

_MARK = struct.Struct("<Q")
_SLOT = struct.Struct("<QQQ")  # MID in hand or 0; MID of the last death; its deaths so far
_RUNNING_AT = 2 * _SLOT.size  # not 0 from the opening to the end in order
_MOST = 2**63 - 1  # what SQLite may be asked for; a larger number is damage


class Step(Enum):
    """What is done with a copy: the number of its place in the file, and the reason in words."""

    READING = 0, "it was read from the spool"
    BUILDING = 1, "its report was built"


class Suspects:
    """The open file. One thread for each step. Nothing raises: without the file nobody is noted."""

    def __init__(self, file: int | None = None) -> None:
        """Count the deaths that the file tells of; `open` is the way to make one."""
        self._file = file
        self._up_to = 0
        self._begun = False
        self._on_guard = any(self._get(_RUNNING_AT, _MARK.size))
        self._accused: dict[Step, int] = {}
        for step in Step:
            mid, last, deaths = self._read(step)
            if mid:
                last, deaths = mid, min(deaths + 1, DEATHS) if mid == last else 1
                self._write(step, last, deaths)
            self._accused[step] = last

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open or make the file."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            return cls(os.open(path, flags, 0o600))
        except OSError:
            return cls()

    def begin(self, highest_mid: int) -> None:
        """The spool is open; `highest_mid` is the last copy of earlier runs."""
        self._begun = True
        self._up_to = highest_mid if self._on_guard else 0
        self._put(_RUNNING_AT, _MARK.pack(1))

    def close(self) -> None:
        """Note the end in order, if there was a beginning; close the file."""
        if self._begun:
            self._put(_RUNNING_AT, _MARK.pack(0))
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def poison(self) -> dict[int, str]:
        """Return MID -> reason of each copy that the agent died of again and again."""
        return {
            mid: f"the agent died again and again while {step.value[1]}"
            for step in Step
            for _, mid, deaths in [self._read(step)]
            if deaths >= DEATHS
        }

    def forget(self) -> None:
        """Begin anew: what `poison` returned is set aside."""
        for step in Step:
            if self._read(step)[2] >= DEATHS:
                self._write(step, 0, 0)

    def marked(self, step: Step, mid: int) -> AbstractContextManager[None]:
        """Return what notes the copy while its body runs, if this run is on its guard."""
        return _NOT_NOTED if mid > self._up_to else self._marked(step, mid)

    @contextlib.contextmanager
    def _marked(self, step: Step, mid: int) -> Iterator[None]:
        self._put(step.value[0] * _SLOT.size, _MARK.pack(mid))
        try:
            yield
        finally:
            if mid == self._accused[step]:
                self._accused[step] = 0
                self._write(step, 0, 0)
            else:
                self._put(step.value[0] * _SLOT.size, _MARK.pack(0))

    def _read(self, step: Step) -> tuple[int, int, int]:
        raw = self._get(step.value[0] * _SLOT.size, _SLOT.size)
        mid, last, deaths = _SLOT.unpack(raw.ljust(_SLOT.size, b"\0"))
        damaged = max(mid, last) > _MOST or deaths > DEATHS
        return (0, 0, 0) if damaged else (mid, last, deaths)

    def _write(self, step: Step, last: int, deaths: int) -> None:
        self._put(step.value[0] * _SLOT.size, _SLOT.pack(0, last, deaths))

    def _get(self, at: int, size: int) -> bytes:
        if self._file is None:
            return b""
        try:
            return os.pread(self._file, size, at)
        except OSError:
            return b""

    def _put(self, at: int, raw: bytes) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.pwrite(self._file, raw, at)


_NOT_NOTED = contextlib.nullcontext()
