"""What this machine knows of itself at one moment, gathered from the rooms that keep it.

A frozen value between the rooms and those that show it: `status.py` turns it into the message for
the manager.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from tdc.node_agent.counters import Counters, MissedReason
from tdc.node_agent.deliver.facts import DestinationFacts
from tdc.node_agent.ingest.hop_state import HopTrouble
from tdc.node_agent.spool.spool import Spool
from tdc.node_agent.spool.values import IntakeBacklog, SpoolFacts
from tdc.node_agent.sync.apply import InForce
from tdc.node_agent.sync.identity import Identity
from tdc.shared.edge.clock import monotonic, wall
from tdc.shared.sync.audit import Witness
from tdc.shared.sync.report import ReportedBacklog
from tdc.shared.sync.suspension import NOT_SUSPENDED, Suspension
from tdc.shared.sync.values import Attempt, Running


@dataclass(frozen=True, slots=True)
class MissedFacts:
    """Copies missed for one reason in its latest run; `since` and `last` are Unix seconds."""

    reason: MissedReason
    count: int
    since: float
    last: float


@dataclass(frozen=True, slots=True)
class AgentFacts:
    """The machine's state. Times are Unix seconds, by the clock as it is at `time`.

    `running` are the settings in force, `last_attempt` the last ones offered; `copying` says
    whether copies are taken now; `spool_full` why the spool has no room, None if it has;
    `refuses_originals` whether originals are refused while no copy can be taken; `counters` is a
    copy that no longer counts; `warnings` are sentences for the operator, settings first, then
    spool, then managers and certificate; `backlogs` are the copies in the spool by intake;
    `next_hop` says since when no next hop takes mail, None while one works;
    `refuses_manager` is why no settings are taken from the manager, empty if they are;
    `suspension` is what an operator suspends; `witness` what was seen of the manager's audit log;
    `certificate_ends` when the machine's certificate ends, None while that is not known; by which
    CA it is, `ca_issuer`, and by which managers are trusted, `ca_trusted`, each by its SHA-256.
    """

    time: float
    running: Running
    last_attempt: Attempt | None
    copying: bool
    spool: SpoolFacts
    spool_full: str | None
    refuses_originals: bool
    destinations: tuple[DestinationFacts, ...]
    counters: Counters
    missed: tuple[MissedFacts, ...]
    delivered_at: float | None
    warnings: tuple[str, ...]
    backlogs: tuple[ReportedBacklog, ...]
    refuses_manager: str
    next_hop: HopTrouble | None
    suspension: Suspension
    witness: Witness
    certificate_ends: float | None = None
    ca_trusted: tuple[str, ...] = ()
    ca_issuer: str = ""


def gather(  # noqa: PLR0913  # each room's part
    in_force: InForce,
    spool: SpoolFacts,
    destinations: Iterable[DestinationFacts],
    counters: Counters,
    other_warnings: Sequence[str] = (),
    backlogs: Mapping[str, IntakeBacklog] = MappingProxyType({}),
    *,
    full: str | None = None,
    next_hop: HopTrouble | None = None,
    suspension: Suspension = NOT_SUSPENDED,
    held: Identity | None = None,
) -> AgentFacts:
    """The facts now; one event loop changes them all, so they belong together.

    `full` is what `spool_full` says, `next_hop` the trouble of NextHopState, `held` the machine's
    identity.
    """
    settings, now = in_force.current(), wall()
    spool_warnings = [spool.warning] if spool.warning else []
    lead = now - monotonic()
    return AgentFacts(
        time=now,
        running=in_force.running,
        last_attempt=in_force.last_attempt,
        copying=settings.enabled
        and suspension.copying is None
        and spool.unhealthy is None
        and full is None,
        spool=spool,
        spool_full=full,
        refuses_originals=settings.spool_when_full == "tempfail",
        destinations=tuple(
            destinations if suspension.delivery is None else map(_standing_still, destinations)
        ),
        counters=counters.frozen(),
        missed=_missed(counters, lead),
        delivered_at=None if counters.delivered_at is None else counters.delivered_at + lead,
        warnings=(*in_force.warnings, *spool_warnings, *other_warnings),
        backlogs=tuple(
            ReportedBacklog(intake, each.waiting, each.dead, each.oldest)
            for intake, each in backlogs.items()
        ),
        refuses_manager=in_force.refuses_manager,
        next_hop=None if next_hop is None else replace(next_hop, since=next_hop.since + lead),
        suspension=suspension,
        witness=in_force.witness,
        certificate_ends=None if held is None else held.ends,
        ca_trusted=() if held is None else held.trusted,
        ca_issuer="" if held is None else held.issuer,
    )


def _standing_still(row: DestinationFacts) -> DestinationFacts:
    """A destination while delivery is suspended: a hold says nothing then, nothing is probed."""
    return replace(row, host_status="suspended", held_reason="", held_since=None, next_probe=None)


def spool_full(spool: Spool, counters: Counters) -> str | None:
    """Why the spool has no room for a copy like the last one it refused; None if it has.

    Asked again each time: delivery makes room while no mail comes. Without a refusal it is full
    only if not even an empty copy fits. While it can't be written, that is the fault to show.
    """
    return None if spool.facts().unhealthy else spool.refusal(counters.refused_size)


def _missed(counters: Counters, lead: float) -> tuple[MissedFacts, ...]:
    return tuple(
        MissedFacts(reason, run.count, run.since + lead, run.last + lead)
        for reason, run in counters.missed.items()
    )
