"""PURE. The spool's frozen values and errors, shared by ingest, deliver and status."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tdc.shared.mail.envelope import Envelope


class CopyState(StrEnum):
    """What a copy in the spool waits for; the file stores these words.

    Two more words complete a copy's life. *Deferred* is queued after a failed attempt: `attempts`
    counts them and `next_at` is later. *Delivered* copies leave the spool.
    """

    HELD = "held"  # for the next hop's answer to the original
    QUEUED = "queued"  # for `next_at`, then for delivery
    DEAD = "dead"  # for an operator: refused, too old, damaged, or the agent dies of it
    DROPPED = "dropped"  # for its content to be deleted: an operator dropped it


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy, as delivery gets it.

    `mid` is its number at this agent; `report_id` the stable left part of the report's
    Message-ID, the same in each attempt; `intake` the message intake address it is due to;
    `content` the original's bytes (CRLF lines, not dot-stuffed); `attempts` the number of failed
    attempts so far. `taken_at` is by the spool's own time (steady.py), and so is `retried_at`: when
    its lifetime began again, if ever. `dated` is for people: Unix seconds when it was taken, by the
    wall clock of that moment, the same in each attempt.
    """

    mid: int
    report_id: str
    intake: str
    envelope: Envelope
    content: bytes
    taken_at: float
    attempts: int = 0
    dated: float = 0.0
    retried_at: float | None = None

    @property
    def lives_from(self) -> float:
        """When its lifetime began, by the spool's own time."""
        return self.taken_at if self.retried_at is None else self.retried_at


@dataclass(frozen=True, slots=True)
class SpoolFacts:
    """What status shows of the spool. Times are Unix seconds, sizes bytes.

    `unhealthy` is the reason why the spool is not writable now, None if it is; `warning` is
    something an operator must look at (a damaged file was set aside).
    """

    queued: int
    held: int
    dead: int
    bytes: int
    oldest: float | None
    newest: float | None
    unhealthy: str | None
    warning: str | None = None


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits for one intake domain.

    `waiting` counts recipients; a report has one, the intake, so it equals the copies waiting.
    `oldest` is the `taken_at` of the oldest of them, Unix seconds.
    """

    waiting: int
    oldest: float | None


@dataclass(frozen=True, slots=True)
class IntakeBacklog:
    """What the spool holds for one intake address: copies that wait, and dead ones.

    `oldest` is when the oldest of those that wait was taken, Unix seconds.
    """

    waiting: int
    dead: int
    oldest: float | None


@dataclass(frozen=True, slots=True)
class CopyEvent:
    """A step in the history of a copy: `at` Unix seconds; `text` is a reply or a reason."""

    at: float
    what: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Retry:
    """Try copies at once; dead ones have their whole lifetime again. `by` is who asked, or why."""

    by: str


@dataclass(frozen=True, slots=True)
class Move:
    """Send copies to another intake; their lifetime begins again."""

    by: str
    to: str


@dataclass(frozen=True, slots=True)
class Drop:
    """Delete copies."""

    by: str


Change = Retry | Move | Drop
"""What becomes of copies that were chosen."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Chosen copies, and their bytes."""

    copies: int = 0
    bytes: int = 0

    def __add__(self, other: Counted) -> Counted:
        return Counted(self.copies + other.copies, self.bytes + other.bytes)

    def __sub__(self, other: Counted) -> Counted:
        return Counted(self.copies - other.copies, self.bytes - other.bytes)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A copy that is not tried any more, without its content; `reason` says why.

    `taken_at` and `dead_at` are Unix seconds; `message_id` is the original's.
    """

    mid: int
    report_id: str
    intake: str
    sender: str
    recipients: tuple[str, ...]
    size: int
    taken_at: float
    dead_at: float
    attempts: int
    reason: str
    message_id: str = ""


class SpoolError(Exception):
    """The spool can't be opened or used; the text says why and what to do."""


class SpoolLocked(SpoolError):
    """Another process has this spool open; the text names its pid."""


class SpoolFull(SpoolError):
    """A bound (`spool.max_messages`, `spool.max_bytes`) is reached; the copy was not taken."""


class SpoolUnavailable(SpoolError):
    """The spool is not writable now (disk error, disk full, closed); the copy was not taken."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"spool is not writable: {reason}")
        self.reason = reason
