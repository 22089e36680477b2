"""PURE. The kinds of edit that a commit is made of, and the net changes they result in.

A new kind of edit begins here; `edit` applies it, and `tdc.v1.Edit` carries it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tdc.manager.levels.fleet import Cluster, LevelKey
from tdc.shared.settings.values import Level, Settings, Value


class EditRefused(ValueError):
    """An edit that can't be applied. One sentence for the operator; nothing was changed."""


@dataclass(frozen=True, slots=True)
class SetValues:
    """Set each of `settings` at a level. A setting that already has its value there is no edit."""

    key: LevelKey
    settings: Settings


@dataclass(frozen=True, slots=True)
class UnsetValues:
    """Make settings absent at a level. A setting that is already absent there is no edit."""

    key: LevelKey
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AddGroup:
    """Create a group without machines and without settings."""

    name: str


@dataclass(frozen=True, slots=True)
class AddMachine:
    """Create a machine without settings of its own, in an existing group."""

    name: str
    group: str


@dataclass(frozen=True, slots=True)
class RestoreLevels:
    """Replace the settings of the named levels by what they were at `revision`.

    This sets what was recorded and sets off no rule. Levels that no longer exist are skipped;
    levels that are not named stay as they are.
    """

    revision: int
    levels: Mapping[LevelKey, Settings]


Edit = SetValues | UnsetValues | AddGroup | AddMachine | RestoreLevels


@dataclass(frozen=True, slots=True)
class LevelChange:
    """What a commit changes in one setting at one level; None means absent.

    `by_disable_rule`: the disable rule stored the value, not an edit of the operator's.
    """

    key: LevelKey
    setting: str
    before: Value | None
    after: Value | None
    by_disable_rule: bool = False


@dataclass(frozen=True, slots=True)
class TopologyChange:
    """A group or machine that a commit creates. `group` is set for a machine only."""

    level: Level
    name: str
    group: str = ""


@dataclass(frozen=True, slots=True)
class Edited:
    """A cluster after its edits, with the net changes in order: nearest level first, then name.

    Without a net change, `cluster` is the one before, revision included.
    """

    cluster: Cluster
    level_changes: tuple[LevelChange, ...]
    topology: tuple[TopologyChange, ...]
