"""PURE. What is in force on a machine. The only place where levels are compared.

Per setting: what the machine stores, else what its group stores, else what the cluster stores,
else the built-in default (DESIGN section 3). A value is taken where it is *present*, whatever
it is: ``enabled = false`` hides what is above just as ``true`` does, and a list or the policies
replace what is above as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass

from tdc.manager.levels.fleet import (
    Cluster,
    LevelKey,
    Machine,
    StoredSettings,
    UnknownLevel,
)
from tdc.shared.settings.canonical import content_hash
from tdc.shared.settings.schema import SCHEMA, setting
from tdc.shared.settings.values import Effective, Level, Origin, Settings, Sourced, Value

_DEFAULT = Origin(Level.DEFAULT, "", 0)


@dataclass(frozen=True, slots=True)
class ChainStep:
    """One step of the chain behind an effective value; exactly one step of a chain wins.

    `value` is None where nothing is present (or where the default is none); `revision` is the
    one that set the value there, 0 where nothing is present and for the default.
    """

    level: Level
    name: str
    value: Value | None
    present: bool
    wins: bool
    revision: int


def resolve(cluster: Cluster, machine_name: str) -> Effective:
    """Return what is in force on a machine, each value with its origin; raises UnknownLevel."""
    machine = _machine(cluster, machine_name)
    chain = _chain(cluster, machine_name)
    sourced = {name: _resolved(name, chain) for name in SCHEMA}
    return Effective(
        cluster=cluster.name,
        group=machine.group,
        machine=machine.name,
        revision=cluster.revision,
        settings=sourced,
        content_hash=content_hash({name: value.value for name, value in sourced.items()}),
    )


def resolve_values(*nearest_first: Settings) -> dict[str, Value | None]:
    """Return what is in force under these levels, the nearest first, without origins."""
    return {name: resolve_one(name, *nearest_first) for name in SCHEMA}


def resolve_one(name: str, *nearest_first: Settings) -> Value | None:
    """Return the value in force of one setting of the schema under these levels."""
    for settings in nearest_first:
        value = settings.get(name)
        if value is not None:  # a stored value is never None
            return value
    return SCHEMA[name].default


def winning_level(name: str, *nearest_first: tuple[LevelKey, StoredSettings]) -> Origin:
    """Return where the value in force of one setting comes from."""
    for key, stored in nearest_first:
        if name in stored.settings:
            return Origin(key.level, key.name, stored.set_by[name])
    return _DEFAULT


def explain(cluster: Cluster, machine_name: str, setting_name: str) -> tuple[ChainStep, ...]:
    """Return the whole chain of one setting on a machine: machine, group, cluster, default.

    Raises UnknownLevel for the machine, SettingError for the setting.
    """
    row = setting(setting_name)
    steps: list[ChainStep] = []
    won = False
    for key, stored in _chain(cluster, machine_name):
        present = setting_name in stored.settings
        steps.append(
            ChainStep(
                level=key.level,
                name=key.name,
                value=stored.settings.get(setting_name),
                present=present,
                wins=present and not won,
                revision=stored.set_by[setting_name] if present else 0,
            )
        )
        won = won or present
    return (
        *steps,
        ChainStep(Level.DEFAULT, "", row.default, present=True, wins=not won, revision=0),
    )


Chain = tuple[tuple[LevelKey, StoredSettings], ...]


def _resolved(name: str, chain: Chain) -> Sourced:
    origin = winning_level(name, *chain)
    return Sourced(resolve_one(name, *(stored.settings for _, stored in chain)), origin)


def _chain(cluster: Cluster, machine_name: str) -> Chain:
    group = _machine(cluster, machine_name).group
    keys = (
        LevelKey(Level.MACHINE, machine_name),
        LevelKey(Level.GROUP, group),
        LevelKey(Level.CLUSTER, cluster.name),
    )
    return tuple((key, cluster.stored_at(key)) for key in keys)


def _machine(cluster: Cluster, name: str) -> Machine:
    try:
        return cluster.machines[name]
    except KeyError:
        raise UnknownLevel(f"cluster {cluster.name} has no machine {name}") from None
