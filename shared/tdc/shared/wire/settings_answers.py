"""A manager's answers about settings (tdc.v1.SettingsReader) -> the documents of the JSON contract.

Raises BadMessage for what is no level, setting or time; nothing is guessed or left out.
"""

from __future__ import annotations

from collections.abc import Iterable

from tdc.shared.settings.canonical import plain, plain_settings
from tdc.shared.settings.schema import SCHEMA
from tdc.shared.wire import settings_documents as documents
from tdc.shared.wire.moments import rfc3339_in
from tdc.shared.wire.settings import level_from_wire, settings_from_wire
from tdc.shared.wire.suspension_answers import suspension_in
from tdc.v1 import agents_pb2, fleet_pb2, operators_pb2


def level(reply: operators_pb2.LevelSettings) -> documents.LevelDocument:
    """What is present at one level."""
    return documents.LevelDocument(
        level=level_from_wire(reply.level.level),
        name=reply.level.name,
        cluster=reply.level.cluster,
        revision=reply.revision,
        settings=plain_settings(settings_from_wire(reply.settings)),
    )


def effective(reply: fleet_pb2.EffectiveSettings) -> documents.EffectiveDocument:
    """What is in force on a machine, in the order of the schema."""
    values = settings_from_wire(reply.settings)
    return documents.EffectiveDocument(
        machine=reply.machine,
        revision=reply.revision,
        hash=reply.hash,
        settings={
            name: documents.SourcedDocument(plain(values.get(name)), origin(reply.origins[name]))
            for name in _in_order(reply.origins)
        },
    )


def _in_order(names: Iterable[str]) -> list[str]:
    """Setting names in the order of the schema; those of another version come last."""
    given = set(names)
    return [name for name in SCHEMA if name in given] + sorted(given - SCHEMA.keys())


def explanation(reply: operators_pb2.ExplainResponse) -> documents.ExplanationDocument:
    """The chain behind each value, nearest level first."""
    running = None
    if reply.HasField("running"):
        running = documents.RunningDocument(reply.running.revision, reply.running.hash)
    return documents.ExplanationDocument(
        machine=reply.machine,
        cluster=reply.cluster,
        revision=reply.revision,
        state=reply.state,
        running=running,
        settings={
            chain.setting: tuple(_chain_step(chain.setting, step) for step in chain.steps)
            for chain in reply.settings
        },
        unread=reply.unread,
        since=rfc3339_in(reply, "since"),
        reason=reply.reason,
        last_attempt=_attempt(reply.last_attempt) if reply.HasField("last_attempt") else None,
        suspension=suspension_in(reply),
        agent_version=reply.agent_version,
        unknown_settings=tuple(each.setting for each in reply.settings if each.unknown_there),
    )


def _attempt(outcome: agents_pb2.Outcome) -> documents.AttemptDocument:
    return documents.AttemptDocument(
        revision=outcome.revision,
        hash=outcome.hash,
        applied=outcome.applied,
        reason=outcome.reason,
        time=rfc3339_in(outcome, "time"),
    )


def _chain_step(setting: str, step: operators_pb2.ExplanationStep) -> documents.ChainStepDocument:
    values = settings_from_wire(step.value)
    return documents.ChainStepDocument(
        level=level_from_wire(step.level),
        name=step.name,
        present=setting in values,
        value=plain(values.get(setting)),
        wins=step.wins,
        revision=step.revision,
        author=step.author,
        time=rfc3339_in(step, "time"),
        comment=step.comment,
    )


def consistency(
    reply: operators_pb2.CheckConsistencyResponse,
) -> documents.ConsistencyDocument:
    """What was found in a cluster."""
    return documents.ConsistencyDocument(
        cluster=reply.cluster,
        revision=reply.revision,
        findings=tuple(
            documents.FindingDocument(
                kind=each.kind,
                level=level_from_wire(each.level),
                name=each.name,
                setting=each.setting,
                text=each.text,
                remedy=each.remedy,
                since=rfc3339_in(each, "since"),
            )
            for each in reply.findings
        ),
        warnings=tuple(reply.warnings),
    )


def origin(message: fleet_pb2.Origin) -> documents.OriginDocument:
    """Where a value comes from."""
    return documents.OriginDocument(level_from_wire(message.level), message.name, message.revision)
