"""How machines do, whichever manager they are connected to: sync state, delivery, warnings.

All of it comes from the view and from presence, so it is answered while etcd is unreachable too.
A manager that does not answer is named; what is not known of its machines is not made up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tdc.manager.intent.actor import Actor
from tdc.manager.intent.errors import BadRequest
from tdc.manager.intent.permissions import operation
from tdc.manager.intent.targets import machines_in
from tdc.manager.intent.within import within
from tdc.manager.levels.fleet import Cluster, Machine
from tdc.manager.view.fleet import FleetView
from tdc.manager.view.names import LONGEST_SHOWN
from tdc.manager.view.presence import MachineFacts, Presence
from tdc.manager.view.problems import unreachable
from tdc.manager.view.seen import Stranger, SyncState
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
    `suspension` is what is suspended there, and what should be. `unknown_settings` are those in
    force there, other than by default, that its agent doesn't know. `manager` is the name of the
    one that has its stream, empty while none is known to.
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
    unknown_settings: tuple[str, ...]
    manager: str = ""


@dataclass(frozen=True, slots=True)
class FleetStatus:
    """Machines by name, then cluster, and what this manager can't do now, in sentences.

    `next` is where to go on, empty after the last machine. `by_state` counts all machines asked
    for, whatever their state. It and `warnings` are empty where the answer goes on from another.
    """

    machines: Sequence[MachineStatusRow]
    warnings: tuple[str, ...]
    next: str = ""
    by_state: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StatusAsked:
    """Which machines, of which states (none: of all), at most how many (0: all), and after which.

    `after` is `FleetStatus.next` of the answer before. `part` is in the names of those meant, in
    capitals or not; empty for all.
    """

    cluster: str = ""
    group: str = ""
    machine: str = ""
    states: Sequence[str] = ()
    limit: int = 0
    after: str = ""
    part: str = ""


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


_STRANGERS_NAMED = 10


@dataclass(frozen=True, slots=True)
class FleetDelivery:
    """Machines by name, then cluster; `warnings` name the managers that do not answer."""

    machines: Sequence[MachineDelivery]
    warnings: tuple[str, ...]


class MonitoringOperations:
    """Status and delivery. An empty argument fits all; a name that is given must exist."""

    def __init__(
        self,
        view: FleetView,
        presence: Presence,
        clock: Clock = wall,
        strangers: Callable[[], Sequence[Stranger]] = tuple,
    ) -> None:
        """`clock` gives Unix seconds: the end of a suspension is a moment that people named.
        `strangers` are machines that came with certificates which the store doesn't know.
        """
        self._strangers = strangers
        self._view = view
        self._presence = presence
        self._clock = clock

    @operation("monitoring.read_status")
    async def read_status(self, actor: Actor, asked: StatusAsked) -> FleetStatus:
        """Read the sync state of machines; raises UnknownName, AmbiguousName, BadRequest.

        Where all stand costs little, so it is looked at for each answer; what else is known is read
        of those in the answer only.
        """
        _check(asked)
        await self._presence.ask_others()
        fleet = within(self._view, actor)
        all_of_them = machines_in(fleet, asked.cluster, asked.group, asked.machine)
        chosen = list(self._chosen(all_of_them, asked))
        more = 0 < asked.limit < len(chosen)
        chosen = chosen[: asked.limit or None]
        outdated = {name: self._view.outdated(name) for name in {each.name for each, _ in chosen}}
        now, rows = self._clock(), list[MachineStatusRow]()
        for found, known in chosen:
            facts = self._presence.facts(found.name, known.name)
            suspension = suspended_on(self._view, found.name, known.name, facts, now)
            late = known.name in outdated[found.name]
            rows.append(_status_row(found, known, facts, suspension, outdated=late))
        going_on = _place(*chosen[-1]) if more else ""
        if asked.after:
            return FleetStatus(rows, (), going_on)
        keys = [(cluster.name, machine.name) for cluster, machine in all_of_them]
        by_state = Counter(str(self._presence.standing(*key).state) for key in keys)
        # What is wrong with the store names keys, of other clusters too.
        problems = (
            self._view.problems if actor.reach.everywhere else unreachable(self._view.etcd_away)
        )
        strangers = [
            each
            for each in self._strangers()
            if asked.cluster in ("", each.cluster) and actor.reach.has_cluster(each.cluster)
        ]
        warnings = (
            *problems,
            *self._presence.problems,
            *map(str, self._presence.ahead.of(frozenset(keys))),
            *_unknown(strangers),
        )
        return FleetStatus(rows, warnings, going_on, by_state)

    def _chosen(
        self, machines: Iterable[tuple[Cluster, Machine]], asked: StatusAsked
    ) -> Iterator[tuple[Cluster, Machine]]:
        """Yield those of the states asked for, one more than fit the answer."""
        found, after, part = 0, tuple(asked.after.split("/")), asked.part.lower()
        for cluster, machine in machines:
            if part not in machine.name.lower():
                continue
            if asked.after and (machine.name, cluster.name) <= after:
                continue
            state = (
                self._presence.standing(cluster.name, machine.name).state if asked.states else ""
            )
            if not asked.states or state in asked.states:
                yield cluster, machine
                found += 1
            if found > asked.limit > 0:
                return

    @operation("monitoring.read_delivery")
    async def read_delivery(
        self, actor: Actor, cluster: str, machine: str, group: str = ""
    ) -> FleetDelivery:
        """Read delivery by machine, of each that has reported; raises UnknownName, …"""
        await self._presence.ask_others()
        deliveries: list[MachineDelivery] = []
        for found, known in machines_in(within(self._view, actor), cluster, group, machine):
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
        return FleetDelivery(deliveries, self._presence.problems)


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
        unknown_settings=facts.lacks,
        manager=facts.manager,
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
        lacks=bool(facts.lacks),
        suspension=suspension,
    )


def _check(asked: StatusAsked) -> None:
    """Raise BadRequest for what can't be asked for."""
    if asked.limit < 0:
        raise BadRequest("limit must be 0 or more")
    if asked.after and asked.after.count("/") != 1:
        raise BadRequest("after must be what an answer gave as next")
    for state in asked.states:
        if state not in list(SyncState):
            known = ", ".join(repr(str(each)) for each in SyncState)
            raise BadRequest(f"{state[:LONGEST_SHOWN]!r} is not a state; states: {known}")


