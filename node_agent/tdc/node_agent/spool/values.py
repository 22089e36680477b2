"""PURE. The spool's frozen values and errors, shared by ingest, deliver and status."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tdc.shared.mail.envelope import Envelope


class CopyState(StrEnum):
    """Where a copy is in its life."""

    HELD = "held"  # durable; the next hop has not answered for the original yet
    QUEUED = "queued"  # to be delivered at `next_at`
    DEAD = "dead"  # on the dead-letter list, with a reason
    DAMAGED = "damaged"  # its row can't be trusted, or kills the agent; set aside


@dataclass(frozen=True, slots=True)
class Copy:
    """One copy, as delivery gets it.

    `mid` is its number at this agent; `report_id` the stable left part of the report's
    Message-ID, the same in each attempt; `intake` the message intake address it is due to;
    `content` the original's bytes (CRLF lines, not dot-stuffed); `taken_at` Unix seconds;
    `attempts` the number of failed attempts so far.
    """

    mid: int
    report_id: str
    intake: str
    envelope: Envelope
    content: bytes
    taken_at: float
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class SpoolFacts:
    """What status shows of the spool. Times are Unix seconds, sizes bytes.

    `unhealthy` is the reason why the spool can't write now, None when it can; `warning` is
    something an operator must look at (a damaged file was set aside).
    """

    queued: int
    held: int
    dead: int
    damaged: int
    bytes: int
    oldest: float | None
    newest: float | None
    unhealthy: str | None
    warning: str | None = None


@dataclass(frozen=True, slots=True)
class Destination:
    """What waits for one intake domain.

    `waiting` counts recipients; a report has one, the intake, so it equals the copies waiting.
    `oldest` is the `taken_at` of the oldest of them, Unix seconds.
    """

    waiting: int
    oldest: float | None


@dataclass(frozen=True, slots=True)
class Event:
    """One step in the history of a copy: `at` Unix seconds; `text` is a reply or a reason."""

    at: float
    what: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Setaside:
    """A copy that is not tried any more (dead or damaged), without its content."""

    mid: int
    report_id: str
    intake: str
    sender: str
    recipients: tuple[str, ...]
    size: int
    taken_at: float
    attempts: int
    reason: str
