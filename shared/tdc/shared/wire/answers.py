"""A manager's answers (tdc.v1) -> the documents of the JSON contract.

Raises BadMessage for what this version can't make sense of (an unknown level, an invalid
time), SettingError for a value that it can't read; nothing is guessed or left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from tdc.shared.settings.canonical import Plain, plain
from tdc.shared.wire import documents
from tdc.shared.wire.moments import rfc3339_in
from tdc.shared.wire.settings import level_from_wire, settings_from_wire
from tdc.shared.wire.settings_answers import origin
from tdc.shared.wire.suspension_answers import suspension_in
from tdc.v1 import fleet_pb2, operators_pb2, settings_pb2


def cluster(row: operators_pb2.ClusterRow) -> documents.ClusterDocument:
    """A cluster in a list."""
    return documents.ClusterDocument(
        name=row.name, revision=row.revision, groups=row.groups, machines=row.machines
    )


def cluster_detail(
    row: operators_pb2.ClusterRow, groups: Iterable[operators_pb2.GroupRow]
) -> documents.ClusterDetailDocument:
    """One cluster with the groups that are in it."""
    members = (
        documents.GroupMembersDocument(name=group.name, machines=tuple(group.machines))
        for group in groups
    )
    return documents.ClusterDetailDocument(
        name=row.name, revision=row.revision, groups=tuple(members)
    )


def group(row: operators_pb2.GroupRow) -> documents.GroupDocument:
    """A group with its machines."""
    return documents.GroupDocument(name=row.name, cluster=row.cluster, machines=tuple(row.machines))


def machine(row: operators_pb2.MachineRow) -> documents.MachineDocument:
    """A machine in a list."""
    return documents.MachineDocument(
        name=row.name,
        group=row.group,
        cluster=row.cluster,
        enrolled=row.enrolled,
        overrides=tuple(row.overrides),
    )


def machine_detail(
    row: operators_pb2.MachineRow, status: documents.StatusDocument | None
) -> documents.MachineDetailDocument:
    """One machine with its status, if there is one."""
    return documents.MachineDetailDocument(
        name=row.name,
        group=row.group,
        cluster=row.cluster,
        enrolled=row.enrolled,
        overrides=tuple(row.overrides),
        status=status,
    )


def token(
    machine: str, reply: operators_pb2.CreateJoinTokenResponse, command: str
) -> documents.TokenDocument:
    """A join token; `command` is the line to paste on the machine."""
    return documents.TokenDocument(
        machine=machine,
        token=reply.token,
        expires=rfc3339_in(reply, "expires"),
        enrol_address=reply.enrol_address,
        command=command,
    )


def plan(reply: fleet_pb2.Plan) -> documents.PlanDocument:
    """What a commit would do."""
    return documents.PlanDocument(
        cluster=reply.cluster,
        base_revision=reply.base_revision,
        fingerprint=reply.fingerprint,
        levels=_level_changes(reply.levels),
        machines=tuple(map(_machine_change, reply.machines)),
        topology=_topology_changes(reply.topology),
        stop_copying=tuple(reply.stop_copying),
        start_copying=tuple(reply.start_copying),
        problems=_problems(reply.problems),
        backlogs=tuple(map(_backlog, reply.backlogs)),
        warnings=_problems(reply.warnings),
        author=reply.author,
    )


def difference(reply: fleet_pb2.Difference) -> documents.DifferenceDocument:
    """What differs between two revisions."""
    return documents.DifferenceDocument(
        cluster=reply.cluster,
        from_revision=reply.from_revision,
        to_revision=reply.to_revision,
        levels=_level_changes(reply.levels),
        machines=tuple(map(_machine_change, reply.machines)),
        topology=_topology_changes(reply.topology),
        stop_copying=tuple(reply.stop_copying),
        start_copying=tuple(reply.start_copying),
    )


def _problems(messages: Iterable[fleet_pb2.Problem]) -> tuple[documents.ProblemDocument, ...]:
    return tuple(
        documents.ProblemDocument(each.machine, each.setting, each.reason) for each in messages
    )


def committed(reply: operators_pb2.CommitResponse) -> documents.CommittedDocument:
    """The end of a change."""
    return documents.CommittedDocument(reply.cluster, reply.revision, reply.committed)


def commit(message: fleet_pb2.Commit) -> documents.CommitDocument:
    """A commit in a history."""
    return documents.CommitDocument(
        cluster=message.cluster,
        revision=message.revision,
        author=message.author,
        time=rfc3339_in(message, "time"),
        comment=message.comment,
        request_id=message.request_id,
        machines_changed=message.machines_changed,
        work=_work(message),
    )


def whole_commit(message: fleet_pb2.Commit) -> documents.WholeCommitDocument:
    """One commit with its changes."""
    return documents.WholeCommitDocument(
        cluster=message.cluster,
        revision=message.revision,
        author=message.author,
        time=rfc3339_in(message, "time"),
        comment=message.comment,
        request_id=message.request_id,
        machines_changed=message.machines_changed,
        work=_work(message),
        levels=_level_changes(message.levels),
        topology=_topology_changes(message.topology),
    )


def _backlog(message: fleet_pb2.PlannedBacklog) -> documents.PlannedBacklogDocument:
    return documents.PlannedBacklogDocument(
        machine=message.machine,
        intake=message.intake,
        copies=message.copies,
        oldest=rfc3339_in(message, "oldest"),
        happens=documents.GOES_ON if message.goes else documents.NEW_FACTS,
    )


def _work(commit: fleet_pb2.Commit) -> documents.OrderedWorkDocument | None:
    if not commit.HasField("work"):
        return None
    work = commit.work
    return documents.OrderedWorkDocument(
        kind=work.kind,
        from_intake=work.from_intake,
        to_intake=work.to_intake,
        waiting=work.waiting,
        dead=work.dead,
        mids=tuple(work.mids),
        copies=work.copies,
        machines=tuple(
            documents.CountedDocument(each.machine, each.copies, each.bytes)
            for each in work.machines
        ),
    )


def _level_changes(
    changes: Iterable[fleet_pb2.LevelChange],
) -> tuple[documents.LevelChangeDocument, ...]:
    return tuple(
        documents.LevelChangeDocument(
            level=level_from_wire(change.level),
            name=change.name,
            setting=change.setting,
            before=one_value(change.before, change.setting),
            after=one_value(change.after, change.setting),
            by_disable_rule=change.by_disable_rule,
        )
        for change in changes
    )


def _machine_change(change: fleet_pb2.MachineChange) -> documents.MachineChangeDocument:
    return documents.MachineChangeDocument(
        name=change.machine,
        setting=change.setting,
        before=one_value(change.before, change.setting),
        after=one_value(change.after, change.setting),
        origin=origin(change.origin),
    )


def _topology_changes(
    changes: Iterable[fleet_pb2.TopologyChange],
) -> tuple[documents.TopologyChangeDocument, ...]:
    return tuple(
        documents.TopologyChangeDocument(
            level=level_from_wire(change.level),
            name=change.name,
            group=change.group,
            change=_kind(change),
            before_name=change.before_name,
            before_group=change.before_group,
            stops_copying=change.stops_copying,
        )
        for change in changes
    )


def _kind(change: fleet_pb2.TopologyChange) -> Literal["created", "renamed", "moved", "removed"]:
    if change.removed:
        return "removed"
    if not change.before_name:
        return "created"
    return "moved" if change.before_group != change.group else "renamed"


def status(row: operators_pb2.MachineRowStatus) -> documents.StatusDocument:
    """How a machine does."""
    return documents.StatusDocument(
        name=row.name,
        group=row.group,
        cluster=row.cluster,
        state=row.state,
        wanted_revision=row.wanted_revision,
        applied_revision=row.applied_revision,
        since=rfc3339_in(row, "since"),
        copying=row.copying,
        queued=row.queued,
        reason=row.reason,
        warnings=tuple(row.warnings),
        agent_version=row.agent_version,
        health=row.health or "unknown",
        problems=tuple(
            documents.HealthProblemDocument(
                each.kind, each.severity, each.text, rfc3339_in(each, "since")
            )
            for each in row.problems
        ),
        dead=row.copies.dead,
        missed=tuple(
            documents.MissedDocument(
                each.reason, each.count, rfc3339_in(each, "since"), rfc3339_in(each, "last")
            )
            for each in row.copies.missed
        ),
        delivered_at=rfc3339_in(row.copies, "delivered_at"),
        oldest_queued=rfc3339_in(row.copies, "oldest_queued"),
        spool_full=row.copies.spool_full,
        suspension=suspension_in(row),
        unknown_settings=tuple(row.unknown_settings),
        manager=row.manager,
    )


def one_value(message: settings_pb2.Settings, name: str) -> Plain:
    """The value of one setting in a message that holds it or nothing."""
    return plain(settings_from_wire(message).get(name))
