"""PURE. The fewest edits by which a cluster has in force what its machines run.

The problem. A store was restored from an older backup. What was committed since is gone, but agents
still run it. They know what is in force on them, and nothing of levels: whether a value came from
the cluster, the group or the machine is lost. Many assignments of levels give the same result.

The policy: what needs the fewest changes is the likeliest to have been committed. Each setting is
looked at alone. A level that is changed gets a value that machines run; where the machines below
differ, the others get it at their own level. Where as few changes would do at a nearer level, the
further one is changed only if no machine that inherits from it would need an exception.

What is promised. On each machine of `runs` exactly what it runs is then in force, so it is in sync
without being sent anything. Machines that are not in `runs` inherit as ever, so the plan of these
edits may change what is in force there, and shows it. The disable rule stores nothing: where it
acts on an edit of a machine, later edits set back what it stored.

How. For one setting, the cost of a machine under an inherited value is 0 or 1. Machines of a group
with nothing of their own are counted by the value that they run, so the cost of each group is known
for any inherited value at once; the best value of a group, and then of the cluster, follows. That a
setting without a default has no value is there only if no level has one, which may cost anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from tdc.manager.levels.changes import SetValues, UnsetValues
from tdc.manager.levels.fleet import Cluster, LevelKey
from tdc.shared.settings.schema import SCHEMA
from tdc.shared.settings.values import Level, Settings, Value, same_value

Runs = Mapping[str, Value | None]
"""What a machine runs: every setting of ours, None where there is no value."""

_NEVER = 10**12
"""A cost that is never paid: there is always a way without it."""

_Typed = tuple[type, Value | None]
"""A value that is the same as no value of another type: True is not 1."""


def recovered(cluster: Cluster, runs: Mapping[str, Runs]) -> tuple[SetValues | UnsetValues, ...]:
    """Work out the edits, in order: machines, then groups, then the cluster.

    `runs` has machines of the cluster by name; others are left out.
    """
    known = {name: each for name, each in runs.items() if name in cluster.machines}
    members: dict[str, list[str]] = {}
    for name in sorted(known):
        members.setdefault(cluster.machines[name].group, []).append(name)
    found = _Found()
    for setting in SCHEMA:
        _One(cluster, setting, known, members).solve(found)
    return tuple(_in_order(cluster, found.values))


@dataclass(slots=True)
class _Found:
    """What is to change: of a level, each setting's value; None makes it absent."""

    values: dict[LevelKey, dict[str, Value | None]] = field(default_factory=dict)

    def change(self, key: LevelKey, setting: str, value: Value | None) -> None:
        self.values.setdefault(key, {})[setting] = value


@dataclass
class _Group:
    """One setting on the machines of a group that are known.

    `own` is what the group itself has. `wanted` counts the machines with nothing of their own, by
    what they run; `fixed` counts those whose own value must change whatever they inherit; `bare`
    those whose own value must go, and that may inherit none.
    """

    own: Value | None
    wanted: Counter[_Typed] = field(default_factory=Counter)
    fixed: int = 0
    bare: int = 0

    def below(self, value: Value | None) -> int:
        """The changes at machines if this is what they inherit."""
        if value is None:
            return self.fixed + self.bare + self._valued
        if self.bare or _NONE in self.wanted:
            return _NEVER
        return self.fixed + self._valued - self.wanted.get(_typed(value), 0)

    @cached_property
    def _valued(self) -> int:
        return self.wanted.total() - self.wanted.get(_NONE, 0)

    @cached_property
    def _most(self) -> tuple[Value | None, int]:
        """The value that most of them run, and on how many: no other is better for the group."""
        valued = [(value, count) for (_, value), count in self.wanted.items() if value is not None]
        return max(valued, key=lambda each: each[1], default=(None, 0))

    def best(self, inherited: Value | None) -> tuple[int, bool, Value | None]:
        """The fewest changes here and below; whether the group changes, and what it then has."""
        options = [(self.below(inherited if self.own is None else self.own), 1, False, self.own)]
        if self.own is not None:
            options.append((1 + self.below(inherited), 0, True, None))
        value, count = self._most
        if value is not None and not same_value(value, self.own):
            alone = count == self.wanted.total()
            options.append((1 + self.below(value), 0 if alone else 2, True, value))
        cost, _, changes, value = min(options, key=lambda option: option[:2])
        return cost, changes, value


