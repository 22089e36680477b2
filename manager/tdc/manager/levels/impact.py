"""PURE. What a commit changes in force on machines, and what would then be invalid.

Cost decides the shape of this file: one edit of a cluster reaches all of its machines, and a plan
for 10 000 of them has to be made while an operator waits. So
- only machines at one of whose levels something changed are looked at;
- only settings that changed at one of a machine's levels are compared, as no other can change;
- machines of one group that came from one group, with equal own settings, share one comparison;
- faults are judged once for each combination of the values that the rules read.
The result is the same as resolving every machine before and after, which is what the tests
compare it with.

Faults are those of machines, as it is there that they do harm. A level that no machine shows yet
(an empty group, a cluster without machines) is judged as if a machine without settings joined it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tdc.manager.levels.changes import LevelChange, TopologyChange
from tdc.manager.levels.fleet import Cluster, LevelKey, Machine
from tdc.manager.levels.resolve import resolve_one, winning_level
from tdc.shared.settings.schema import SCHEMA
from tdc.shared.settings.validate import JUDGED, Fault, faults_of, own_faults_of
from tdc.shared.settings.values import Level, Origin, Settings, Value, same_value


@dataclass(frozen=True, slots=True)
class MachineChange:
    """A setting that changes in force on one machine; `origin` is that of the value after.

    None means that the setting has no value. On a machine that the commit creates nothing was
    in force before: each setting that a level gives it is a change from None.
    """

    machine: str
    setting: str
    before: Value | None
    after: Value | None
    origin: Origin


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a commit would be refused. `machine` is empty if a level itself is at fault."""

    machine: str
    setting: str
    reason: str

    def __str__(self) -> str:
        return f"{self.machine}: {self.reason}" if self.machine else self.reason


@dataclass(frozen=True, slots=True)
class _Shift:
    """What changes in force on each machine with these inputs."""

    changes: tuple[tuple[str, Value | None, Value | None], ...]  # setting, before, after
    origins: Mapping[str, Origin]  # of values after, where the machine itself has none
    stops: bool
    starts: bool
    faults: tuple[Fault, ...]


_Inputs = tuple[str, str, Settings | None, Settings]
"""Group before and after, the machine's own settings before (None: it is new), and after."""


@dataclass(slots=True)
class Impact:
    """What one commit does to machines. `resolves` counts the comparisons that were made."""

    machines: list[MachineChange] = field(default_factory=list)
    stop_copying: list[str] = field(default_factory=list)
    start_copying: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    resolves: int = 0


def impact_of(
    before: Cluster,
    after: Cluster,
    changes: Iterable[LevelChange],
    topology: Iterable[TopologyChange] = (),
) -> Impact:
    """Work out what the net changes from `before` to `after` do on machines.

    A machine that is removed has no settings in force any more, which is no change of them: the
    topology names it. It counts among those that stop copying if it is told to.
    """
    topology = tuple(topology)
    changed: dict[LevelKey, list[str]] = {}
    for change in changes:
        changed.setdefault(change.key, []).append(change.setting)
    impact = Impact()
    shifts: dict[_Inputs, _Shift] = {}
    judge = _Judge()
    compared = _Compared.of(before, after, changed, topology)
    _judge_levels(after, changed, judge, impact)
    for machine in _reached(after, compared, topology):
        old = compared.was(before, machine.name)
        inputs = _inputs(old, machine, compared.was_in)
        shift = shifts.get(inputs)
        if shift is None:
            names = compared.names(machine)
            shift = shifts[inputs] = _compare(before, after, inputs, names, judge)
            impact.resolves += 1
        if not shift.changes and old is not None:
            continue
        _spread(shift, machine, impact)
        for fault in shift.faults:
            impact.problems.append(Problem(machine.name, fault.setting, fault.reason))
    impact.stop_copying = sorted([*impact.stop_copying, *_stopped(before, topology)])
    return impact


