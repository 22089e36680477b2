"""PURE. What an agent reports of its machine in a status, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass

from tdc.shared.sync.audit import Witness
from tdc.shared.sync.suspension import Suspension
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

    `oldest_queued`, `held_since` and `next_probe` are Unix seconds; None if no copy waits, and
    without a hold. `next_probe` is also None if the agent is older.
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
    held_since: float | None = None
    next_probe: float | None = None


@dataclass(frozen=True, slots=True)
class ReportedMissed:
    """Copies missed for one reason in one run of trouble; `tdc.v1.Missed` says what they are.

    `since` and `last` are Unix seconds.
    """

    reason: str
    count: int
    since: float
    last: float


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
    """One status of one machine. `spool_unhealthy` is empty while the spool can write.

    Times are Unix seconds by the machine's clock, which says `time`; that is None in the report of
    an older agent. `spool_full` is empty while the spool has room. `refuses_manager` is why the
    agent takes no settings from this manager, empty if it does; `next_hop_trouble` why no next hop
    takes mail, and `next_hop_since` since when. `suspension` is what is suspended there; None of an
    agent that doesn't know suspensions. `audit` is what it saw of the audit log, None if nothing.
    `certificate_ends` is when the machine's certificate ends; None of an older agent. `ca_issuer`
    is the SHA-256 of the CA that it is by, `ca_trusted` of those by which the machine trusts
    managers; both empty of an older agent.
    """

    running: Running
    copying: bool
    queued: int
    spool_unhealthy: str
    warnings: tuple[str, ...]
    counters: ReportedCounters
    destinations: tuple[ReportedDestination, ...]
    dead: int = 0
    missed: tuple[ReportedMissed, ...] = ()
    delivered_at: float | None = None
    time: float | None = None
    spool_full: str = ""
    refuses_originals: bool = False
    oldest_queued: float | None = None
    backlogs: tuple[ReportedBacklog, ...] = ()
    refuses_manager: str = ""
    next_hop_trouble: str = ""
    next_hop_since: float | None = None
    suspension: Suspension | None = None
    audit: Witness | None = None
    certificate_ends: float | None = None
    ca_trusted: tuple[str, ...] = ()
    ca_issuer: str = ""
