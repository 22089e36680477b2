"""How machines do, as this manager knows it: sync state, delivery, warnings.

All of it comes from the view and from presence, so it is answered while etcd is unreachable too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tdc.manager.intent.actor import Actor
from tdc.manager.intent.permissions import operation
from tdc.manager.intent.targets import machines_in
from tdc.manager.levels.fleet import Cluster, Machine
from tdc.manager.view.fleet import FleetView
from tdc.manager.view.presence import MachineFacts, Presence
from tdc.manager.view.suspended import suspended_on
from tdc.shared.edge.clock import Clock, wall
from tdc.shared.sync.health import SYNC_KINDS, Known, Problem, problems_of, worst
from tdc.shared.sync.report import MachineReport, ReportedCounters, ReportedDestination
from tdc.shared.sync.suspension import Suspended
from tdc.shared.sync.suspension_state import SuspensionFacts


@dataclass(frozen=True, slots=True)
class MachineStatusRow:
    """One machine's sync state. `since` is Unix seconds, None for a machine that never enrolled.

    `copying`, `queued` and `report` are from its last status; `reason` is empty if it is in sync.
    `health` is the worst of the `problems`; `warnings` are their sentences but for the reason.
    `suspension` is what is suspended there, and what should be.
    """

    name: str
    group: str
    cluster: str
    state: str
    wanted_revision: int
    applied_revision: int
    since: float | None
    copying: bool
    queued: int
    reason: str
    warnings: tuple[str, ...]
    agent_version: str
    health: str
    problems: tuple[Problem, ...]
    report: MachineReport | None
    suspension: SuspensionFacts


@dataclass(frozen=True, slots=True)
class FleetStatus:
    """Machines by name, then cluster, and what this manager can't do now, in sentences."""

    machines: Sequence[MachineStatusRow]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MachineDelivery:
    """One machine's delivery: its totals, and by destination. `time` is when it reported them,
    Unix seconds; `suspended` says who suspended it, None if it delivers.
    """

    machine: str
    cluster: str
    time: float
    counters: ReportedCounters
    destinations: tuple[ReportedDestination, ...]
    suspended: Suspended | None = None


class MonitoringOperations:
    """Status and delivery. An empty argument fits all; a name that is given must exist."""

    def __init__(self, view: FleetView, presence: Presence, clock: Clock = wall) -> None:
        """`clock` gives Unix seconds: the end of a suspension is a moment that people named."""
        self._view = view
        self._presence = presence
        self._clock = clock

    @operation("monitoring.read_status")
    async def read_status(
        self, actor: Actor, cluster: str, group: str, machine: str
    ) -> FleetStatus:
        """Read the sync state of machines; raises UnknownName, AmbiguousName."""
        chosen = machines_in(self._view, cluster, group, machine)
        now = self._clock()
        outdated = {name: self._view.outdated(name) for name in {each.name for each, _ in chosen}}
        rows: list[MachineStatusRow] = []
        for found, known in chosen:
            facts = self._presence.facts(found.name, known.name)
            suspension = suspended_on(self._view, found.name, known.name, facts, now)
            late = known.name in outdated[found.name]
            rows.append(_status_row(found, known, facts, suspension, outdated=late))
        return FleetStatus(rows, (*self._view.problems, *_ahead(rows)))

    @operation("monitoring.read_delivery")
    async def read_delivery(
        self, actor: Actor, cluster: str, machine: str
    ) -> Sequence[MachineDelivery]:
        """Read delivery by machine, of each that has reported; raises UnknownName, …"""
        deliveries: list[MachineDelivery] = []
        for found, known in machines_in(self._view, cluster, name=machine):
            facts = self._presence.facts(found.name, known.name)
            if facts.status is not None:
                time, status = facts.status_time or 0.0, facts.status
                there = suspended_on(self._view, found.name, known.name, facts, self._clock()).there
                deliveries.append(
                    MachineDelivery(
                        known.name,
                        found.name,
                        time,
                        status.counters,
                        status.destinations,
                        there.delivery,
                    )
                )
        return deliveries


def _status_row(
    cluster: Cluster,
    machine: Machine,
    facts: MachineFacts,
    suspension: SuspensionFacts,
    *,
    outdated: bool,
) -> MachineStatusRow:
    status = facts.status
    problems = problems_of(_known(facts, suspension, outdated=outdated))
    return MachineStatusRow(
        name=machine.name,
        group=machine.group,
        cluster=cluster.name,
        state=facts.state,
        wanted_revision=facts.wanted_revision,
        applied_revision=facts.applied_revision,
        since=facts.since,
        copying=status is not None and status.copying,
        queued=status.queued if status is not None else 0,
        reason=facts.reason,
        warnings=tuple(each.text for each in problems if each.kind not in SYNC_KINDS),
        agent_version=facts.agent_version,
        health=worst(problems),
        problems=problems,
        report=status,
        suspension=suspension,
    )


def _known(facts: MachineFacts, suspension: SuspensionFacts, *, outdated: bool) -> Known:
    return Known(
        state=facts.state,
        since=facts.since,
        reason=facts.reason,
        report=facts.status,
        reported_at=facts.status_time,
        clones=facts.warning,
        outdated=outdated,
        lasts=facts.lasts,
        report_age=facts.status_age,
        refused_for=facts.refused_for,
        suspension=suspension,
    )


def _ahead(rows: Iterable[MachineStatusRow]) -> list[str]:
    """Name the clusters whose machines run revisions that the store has not made yet."""
    ahead: dict[str, list[MachineStatusRow]] = {}
    for row in rows:
        if row.applied_revision > row.wanted_revision > 0:
            ahead.setdefault(row.cluster, []).append(row)
    return [_ahead_in(cluster, machines) for cluster, machines in ahead.items()]


def _ahead_in(cluster: str, machines: Sequence[MachineStatusRow]) -> str:
    store = machines[0].wanted_revision
    newest = max(each.applied_revision for each in machines)
    subject, they = f"{len(machines)} machines in cluster {cluster} run", "They keep"
    if len(machines) == 1:
        subject, they = f"1 machine in cluster {cluster} runs", "It keeps"
    return (
        f"{subject} revision {newest}, but the store is at {store}. An older backup was probably "
        f"restored. {they} what runs. If this store is the right one, say so with `tdc-manager "
        "adopt`: machines then follow it."
    )
