"""PURE. The kinds of edit that a commit is made of, and the net changes they result in.

A new kind of edit begins here; `edit` applies it, and `tdc.v1.Edit` carries it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

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
class ReplaceValues:
    """Let a level hold exactly these settings: others become absent. What is there is no edit."""

    key: LevelKey
    settings: Settings


@dataclass(frozen=True, slots=True)
class DeleteValues:
    """Make every setting absent at a level."""

    key: LevelKey


@dataclass(frozen=True, slots=True)
class CopyValues:
    """Set at one level what another has: the named settings, or all of them without names.

    What the target has of other settings stays. With `move` they become absent at the source.
    """

    source: LevelKey
    target: LevelKey
    names: tuple[str, ...] = ()
    move: bool = False


@dataclass(frozen=True, slots=True)
class RenameGroup:
    """Give a group another name; its settings and its machines stay with it."""

    name: str
    to: str


@dataclass(frozen=True, slots=True)
class RemoveGroup:
    """Remove a group with its settings, after its machines were moved to `move_to`.

    Without `move_to` a group with machines is refused.
    """

    name: str
    move_to: str = ""


@dataclass(frozen=True, slots=True)
class MoveMachine:
    """Move a machine to another group of its cluster; its own settings go with it."""

    name: str
    group: str


@dataclass(frozen=True, slots=True)
class RenameMachine:
    """Give a machine another name; its settings and its certificate stay with it."""

    name: str
    to: str


@dataclass(frozen=True, slots=True)
class RemoveMachine:
    """Remove a machine with its settings and its right to connect.

    Its agent keeps running on the last settings; with `stop_copying` it takes no more copies.
    """

    name: str
    stop_copying: bool = False


@dataclass(frozen=True, slots=True)
class RemoveCluster:
    """Remove the cluster with its groups and settings; with machines it is refused.

    Its history goes on: a cluster that is created by its name has the next revision.
    """

    name: str


@dataclass(frozen=True, slots=True)
class RenameCluster:
    """Give a cluster another name; the only edit of its commit."""

    name: str
    to: str


@dataclass(frozen=True, slots=True)
class RestoreLevels:
    """Set what was recorded at `revision`, and set off no rule.

    `renames` are groups and machines as they are now, with their names of then; `groups` and
    `machines` (with their groups) are to be there, `levels` are to hold exactly these settings.
    What is not named stays as it is; levels that no longer exist are skipped.
    """

    revision: int
    levels: Mapping[LevelKey, Settings]
    renames: Mapping[LevelKey, str] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    machines: Mapping[str, str] = field(default_factory=dict)


TopologyEdit = (
    AddGroup
    | RenameGroup
    | RemoveGroup
    | AddMachine
    | MoveMachine
    | RenameMachine
    | RemoveMachine
    | RemoveCluster
    | RenameCluster
)

Edit = (
    SetValues
    | UnsetValues
    | ReplaceValues
    | DeleteValues
    | CopyValues
    | TopologyEdit
    | RestoreLevels
)


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
class Place:
    """What a group or machine is called, and of a machine, which group it is in."""

    name: str
    group: str = ""


@dataclass(frozen=True, slots=True)
class TopologyChange:
    """A cluster, group or machine that a commit creates, renames, moves or removes.

    `name` and, of a machine, `group` are as the commit leaves them; of what it removes, as they
    were. `before` is where it was; None if the commit creates or removes it. `stops_copying`: a
    machine that is removed takes no more copies. `slot` is that of a group that it creates or
    renames, and of a machine that it creates. `born` is the revision that created it; None where
    that was not kept.
    """

    level: Level
    name: str
    group: str = ""
    before: Place | None = None
    removed: bool = False
    stops_copying: bool = False
    slot: str = ""
    born: int | None = field(default=None, compare=False)

    @property
    def created(self) -> bool:
        """Whether it was not there before."""
        return self.before is None and not self.removed

    @property
    def names(self) -> frozenset[str]:
        """Its name now, and the one before."""
        return frozenset({self.name} if self.before is None else {self.name, self.before.name})


def machines_before(topology: Iterable[TopologyChange]) -> dict[str, str]:
    """The names before of machines that were there, by those that a commit gives them."""
    return {
        each.name: each.before.name
        for each in topology
        if each.level is Level.MACHINE and each.before is not None
    }


Step = tuple[Iterable[LevelChange], Iterable[TopologyChange]]
"""The net changes of one commit."""


@dataclass(frozen=True, slots=True)
class Edited:
    """A cluster after its edits, with the net changes in order: nearest level first, then name.

    Without a net change, `cluster` is the one before, revision included.
    """

    cluster: Cluster
    level_changes: tuple[LevelChange, ...]
    topology: tuple[TopologyChange, ...]
