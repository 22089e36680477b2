"""Which copy is in hand, so that a copy that kills the agent is known at the next start.

A copy may kill the process each time it is handled: out of memory, a fault in a library. It would
stop all the others for good, so after three deaths it is dead. The difficulty is to blame the
right copy, at no cost where nothing went wrong:

- A small file in the spool's folder names the copy that is being read from the spool, and the
  copy whose report is being built. These are the two moments at which a copy's bytes are handled;
  neither pauses, so only one copy can be in hand at each.
- The file is written without a sync. What a process wrote outlives its death by a signal, and a
  loss of power is no copy's fault.
- A copy that survives a hazard is cleared of it. So a copy that merely stands at the head of the
  queue, when the agent is killed for another reason, is not blamed.
- A run that follows a clean stop notes nothing, and copies taken in this run are never noted. So
  the first death is not seen; it puts the next run on its guard.
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
"""Deaths seen with the same copy in hand, after which it is dead; with the first, unseen, three."""

_MARK = struct.Struct("<Q")
_SLOT = struct.Struct("<QQQ")  # MID in hand or 0; MID of the last death; its deaths so far
_RUNNING_AT = 2 * _SLOT.size  # not 0 from the opening to a clean stop
_MOST = 2**63 - 1  # the largest MID that SQLite can be asked for; a larger number is damage


class Hazard(Enum):
    """What is done with a copy's bytes: its slot in the file, and the reason in words."""

    READING = 0, "it was read from the spool"
    BUILDING = 1, "its report was built"


class Suspects:
    """The open file. One thread for each hazard. Never raises; without a file nothing is noted."""

    def __init__(self, file: int | None = None) -> None:
        """Count the deaths that the file shows; use `at` to make one."""
        self._file = file
        self._up_to = 0
        self._begun = False
        self._on_guard = any(self._get(_RUNNING_AT, _MARK.size))
        self._accused: dict[Hazard, int] = {}
        for hazard in Hazard:
            mid, last, deaths = self._read(hazard)
            if mid:
                last, deaths = mid, min(deaths + 1, DEATHS) if mid == last else 1
                self._write(hazard, last, deaths)
            self._accused[hazard] = last

    @classmethod
    def at(cls, path: Path) -> Self:
        """Open or make the file at `path`."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            file = os.open(path, flags, 0o600)
            os.fchmod(file, 0o600)  # whatever the umask
        except OSError:
            return cls()
        return cls(file)

    def begin(self, highest_mid: int) -> None:
        """The spool is open; `highest_mid` is the last copy of earlier runs."""
        self._begun = True
        self._up_to = highest_mid if self._on_guard else 0
        self._put(_RUNNING_AT, _MARK.pack(1))

    def close(self) -> None:
        """Note a clean stop, if `begin` was called; close the file."""
        if self._begun:
            self._put(_RUNNING_AT, _MARK.pack(0))
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def poison(self) -> dict[int, str]:
        """MID -> reason, of each copy that has killed the agent DEATHS times."""
        return {
            mid: f"the agent died again and again while {hazard.value[1]}"
            for hazard in Hazard
            for _, mid, deaths in [self._read(hazard)]
            if deaths >= DEATHS
        }

    def forget(self) -> None:
        """Forget the copies that `poison` returned: they are dead now."""
        for hazard in Hazard:
            if self._read(hazard)[2] >= DEATHS:
                self._write(hazard, 0, 0)

    def marked(self, hazard: Hazard, mid: int) -> AbstractContextManager[None]:
        """Note the copy while the body runs, if this run is on its guard."""
        return _NOT_NOTED if mid > self._up_to else self._marked(hazard, mid)

    @contextlib.contextmanager
    def _marked(self, hazard: Hazard, mid: int) -> Iterator[None]:
        self._put(hazard.value[0] * _SLOT.size, _MARK.pack(mid))
        try:
            yield
        finally:
            if mid == self._accused[hazard]:
                self._accused[hazard] = 0
                self._write(hazard, 0, 0)
            else:
                self._put(hazard.value[0] * _SLOT.size, _MARK.pack(0))

    def _read(self, hazard: Hazard) -> tuple[int, int, int]:
        raw = self._get(hazard.value[0] * _SLOT.size, _SLOT.size)
        mid, last, deaths = _SLOT.unpack(raw.ljust(_SLOT.size, b"\0"))
        damaged = max(mid, last) > _MOST or deaths > DEATHS
        return (0, 0, 0) if damaged else (mid, last, deaths)

    def _write(self, hazard: Hazard, last: int, deaths: int) -> None:
        self._put(hazard.value[0] * _SLOT.size, _SLOT.pack(0, last, deaths))

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
