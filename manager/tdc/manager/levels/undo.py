"""PURE. What a rollback has to set: how the levels were at an earlier revision, from history.

The policy
----------
A rollback sets what was recorded and sets off no rule. It undoes each commit since, newest first,
which gives what each level held, whatever the defaults were, and where each level was: groups and
machines have their names of then, a machine is in its group of then, and what was removed since is
there again. A
machine that was removed has no right to connect, so it is enrolled again.

What was *created* since stays where it is, without settings of its own: a rollback is called for
in a hurry, for settings, and must not end the identity of a machine. Removing is an edit of its
own, with a question of its own. If a group or machine of then is gone now, and one that was created
since has its name, that one takes its place, and holds what it held.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tdc.manager.levels.changes import (
    EditRefused,
    LevelChange,
    RestoreLevels,
    Step,
    TopologyChange,
)
from tdc.manager.levels.fleet import Cluster, Group, LevelKey, Machine, StoredSettings
from tdc.shared.settings.values import Level, Settings, Value


def undone(cluster: Cluster, revision: int, newest_first: Iterable[Step]) -> RestoreLevels:
    """Work out the edit that takes `cluster` back to `revision`.

    The steps are all commits between the two, newest first. Raises EditRefused.
    """
    return _undone(_Past(cluster), newest_first).edit(revision)


def cluster_at(cluster: Cluster, revision: int, newest_first: Iterable[Step]) -> Cluster:
    """What `cluster` was at `revision`: groups, machines and settings; set by revision 0, unknown.

    The steps are all commits between the two, newest first. Raises EditRefused.
    """
    return _undone(_Past(cluster, exact=True), newest_first).cluster(revision)


def _undone(past: _Past, newest_first: Iterable[Step]) -> _Past:
    for levels, topology in newest_first:
        past.undo(tuple(levels), tuple(topology))
    return past


@dataclass(slots=True)
class _Past:
    """A cluster on its way back. Names are those of the revision it has come to.

    `exact`: what was created since goes; else it stays.
    """

    now: Cluster
    exact: bool = False
    name: str = ""  # of the cluster
    groups: dict[str, str | None] = field(default_factory=dict)  # name -> name now; None: gone now
    machines: dict[str, str] = field(default_factory=dict)  # name -> group
    called: dict[str, str | None] = field(default_factory=dict)  # of machines, as `groups`
    present: dict[LevelKey, dict[str, Value]] = field(default_factory=dict)  # changed levels
    places: set[str] = field(default_factory=set)  # machines that were moved or removed since

    def __post_init__(self) -> None:
        self.name = self.now.name
        self.groups = {name: name for name in self.now.groups}
        self.machines = {name: each.group for name, each in self.now.machines.items()}
        self.called = {name: name for name in self.now.machines}

    def undo(self, levels: tuple[LevelChange, ...], topology: tuple[TopologyChange, ...]) -> None:
        for change in topology:
            if change.removed:
                self._bring_back(change)
        for each in levels:
            if self._is_there(each.key):
                self._set_back(each)
        for change in topology:
            if change.level is Level.CLUSTER and change.before is not None:
                self._call_cluster(change.before.name)
        # Groups last: a record names the groups of machines as they were before it.
        for level in (Level.MACHINE, Level.GROUP):
            for change in topology:
                if change.level is level and change.before is not None:
                    self._put_back(change)
        for change in topology:
            if change.created:
                self._leave(change)

    def edit(self, revision: int) -> RestoreLevels:
        """The edit that takes the cluster there."""
        renames = dict[LevelKey, str]()
        for level, names, there in (
            (Level.GROUP, self.groups, self.now.groups),
            (Level.MACHINE, self.called, self.now.machines),
        ):
            for then, now in names.items():
                if now != then and then in there:
                    raise _taken(level, now, then)
                if now not in (None, then):
                    renames[LevelKey(level, now)] = then
        self._call_cluster(self.now.name)  # it keeps the name by which it was asked for
        return RestoreLevels(
            revision,
            {key: Settings.of(values) for key, values in self.present.items()},
            renames,
            tuple(sorted(name for name, now in self.groups.items() if now is None)),
            {name: self.machines[name] for name in sorted(self.places)},
        )

    def cluster(self, revision: int) -> Cluster:
        """The cluster as it was."""

        def stored_at(key: LevelKey) -> StoredSettings:
            settings = self.present.get(key)
            if settings is None:
                return self.now.stored_at(self._now(key))
            return StoredSettings(Settings.of(settings), dict.fromkeys(settings, 0))

        return Cluster(
            self.name,
            revision,
            stored_at(LevelKey(Level.CLUSTER, self.name)),
            {name: Group(name, stored_at(LevelKey(Level.GROUP, name))) for name in self.groups},
            {
                name: Machine(name, group, stored_at(LevelKey(Level.MACHINE, name)))
                for name, group in self.machines.items()
            },
        )

    def _bring_back(self, change: TopologyChange) -> None:
        if change.level is Level.GROUP:
            self.groups.setdefault(change.name, None)
        elif change.level is Level.MACHINE:
            self.machines[change.name] = change.group
            self.called.setdefault(change.name, None)
            self.places.add(change.name)
        self.present.setdefault(LevelKey(change.level, change.name), {})

    def _set_back(self, change: LevelChange) -> None:
        values = self.present.get(change.key)
        if values is None:
            stored = self.now.stored_at(self._now(change.key))
            values = self.present[change.key] = dict(stored.settings)
        if change.before is None:
            values.pop(change.setting, None)
        else:
            values[change.setting] = change.before

    def _put_back(self, change: TopologyChange) -> None:
        was = change.before
        assert was is not None
        if change.level is Level.MACHINE and change.name in self.machines:
            if was.group != change.group:
                self.machines[change.name] = was.group
                self.places.add(change.name)
            self._call(change.name, was.name)
        elif change.level is Level.GROUP and change.name in self.groups:
            now = self.groups[change.name]
            if was.name not in self.groups:
                self._rename(change.name, was.name)
            elif now is not None:
                raise _taken(Level.GROUP, now, was.name)
            else:
                self._replace(change.name, was.name)

    def _leave(self, change: TopologyChange) -> None:
        """Before this commit it was not there: it stays as it is now, or gone if it is gone."""
        key = LevelKey(change.level, change.name)
        if self.exact and change.level is Level.CLUSTER:
            # What had its name before was another, without settings at its end.
            self.present[key] = {}
        elif self.exact:
            there = self.machines if change.level is Level.MACHINE else self.groups
            there.pop(change.name, None)
            if change.level is Level.MACHINE:
                self.called.pop(change.name, None)
            self.present.pop(key, None)
        if self.exact:
            return
        if change.level is Level.MACHINE:
            self.places.discard(change.name)
            now = self.called.get(change.name)
            if now is None:
                self.machines.pop(change.name, None)
                self.called.pop(change.name, None)
                self.present.pop(key, None)
            else:
                self._call(change.name, now)
        elif change.level is Level.GROUP and change.name in self.groups:
            now = self.groups[change.name]
            if now is None:
                del self.groups[change.name]
                self.present.pop(LevelKey(Level.GROUP, change.name), None)
            elif now not in self.groups:
                self._rename(change.name, now)

    def _call(self, name: str, to: str) -> None:
        """Give a machine the name `to`; one that is gone leaves it to the one that has it now."""
        if name == to:
            return
        group, now = self.machines.pop(name), self.called.pop(name)
        placed, values = name in self.places, self.present.pop(LevelKey(Level.MACHINE, name), None)
        self.places.discard(name)
        if to in self.machines and now is not None:
            raise _taken(Level.MACHINE, now, to)
        if to not in self.machines:
            self.called[to] = now
        self.machines[to] = group
        if placed:
            self.places.add(to)
        if values is not None:
            self.present[LevelKey(Level.MACHINE, to)] = values

    def _rename(self, name: str, to: str) -> None:
        self.groups[to] = self.groups.pop(name)
        self._hand_over(name, to)

    def _replace(self, gone: str, by: str) -> None:
        """Let a group that was created since take the place of one that is gone now."""
        del self.groups[gone]
        self._hand_over(gone, by)

    def _hand_over(self, name: str, to: str) -> None:
        members = [machine for machine, group in self.machines.items() if group == name]
        self.machines |= dict.fromkeys(members, to)
        values = self.present.pop(LevelKey(Level.GROUP, name), None)
        if values is not None:
            self.present[LevelKey(Level.GROUP, to)] = values

    def _is_there(self, key: LevelKey) -> bool:
        match key.level:
            case Level.MACHINE:
                return key.name in self.machines
            case Level.GROUP:
                return key.name in self.groups
            case _:
                return key.name == self.name

    def _call_cluster(self, name: str) -> None:
        values = self.present.pop(LevelKey(Level.CLUSTER, self.name), None)
        self.name = name
        if values is not None:
            self.present[LevelKey(Level.CLUSTER, name)] = values

    def _now(self, key: LevelKey) -> LevelKey:
        if key.level is Level.CLUSTER:
            return LevelKey(Level.CLUSTER, self.now.name)
        names = {Level.GROUP: self.groups, Level.MACHINE: self.called}.get(key.level, {})
        name = names.get(key.name)
        return LevelKey(key.level, name) if name is not None else key


def _taken(level: Level, now: str | None, then: str) -> EditRefused:
    whose = f"{now} was called {then} then" if now is not None else f"{then} was removed since"
    return EditRefused(
        f"{level} {whose}, and another {level} has that name now: rename that one first"
    )
