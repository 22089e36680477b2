"""A deliberately dumb model of levels: plain dicts, copied whole, compared by brute force.

It knows no revisions, no drafts and no sharing. What the real thing does must come out the same.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

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
    RestoreLevels,
    SetValues,
    UnsetValues,
)
from tdc.manager.levels.fleet import Cluster
from tdc.manager.levels.impact import MachineChange
from tdc.shared.settings.schema import SCHEMA
from tdc.shared.settings.values import Settings

ABSENT = "absent"


@dataclass
class Dumb:
    """(level, name) -> setting -> value, and machine -> group."""

    cluster: str
    levels: dict[tuple[str, str], dict[str, Any]]
    group_of: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, cluster: Cluster) -> Dumb:
        levels: dict[tuple[str, str], dict[str, Any]] = {
            ("cluster", cluster.name): dict(cluster.stored.settings)
        }
        for group in cluster.groups.values():
            levels["group", group.name] = dict(group.stored.settings)
        for machine in cluster.machines.values():
            levels["machine", machine.name] = dict(machine.stored.settings)
        group_of = {machine.name: machine.group for machine in cluster.machines.values()}
        return cls(cluster.name, levels, group_of)

    def effective(self, machine: str) -> dict[str, Any]:
        """Pour default, cluster, group and machine over each other; the last one stays."""
        values: dict[str, Any] = {name: row.default for name, row in SCHEMA.items()}
        values.update(self.levels["cluster", self.cluster])
        values.update(self.levels["group", self.group_of[machine]])
        values.update(self.levels["machine", machine])
        return values

    def after(self, edits: list[Edit]) -> Dumb:
        model = copy.deepcopy(self)
        for edit in edits:
            model._apply(edit)
        return model

    def _apply(self, edit: Edit) -> None:
        match edit:
            case AddGroup(name):
                self.levels["group", name] = {}
            case RenameGroup(name, to):
                self.levels["group", to] = self.levels.pop(("group", name))
                self._move_all(name, to)
            case RemoveGroup(name, move_to):
                self._move_all(name, move_to)
                del self.levels["group", name]
            case AddMachine(name, group):
                self.levels["machine", name] = {}
                self.group_of[name] = group
            case MoveMachine(name, group):
                self.group_of[name] = group
            case RenameMachine(name, to):
                self.levels["machine", to] = self.levels.pop(("machine", name))
                self.group_of[to] = self.group_of.pop(name)
            case RemoveMachine(name):
                del self.levels["machine", name], self.group_of[name]
            case _:
                self._apply_settings(edit)

    def _apply_settings(self, edit: Edit) -> None:
        if isinstance(edit, UnsetValues):
            for name in edit.names:
                self.levels[str(edit.key.level), edit.key.name].pop(name, None)
        elif isinstance(edit, ReplaceValues):
            level = self.levels[str(edit.key.level), edit.key.name]
            for name in level.keys() - edit.settings.keys():
                del level[name]
            self._apply(SetValues(edit.key, edit.settings))
        elif isinstance(edit, DeleteValues):
            self.levels[str(edit.key.level), edit.key.name] = {}
        elif isinstance(edit, CopyValues):
            source = self.levels[str(edit.source.level), edit.source.name]
            copied = {name: source[name] for name in edit.names or tuple(source)}
            self._apply(SetValues(edit.target, Settings.of(copied)))
            for name in copied if edit.move else ():
                del source[name]
        elif isinstance(edit, RestoreLevels):
            for key, settings in edit.levels.items():
                if (str(key.level), key.name) in self.levels:
                    self.levels[str(key.level), key.name] = dict(settings)
        elif isinstance(edit, SetValues):
            level = self.levels[str(edit.key.level), edit.key.name]
            was = level.get("enabled", ABSENT)
            level.update(edit.settings)
            if edit.key.level == "machine" and was is not False and level.get("enabled") is False:
                self.levels["group", self.group_of[edit.key.name]]["enabled"] = False
                self.levels["cluster", self.cluster]["enabled"] = False

    def _move_all(self, group: str, to: str) -> None:
        self.group_of = {name: to if at == group else at for name, at in self.group_of.items()}

    def level_changes(self, after: Dumb) -> set[tuple[str, str, str, Any, Any]]:
        """(level, name, setting, before, after) of all that differs."""
        return {
            (level, name, setting, before, now)
            for (level, name), settings in after.levels.items()
            for setting in SCHEMA
            if (before := self.levels.get((level, name), {}).get(setting, ABSENT))
            != (now := settings.get(setting, ABSENT))
        }

    def machine_changes(self, after: Dumb) -> set[tuple[str, str, Any, Any]]:
        """(machine, setting, before, after) of all that differs in force on machines there are."""
        return {
            (machine, setting, before, now)
            for machine in self.group_of
            for setting in SCHEMA
            if (before := self.effective(machine)[setting])
            != (now := after.effective(machine)[setting])
        }


InForce = set[tuple[str, str, str, str]]
"""Machine, setting, value before, value after; values as Python writes them."""


def changed_in_force(before: Cluster, after: Cluster) -> InForce:
    """What changes in force on the machines of both, by resolving each of them twice.

    A machine has the name that it has after; whatever it was called, it is the same one.
    """
    old, new = Dumb.of(before), Dumb.of(after)
    return {
        (name, setting, repr(was), repr(value))
        for name, called in _names_before(before, after).items()
        for setting, was in old.effective(called).items()
        if was != (value := new.effective(name)[setting])
    }


def shown_in_force(changes: Iterable[MachineChange], before: Cluster, after: Cluster) -> InForce:
    """The same, as a plan or a difference has it."""
    both = _names_before(before, after)
    return {
        (each.machine, each.setting, repr(each.before), repr(each.after))
        for each in changes
        if each.machine in both
    }


def _names_before(before: Cluster, after: Cluster) -> dict[str, str]:
    """The machines of both: what each is called after, and what it was called before."""
    names = {(each.slot or each.name, each.born): each.name for each in before.machines.values()}
    return {
        each.name: names[which]
        for each in after.machines.values()
        if (which := (each.slot or each.name, each.born)) in names
    }
