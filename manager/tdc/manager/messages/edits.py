"""Edits of a commit <-> tdc.v1 messages, one function for each kind; refuses what is none.

No lookup and no decision: `intent` decides what an edit means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

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
    RemoveCluster,
    RemoveGroup,
    RemoveMachine,
    RenameCluster,
    RenameGroup,
    RenameMachine,
    SetValues,
    UnsetValues,
)
from tdc.shared.settings.values import Level
from tdc.shared.wire.errors import BadMessage
from tdc.shared.wire.settings import (
    LEVEL_FROM_WIRE,
    LEVEL_TO_WIRE,
    settings_from_wire,
    settings_to_wire,
)
from tdc.v1 import fleet_pb2


def change_asked(cluster: str, edits: Iterable[fleet_pb2.Edit]) -> ChangeAsked:
    """Read the edits of a request; raises BadMessage, SettingError."""
    return ChangeAsked(cluster, tuple(map(_edit, edits)))


def level_asked(ref: fleet_pb2.LevelRef) -> LevelAsked:
    """Read the level that a reference names."""
    return LevelAsked(LEVEL_FROM_WIRE.get(ref.level), ref.name, ref.cluster)


def edit_to_wire(edit: SetValues | UnsetValues, cluster: str) -> fleet_pb2.Edit:
    """An edit of a level of a cluster as a message, as `change_asked` reads it."""
    key = edit.key
    of_cluster = "" if key.level is Level.CLUSTER else cluster
    level = fleet_pb2.LevelRef(level=LEVEL_TO_WIRE[key.level], name=key.name, cluster=of_cluster)
    if isinstance(edit, SetValues):
        settings = settings_to_wire(edit.settings)
        return fleet_pb2.Edit(set=fleet_pb2.SetSettings(level=level, settings=settings))
    return fleet_pb2.Edit(unset=fleet_pb2.UnsetSettings(level=level, names=edit.names))


def _edit(message: fleet_pb2.Edit) -> EditAsked:
    kind = message.WhichOneof("kind")
    if kind not in _READ:
        raise BadMessage("the request has a kind of edit that this version does not know")
    return _READ[kind](getattr(message, kind))


def _set(edit: fleet_pb2.SetSettings) -> SetAt:
    return SetAt(level_asked(edit.level), settings_from_wire(edit.settings))


def _unset(edit: fleet_pb2.UnsetSettings) -> UnsetAt:
    return UnsetAt(level_asked(edit.level), tuple(edit.names))


def _replace(edit: fleet_pb2.ReplaceSettings) -> ReplaceAt:
    return ReplaceAt(level_asked(edit.level), settings_from_wire(edit.settings))


def _delete(edit: fleet_pb2.DeleteSettings) -> DeleteAt:
    return DeleteAt(level_asked(edit.level))


def _copy(edit: fleet_pb2.CopySettings) -> CopyAt:
    return CopyAt(level_asked(edit.source), level_asked(edit.target), tuple(edit.names), edit.move)


def _add_group(edit: fleet_pb2.AddGroup) -> AddGroup:
    return AddGroup(edit.name)


def _rename_group(edit: fleet_pb2.RenameGroup) -> RenameGroup:
    return RenameGroup(edit.name, edit.to)


def _remove_group(edit: fleet_pb2.RemoveGroup) -> RemoveGroup:
    return RemoveGroup(edit.name, edit.move_to)


def _add_machine(edit: fleet_pb2.AddMachine) -> AddMachine:
    return AddMachine(edit.name, edit.group)


def _move_machine(edit: fleet_pb2.MoveMachine) -> MoveMachine:
    return MoveMachine(edit.name, edit.group)


def _rename_machine(edit: fleet_pb2.RenameMachine) -> RenameMachine:
    return RenameMachine(edit.name, edit.to)


def _rename_cluster(edit: fleet_pb2.RenameCluster) -> RenameCluster:
    return RenameCluster(edit.name, edit.to)


def _remove_machine(edit: fleet_pb2.RemoveMachine) -> RemoveMachine:
    return RemoveMachine(edit.name, edit.stop_copying)


def _remove_cluster(edit: fleet_pb2.RemoveCluster) -> RemoveCluster:
    return RemoveCluster(edit.name)


def _restore(edit: fleet_pb2.RestoreRevision) -> RestoreTo:
    return RestoreTo(edit.revision)


def _revert(edit: fleet_pb2.RevertRevision) -> RevertTo:
    return RevertTo(edit.revision)


_READ: Mapping[str | None, Callable[[Any], EditAsked]] = {
    "set": _set,
    "unset": _unset,
    "replace": _replace,
    "delete": _delete,
    "copy": _copy,
    "add_group": _add_group,
    "rename_group": _rename_group,
    "remove_group": _remove_group,
    "add_machine": _add_machine,
    "move_machine": _move_machine,
    "rename_machine": _rename_machine,
    "remove_machine": _remove_machine,
    "remove_cluster": _remove_cluster,
    "rename_cluster": _rename_cluster,
    "restore": _restore,
    "revert": _revert,
}
"""By the field of `tdc.v1.Edit`; a test holds that each has its function."""
