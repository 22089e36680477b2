"""Edits as values -> as an operator sends them, each level with its cluster's real name."""

from __future__ import annotations

from tdc.manager.levels.changes import (
    AddGroup,
    AddMachine,
    CopyValues,
    DeleteValues,
    Edit,
    MoveMachine,
    RemoveGroup,
    RemoveMachine,
    RenameGroup,
    RenameMachine,
    ReplaceValues,
    SetValues,
    UnsetValues,
)
from tdc.manager.levels.fleet import LevelKey
from tdc.shared.settings.values import Level
from tdc.shared.wire.settings import LEVEL_TO_WIRE, settings_to_wire
from tdc.v1 import fleet_pb2


def sent(edit: Edit, cluster: str) -> fleet_pb2.Edit:
    """The message for an edit of this cluster."""
    match edit:
        case SetValues(key, settings):
            there = fleet_pb2.SetSettings(
                level=_at(key, cluster), settings=settings_to_wire(settings)
            )
            return fleet_pb2.Edit(set=there)
        case UnsetValues(key, names):
            return fleet_pb2.Edit(
                unset=fleet_pb2.UnsetSettings(level=_at(key, cluster), names=names)
            )
        case ReplaceValues(key, settings):
            whole = fleet_pb2.ReplaceSettings(
                level=_at(key, cluster), settings=settings_to_wire(settings)
            )
            return fleet_pb2.Edit(replace=whole)
        case DeleteValues(key):
            return fleet_pb2.Edit(delete=fleet_pb2.DeleteSettings(level=_at(key, cluster)))
        case CopyValues():
            copied = fleet_pb2.CopySettings(
                source=_at(edit.source, cluster),
                target=_at(edit.target, cluster),
                names=edit.names,
                move=edit.move,
            )
            return fleet_pb2.Edit(copy=copied)
        case _:
            return _topology(edit)


def _topology(edit: Edit) -> fleet_pb2.Edit:
    match edit:
        case AddGroup(name):
            return fleet_pb2.Edit(add_group=fleet_pb2.AddGroup(name=name))
        case RenameGroup(name, to):
            return fleet_pb2.Edit(rename_group=fleet_pb2.RenameGroup(name=name, to=to))
        case RemoveGroup(name, move_to):
            return fleet_pb2.Edit(remove_group=fleet_pb2.RemoveGroup(name=name, move_to=move_to))
        case AddMachine(name, group):
            return fleet_pb2.Edit(add_machine=fleet_pb2.AddMachine(name=name, group=group))
        case MoveMachine(name, group):
            return fleet_pb2.Edit(move_machine=fleet_pb2.MoveMachine(name=name, group=group))
        case RenameMachine(name, to):
            return fleet_pb2.Edit(rename_machine=fleet_pb2.RenameMachine(name=name, to=to))
        case RemoveMachine(name, stop_copying):
            gone = fleet_pb2.RemoveMachine(name=name, stop_copying=stop_copying)
            return fleet_pb2.Edit(remove_machine=gone)
        case _:
            raise AssertionError(f"no message for {edit}")


def _at(key: LevelKey, cluster: str) -> fleet_pb2.LevelRef:
    name = cluster if key.level is Level.CLUSTER else key.name
    return fleet_pb2.LevelRef(level=LEVEL_TO_WIRE[key.level], name=name, cluster=cluster)
