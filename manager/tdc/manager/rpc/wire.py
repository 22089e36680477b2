"""Plans, commits and chains <-> tdc.v1 messages; refuses what can't be represented.

No lookup and no decision: names are resolved by intent, values are checked by the shared codec.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tdc.manager.intent.errors import BadRequest
from tdc.manager.intent.targets import Asked, RestoreTo
from tdc.manager.levels.changes import (
    AddGroup,
    AddMachine,
    Edit,
    LevelChange,
    SetValues,
    TopologyChange,
    UnsetValues,
)
from tdc.manager.levels.fleet import LevelKey
from tdc.manager.levels.impact import MachineChange
from tdc.manager.levels.plan import Plan
from tdc.manager.levels.resolve import ChainStep
from tdc.manager.store.history import CommitRecord
from tdc.shared.settings.values import Effective, Level, Origin, Value
from tdc.shared.wire.moments import timestamp
from tdc.shared.wire.settings import (
    LEVEL_FROM_WIRE,
    LEVEL_TO_WIRE,
    settings_from_wire,
    settings_to_wire,
    value_to_wire,
)
from tdc.v1 import fleet_pb2, operators_pb2, settings_pb2

# -- requests ------------------------------------------------------------------------------------


def asked(cluster: str, edits: Iterable[fleet_pb2.Edit]) -> Asked:
    """Return the edits of a request, and every cluster it names; raises BadRequest, SettingError.

    Restoring a revision sets every level, so nothing may stand beside it.
    """
    wire_edits = list(edits)
    decoded = tuple(_edit(each) for each in wire_edits)
    if len(decoded) > 1 and any(isinstance(each, RestoreTo) for each in decoded):
        raise BadRequest("restoring a revision must be the only edit of its commit")
    named = {cluster, *(_cluster_of(each) for each in wire_edits)} - {""}
    return Asked(decoded, frozenset(named))


def level_key(ref: fleet_pb2.LevelRef) -> LevelKey:
    """Return the level a reference names; raises BadRequest.

    Without a name, a cluster reference means its `cluster`, or the only one there is.
    """
    level = LEVEL_FROM_WIRE.get(ref.level)
    if level is None or level is Level.DEFAULT:
        raise BadRequest("a request names a level: machine, group or cluster")
    name = ref.name or (ref.cluster if level is Level.CLUSTER else "")
    if not name and level is not Level.CLUSTER:
        raise BadRequest(f"a request for a {level} names it")
    return LevelKey(level, name)


def _edit(message: fleet_pb2.Edit) -> Edit | RestoreTo:
    match message.WhichOneof("kind"):
        case "set":
            settings = settings_from_wire(message.set.settings)
            return SetValues(_named_level(message.set.level), settings)
        case "unset":
            return UnsetValues(_named_level(message.unset.level), tuple(message.unset.names))
        case "add_group":
            return AddGroup(message.add_group.name)
        case "add_machine":
            return AddMachine(message.add_machine.name, message.add_machine.group)
        case "restore":
            return RestoreTo(message.restore.revision)
    raise BadRequest("an edit of the request is of no kind that this version knows")


def _named_level(ref: fleet_pb2.LevelRef) -> LevelKey:
    key = level_key(ref)
    if not key.name:
        raise BadRequest("an edit names its level: the cluster's name is missing")
    return key


def _cluster_of(message: fleet_pb2.Edit) -> str:
    match message.WhichOneof("kind"):
        case "set":
            ref = message.set.level
        case "unset":
            ref = message.unset.level
        case _:
            return ""
    return ref.name if ref.level == fleet_pb2.LEVEL_CLUSTER and ref.name else ref.cluster


# -- answers -------------------------------------------------------------------------------------


def effective_to_wire(effective: Effective) -> fleet_pb2.EffectiveSettings:
    """Return what is in force on a machine, with origins."""
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
    """Return a plan, whole."""
    values = _Values()
    return fleet_pb2.Plan(
        cluster=plan.cluster_name,
        base_revision=plan.base_revision,
        levels=[_level_change(change) for change in plan.levels],
        machines=[_machine_change(change, values) for change in plan.machines],
        topology=[_topology_change(change) for change in plan.topology],
        stop_copying=plan.stop_copying,
        start_copying=plan.start_copying,
        fingerprint=plan.fingerprint,
        problems=[
            fleet_pb2.Problem(machine=each.machine, setting=each.setting, reason=each.reason)
            for each in plan.problems
        ],
    )


def commit_to_wire(cluster: str, record: CommitRecord, *, whole: bool) -> fleet_pb2.Commit:
    """Return a commit; its changes only if `whole`."""
    return fleet_pb2.Commit(
        cluster=cluster,
        revision=record.revision,
        author=record.signature.author,
        time=timestamp(record.time),
        comment=record.signature.comment,
        request_id=record.signature.request_id,
        levels=[_level_change(change) for change in record.levels] if whole else [],
        topology=[_topology_change(change) for change in record.topology] if whole else [],
        machines_changed=record.machines_changed,
    )


def step_to_wire(
    setting: str, step: ChainStep, commit: CommitRecord | None
) -> operators_pb2.ExplanationStep:
    """Return one level's part in a chain; `commit` is the one that set the value, if known."""
    message = operators_pb2.ExplanationStep(
        level=LEVEL_TO_WIRE[step.level],
        name=step.name,
        value=value_to_wire(setting, step.value),
        wins=step.wins,
        revision=step.revision,
    )
    if commit is not None:
        message.author = commit.signature.author
        message.comment = commit.signature.comment
        message.time.CopyFrom(timestamp(commit.time))
    return message


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
class _Values:
    """The message of each value: ten thousand machines share one list of policies."""

    known: dict[tuple[str, int], settings_pb2.Settings] = field(default_factory=dict)

    def of(self, setting: str, value: Value | None) -> settings_pb2.Settings:
        key = (setting, id(value))  # by identity: the plan keeps them alive
        if key not in self.known:
            self.known[key] = value_to_wire(setting, value)
        return self.known[key]


def _machine_change(change: MachineChange, values: _Values) -> fleet_pb2.MachineChange:
    return fleet_pb2.MachineChange(
        machine=change.machine,
        setting=change.setting,
        before=values.of(change.setting, change.before),
        after=values.of(change.setting, change.after),
        origin=_origin(change.origin),
    )


def _topology_change(change: TopologyChange) -> fleet_pb2.TopologyChange:
    return fleet_pb2.TopologyChange(
        level=LEVEL_TO_WIRE[change.level], name=change.name, group=change.group
    )
