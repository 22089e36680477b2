"""PURE. What a commit would do, computed without doing it.

The policy
----------
Nothing changes in the fleet before its whole outcome was computed and could be seen. A plan is
that outcome: the net changes at each level, every change in force on every machine, which
machines stop or start copying (the blast radius), and the problems for which the commit would be
refused. One problem refuses all of it, because half a commit is a state that nobody reviewed.

*The fingerprint* is the hash of the outcome and of nothing else: no revision, no author, no
origin, no edit. The commit makes the plan again, on the fleet as it is by then, and goes on only
under the fingerprint that the operator saw. So
- a commit in between that does not touch this outcome does not get in the way;
- one that changes who stops copying does, even if the edits still apply: with the disable rule a
  single edit can reach a whole cluster, and consent to one machine is not consent to fifty;
- two different lists of edits with the same outcome are the same commit.
Each machine, group and cluster in it counts as the one that it is, whatever it is called
(`identities`), beside its name: consent to change or remove one is no consent to do so to another
that got its name meanwhile, by a rename or because it was created since.

*Rollback* (`undo`) is a plan too, of what was recorded.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from tdc.manager.levels.backlogs import PlannedBacklog
from tdc.manager.levels.cautions import cautions_of
from tdc.manager.levels.changes import Edit, Edited, LevelChange, TopologyChange
from tdc.manager.levels.edit import apply_edits
from tdc.manager.levels.fleet import Cluster, LevelKey
from tdc.manager.levels.identities import Identity, identity_at
from tdc.manager.levels.impact import MachineChange, Problem, impact_of
from tdc.shared.settings.canonical import Plain, plain
from tdc.shared.settings.values import Level, Value


@dataclass(frozen=True, slots=True)
class Plan:
    """What a commit on `before` would do. It can't be committed while it has `problems`.

    `levels` are net changes, nearest level first; `machines` are in name order. `stop_copying`
    and `start_copying` name the machines on which `enabled` changes in force. `backlogs` are
    copies that wait for an intake which changes. The caller adds them, from what machines report;
    they are no part of the outcome. `warnings` keep nothing from being committed.
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
    backlogs: tuple[PlannedBacklog, ...] = ()
    warnings: tuple[Problem, ...] = ()

    @property
    def changes_nothing(self) -> bool:
        """True if there is nothing to commit. Then `after` is `before`, revision included."""
        return not self.levels and not self.topology


def make_plan(before: Cluster, edits: Iterable[Edit]) -> Plan:
    """Plan these edits, applied in order; raises EditRefused if one can't be applied at all."""
    return plan_of(before, apply_edits(before, edits))


def plan_of(before: Cluster, edited: Edited) -> Plan:
    """Plan the step from `before` to what the edits made of it."""
    impact = impact_of(before, edited.cluster, edited.level_changes, edited.topology)
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
        fingerprint=_fingerprint(before, edited, machines),
        warnings=cautions_of(edited.cluster, edited.level_changes, machines),
    )


def _fingerprint(before: Cluster, edited: Edited, machines: tuple[MachineChange, ...]) -> str:
    """Hash an outcome: values only, no revisions, origins or causes (why: see above)."""
    digest = hashlib.sha256()
    shown, which = _Shown(), _Which(before, edited)
    for part in (
        [before.name, before.home, before.born],
        [
            [change.key.level, change.key.name, *which.of(change.key), change.setting,
             *_shown(change)]
            for change in edited.level_changes
        ],
        [_place(which, change) for change in edited.topology],
        [
            [change.machine, *which.of(LevelKey(Level.MACHINE, change.machine)), change.setting,
             shown.of(change.before), shown.of(change.after)]
            for change in machines
        ],
    ):  # fmt: skip
        digest.update(json.dumps(part, separators=(",", ":"), ensure_ascii=False).encode())
    return digest.hexdigest()


def _place(which: _Which, change: TopologyChange) -> list[object]:
    was: list[object] = []
    if change.before is not None:
        was = [change.before.name, change.before.group]
    elif change.removed and change.level is Level.CLUSTER:
        was = [which.before.revision]  # one that grew is not what was seen
    if change.level is not Level.CLUSTER:
        was += which.of(LevelKey(change.level, change.name))
    if change.level is Level.MACHINE:
        was += which.of(LevelKey(Level.GROUP, change.group))
    return [change.level, change.name, change.group, was, change.removed, change.stops_copying]


@dataclass(frozen=True, slots=True)
class _Which:
    """Which level has a name after the edits, or had it and is gone; nothing for a new one."""

    before: Cluster
    edited: Edited

    def of(self, key: LevelKey) -> Identity | tuple[()]:
        after = self.edited.cluster
        found = identity_at(after, key) or identity_at(self.before, key)
        return found if found is not None and found[1] <= self.before.revision else ()


def _shown(change: LevelChange) -> tuple[Plain, Plain]:
    return plain(change.before), plain(change.after)


@dataclass(slots=True)
class _Shown:
    """The hash of each value, computed once: ten thousand machines share one list of policies."""

    known: dict[int, str] = field(default_factory=dict)  # by identity: the plan keeps them alive

    def of(self, value: Value | None) -> str:
        if id(value) not in self.known:
            text = json.dumps(plain(value), separators=(",", ":"), ensure_ascii=False)
            self.known[id(value)] = hashlib.sha256(text.encode()).hexdigest()
        return self.known[id(value)]
