"""Edits as JSON: what a plan is made of, and what is committed.

One field of an edit is given, and says its kind; values are in their plain form (docs/settings.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from tdc.manager.intent.errors import BadRequest
from tdc.manager.intent.targets import (
    ChangeAsked,
    CopyAt,
    DeleteAt,
    EditAsked,
    LevelAsked,
    ReplaceAt,
    RestoreTo,
    RevertTo,
    SetAt,
    UnsetAt,
)
from tdc.manager.levels.changes import (
    AddGroup,
    AddMachine,
    MoveMachine,
    RemoveGroup,
    RemoveMachine,
    RenameGroup,
    RenameMachine,
)
from tdc.shared.settings.canonical import Plain
from tdc.shared.settings.check import checked
from tdc.shared.settings.values import Level


class _Edit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What edits have in common."""


class LevelRef(_Edit, frozen=True):
    """A level, by its name."""

    level: Level
    name: str


class SetEdit(_Edit, frozen=True):
    """Set settings at a level."""

    level: Level
    name: str
    settings: dict[str, Plain]


class UnsetEdit(_Edit, frozen=True):
    """Let settings of a level follow the level above."""

    level: Level
    name: str
    settings: tuple[str, ...]


class CopyEdit(_Edit, frozen=True):
    """Copy a level's settings to another; with `move` they are removed there."""

    source: LevelRef
    target: LevelRef
    settings: tuple[str, ...] = ()
    move: bool = False


class NameEdit(_Edit, frozen=True):
    """A group or machine, by its name."""

    name: str


class RenameEdit(_Edit, frozen=True):
    """A new name."""

    name: str
    to: str


class InGroupEdit(_Edit, frozen=True):
    """A machine and the group that it is to be in."""

    name: str
    group: str


class RemoveGroupEdit(_Edit, frozen=True):
    """A group to remove, and where its machines go."""

    name: str
    move_to: str = ""


class RemoveMachineEdit(_Edit, frozen=True):
    """A machine to remove; with `stop_copying` its agent is to stop."""

    name: str
    stop_copying: bool = False


class RevisionEdit(_Edit, frozen=True):
    """A revision of the cluster."""

    revision: int


class EditDocument(_Edit, frozen=True):
    """One edit: exactly one of these."""

    set: SetEdit | None = None
    unset: UnsetEdit | None = None
    replace: SetEdit | None = None
    delete: LevelRef | None = None
    copy: CopyEdit | None = None
    add_group: NameEdit | None = None
    rename_group: RenameEdit | None = None
    remove_group: RemoveGroupEdit | None = None
    add_machine: InGroupEdit | None = None
    move_machine: InGroupEdit | None = None
    rename_machine: RenameEdit | None = None
    remove_machine: RemoveMachineEdit | None = None
    restore: RevisionEdit | None = None
    revert: RevisionEdit | None = None


def change_asked(cluster: str, edits: tuple[EditDocument, ...]) -> ChangeAsked:
    """Read edits of a cluster; raises BadRequest, SettingError."""
    return ChangeAsked(cluster, tuple(_edit(cluster, at, each) for at, each in enumerate(edits)))


def _edit(cluster: str, at: int, edit: EditDocument) -> EditAsked:
    given = [name for name in edit.__struct_fields__ if getattr(edit, name) is not None]
    if len(given) != 1:
        raise BadRequest(
            f"edits[{at}] has {' and '.join(given) or 'no kind of edit'}: each edit has exactly one"
        )
    return _KINDS[given[0]](cluster, getattr(edit, given[0]))


def _at(cluster: str, edit: Any) -> LevelAsked:
    return LevelAsked(edit.level, edit.name, cluster)


_KINDS: Mapping[str, Callable[[str, Any], EditAsked]] = {
    "set": lambda home, edit: SetAt(_at(home, edit), checked(edit.settings)),
    "unset": lambda home, edit: UnsetAt(_at(home, edit), edit.settings),
    "replace": lambda home, edit: ReplaceAt(_at(home, edit), checked(edit.settings)),
    "delete": lambda home, edit: DeleteAt(_at(home, edit)),
    "copy": lambda home, edit: CopyAt(
        _at(home, edit.source), _at(home, edit.target), edit.settings, edit.move
    ),
    "add_group": lambda _, edit: AddGroup(edit.name),
    "rename_group": lambda _, edit: RenameGroup(edit.name, edit.to),
    "remove_group": lambda _, edit: RemoveGroup(edit.name, edit.move_to),
    "add_machine": lambda _, edit: AddMachine(edit.name, edit.group),
    "move_machine": lambda _, edit: MoveMachine(edit.name, edit.group),
    "rename_machine": lambda _, edit: RenameMachine(edit.name, edit.to),
    "remove_machine": lambda _, edit: RemoveMachine(edit.name, edit.stop_copying),
    "restore": lambda _, edit: RestoreTo(edit.revision),
    "revert": lambda _, edit: RevertTo(edit.revision),
}
