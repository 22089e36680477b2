"""PURE. A cluster under edit: what its levels hold and are called by now, and the net result.

Only what the edits touch is kept beside the cluster as it was, so a commit of one machine costs
the same in a large cluster. A level is followed through renames by its *origin*, the name that it
had before the commit. Within one commit a name means one level: a name that the commit frees can
be used again by the next commit, so that no record of history has two levels of one name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from tdc.manager.levels import identities
from tdc.manager.levels.by_name import Draft
from tdc.manager.levels.changes import Edited, EditRefused, LevelChange, Place, TopologyChange
from tdc.manager.levels.fleet import (
    Cluster,
    Group,
    LevelKey,
    Machine,
    RemovedMachine,
    StoredSettings,
    UnknownLevel,
    same_name,
)
from tdc.shared.settings.values import Level, Settings, same_value

_LEVEL_ORDER = {Level.MACHINE: 0, Level.GROUP: 1, Level.CLUSTER: 2}


class _Entry(NamedTuple):
    """A group or machine by now. `origin` is its name before the commit, None if it is new."""

    origin: str | None
    group: str = ""


@dataclass(slots=True)
class WorkingCluster:
    """The cluster `before` and what was done to it since. Raises EditRefused, UnknownLevel."""

    before: Cluster
    _groups: dict[str, _Entry | None] = field(default_factory=dict)  # touched; None is gone
    _machines: dict[str, _Entry | None] = field(default_factory=dict)
    _settings: dict[LevelKey, Settings] = field(default_factory=dict)  # touched
    _by_rule: set[tuple[LevelKey, str]] = field(default_factory=set)  # last written by the rule
    _stops: set[str] = field(default_factory=set)  # machines that stop copying, by origin
    _names: dict[tuple[Level, str], str] = field(default_factory=dict)  # case-blind -> as it is
    _deleted: bool = False
    _called: str = ""  # the cluster's new name

    # -- reading -------------------------------------------------------------------------------

    def exists(self, key: LevelKey) -> bool:
        """Whether there is such a level by now."""
        if key.level in (Level.GROUP, Level.MACHINE):
            return self._entry(key) is not None
        return key == LevelKey(Level.CLUSTER, self.before.name) and not self._deleted

    def settings_at(self, key: LevelKey) -> Settings:
        """What a level holds by now."""
        self.check(key)
        if key in self._settings:
            return self._settings[key]
        origin = self._origin(key)
        return self.before.stored_at(origin).settings if origin is not None else Settings()

    def group_of(self, machine: str) -> str:
        """The group that a machine is in by now."""
        return self._there(LevelKey(Level.MACHINE, machine)).group

    def machines_of(self, group: str) -> list[str]:
        """The machines that a group has by now, in name order."""
        untouched = (
            machine.name
            for machine in self.before.machines.values()
            if machine.group == group and machine.name not in self._machines
        )
        touched = (name for name, entry in self._machines.items() if entry and entry.group == group)
        return sorted([*untouched, *touched])

    def machines(self) -> list[str]:
        """The machines that there are by now, in name order."""
        names = {**dict.fromkeys(self.before.machines), **dict.fromkeys(self._machines)}
        return sorted(name for name in names if self.exists(LevelKey(Level.MACHINE, name)))

    def groups(self) -> list[str]:
        """The groups that there are by now, in name order."""
        names = {**dict.fromkeys(self.before.groups), **dict.fromkeys(self._groups)}
        return sorted(name for name in names if self.exists(LevelKey(Level.GROUP, name)))

    def check(self, key: LevelKey) -> LevelKey:
        """Return `key` if there is such a level by now; raises UnknownLevel."""
        if not self.exists(key):
            raise UnknownLevel(f"cluster {self.before.name} has no {key}")
        return key

    # -- changing ------------------------------------------------------------------------------

    def write(self, key: LevelKey, settings: Settings, *, by_rule: bool = False) -> None:
        """Let a level hold exactly these settings."""
        present = self.settings_at(key)
        for name in present.keys() | settings.keys():
            if same_value(present.get(name), settings.get(name)):
                continue
            if by_rule:
                self._by_rule.add((key, name))
            else:
                self._by_rule.discard((key, name))
        self._settings[key] = settings

    def add_group(self, name: str) -> None:
        """Create an empty group; the name was checked."""
        self._claim(LevelKey(Level.GROUP, name))
        self._groups[name] = _Entry(None)

    def add_machine(self, name: str, group: str) -> None:
        """Create a machine in a group; the name was checked."""
        self.check(LevelKey(Level.GROUP, group))
        self._claim(LevelKey(Level.MACHINE, name))
        self._machines[name] = _Entry(None, group)

    def move_machine(self, name: str, group: str) -> None:
        """Put a machine into another group."""
        self.check(LevelKey(Level.GROUP, group))
        entry = self._there(LevelKey(Level.MACHINE, name))
        self._machines[name] = entry._replace(group=group)

    def rename_group(self, name: str, to: str) -> None:
        """Give a group another name, which was checked, and take its machines along."""
        key, new = LevelKey(Level.GROUP, name), LevelKey(Level.GROUP, to)
        entry, members = self._there(key), self.machines_of(name)
        if key == new:
            return
        self._claim(new, instead_of=name)
        self._groups[name], self._groups[to] = None, entry
        for machine in members:
            self.move_machine(machine, to)
        self._hand_over(key, new)

    def rename_machine(self, name: str, to: str) -> None:
        """Give a machine another name, which was checked."""
        key, new = LevelKey(Level.MACHINE, name), LevelKey(Level.MACHINE, to)
        entry = self._there(key)
        if key == new:
            return
        self._claim(new, instead_of=name)
        self._machines[name], self._machines[to] = None, entry
        self._hand_over(key, new)

    def remove_group(self, name: str) -> None:
        """Remove a group that has no machines, with its settings."""
        key = self.check(LevelKey(Level.GROUP, name))
        self._groups[name] = None
        self._forget(key)

    def remove_machine(self, name: str, *, stops_copying: bool) -> None:
        """Remove a machine with its settings."""
        key = LevelKey(Level.MACHINE, name)
        origin = self._there(key).origin
        if origin is not None and stops_copying:
            self._stops.add(origin)
        self._machines[name] = None
        self._forget(key)

    def remove_cluster(self) -> None:
        """Remove the cluster, which has no machines, with its groups and settings."""
        for name in self.groups():
            self.remove_group(name)
        self._settings.pop(LevelKey(Level.CLUSTER, self.before.name), None)
        self._deleted = True

    def rename_cluster(self, to: str) -> None:
        """Give the cluster another name, which was checked, but for its groups."""
        for group in self.groups():
            if same_name(group, to):
                raise EditRefused(
                    f"cluster {self.before.name} has a group {group}, and a group must not have "
                    "the name of its cluster: rename the group first"
                )
        self._called = to if to != self.before.name else ""

    # -- the result ----------------------------------------------------------------------------

    def edited(self) -> Edited:
        """The cluster at its next revision with the net changes; as it was if there are none."""
        revision = self.before.revision + 1
        groups = self._shaped_groups(revision)
        machines = self._shaped_machines(revision)
        topology, changes = tuple(self._topology(groups, machines)), tuple(self._changes())
        if not topology and not changes:
            return Edited(self.before, (), ())
        shaped = replace(
            self.before,
            revision=revision,
            groups=groups,
            machines=machines,
            removed=self._shaped_removed(revision),
            deleted=self._deleted,
            stored=StoredSettings() if self._deleted else self.before.stored,
        )
        if self._called:
            shaped = identities.cluster_called(shaped, self._called)
        changed = dict.fromkeys(each.key for each in changes if self.exists(each.key))
        stored = {key: self._stored(shaped, key, revision) for key in changed}
        return Edited(shaped.with_stored(stored), changes, topology)

    def _topology(
        self, groups: Mapping[str, Group], machines: Mapping[str, Machine]
    ) -> Iterator[TopologyChange]:
        renamed = dict[str, str]()  # by the name before
        for name, entry in self._groups.items():
            if entry is not None and entry.origin is None:
                new = groups[name]
                yield TopologyChange(Level.GROUP, name, slot=new.slot, born=new.born)
            elif entry is not None and entry.origin is not None and entry.origin != name:
                renamed[entry.origin] = name
                place, slot, born = Place(entry.origin), groups[name].slot, groups[name].born
                yield TopologyChange(Level.GROUP, name, before=place, slot=slot, born=born)
        for name, entry in self._machines.items():
            if entry is not None and entry.origin is None:
                slot, born = machines[name].slot, machines[name].born
                yield TopologyChange(Level.MACHINE, name, entry.group, slot=slot, born=born)
            elif entry is not None and entry.origin is not None:
                was = self.before.machines[entry.origin].group
                if entry.origin != name or renamed.get(was, was) != entry.group:
                    place = Place(entry.origin, was)
                    born = machines[name].born
                    yield TopologyChange(Level.MACHINE, name, entry.group, place, born=born)
        for name in _removed(self._machines, self.before.machines):
            gone, stops = self.before.machines[name], name in self._stops
            yield TopologyChange(
                Level.MACHINE, name, gone.group, removed=True, stops_copying=stops, born=gone.born
            )
        for name in _removed(self._groups, self.before.groups):
            born = self.before.groups[name].born
            yield TopologyChange(Level.GROUP, name, removed=True, born=born)
        own, born = self.before.name, self.before.born
        if self._deleted:
            yield TopologyChange(Level.CLUSTER, own, removed=True, born=born)
        if self._called:
            yield TopologyChange(Level.CLUSTER, self._called, before=Place(own), born=born)

    def _changes(self) -> Iterator[LevelChange]:
        gone = [
            *(
                LevelKey(Level.MACHINE, each)
                for each in _removed(self._machines, self.before.machines)
            ),
            *(LevelKey(Level.GROUP, each) for each in _removed(self._groups, self.before.groups)),
            *([LevelKey(Level.CLUSTER, self.before.name)] if self._deleted else []),
        ]
        keys = {*(key for key in self._settings if self.exists(key)), *gone}
        for key in sorted(keys, key=lambda key: (_LEVEL_ORDER[key.level], key.name)):
            here = self.exists(key)
            origin = self._origin(key) if here else key
            before = self.before.stored_at(origin).settings if origin is not None else Settings()
            after = self._settings[key] if here else Settings()
            for name in sorted(before.keys() | after.keys()):
                old, new = before.get(name), after.get(name)
                if not same_value(old, new):
                    yield LevelChange(key, name, old, new, (key, name) in self._by_rule)

    def _shaped_groups(self, revision: int) -> Mapping[str, Group]:
        shaped = Draft(self.before.groups)
        for name in self._groups:
            shaped.pop(name, None)
        for name, entry in self._groups.items():
            if entry is not None and entry.origin is not None:
                shaped[name] = identities.renamed(self.before.groups[entry.origin], name)
            elif entry is not None:
                shaped[name] = identities.created_group(name, revision, self.before)
        return shaped

    def _shaped_machines(self, revision: int) -> Mapping[str, Machine]:
        shaped = Draft(self.before.machines)
        for name in self._machines:
            shaped.pop(name, None)
        for name, entry in self._machines.items():
            if entry is not None and entry.origin is not None:
                old = self.before.machines[entry.origin]
                if old.group != entry.group:
                    old = replace(old, group=entry.group)
                shaped[name] = old if old.name == name else identities.renamed(old, name)
        new = [(name, each) for name, each in self._machines.items() if each and not each.origin]
        slots = identities.slots_taken(self.before) if new else frozenset[str]()
        for name, entry in new:
            shaped[name] = identities.created(name, entry.group, revision, slots)
        return shaped

    def _shaped_removed(self, revision: int) -> Mapping[str, RemovedMachine]:
        gone = {
            identities.removed_key(name, revision): identities.removed(
                self.before.machines[name], revision, stops_copying=name in self._stops
            )
            for name in _removed(self._machines, self.before.machines)
        }
        return {**self.before.removed, **gone} if gone else self.before.removed

    def _stored(self, shaped: Cluster, key: LevelKey, revision: int) -> StoredSettings:
        old, settings = shaped.stored_at(key), self._settings[key]
        set_by = {
            name: old.set_by[name] if same_value(old.settings.get(name), value) else revision
            for name, value in settings.items()
        }
        return StoredSettings(settings, set_by)

    # -- entries -------------------------------------------------------------------------------

    def _entry(self, key: LevelKey) -> _Entry | None:
        if key.level is Level.GROUP:
            if key.name in self._groups:
                return self._groups[key.name]
            return _Entry(key.name) if key.name in self.before.groups else None
        if key.name in self._machines:
            return self._machines[key.name]
        known = self.before.machines.get(key.name)
        return _Entry(key.name, known.group) if known is not None else None

    def _there(self, key: LevelKey) -> _Entry:
        """The group or machine; raises UnknownLevel."""
        entry = self._entry(self.check(key))
        assert entry is not None
        return entry

    def _origin(self, key: LevelKey) -> LevelKey | None:
        if key.level is Level.CLUSTER:
            return key
        entry = self._entry(key)
        return LevelKey(key.level, entry.origin) if entry and entry.origin is not None else None

    def _hand_over(self, key: LevelKey, new: LevelKey) -> None:
        settings = self._settings.pop(key, None)
        if settings is not None:
            self._settings[new] = settings
        renamed = {pair for pair in self._by_rule if pair[0] == key}
        self._by_rule = self._by_rule - renamed | {(new, setting) for _, setting in renamed}

    def _forget(self, key: LevelKey) -> None:
        self._settings.pop(key, None)
        self._by_rule = {pair for pair in self._by_rule if pair[0] != key}

    def _claim(self, key: LevelKey, instead_of: str = "") -> None:
        """Take a name for a level that is new, or has the name `instead_of` by now."""
        if not self._names:
            for level, names in (
                (Level.GROUP, self.before.groups), (Level.MACHINE, self.before.machines)
            ):  # fmt: skip
                self._names |= {(level, name.lower()): name for name in names}
        there = self._names.get((key.level, key.name.lower()), "")
        if there and there != instead_of and self.exists(LevelKey(key.level, there)):
            unlike = "" if there == key.name else f", and {key.name} differs only in case"
            raise EditRefused(
                f"cluster {self.before.name} already has a {key.level} {there}{unlike}"
            )
        known = self.before.groups if key.level is Level.GROUP else self.before.machines
        own = self._origin(LevelKey(key.level, instead_of)) if instead_of else None
        if key.name in known and (own is None or own.name != key.name):
            raise EditRefused(
                f"this commit frees the name {key.name} of a {key.level}; use it again in a "
                "commit of its own"
            )
        self._names[key.level, key.name.lower()] = key.name


def _removed(entries: Mapping[str, _Entry | None], before: Mapping[str, object]) -> list[str]:
    """The names that levels had before which are gone, in order."""
    alive = {entry.origin for entry in entries.values() if entry is not None}
    return sorted(
        name
        for name, entry in entries.items()
        if entry is None and name in before and name not in alive
    )