def _reached(
    after: Cluster, compared: _Compared, topology: Iterable[TopologyChange]
) -> Iterable[Machine]:
    """The machines that are new, or at one of whose levels something changed, in name order."""
    names = {each.name for each in topology if each.level is Level.MACHINE and each.created}
    names |= compared.on_machine.keys()
    groups = {group for group, changed in compared.on_group.items() if changed}
    if not groups:
        return [after.machines[name] for name in sorted(names)]
    return (
        machine
        for machine in after.machines.values()
        if machine.group in groups or machine.name in names
    )


def _stopped(before: Cluster, topology: Iterable[TopologyChange]) -> Iterator[str]:
    """Machines that take copies, and are removed so that they take none any more."""
    for change in topology:
        if change.stops_copying:
            machine = before.machines[change.name]
            group = before.groups[machine.group].stored.settings
            if resolve_one("enabled", machine.stored.settings, group, before.stored.settings):
                yield change.name


@dataclass(frozen=True, slots=True)
class _Compared:
    """Which settings to compare on a machine: those that changed at one of its levels.

    `was_in` has the group before, by that name, of the machines of groups now: of a renamed group,
    and of machines that were moved. `called` has the name before of machines that have another, ""
    of those that are new.
    """

    on_group: Mapping[str, frozenset[str]]
    on_machine: Mapping[str, frozenset[str]]
    was_in: _WasIn
    called: Mapping[str, str]

    @classmethod
    def of(
        cls,
        before: Cluster,
        after: Cluster,
        changed: Mapping[LevelKey, list[str]],
        topology: Iterable[TopologyChange],
    ) -> _Compared:
        on_all = frozenset(changed.get(LevelKey(Level.CLUSTER, after.name), ()))
        on_group = {
            group: on_all.union(changed.get(LevelKey(Level.GROUP, group), ()))
            for group in after.groups
        }
        on_machine = {
            key.name: frozenset(names)
            for key, names in changed.items()
            if key.level is Level.MACHINE and key.name in after.machines
        }
        renamed, moved, called = dict[str, str](), dict[str, str](), dict[str, str]()
        for change in topology:
            if change.level is Level.MACHINE and not change.removed:
                called[change.name] = change.before.name if change.before is not None else ""
            if change.before is None or change.level is Level.CLUSTER:
                continue
            if change.level is Level.GROUP:
                renamed[change.name] = change.before.name
            else:
                moved[change.name] = was = change.before.group
                levels = (before.groups[was].stored, after.groups[change.group].stored)
                on_machine[change.name] = on_machine.get(change.name, frozenset()).union(
                    *(stored.settings for stored in levels)
                )
        return cls(on_group, on_machine, _WasIn(renamed, moved), called)

    def was(self, before: Cluster, name: str) -> Machine | None:
        """The machine before the commit; None if it is new."""
        return before.machines.get(self.called.get(name, name))

    def names(self, machine: Machine) -> frozenset[str]:
        inherited, own = self.on_group[machine.group], self.on_machine.get(machine.name)
        return inherited | own if own else inherited


@dataclass(frozen=True, slots=True)
class _WasIn:
    """Groups before the commit: of renamed groups, by their name now; of machines that moved."""

    renamed: Mapping[str, str]
    moved: Mapping[str, str]

    def of(self, machine: Machine) -> str:
        group = self.moved.get(machine.name)
        return group if group is not None else self.renamed.get(machine.group, machine.group)


def _inputs(old: Machine | None, machine: Machine, was_in: _WasIn) -> _Inputs:
    own = machine.stored.settings
    if old is None:
        return ("", machine.group, None, own)
    return (was_in.of(machine), machine.group, old.stored.settings, own)


