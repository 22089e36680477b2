"""PURE. The manager's answers as plain data: the JSON contracts of docs/cli.md.

In: tdc.v1 messages. Out: dicts, lists, texts, numbers, None; key order is part of neither.
Rules: a value is in the plain form of `tdc.shared.settings.canonical`; what is absent is
None; times are RFC 3339 in UTC. Raises SettingError for a value this version can't read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from tdc.manager.cli.errors import Refused
from tdc.shared.settings.canonical import Plain, plain, plain_settings
from tdc.shared.settings.schema import SCHEMA
from tdc.shared.wire.settings import LEVEL_FROM_WIRE, settings_from_wire
from tdc.v1 import fleet_pb2, operators_pb2, settings_pb2

Document = dict[str, Any]


def level_word(level: int) -> str:
    """Return the word for a level on the wire; raises Refused for one this version lacks."""
    try:
        return str(LEVEL_FROM_WIRE[level])
    except KeyError:
        raise Refused(
            f"The manager named a level ({level}) that this tdc does not know. "
            f"Update tdc to the manager's version."
        ) from None


def moment(message: Message, field: str) -> str | None:
    """Return the time in `field` as RFC 3339 in UTC, None if the message has none."""
    if not message.HasField(field):
        return None
    stamp = getattr(message, field)
    assert isinstance(stamp, Timestamp)
    time = datetime.fromtimestamp(stamp.seconds, UTC).replace(microsecond=stamp.nanos // 1000)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def one_value(message: settings_pb2.Settings, name: str) -> Plain:
    """Return the value of setting `name` in a message that holds it or nothing."""
    return plain(settings_from_wire(message).get(name))


def schema_rows() -> list[Document]:
    """The settings that exist, as `settings list` shows them."""
    return [
        {
            "name": row.name,
            "kind": str(row.kind),
            "default": plain(row.default),
            "choices": list(row.choices),
            "help": row.help,
        }
        for row in SCHEMA.values()
    ]


def cluster_row(row: operators_pb2.ClusterRow) -> Document:
    """A cluster in `cluster list`."""
    return {
        "name": row.name,
        "revision": row.revision,
        "groups": row.groups,
        "machines": row.machines,
    }


def group_row(row: operators_pb2.GroupRow) -> Document:
    """A group in `group list` and `group show`."""
    return {"name": row.name, "cluster": row.cluster, "machines": list(row.machines)}


def machine_row(row: operators_pb2.MachineRow) -> Document:
    """A machine in `machine list` and `machine show`."""
    return {
        "name": row.name,
        "group": row.group,
        "cluster": row.cluster,
        "enrolled": row.enrolled,
        "overrides": list(row.overrides),
    }


def token(machine: str, reply: operators_pb2.CreateJoinTokenResponse, command: str) -> Document:
    """A join token, with the line to paste on the machine."""
    return {
        "machine": machine,
        "token": reply.token,
        "expires": moment(reply, "expires"),
        "enrol_address": reply.enrol_address,
        "command": command,
    }


def level_settings(reply: operators_pb2.LevelSettings) -> Document:
    """What is present at one level, and only that."""
    return {
        "level": level_word(reply.level.level),
        "name": reply.level.name,
        "cluster": reply.level.cluster,
        "revision": reply.revision,
        "settings": dict(plain_settings(settings_from_wire(reply.settings))),
    }


def effective_settings(reply: fleet_pb2.EffectiveSettings) -> Document:
    """What is in force on a machine: every setting, each with its origin."""
    values = settings_from_wire(reply.settings)
    return {
        "machine": reply.machine,
        "revision": reply.revision,
        "hash": reply.hash,
        "settings": {
            name: {"value": plain(values.get(name)), "origin": origin(reply.origins[name])}
            for name in _in_order(reply.origins)
        },
    }


def _in_order(names: Iterable[str]) -> list[str]:
    """Return names of settings as the settings table has them; another version's come last."""
    given = set(names)
    return [name for name in SCHEMA if name in given] + sorted(given - SCHEMA.keys())


def origin(message: fleet_pb2.Origin) -> Document:
    """Where a value comes from; the name of a default is empty, its revision 0."""
    return {
        "level": level_word(message.level),
        "name": message.name,
        "revision": message.revision,
    }


