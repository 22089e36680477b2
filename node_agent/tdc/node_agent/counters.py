"""Totals since the agent started: ingest and deliver count, `facts` and `status` report."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from tdc.shared.edge.clock import monotonic

RUN_GAP = 600.0
"""Seconds without a miss that end a run of misses: mail comes in bursts, and a spool that is full
lets a small copy in now and then, so a pause of less is the same trouble."""


class MissedReason(StrEnum):
    """Why a copy that was due was not taken."""

    SPOOL_FULL = "spool-full"
    SPOOL_BROKEN = "spool-broken"
    TOO_LARGE = "too-large"
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True)
class MissedRun:
    """Copies missed for one reason with no pause of RUN_GAP; times are monotonic seconds."""

    count: int
    since: float
    last: float


@dataclass(slots=True)
class Counters:
    """Plain totals, one writer thread (the event loop); meaning as in tdc.v1.Counters.

    Beside them `missed`, the latest run of misses for each reason; `refused_size`, the octets of
    the copy for which the spool had no room, until it takes one again; and `delivered_at`, when a
    report was last accepted. Times are monotonic seconds: a clock that is set must not move them.
    """

    originals_passed: int = 0
    originals_refused: int = 0
    copies_taken: int = 0
    copies_missed: int = 0
    copies_not_due: int = 0
    delivered: int = 0
    deferred: int = 0
    dead: int = 0
    maybe_duplicate: int = 0
    missed: dict[MissedReason, MissedRun] = field(default_factory=dict)
    refused_size: int = 0
    delivered_at: float | None = None

    def count_delivered(self) -> None:
        """The intake accepted a report."""
        self.delivered += 1
        self.delivered_at = monotonic()

    def count_missed(self, reason: MissedReason) -> None:
        """An original went on without its copy."""
        self.copies_missed += 1
        now = monotonic()
        run = self.missed.get(reason)
        if run is None or now - run.last > RUN_GAP:
            run = MissedRun(0, now, now)
        self.missed[reason] = MissedRun(run.count + 1, run.since, now)

    def frozen(self) -> Counters:
        """A copy that no longer counts."""
        return replace(self, missed=dict(self.missed))
