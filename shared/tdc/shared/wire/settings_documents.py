"""PURE. The JSON contract of settings: what they are, what is in force and why (docs/cli.md).

`documents` says what holds for all.
"""

from __future__ import annotations

import msgspec
from tdc.shared.settings.canonical import Plain, plain
from tdc.shared.settings.schema import SCHEMA
from tdc.shared.settings.values import Level
from tdc.shared.wire.suspension_documents import SuspensionDocument


class SettingDocument(msgspec.Struct, frozen=True):
    """A setting that exists; `choices` is empty unless its kind is choice."""

    name: str
    kind: str
    default: Plain
    choices: tuple[str, ...]
    help: str


class OriginDocument(msgspec.Struct, frozen=True):
    """The level that a value in force comes from; a default has no name, and revision 0."""

    level: Level
    name: str
    revision: int


class SourcedDocument(msgspec.Struct, frozen=True):
    """A value in force with its origin."""

    value: Plain
    origin: OriginDocument


class EffectiveDocument(msgspec.Struct, frozen=True):
    """What is in force on a machine: every setting of the schema."""

    machine: str
    revision: int
    hash: str
    settings: dict[str, SourcedDocument]


class LevelDocument(msgspec.Struct, frozen=True):
    """What is present at one level, and only that."""

    level: Level
    name: str
    cluster: str
    revision: int
    settings: dict[str, Plain]


class RunningDocument(msgspec.Struct, frozen=True):
    """The settings that a machine reported to run."""

    revision: int
    hash: str


class ChainStepDocument(msgspec.Struct, frozen=True):
    """One level's part in a chain; `revision` to `comment` are of the commit that set the value."""

    level: Level
    name: str
    present: bool
    value: Plain
    wins: bool
    revision: int
    author: str
    time: str | None
    comment: str


class AttemptDocument(msgspec.Struct, frozen=True):
    """A machine's attempt to apply settings, by its clock; `reason` is empty if it applied them."""

    revision: int
    hash: str
    applied: bool
    reason: str
    time: str | None


class ExplanationDocument(msgspec.Struct, frozen=True):
    """The chain behind each value, nearest level first.

    `unknown_settings` are those of them that the machine's agent, of `agent_version`, doesn't know.
    """

    machine: str
    cluster: str
    revision: int
    state: str
    running: RunningDocument | None
    settings: dict[str, tuple[ChainStepDocument, ...]]
    unread: str = ""
    since: str | None = None
    reason: str = ""
    last_attempt: AttemptDocument | None = None
    suspension: SuspensionDocument | None = None
    agent_version: str = ""
    unknown_settings: tuple[str, ...] = ()


class FindingDocument(msgspec.Struct, frozen=True):
    """One thing in a cluster that is worth a look; `remedy` would undo it."""

    kind: str
    level: Level
    name: str
    setting: str
    text: str
    remedy: str
    since: str | None


class ConsistencyDocument(msgspec.Struct, frozen=True):
    """What was found in a cluster; `warnings` say what the manager can't know of it now."""

    cluster: str
    revision: int
    findings: tuple[FindingDocument, ...]
    warnings: tuple[str, ...]


def setting_documents() -> tuple[SettingDocument, ...]:
    """The settings that exist, in the order of the schema."""
    return tuple(
        SettingDocument(
            name=row.name,
            kind=str(row.kind),
            default=plain(row.default),
            choices=row.choices,
            help=row.help,
        )
        for row in SCHEMA.values()
    )