def explanation(reply: operators_pb2.ExplainResponse) -> Document:
    """The chain behind each value, nearest level first."""
    running = None
    if reply.HasField("running"):
        running = {"revision": reply.running.revision, "hash": reply.running.hash}
    return {
        "machine": reply.machine,
        "cluster": reply.cluster,
        "revision": reply.revision,
        "state": reply.state,
        "running": running,
        "settings": {
            item.setting: [_step(item.setting, step) for step in item.steps]
            for item in reply.settings
        },
    }


def _step(setting: str, step: operators_pb2.ExplanationStep) -> Document:
    values = settings_from_wire(step.value)
    return {
        "level": level_word(step.level),
        "name": step.name,
        "present": setting in values,
        "value": plain(values.get(setting)),
        "wins": step.wins,
        "revision": step.revision,
        "author": step.author,
        "time": moment(step, "time"),
        "comment": step.comment,
    }


def plan(reply: fleet_pb2.Plan) -> Document:
    """What a commit would do."""
    return {
        "cluster": reply.cluster,
        "base_revision": reply.base_revision,
        "fingerprint": reply.fingerprint,
        "levels": level_changes(reply.levels),
        "machines": [
            {
                "name": change.machine,
                "setting": change.setting,
                "before": one_value(change.before, change.setting),
                "after": one_value(change.after, change.setting),
                "origin": origin(change.origin),
            }
            for change in reply.machines
        ],
        "topology": topology_changes(reply.topology),
        "stop_copying": list(reply.stop_copying),
        "start_copying": list(reply.start_copying),
        "problems": [
            {"machine": item.machine, "setting": item.setting, "reason": item.reason}
            for item in reply.problems
        ],
    }


def level_changes(changes: Sequence[fleet_pb2.LevelChange]) -> list[Document]:
    """Settings changed at levels; None before or after is absent there."""
    return [
        {
            "level": level_word(change.level),
            "name": change.name,
            "setting": change.setting,
            "before": one_value(change.before, change.setting),
            "after": one_value(change.after, change.setting),
            "by_disable_rule": change.by_disable_rule,
        }
        for change in changes
    ]


def topology_changes(changes: Sequence[fleet_pb2.TopologyChange]) -> list[Document]:
    """Clusters, groups and machines created."""
    return [
        {"level": level_word(change.level), "name": change.name, "group": change.group}
        for change in changes
    ]


def commit_row(commit: fleet_pb2.Commit) -> Document:
    """A commit in `commit history`."""
    return {
        "cluster": commit.cluster,
        "revision": commit.revision,
        "author": commit.author,
        "time": moment(commit, "time"),
        "comment": commit.comment,
        "request_id": commit.request_id,
        "machines_changed": commit.machines_changed,
    }


def whole_commit(commit: fleet_pb2.Commit) -> Document:
    """A commit in `commit show`: with its changes."""
    return {
        **commit_row(commit),
        "levels": level_changes(commit.levels),
        "topology": topology_changes(commit.topology),
    }


def status_row(row: operators_pb2.MachineRowStatus) -> Document:
    """A machine in `status`."""
    return {
        "name": row.name,
        "group": row.group,
        "cluster": row.cluster,
        "state": row.state,
        "wanted_revision": row.wanted_revision,
        "applied_revision": row.applied_revision,
        "since": moment(row, "since"),
        "copying": row.copying,
        "queued": row.queued,
        "reason": row.reason,
        "warnings": list(row.warnings),
        "agent_version": row.agent_version,
    }


def delivery_row(row: operators_pb2.DeliveryRow) -> Document:
    """A machine's delivery to one destination in `delivery status`."""
    there = row.destination
    return {
        "machine": row.machine,
        "cluster": row.cluster,
        "time": moment(row, "time"),
        "domain": there.domain,
        "intake_domain": there.intake_domain,
        "host_status": there.host_status,
        "latest_host": there.latest_host,
        "active_recipients": there.active_recipients,
        "connections_out": there.connections_out,
        "delivered": there.delivered,
        "deferred": there.deferred,
        "dead": there.dead,
        "oldest_queued": moment(there, "oldest_queued"),
        "last_reply": there.last_reply,
        "last_tls_version": there.last_tls_version,
        "held_reason": there.held_reason,
        "counters": {
            field.name: getattr(row.counters, field.name)
            for field in row.counters.DESCRIPTOR.fields
        },
    }