def _place(cluster: Cluster, machine: Machine) -> str:
    """A machine's place in the order of answers; no name has a slash."""
    return f"{machine.name}/{cluster.name}"


def _unknown(strangers: Sequence[Stranger]) -> Iterator[str]:
    """Name who came with a certificate of ours that the store doesn't know."""
    if unknown := [each for each in strangers if not each.replaced]:
        yield (
            f"{_come(unknown)} with a certificate that the store does not know: {_named(unknown)}. "
            "Enrolled after the backup that was restored, or removed. Mail and copies go on there "
            "with what runs. Create what is gone with `tdc machine create`, then enrol it again "
            "with `tdc machine token`"
        )
    if replaced := [each for each in strangers if each.replaced]:
        yield (
            f"{_come(replaced)} with an earlier certificate of a name that another enrolment has "
            f"now: {_named(replaced)}. It is not the machine that is listed by that name, but one "
            "that was removed or replaced, or a copy; mail and copies go on there with what runs. "
            "Look at that address: stop its agent, or give it a name of its own with `tdc machine "
            "create` and enrol it with `tdc machine token`"
        )


def _come(strangers: Sequence[Stranger]) -> str:
    return "1 machine comes" if len(strangers) == 1 else f"{len(strangers)} machines come"


def _named(strangers: Sequence[Stranger]) -> str:
    shown = ", ".join(
        f"{each.cluster}/{each.machine} (from {each.address})"
        for each in strangers[:_STRANGERS_NAMED]
    )
    more = len(strangers) - _STRANGERS_NAMED
    return f"{shown}{f' and {more} more' if more > 0 else ''}"
