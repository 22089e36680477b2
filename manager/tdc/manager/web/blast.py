"""PURE. What a plan reaches, in sentences: who stops, who goes on and why, what disables what.

Printed from the plan itself, never from what somebody meant by it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tdc.manager.levels.fleet import Cluster, Machine
from tdc.manager.levels.plan import Plan
from tdc.manager.levels.resolve import resolve_one
from tdc.manager.web.values import shown
from tdc.manager.web.words import counted, listed
from tdc.shared.settings.values import Level, Settings

MOST_NAMED = 10


@dataclass(frozen=True, slots=True)
class Grouped:
    """One change in force that is the same on all of these machines."""

    setting: str
    before: str
    after: str
    machines: tuple[str, ...]


def disabled_machines(plan: Plan) -> tuple[str, ...]:
    """The machines that the plan disables at their own level: what the disable rule acts on."""
    return tuple(
        change.key.name
        for change in plan.levels
        if change.key.level is Level.MACHINE
        and change.setting == "enabled"
        and change.after is False
    )


def sentences(plan: Plan) -> list[str]:
    """Say what the plan reaches, the widest first."""
    found = []
    disabled = disabled_machines(plan)
    also = [str(change.key) for change in plan.levels if change.by_disable_rule]
    if disabled and also:
        found.append(f"Disabling {listed(disabled)} also disables {listed(also)}.")
    if plan.stop_copying:
        stop = plan.stop_copying
        verb = "stops" if len(stop) == 1 else "stop"
        found.append(f"{listed(stop, MOST_NAMED)} {verb} copying.")
    elif disabled:
        found.append("No machine stops copying: none of them copies now.")
    if also:
        found += list(_going_on(plan))
    if plan.start_copying:
        start = plan.start_copying
        verb = "starts" if len(start) == 1 else "start"
        found.append(f"{listed(start, MOST_NAMED)} {verb} copying.")
    touched = {change.machine for change in plan.machines}
    if touched and not plan.stop_copying and not plan.start_copying:
        found.append(f"Something in force changes on {counted(len(touched), 'machine')}.")
    return found


def _going_on(plan: Plan) -> Iterator[str]:
    """Yield who goes on copying, though a level above is disabled, and by which setting."""
    after = plan.after
    own, by_group = [], dict[str, list[str]]()
    for machine in after.machines.values():
        if resolve_one("enabled", *_stored(after, machine)) is not True:
            continue
        if machine.stored.settings.get("enabled") is True:
            own.append(machine.name)
        elif after.groups[machine.group].stored.settings.get("enabled") is True:
            by_group.setdefault(machine.group, []).append(machine.name)
    for group, names in by_group.items():
        verb, whose = ("goes", "its") if len(names) == 1 else ("go", "their")
        yield f"{listed(names, MOST_NAMED)} {verb} on: {whose} group {group} says on."
    if own:
        verb, whose = ("goes", "its") if len(own) == 1 else ("go", "their")
        yield f"{listed(own, MOST_NAMED)} {verb} on: {whose} own setting says on."


def _stored(cluster: Cluster, machine: Machine) -> tuple[Settings, ...]:
    group = cluster.groups[machine.group]
    return machine.stored.settings, group.stored.settings, cluster.stored.settings


def grouped(plan: Plan) -> list[Grouped]:
    """What changes in force, machines with the same change together."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for change in plan.machines:
        before, after = shown(change.setting, change.before), shown(change.setting, change.after)
        found.setdefault((change.setting, before, after), []).append(change.machine)
    return [Grouped(*key, tuple(names)) for key, names in found.items()]
