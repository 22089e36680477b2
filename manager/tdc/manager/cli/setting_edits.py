"""Edits that set or unset settings, from what was typed: at one level or several of one kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tdc.manager.cli.assignments import parse_assignments, parse_names
from tdc.manager.cli.client import Manager
from tdc.manager.cli.options import LevelWord
from tdc.manager.cli.selection import Selection, chosen, split_assignments, split_settings
from tdc.manager.cli.values_elsewhere import ValueReader
from tdc.shared.settings.values import Level
from tdc.shared.wire.settings import LEVEL_TO_WIRE, settings_to_wire
from tdc.v1 import fleet_pb2


@dataclass(frozen=True, slots=True)
class SettingEdits:
    """One edit for each level that is chosen; `at` makes it. What was typed is judged already."""

    level: LevelWord
    names: Sequence[str]
    selection: Selection
    cluster: str
    at: Callable[[fleet_pb2.LevelRef], fleet_pb2.Edit]

    async def made(self, manager: Manager) -> list[fleet_pb2.Edit]:
        """The edits, once the manager said which machines fit; raises Refused, WrongUsage."""
        names = await chosen(manager, self.level, self.names, self.selection, self.cluster)
        return [self.at(level_ref(self.level, name, self.cluster)) for name in names]


def setting(
    level: LevelWord, words: Sequence[str], selection: Selection, cluster: str
) -> SettingEdits:
    """Read ``NAME... SETTING=VALUE...``; raises WrongUsage."""
    names, assignments = split_assignments(words)
    wanted = settings_to_wire(parse_assignments(assignments, ValueReader()))

    def at(where: fleet_pb2.LevelRef) -> fleet_pb2.Edit:
        return fleet_pb2.Edit(set=fleet_pb2.SetSettings(level=where, settings=wanted))

    return SettingEdits(level, names, selection, cluster, at)


def unsetting(
    level: LevelWord, words: Sequence[str], selection: Selection, cluster: str
) -> SettingEdits:
    """Read ``NAME... SETTING...``; raises WrongUsage."""
    names, settings = split_settings(words, named=not selection.given)
    wanted = parse_names(settings)

    def at(where: fleet_pb2.LevelRef) -> fleet_pb2.Edit:
        return fleet_pb2.Edit(unset=fleet_pb2.UnsetSettings(level=where, names=wanted))

    return SettingEdits(level, names, selection, cluster, at)


def level_ref(level: LevelWord, name: str, cluster: str) -> fleet_pb2.LevelRef:
    """A level as requests name it."""
    wire = LEVEL_TO_WIRE[Level(level.value)]
    return fleet_pb2.LevelRef(level=wire, name=name, cluster=cluster)
