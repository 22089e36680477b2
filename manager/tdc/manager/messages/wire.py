"""Plans, commits and chains <-> tdc.v1 messages; refuses what can't be represented.

No lookup and no decision: `intent` decides what a request means and whether it is allowed; the
shared codec checks values.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tdc.manager.intent.changes import Made
from tdc.manager.intent.history import HistoryRow
from tdc.manager.intent.settings import ExplainedStep
from tdc.manager.levels.backlogs import PlannedBacklog
from tdc.manager.levels.changes import (
    LevelChange,
    Place,
    TopologyChange,
)
from tdc.manager.levels.consistency import Finding
from tdc.manager.levels.difference import Difference
from tdc.manager.levels.fleet import Cluster
from tdc.manager.levels.impact import MachineChange, Problem
from tdc.manager.levels.plan import Plan
from tdc.shared.settings.values import Effective, Origin, Value
from tdc.shared.sync.queue_work import MoveCopies, OrderedWork, kind_of
from tdc.shared.wire.moments import timestamp
from tdc.shared.wire.settings import (
    LEVEL_TO_WIRE,
    settings_to_wire,
    value_to_wire,
)
from tdc.v1 import fleet_pb2, operators_pb2, settings_pb2

# -- answers -------------------------------------------------------------------------------------


def effective_to_wire(effective: Effective) -> fleet_pb2.EffectiveSettings:
    """What is in force on a machine as a message, with origins."""
    return fleet_pb2.EffectiveSettings(
        machine=effective.machine,
        group=effective.group,
        cluster=effective.cluster,
        revision=effective.revision,
        hash=effective.content_hash,
        settings=settings_to_wire(effective.values()),
        origins={name: _origin(each.origin) for name, each in effective.settings.items()},
    )


def plan_to_wire(plan: Plan) -> fleet_pb2.Plan:
    """A plan as a message, whole."""
    message = fleet_pb2.Plan(
        cluster=plan.cluster_name,
        base_revision=plan.base_revision,
        levels=[_level_change(change) for change in plan.levels],
        topology=[_topology_change(change) for change in plan.topology],
        stop_copying=plan.stop_copying,
        start_copying=plan.start_copying,
        fingerprint=plan.fingerprint,
        problems=list(map(_problem, plan.problems)),
        backlogs=[_backlog(each) for each in plan.backlogs],
        warnings=list(map(_problem, plan.warnings)),
    )
    shared = _Shared()
    for change in plan.machines:
        shared.add_to(message, change)
    return message


def difference_to_wire(found: Difference) -> fleet_pb2.Difference:
    """A difference as a message, whole."""
    message = fleet_pb2.Difference(
        cluster=found.after.name,
        from_revision=found.before.revision,
        to_revision=found.after.revision,
        levels=[_level_change(change) for change in found.levels],
        topology=[_topology_change(change) for change in found.topology],
        stop_copying=found.stop_copying,
        start_copying=found.start_copying,
    )
    shared = _Shared()
    for change in found.machines:
        shared.add_to(message, change)
    return message


def finding_to_wire(finding: Finding) -> operators_pb2.Finding:
    """A finding as a message."""
    return operators_pb2.Finding(
        kind=finding.kind,
        level=LEVEL_TO_WIRE[finding.key.level],
        name=finding.key.name,
        setting=finding.setting,
        text=finding.text,
        remedy=finding.remedy,
        since=None if finding.since is None else timestamp(finding.since),
    )


def cluster_to_wire(cluster: Cluster) -> fleet_pb2.ClusterSnapshot:
    """A cluster as a message, whole, in name order."""
    groups = {
        name: fleet_pb2.GroupSnapshot(
            name=name, settings=settings_to_wire(cluster.groups[name].stored.settings)
        )
        for name in sorted(cluster.groups)
    }
    for name in sorted(cluster.machines):
        machine = cluster.machines[name]
        settings = settings_to_wire(machine.stored.settings)
        groups[machine.group].machines.append(
            fleet_pb2.MachineSnapshot(name=name, settings=settings)
        )
    return fleet_pb2.ClusterSnapshot(
        cluster=cluster.name,
        revision=cluster.revision,
        settings=settings_to_wire(cluster.stored.settings),
        groups=list(groups.values()),
    )


def made_to_wire(made: Made) -> operators_pb2.CommitResponse:
    """The outcome of a commit as a message."""
    return operators_pb2.CommitResponse(
        cluster=made.cluster, revision=made.revision, committed=made.committed
    )


def commit_to_wire(row: HistoryRow, *, whole: bool) -> fleet_pb2.Commit:
    """A commit as a message; its changes only if `whole`."""
    return fleet_pb2.Commit(
        cluster=row.cluster,
        revision=row.revision,
        author=row.author,
        time=timestamp(row.time),
        comment=row.comment,
        request_id=row.request_id,
        levels=[_level_change(change) for change in row.levels] if whole else [],
        topology=[_topology_change(change) for change in row.topology] if whole else [],
        machines_changed=row.machines_changed,
        work=None if row.work is None else _work(row.work, whole=whole),
    )


def step_to_wire(setting: str, explained: ExplainedStep) -> operators_pb2.ExplanationStep:
    """One level's part in a chain as a message, with the commit that set the value, if known."""
    step = explained.step
    return operators_pb2.ExplanationStep(
        level=LEVEL_TO_WIRE[step.level],
        name=step.name,
        value=value_to_wire(setting, step.value),
        wins=step.wins,
        revision=step.revision,
        author=explained.author,
        comment=explained.comment,
        time=None if explained.time is None else timestamp(explained.time),
    )