@dataclass(slots=True)
class _One:
    """One setting of a cluster."""

    cluster: Cluster
    setting: str
    runs: Mapping[str, Runs]
    members: Mapping[str, Sequence[str]]

    def solve(self, found: _Found) -> None:
        """Note what is to change."""
        if all(same_value(self._now(name), self._runs(name)) for name in self.runs):
            return  # of nearly all settings
        groups = {name: self._group(name) for name in self.members}
        default = SCHEMA[self.setting].default
        own = self.cluster.stored.settings.get(self.setting)
        options: list[tuple[int, int, bool, Value | None]] = [
            (self._cost(groups, default if own is None else own), 1, False, own)
        ]
        if own is not None:
            options.append((1 + self._cost(groups, default), 0, True, None))
        least = sum(each.fixed for each in groups.values())
        for _, value in {each for group in groups.values() for each in group.wanted}:
            if value is not None and not same_value(value, own):
                left = self._cost(groups, value)
                options.append((1 + left, 0 if left == least else 2, True, value))
        best = min(option[:2] for option in options)
        # Of equal ones the first by text, so that two askers get the same edits.
        options = [option for option in options if option[:2] == best]
        _, _, changes, value = min(options, key=lambda option: repr(option[3]))
        if changes:
            found.change(LevelKey(Level.CLUSTER, self.cluster.name), self.setting, value)
        inherited = default if value is None else value
        for name, group in groups.items():
            self._settle(name, group, inherited, found)

    def _settle(self, name: str, group: _Group, inherited: Value | None, found: _Found) -> None:
        _, changes, value = group.best(inherited)
        if changes:
            found.change(LevelKey(Level.GROUP, name), self.setting, value)
        inherited = inherited if value is None else value
        for machine in self.members[name]:
            own, runs = self._own(machine), self._runs(machine)
            now = inherited if own is None else own
            if not same_value(now, runs):
                there = None if same_value(inherited, runs) else runs
                found.change(LevelKey(Level.MACHINE, machine), self.setting, there)

    def _cost(self, groups: Mapping[str, _Group], inherited: Value | None) -> int:
        return sum(group.best(inherited)[0] for group in groups.values())

    def _group(self, name: str) -> _Group:
        group = _Group(self.cluster.groups[name].stored.settings.get(self.setting))
        for machine in self.members[name]:
            own, runs = self._own(machine), self._runs(machine)
            if own is None:
                group.wanted[_typed(runs)] += 1
            elif runs is None:
                group.bare += 1
            elif not same_value(own, runs):
                group.fixed += 1
        return group

    def _own(self, machine: str) -> Value | None:
        return self.cluster.machines[machine].stored.settings.get(self.setting)

    def _runs(self, machine: str) -> Value | None:
        return self.runs[machine][self.setting]

    def _now(self, machine: str) -> Value | None:
        known = self.cluster.machines[machine]
        for settings in (
            known.stored.settings,
            self.cluster.groups[known.group].stored.settings,
            self.cluster.stored.settings,
        ):
            if (value := settings.get(self.setting)) is not None:
                return value
        return SCHEMA[self.setting].default


def _typed(value: Value | None) -> _Typed:
    return type(value), value


_NONE = _typed(None)


_ORDER = (Level.MACHINE, Level.GROUP, Level.CLUSTER)


def _in_order(
    cluster: Cluster, values: Mapping[LevelKey, Mapping[str, Value | None]]
) -> Iterator[SetValues | UnsetValues]:
    """Yield edits of nearer levels first: a later one undoes what the disable rule stored."""
    changed = {key: dict(settings) for key, settings in values.items()}
    for key in _above_disabled(cluster, changed):
        changed.setdefault(key, {}).setdefault(
            "enabled", cluster.stored_at(key).settings.get("enabled")
        )
    for key in sorted(changed, key=lambda key: (_ORDER.index(key.level), key.name)):
        present = {name: value for name, value in changed[key].items() if value is not None}
        if present:
            yield SetValues(key, Settings.of(present))
        absent = tuple(sorted(changed[key].keys() - present.keys()))
        if absent:
            yield UnsetValues(key, absent)


def _above_disabled(
    cluster: Cluster, changed: Mapping[LevelKey, Mapping[str, Value | None]]
) -> Iterable[LevelKey]:
    """The levels at which the disable rule would store something."""
    groups = {
        cluster.machines[key.name].group
        for key, settings in changed.items()
        if key.level is Level.MACHINE and settings.get("enabled") is False
    }
    if groups:
        yield from (LevelKey(Level.GROUP, name) for name in sorted(groups))
        yield LevelKey(Level.CLUSTER, cluster.name)
