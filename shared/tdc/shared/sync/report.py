"""PURE. What an agent reports of its machine in a status, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass

from tdc.shared.sync.values import Running


@dataclass(frozen=True, slots=True)
class ReportedCounters:
    """Totals since the agent started; `tdc.v1.Counters` says what each counts."""

    originals_passed: int
    originals_refused: int
    copies_taken: int
    copies_missed: int
    copies_not_due: int
    delivered: int
    deferred: int
    dead: int
    maybe_duplicate: int


@dataclass(frozen=True, slots=True)
class ReportedDestination:
    """Delivery to one destination; `tdc.v1.Destination` says what each field is.

    `oldest_queued` is Unix seconds; None if no copy waits.
    """

    domain: str
    intake_domain: str
    host_status: str
    latest_host: str
    active_recipients: int
    connections_out: int
    delivered: int
    deferred: int
    dead: int
    oldest_queued: float | None
    last_reply: str
    last_tls_version: str
    held_reason: str


@dataclass(frozen=True, slots=True)
class ReportedBacklog:
    """The copies of one intake in a spool; `tdc.v1.Backlog` says what each field is.

    `oldest` is Unix seconds; None if no copy waits.
    """

    intake: str
    waiting: int
    dead: int
    oldest: float | None


@dataclass(frozen=True, slots=True)
class MachineReport:
    """One status of one machine. `spool_unhealthy` is empty while the spool can write."""

    running: Running
    copying: bool
    queued: int
    spool_unhealthy: str
    warnings: tuple[str, ...]
    counters: ReportedCounters
    destinations: tuple[ReportedDestination, ...]
    backlogs: tuple[ReportedBacklog, ...] = ()
