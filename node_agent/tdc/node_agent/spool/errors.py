"""What the spool raises. Each message says what happened and what to do."""

from __future__ import annotations


class SpoolError(Exception):
    """The spool can't be opened or used; the text says why and what to do."""


class SpoolLocked(SpoolError):
    """Another process has this spool open; the text names its pid."""


class SpoolFull(SpoolError):
    """A bound (`spool.max_messages`, `spool.max_bytes`) is reached; the copy was not taken."""


class SpoolUnavailable(SpoolError):
    """The spool can't write now (disk error, disk full, closed); the copy was not taken."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the spool can't be written: {reason}")
        self.reason = reason
