"""PURE. What is in force on a machine. The only place where levels are compared.

The policy: the nearest level wins, setting by setting
------------------------------------------------------
A setting can be present at three levels: at the machine, at its group, at its cluster. On each
machine the value at the nearest of these is in force, and the built-in default if it is present
at none::

    setting             machine mx1   group branch   cluster corp       in force on mx1
    intake_address      -             -              j@intake.example   j@intake.example
    enabled             -             false          true               false
    incoming_domains    []            -              corp.example       []  (all recipients)
    retry.initial       -             5m             -                  5m
    retry.maximum       -             -              -                  1h  (the default)

*Setting by setting.* An override hides one setting and nothing else. The group above has its own
`retry.initial` and still follows the cluster, or the default, in `retry.maximum`. So an operator
can override one thing without taking responsibility for the rest, and every value in force can be
traced to one level, one commit and one author.

*Absent is not false.* Presence decides, never the value. `enabled = false` at a level is a
decision that stays in force whatever is enabled above it; absent means "as above". If false counted
as absent, nobody could switch a machine off below an enabled cluster. The same holds for 0, the
empty text and the empty list: `incoming_domains = []` at mx1 means all recipients.

*Lists and policies are replaced whole.* They are never merged across levels. With a merge an
entry from above could not be removed below, the order of policies (the first match decides) would
depend on where each came from, and no level would show what is in force. The price is that an
override repeats the entries that it keeps.

*Defaults* are the outermost level. They belong to the program and are not stored, so they have no
name and revision 0. A setting whose default is None (`intake_address`) may have no value at all.

*Moving a machine* to another group needs no rule of its own. Its own settings stay; everything it
inherits comes from where it now is. Nothing is copied along and nothing is restored.

What is not decided here
------------------------
- *The disable rule.* It is about what a commit stores, not about what stored settings mean. If
  resolution applied it, one disabled machine would keep its cluster disabled however often the
  cluster was enabled again, and removing that override would silently restart copying
  everywhere. `disable_rule` stores ordinary values instead, which `explain` shows with commit and
  author, and which a rollback removes.
- *Validity.* A cluster with faults resolves like any other: the plan needs the result to name
  the fault (`impact`, `tdc.shared.settings.validate`), and the agent judges again.
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
    """One level's part in the chain behind an effective value. Exactly one step of a chain wins.

    `value` is None if the setting is absent there (or has no default); `revision` is the commit
    that set it there, 0 if absent and for the default.
    """

    level: Level
    name: str
    value: Value | None
    present: bool
    wins: bool
    revision: int


def resolve(cluster: Cluster, machine_name: str) -> Effective:
    """Resolve every setting of a machine, each with its origin; raises UnknownLevel.

    The content hash covers values only: two machines with the same values have the same hash.
    """
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
    """Resolve every setting under these levels, nearest first, without origins."""
    return {name: resolve_one(name, *nearest_first) for name in SCHEMA}


def resolve_one(name: str, *nearest_first: Settings) -> Value | None:
    """Resolve one setting under these levels, nearest first: this loop *is* the policy."""
    for settings in nearest_first:
        value = settings.get(name)
        if value is not None:  # a stored value is never None
            return value
    return SCHEMA[name].default


def winning_level(name: str, *nearest_first: tuple[LevelKey, StoredSettings]) -> Origin:
    """Find where the value that `resolve_one` returns comes from."""
    for key, stored in nearest_first:
        if name in stored.settings:
            return Origin(key.level, key.name, stored.set_by[name])
    return _DEFAULT


def explain(cluster: Cluster, machine_name: str, setting_name: str) -> tuple[ChainStep, ...]:
    """List the chain of one setting: machine, group, cluster, default, whether present or not.

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
