"""PURE. Applies the edits of a commit to a cluster, in order, and works out the net changes.

Order matters: the disable rule acts at each edit, and a later edit may override what it stored.
Changes are net: a setting that one commit changes and changes back is no change, and keeps the
revision that set it, so history never blames a commit that left a value as it was.
"""

from __future__ import annotations

from collections.abc import Iterable

from tdc.manager.levels import disable_rule
from tdc.manager.levels.changes import (
    AddGroup,
    AddMachine,
    CopyValues,
    DeleteValues,
    Edit,
    Edited,
    EditRefused,
    MoveMachine,
    RemoveCluster,
    RemoveGroup,
    RemoveMachine,
    RenameCluster,
    RenameGroup,
    RenameMachine,
    ReplaceValues,
    RestoreLevels,
    SetValues,
    TopologyEdit,
    UnsetValues,
)
from tdc.manager.levels.fleet import Cluster, FleetError, LevelKey, check_group_name, check_name
from tdc.manager.levels.working import WorkingCluster
from tdc.shared.settings.schema import SettingError, setting
from tdc.shared.settings.values import Level, Settings

_FIRST_NAMES = 5
"""Machines that a refusal names."""


def apply_edits(cluster: Cluster, edits: Iterable[Edit]) -> Edited:
    """Apply `edits` in order; raises EditRefused at the first that can't be applied.

    The resulting cluster has the next revision, or is unchanged if there is no net change.
    """
    work = WorkingCluster(cluster)
    for edit in edits:
        try:
            _apply(work, edit)
        except (FleetError, SettingError) as error:
            raise EditRefused(str(error)) from None
    return work.edited()


def _apply(work: WorkingCluster, edit: Edit) -> None:
    match edit:
        case SetValues():
            _set_and_follow_rule(work, edit)
        case UnsetValues(key, names):
            _unset(work, key, names)
        case ReplaceValues(key, settings):
            _unset(work, key, work.settings_at(key).keys() - settings.keys())
            _set_and_follow_rule(work, SetValues(key, settings))
        case DeleteValues(key):
            work.write(key, Settings())
        case CopyValues():
            _copy(work, edit)
        case RestoreLevels():
            _restore(work, edit)
        case _:
            _apply_topology(work, edit)


def _apply_topology(work: WorkingCluster, edit: TopologyEdit) -> None:
    match edit:
        case AddGroup(name):
            work.add_group(check_group_name(name, cluster=work.before.name))
        case RenameGroup(name, to):
            work.rename_group(name, check_group_name(to, cluster=work.before.name))
        case RemoveGroup(name, move_to):
            _remove_group(work, name, move_to)
        case AddMachine(name, group):
            work.add_machine(check_name(Level.MACHINE, name), group)
        case MoveMachine(name, group):
            work.move_machine(name, group)
        case RenameMachine(name, to):
            work.rename_machine(name, check_name(Level.MACHINE, to))
        case RemoveMachine(name, stop_copying):
            work.remove_machine(name, stops_copying=stop_copying)
        case RemoveCluster(name):
            _remove_cluster(work, name)
        case RenameCluster(_, to):
            work.rename_cluster(check_name(Level.CLUSTER, to))


# -- settings ------------------------------------------------------------------------------------


def _set_and_follow_rule(work: WorkingCluster, edit: SetValues) -> None:
    enabled_before = work.settings_at(edit.key).get("enabled")
    _set(work, edit, by_rule=False)
    group = work.group_of(edit.key.name) if edit.key.level is Level.MACHINE else ""
    for further in disable_rule.after_edit(
        edit, enabled_before=enabled_before, group=group, cluster=work.before.name
    ):
        _set(work, further, by_rule=True)


def _set(work: WorkingCluster, edit: SetValues, *, by_rule: bool) -> None:
    for name in edit.settings:
        setting(name)
    present = work.settings_at(edit.key)
    work.write(edit.key, Settings.of({**present, **edit.settings}), by_rule=by_rule)


def _unset(work: WorkingCluster, key: LevelKey, names: Iterable[str]) -> None:
    present = dict(work.settings_at(key))
    for name in names:
        setting(name)
        present.pop(name, None)
    work.write(key, Settings.of(present))


def _copy(work: WorkingCluster, edit: CopyValues) -> None:
    """An operator's edit of the target, so the disable rule acts there."""
    if edit.source == edit.target:
        raise EditRefused(f"{edit.source} can't be {'moved' if edit.move else 'copied'} to itself")
    present, verb = work.settings_at(edit.source), "move" if edit.move else "copy"
    for name in edit.names:
        setting(name)
        if name not in present:
            raise EditRefused(f"{edit.source} has no {name} of its own to {verb}")
    names = edit.names or tuple(present)
    _set_and_follow_rule(
        work, SetValues(edit.target, Settings.of({name: present[name] for name in names}))
    )
    if edit.move:
        _unset(work, edit.source, names)


def _restore(work: WorkingCluster, edit: RestoreLevels) -> None:
    for now, then in edit.renames.items():
        rename = work.rename_group if now.level is Level.GROUP else work.rename_machine
        rename(now.name, then)
    for group in edit.groups:
        if not work.exists(LevelKey(Level.GROUP, group)):
            work.add_group(group)
    for machine, group in edit.machines.items():
        if work.exists(LevelKey(Level.MACHINE, machine)):
            work.move_machine(machine, group)
        else:
            work.add_machine(machine, group)
    for key, settings in edit.levels.items():
        if work.exists(key):
            work.write(key, settings)


# -- topology ------------------------------------------------------------------------------------


def _remove_group(work: WorkingCluster, name: str, move_to: str) -> None:
    work.check(LevelKey(Level.GROUP, name))
    if work.groups() == [name]:
        raise EditRefused(
            f"group {name} is the only one of cluster {work.before.name}, which must keep one: "
            "create another first"
        )
    machines = work.machines_of(name)
    if machines and not move_to:
        raise EditRefused(
            f"group {name} has {_counted(machines)}: say which group they go to "
            "(tdc: --move-to GROUP)"
        )
    if move_to == name:
        raise EditRefused(f"the machines of group {name} can't stay in it: it is to be removed")
    for machine in machines:
        work.move_machine(machine, move_to)
    work.remove_group(name)


def _remove_cluster(work: WorkingCluster, name: str) -> None:
    work.check(LevelKey(Level.CLUSTER, name))
    machines = work.machines()
    if machines:
        raise EditRefused(
            f"cluster {name} has {_counted(machines)}: remove them first, so that each agent is "
            "told what to do (tdc machine remove NAME)"
        )
    work.remove_cluster()


def _counted(machines: list[str]) -> str:
    """How many there are, and the first by name."""
    shown = ", ".join(machines[:_FIRST_NAMES])
    more = f" and {len(machines) - _FIRST_NAMES} more" if len(machines) > _FIRST_NAMES else ""
    has = "1 machine" if len(machines) == 1 else f"{len(machines)} machines"
    return f"{has} ({shown}{more})"
