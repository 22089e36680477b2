"""PURE. Applies the edits of a commit to a cluster, in order, and works out the net changes.

Order matters: the disable rule acts at each edit, and a later edit may override what it stored.
Changes are net: a setting that one commit changes and changes back is no change, and keeps the
revision that set it, so history never blames a commit that left a value as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from tdc.manager.levels import disable_rule
from tdc.manager.levels.changes import (
    AddGroup,
    AddMachine,
    Edit,
    Edited,
    EditRefused,
    LevelChange,
    RestoreLevels,
    SetValues,
    TopologyChange,
    UnsetValues,
)
from tdc.manager.levels.fleet import (
    Cluster,
    FleetError,
    Group,
    LevelKey,
    Machine,
    StoredSettings,
    check_group_name,
    check_name,
)
from tdc.shared.settings.schema import SettingError, setting
from tdc.shared.settings.values import Level, Settings, same_value

_LEVEL_ORDER = {Level.MACHINE: 0, Level.GROUP: 1, Level.CLUSTER: 2}


def apply_edits(cluster: Cluster, edits: Iterable[Edit]) -> Edited:
    """Apply `edits` in order; raises EditRefused at the first that can't be applied.

    The resulting cluster has the next revision, or is unchanged if there is no net change.
    """
    draft = _Draft(cluster)
    for edit in edits:
        try:
            draft.apply(edit)
        except (FleetError, SettingError) as error:
            raise EditRefused(str(error)) from None
    return draft.edited()


@dataclass(slots=True)
class _Draft:
    """A cluster under edit. It keeps only what the edits touch, so that many edits are cheap."""

    before: Cluster
    groups: dict[str, Group] = field(default_factory=dict)  # added
    machines: dict[str, Machine] = field(default_factory=dict)  # added
    settings: dict[LevelKey, Settings] = field(default_factory=dict)  # touched
    by_rule: set[tuple[LevelKey, str]] = field(default_factory=set)  # last written by the rule
    names: dict[tuple[Level, str], str] = field(default_factory=dict)  # case-blind -> as it is

    def __post_init__(self) -> None:
        for key in self.before.level_keys():
            self.names[key.level, key.name.lower()] = key.name

    def apply(self, edit: Edit) -> None:
        match edit:
            case SetValues():
                self._set_and_follow_rule(edit)
            case UnsetValues():
                self._unset(edit)
            case AddGroup():
                self._claim_name(Level.GROUP, check_group_name(edit.name, cluster=self.before.name))
                self.groups[edit.name] = Group(edit.name)
            case AddMachine():
                self._group(edit.group)
                self._claim_name(Level.MACHINE, check_name(Level.MACHINE, edit.name))
                self.machines[edit.name] = Machine(edit.name, edit.group)
            case RestoreLevels():
                self._restore(edit)

    def _set_and_follow_rule(self, edit: SetValues) -> None:
        enabled_before = self._at(edit.key).get("enabled")
        self._set(edit, by_rule=False)
        for further in disable_rule.after_edit(
            edit,
            enabled_before=enabled_before,
            group=self._group_of(edit.key),
            cluster=self.before.name,
        ):
            self._set(further, by_rule=True)

    def _set(self, edit: SetValues, *, by_rule: bool) -> None:
        present = dict(self._at(edit.key))
        for name, value in edit.settings.items():
            setting(name)
            if same_value(present.get(name), value):
                continue  # it has this value already: no edit
            present[name] = value
            self._wrote(edit.key, name, by_rule=by_rule)
        self.settings[edit.key] = Settings.of(present)

    def _unset(self, edit: UnsetValues) -> None:
        present = dict(self._at(edit.key))
        for name in edit.names:
            setting(name)
            if present.pop(name, None) is not None:
                self._wrote(edit.key, name, by_rule=False)
        self.settings[edit.key] = Settings.of(present)

    def _restore(self, edit: RestoreLevels) -> None:
        for key, settings in edit.levels.items():
            if not self._exists(key):
                continue
            present = self._at(key)
            for name in present.keys() | settings.keys():
                if not same_value(present.get(name), settings.get(name)):
                    self._wrote(key, name, by_rule=False)
            self.settings[key] = settings

    def _wrote(self, key: LevelKey, name: str, *, by_rule: bool) -> None:
        if by_rule:
            self.by_rule.add((key, name))
        else:
            self.by_rule.discard((key, name))

    def _at(self, key: LevelKey) -> Settings:
        if key in self.settings:
            return self.settings[key]
        if self._is_new(key):
            return Settings()
        return self.before.stored_at(key).settings

    def _is_new(self, key: LevelKey) -> bool:
        return (key.level is Level.GROUP and key.name in self.groups) or (
            key.level is Level.MACHINE and key.name in self.machines
        )

    def _exists(self, key: LevelKey) -> bool:
        return self.names.get((key.level, key.name.lower())) == key.name

    def _group_of(self, key: LevelKey) -> str:
        if key.level is not Level.MACHINE:
            return ""
        return (self.machines.get(key.name) or self.before.machines[key.name]).group

    def _group(self, name: str) -> None:
        if not self._exists(LevelKey(Level.GROUP, name)):
            raise EditRefused(f"cluster {self.before.name} has no group {name}")

    def _claim_name(self, level: Level, name: str) -> None:
        there = self.names.setdefault((level, name.lower()), "")
        if there:
            unlike = "" if there == name else f", and {name} differs only in case"
            raise EditRefused(f"cluster {self.before.name} already has a {level} {there}{unlike}")
        self.names[level, name.lower()] = name

    def edited(self) -> Edited:
        topology = tuple(self._topology())
        changes = tuple(self._changes())
        if not topology and not changes:
            return Edited(self.before, (), ())
        revision = self.before.revision + 1
        grown = replace(
            self.before,
            revision=revision,
            groups={**self.before.groups, **self.groups},
            machines={**self.before.machines, **self.machines},
        )
        changed = dict.fromkeys(change.key for change in changes)
        stored = {key: self._stored(grown, key, revision) for key in changed}
        return Edited(grown.with_stored(stored), changes, topology)

    def _topology(self) -> Iterator[TopologyChange]:
        for group in self.groups.values():
            yield TopologyChange(Level.GROUP, group.name)
        for machine in self.machines.values():
            yield TopologyChange(Level.MACHINE, machine.name, machine.group)

    def _changes(self) -> Iterator[LevelChange]:
        for key in sorted(self.settings, key=lambda key: (_LEVEL_ORDER[key.level], key.name)):
            before = Settings() if self._is_new(key) else self.before.stored_at(key).settings
            after = self.settings[key]
            for name in sorted(before.keys() | after.keys()):
                old, new = before.get(name), after.get(name)
                if not same_value(old, new):
                    yield LevelChange(key, name, old, new, (key, name) in self.by_rule)

    def _stored(self, grown: Cluster, key: LevelKey, revision: int) -> StoredSettings:
        old, settings = grown.stored_at(key), self.settings[key]
        set_by = {
            name: old.set_by[name] if same_value(old.settings.get(name), value) else revision
            for name, value in settings.items()
        }
        return StoredSettings(settings, set_by)