def _compare(
    before: Cluster, after: Cluster, inputs: _Inputs, names: Iterable[str], judge: _Judge
) -> _Shift:
    group_before, group, own_before, own_after = inputs
    above = (
        (LevelKey(Level.GROUP, group), after.groups[group].stored),
        (LevelKey(Level.CLUSTER, after.name), after.stored),
    )
    new = (own_after, *(stored.settings for _, stored in above))
    if own_before is None:
        changes = tuple(_changes_of_a_new_one(new))
        starts, stops = resolve_one("enabled", *new) is True, False
    else:
        old = (own_before, before.groups[group_before].stored.settings, before.stored.settings)
        changes = tuple(
            (name, was, now)
            for name in sorted(names)
            if not same_value(was := resolve_one(name, *old), now := resolve_one(name, *new))
        )
        enabled = next((now for name, _, now in changes if name == "enabled"), None)
        starts, stops = enabled is True, enabled is False
    return _Shift(
        changes,
        {name: winning_level(name, *above) for name, _, _ in changes if name not in own_after},
        stops,
        starts,
        judge.faults(*new) if changes or own_before is None else (),
    )


def _changes_of_a_new_one(
    new: tuple[Settings, ...],
) -> Iterator[tuple[str, Value | None, Value | None]]:
    """Yield what levels give a machine that was not there before."""
    for name in sorted(SCHEMA):
        if any(name in settings for settings in new):
            yield name, None, resolve_one(name, *new)


def _spread(shift: _Shift, machine: Machine, impact: Impact) -> None:
    name = machine.name
    for setting, was, now in shift.changes:
        origin = shift.origins.get(setting)
        if origin is None:
            own = (LevelKey(Level.MACHINE, name), machine.stored)
            origin = winning_level(setting, own)
        impact.machines.append(MachineChange(name, setting, was, now, origin))
    if shift.stops:
        impact.stop_copying.append(name)
    if shift.starts:
        impact.start_copying.append(name)


@dataclass(slots=True)
class _Judge:
    """Finds faults once for each combination of the values that the rules read."""

    known: dict[tuple[Value | None, ...], tuple[Fault, ...]] = field(default_factory=dict)

    def faults(self, *nearest_first: Settings) -> tuple[Fault, ...]:
        judged = tuple(resolve_one(name, *nearest_first) for name in JUDGED)
        if judged not in self.known:
            self.known[judged] = faults_of(dict(zip(JUDGED, judged, strict=True)))
        return self.known[judged]


def _judge_levels(
    after: Cluster, changed: Mapping[LevelKey, list[str]], judge: _Judge, impact: Impact
) -> None:
    """Find faults that no machine would show: of a changed level itself, or of an empty one."""
    on_groups = any(key.level is Level.GROUP for key in changed)
    inhabited = {machine.group for machine in after.machines.values()} if on_groups else set()
    for key in changed:
        if not _is_there(after, key):
            continue
        faults = dict.fromkeys(own_faults_of(after.stored_at(key).settings))
        if key.level is Level.GROUP and key.name not in inhabited:
            faults.update(dict.fromkeys(_faults_of_any_machine_in(after, [key.name], judge)))
        if key.level is Level.CLUSTER and not after.machines:
            faults.update(
                dict.fromkeys(_faults_of_any_machine_in(after, sorted(after.groups), judge))
            )
        impact.problems.extend(
            Problem("", fault.setting, f"{key}: {fault.reason}") for fault in faults
        )


def _is_there(after: Cluster, key: LevelKey) -> bool:
    known = {Level.MACHINE: after.machines, Level.GROUP: after.groups}.get(key.level)
    return known is None or key.name in known


def _faults_of_any_machine_in(
    after: Cluster, groups: Iterable[str], judge: _Judge
) -> Iterator[Fault]:
    """Yield what would be wrong on a machine without settings of its own, in any of these groups.

    One group without faults is enough to pass: an empty Main_Group must not get in the way of
    groups that have an intake of their own.
    """
    found = [
        judge.faults(after.groups[group].stored.settings, after.stored.settings) for group in groups
    ]
    if all(found):
        yield from (fault for faults in found for fault in faults)