def _origin(origin: Origin) -> fleet_pb2.Origin:
    return fleet_pb2.Origin(
        level=LEVEL_TO_WIRE[origin.level], name=origin.name, revision=origin.revision
    )


def _level_change(change: LevelChange) -> fleet_pb2.LevelChange:
    return fleet_pb2.LevelChange(
        level=LEVEL_TO_WIRE[change.key.level],
        name=change.key.name,
        setting=change.setting,
        before=value_to_wire(change.setting, change.before),
        after=value_to_wire(change.setting, change.after),
        by_disable_rule=change.by_disable_rule,
    )


@dataclass(slots=True)
class _Shared:
    """The messages of values and origins, each made once: ten thousand machines share them.

    By identity: the plan keeps them alive.
    """

    values: dict[tuple[str, int], settings_pb2.Settings] = field(default_factory=dict)
    origins: dict[int, fleet_pb2.Origin] = field(default_factory=dict)

    def add_to(self, message: fleet_pb2.Plan | fleet_pb2.Difference, change: MachineChange) -> None:
        """Add a change in place: a message that is made first is copied."""
        message.machines.add(
            machine=change.machine,
            setting=change.setting,
            before=self._value(change.setting, change.before),
            after=self._value(change.setting, change.after),
            origin=self._origin(change.origin),
        )

    def _value(self, setting: str, value: Value | None) -> settings_pb2.Settings:
        key = (setting, id(value))
        if key not in self.values:
            self.values[key] = value_to_wire(setting, value)
        return self.values[key]

    def _origin(self, origin: Origin) -> fleet_pb2.Origin:
        if id(origin) not in self.origins:
            self.origins[id(origin)] = _origin(origin)
        return self.origins[id(origin)]


def _backlog(backlog: PlannedBacklog) -> fleet_pb2.PlannedBacklog:
    return fleet_pb2.PlannedBacklog(
        machine=backlog.machine,
        intake=backlog.intake,
        copies=backlog.copies,
        oldest=None if backlog.oldest is None else timestamp(backlog.oldest),
        goes=backlog.goes,
    )


def _problem(problem: Problem) -> fleet_pb2.Problem:
    return fleet_pb2.Problem(
        machine=problem.machine, setting=problem.setting, reason=problem.reason
    )


def _work(ordered: OrderedWork, *, whole: bool) -> fleet_pb2.OrderedWork:
    chosen = ordered.work.selection
    counted = [
        fleet_pb2.CountedCopies(machine=each.machine, copies=each.copies, bytes=each.bytes)
        for each in ordered.machines
    ]
    return fleet_pb2.OrderedWork(
        kind=kind_of(ordered.work),
        from_intake=chosen.intake,
        to_intake=ordered.work.to_intake if isinstance(ordered.work, MoveCopies) else "",
        waiting=chosen.waiting,
        dead=chosen.dead,
        mids=chosen.mids,
        copies=ordered.copies,
        machines=counted if whole else [],
    )


def _topology_change(change: TopologyChange) -> fleet_pb2.TopologyChange:
    before = change.before or Place("")
    return fleet_pb2.TopologyChange(
        level=LEVEL_TO_WIRE[change.level],
        name=change.name,
        group=change.group,
        before_name=before.name,
        before_group=before.group,
        removed=change.removed,
        stops_copying=change.stops_copying,
    )
