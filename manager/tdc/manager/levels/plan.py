"""PURE. What a commit would do, computed without doing it; and what undoing commits would set.

A plan is the whole outcome: the changes at each level, what changes in force on every machine,
which machines stop or start copying, and why the commit would be refused, if so. Its fingerprint
is the hash of that outcome and of nothing else: an unrelated commit in between leaves it as it
is, anything that alters an affected result does not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tdc.manager.levels.changes import Edit, Edited, LevelChange, TopologyChange
from tdc.manager.levels.edit import apply_edits
from tdc.manager.levels.fleet import Cluster, LevelKey
from tdc.manager.levels.impact import MachineChange, Problem, impact_of
from tdc.shared.settings.canonical import Plain, plain
from tdc.shared.settings.values import Settings, Value


@dataclass(frozen=True, slots=True)
class Plan:
    """What a commit on `before` would do. Not to be committed if it has `problems`.

    `levels` are net changes, nearest level first; `machines` are in name order. `stop_copying`
    and `start_copying` name machines on which `enabled` changes in force.
    """

    cluster_name: str
    base_revision: int
    before: Cluster
    after: Cluster
    levels: tuple[LevelChange, ...]
    machines: tuple[MachineChange, ...]
    topology: tuple[TopologyChange, ...]
    stop_copying: tuple[str, ...]
    start_copying: tuple[str, ...]
    problems: tuple[Problem, ...]
    fingerprint: str

    @property
    def changes_nothing(self) -> bool:
        """Whether there is nothing to commit."""
        return not self.levels and not self.topology


def make_plan(before: Cluster, edits: Iterable[Edit]) -> Plan:
    """Return what these edits, applied in order, would do; raises EditRefused."""
    return plan_of(before, apply_edits(before, edits))


def plan_of(before: Cluster, edited: Edited) -> Plan:
    """Return what it would do to turn `before` into what `edited` holds."""
    impact = impact_of(before, edited.cluster, edited.level_changes)
    machines = tuple(impact.machines)
    return Plan(
        cluster_name=before.name,
        base_revision=before.revision,
        before=before,
        after=edited.cluster,
        levels=edited.level_changes,
        machines=machines,
        topology=edited.topology,
        stop_copying=tuple(impact.stop_copying),
        start_copying=tuple(impact.start_copying),
        problems=tuple(impact.problems),
        fingerprint=_fingerprint(before.name, edited, machines),
    )


def undo_values(
    cluster: Cluster, newest_first: Iterable[Iterable[LevelChange]]
) -> Mapping[LevelKey, Settings]:
    """Return what each changed level held before these commits, given their level changes.

    The commits are those that lead from the wanted revision to `cluster`, the newest first.
    Levels that none of them changed, or that `cluster` does not have any more, are left out.
    """
    there = set(cluster.level_keys())
    present: dict[LevelKey, dict[str, Value]] = {}
    for changes in newest_first:
        for change in changes:
            if change.key not in there:
                continue
            values = present.setdefault(change.key, dict(cluster.stored_at(change.key).settings))
            if change.before is None:
                values.pop(change.setting, None)
            else:
                values[change.setting] = change.before
    return {key: Settings.of(values) for key, values in present.items()}


def _fingerprint(cluster: str, edited: Edited, machines: tuple[MachineChange, ...]) -> str:
    """Return the hash of an outcome: values only, no revisions, origins or causes."""
    digest = hashlib.sha256()
    shown = _Shown()
    for part in (
        [cluster],
        [
            [change.key.level, change.key.name, change.setting, *_shown(change)]
            for change in edited.level_changes
        ],
        [[new.level, new.name, new.group] for new in edited.topology],
        [
            [change.machine, change.setting, shown.of(change.before), shown.of(change.after)]
            for change in machines
        ],
    ):
        digest.update(json.dumps(part, separators=(",", ":"), ensure_ascii=False).encode())
    return digest.hexdigest()


def _shown(change: LevelChange) -> tuple[Plain, Plain]:
    return plain(change.before), plain(change.after)


@dataclass(slots=True)
class _Shown:
    """The hash of each value in force: ten thousand machines share one list of policies."""

    known: dict[int, str] = field(default_factory=dict)  # by identity: the plan keeps them alive

    def of(self, value: Value | None) -> str:
        if id(value) not in self.known:
            text = json.dumps(plain(value), separators=(",", ":"), ensure_ascii=False)
            self.known[id(value)] = hashlib.sha256(text.encode()).hexdigest()
        return self.known[id(value)]
