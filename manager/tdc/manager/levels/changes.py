"""PURE. The edits a commit is made of, and what they turn out to change. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tdc.manager.levels.fleet import Cluster, LevelKey
from tdc.shared.settings.values import Level, Settings, Value


class EditRefused(ValueError):
    """An edit that can't be applied; one sentence for the operator. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class SetValues:
    """Set each of `settings` at a level; those that are there with this value are no edit."""

    key: LevelKey
    settings: Settings


@dataclass(frozen=True, slots=True)
class UnsetValues:
    """Make settings absent at a level; those that are absent are no edit."""

    key: LevelKey
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AddGroup:
    """Create an empty group."""

    name: str


@dataclass(frozen=True, slots=True)
class AddMachine:
    """Create a machine without settings of its own, in a group that exists."""

    name: str
    group: str


@dataclass(frozen=True, slots=True)
class RestoreLevels:
    """Set each named level's settings to exactly these, as `revision` had them.

    It sets what was recorded and triggers nothing, the disable rule included. Levels that do
    not exist any more are skipped; levels that are not named stay as they are.
    """

    revision: int
    levels: Mapping[LevelKey, Settings]


Edit = SetValues | UnsetValues | AddGroup | AddMachine | RestoreLevels


@dataclass(frozen=True, slots=True)
class LevelChange:
    """What a commit changes in one setting at one level; None stands for absent.

    `by_disable_rule`: the disable rule wrote the value, not an edit of the commit.
    """

    key: LevelKey
    setting: str
    before: Value | None
    after: Value | None
    by_disable_rule: bool = False


@dataclass(frozen=True, slots=True)
class TopologyChange:
    """Something that a commit creates; `group` is empty except for a machine."""

    level: Level
    name: str
    group: str = ""


@dataclass(frozen=True, slots=True)
class Edited:
    """What edits make of a cluster: the net changes, nearest level first, then by name.

    Without a net change the cluster is the one before, its revision included.
    """

    cluster: Cluster
    level_changes: tuple[LevelChange, ...]
    topology: tuple[TopologyChange, ...]
