"""Faults in what a change of levels means: edits, the disable rule, plans, drafts."""

from __future__ import annotations

from tests.mutants.values import planted_in

LEVELS = "manager/tdc/manager/levels"
PURE = "tests/pure"

MUTANTS = (
    *planted_in(
        f"{LEVELS}/draft.py",
        (f"{PURE}/test_draft.py",),
        (
            "a setting drafted again forgets what it was first",
            "was = before.was if before is not None and same else held",
            "was = held",
        ),
        (
            "what others set meanwhile is no conflict",
            "RowState.OPEN if theirs == row.was else RowState.CONFLICT",
            "RowState.OPEN",
        ),
        (
            "what was discarded long ago comes back",
            "aside is not None and not 0 <= now - aside.at < UNDO",
            "False",
        ),
        (
            "a draft is restored over another one",
            "    if draft.rows:\n",
            "    if False:\n",
        ),
        (
            "a row of a renamed machine is committed on the next of its name",
            "    if row.which not in (None, identity_at(cluster, row.key)):\n",
            "    if False:\n",
        ),
        (
            "a row kept for another machine is still for the one before",
            "was=held.get(row.setting), which=which)",
            "was=held.get(row.setting))",
        ),
        (
            "all rows are kept where one was named",
            "(not names or row.setting in names)",
            "True",
        ),
    ),
    *planted_in(
        f"{LEVELS}/by_name.py",
        (f"{PURE}/test_by_name.py",),
        (
            "a new name is put at the end of its run",
            " if made.keys() != run.keys() else made",
            " if len(made) < len(run) else made",
        ),
        (
            "many short runs stay",
            "if len(runs) <= 2 + 4 * total // LONGEST:",
            "if True:",
        ),
        (
            "what only the older one has is no difference",
            "return missing | {",
            "return {",
        ),
    ),
    *planted_in(
        f"{LEVELS}/impact.py",
        (f"{PURE}/test_plan.py", f"{PURE}/test_topology.py"),
        (
            "the machines of a changed group are not looked at",
            "if machine.group in groups or machine.name in names",
            "if machine.name in names",
        ),
        (
            "a machine that is new is not looked at",
            "each.level is Level.MACHINE and each.created}",
            "each.level is Level.MACHINE and each.removed}",
        ),
    ),
    *planted_in(
        f"{LEVELS}/consistency.py",
        (f"{PURE}/test_consistency.py",),
        (
            "what equals the default is no finding",
            "SCHEMA[name].default if hidden is None else hidden",
            "hidden",
        ),
        (
            "a value that nothing above sets is an override",
            "        elif origin.level is not Level.DEFAULT:\n",
            "        else:\n",
        ),
        (
            "a policy covers those with other recipients",
            " and _all_in(second.recipients, first.recipients)",
            "",
        ),
        (
            "an address is covered by one of its domain",
            "domain_of(each) in wanted",
            "any(domain_of(each) in other for other in wanted)",
        ),
        (
            "a policy for all is covered by one for some",
            "return bool(patterns) and all(",
            "return all(",
        ),
    ),
    *planted_in(
        f"{LEVELS}/disable_rule.py",
        (f"{PURE}/test_disable_rule.py",),
        (
            "the rule acts at any level",
            "if edit.key.level is not Level.MACHINE:",
            "if edit.key.level is Level.CLUSTER:",
        ),
        (
            "the rule acts at any value",
            "is not False or enabled_before",
            "is None or enabled_before",
        ),
        ("the rule acts again", " or enabled_before is False:", ":"),
        (
            "the cluster is left out",
            "        SetValues(LevelKey(Level.CLUSTER, cluster), _DISABLED),\n",
            "",
        ),
        (
            "the group is left out",
            "        SetValues(LevelKey(Level.GROUP, group), _DISABLED),\n",
            "",
        ),
    ),
    *planted_in(
        f"{LEVELS}/edit.py",
        (
            f"{PURE}/test_topology.py",
            f"{PURE}/test_edit.py",
            f"{PURE}/test_disable_rule.py",
        ),
        (
            "the disable rule reaches no group",
            "_set(work, further, by_rule=True)",
            "pass",
        ),
        (
            "what the rule wrote is blamed on the operator",
            "_set(work, further, by_rule=True)",
            "_set(work, further, by_rule=False)",
        ),
        ("a moved setting stays at its source", "    if edit.move:\n", "    if False:\n"),
        (
            "a group takes its machines along into nothing",
            "    for machine in machines:\n        work.move_machine(machine, move_to)\n",
            "",
        ),
        ("the last group can be removed", "if work.groups() == [name]:", "if False:"),
    ),
    *planted_in(
        f"{LEVELS}/working.py",
        (
            f"{PURE}/test_topology.py",
            f"{PURE}/test_edit.py",
            f"{PURE}/test_disable_rule.py",
        ),
        (
            "no new revision",
            "revision = self.before.revision + 1",
            "revision = self.before.revision",
        ),
        (
            "a name may differ only in case",
            'there = self._names.get((key.level, key.name.lower()), "")',
            'there = key.name if self.exists(key) else ""',
        ),
        (
            "a value that stays is blamed on the commit",
            "old.set_by[name] if same_value(old.settings.get(name), value) else revision",
            "revision",
        ),
        (
            "a freed name is used again in the same commit",
            "if key.name in known and (own is None or own.name != key.name):",
            "if False:",
        ),
        (
            "a renamed group leaves its settings behind",
            "            self._settings[new] = settings\n",
            "            pass\n",
        ),
        (
            "a removed level leaves no trace of its settings",
            "keys = {*(key for key in self._settings if self.exists(key)), *gone}",
            "keys = {key for key in self._settings if self.exists(key)}",
        ),
        (
            "machines of a renamed group count as moved",
            "or renamed.get(was, was) != entry.group:",
            "or was != entry.group:",
        ),
    ),
    *planted_in(
        f"{LEVELS}/resolve.py",
        (f"{PURE}/test_resolve.py",),
        ("false counts as absent", "if value is not None:  # a", "if value:  # a"),
        (
            "the cluster wins over the group",
            "        LevelKey(Level.GROUP, group),\n"
            "        LevelKey(Level.CLUSTER, cluster.name),\n",
            "        LevelKey(Level.CLUSTER, cluster.name),\n"
            "        LevelKey(Level.GROUP, group),\n",
        ),
        ("two levels win", "wins=present and not won", "wins=present"),
    ),
    *planted_in(
        f"{LEVELS}/plan.py",
        (f"{PURE}/test_plan.py", f"{PURE}/test_topology.py"),
        (
            "the fingerprint leaves machines out",
            "            for change in machines\n        ],",
            "            for change in machines[:0]\n        ],",
        ),
        (
            "the fingerprint leaves values out",
            "             *_shown(change)]\n",
            "            ]\n",
        ),
        (
            "the fingerprint leaves the cluster out",
            "        [before.name, before.home, before.born],\n",
            "        [],\n",
        ),
        (
            "a kept plan is for another cluster of the name",
            "        [before.name, before.home, before.born],\n",
            "        [before.name],\n",
        ),
        (
            "a kept plan removes or moves another of the name",
            "        was += which.of(LevelKey(change.level, change.name))\n",
            "        pass\n",
        ),
        (
            "a kept plan moves a machine to another group of the name",
            "        was += which.of(LevelKey(Level.GROUP, change.group))\n",
            "        pass\n",
        ),
        (
            "a kept plan changes a setting of another level of the name",
            "[change.key.level, change.key.name, *which.of(change.key), change.setting,",
            "[change.key.level, change.key.name, change.setting,",
        ),
        (
            "a kept plan reaches another machine of the name",
            "*which.of(LevelKey(Level.MACHINE, change.machine)), change.setting,",
            "change.setting,",
        ),
        (
            "the fingerprint leaves out what a removed machine does",
            ", change.removed, change.stops_copying]",
            ", change.removed]",
        ),
    ),
    *planted_in(
        f"{LEVELS}/fleet.py",
        (
            "tests/manager/test_changes.py::"
            "test_no_two_clusters_have_names_that_differ_only_in_case",
        ),
        (
            "clusters may differ in case alone",
            "    if alike and name not in alike:\n",
            "    if alike and not name:\n",
        ),
        (
            "a cluster that is there is a fault of the name",
            "    if alike and name not in alike:\n",
            "    if alike:\n",
        ),
    ),
    *planted_in(
        "manager/tdc/manager/intent/changes.py",
        (
            "tests/manager/test_topology.py::test_a_machine_of_a_later_commit_is_not_removed_for_its_name",
        ),
        (
            "what came after a commit is no matter",
            "record.topology, since)",
            "record.topology, [])",
        ),
    ),
    *planted_in(
        f"{LEVELS}/impact.py",
        (f"{PURE}/test_plan.py", f"{PURE}/test_topology.py"),
        (
            "a moved machine is compared within its new group",
            "return group if group is not None else self.renamed.get(machine.group, machine.group)",
            "return self.renamed.get(machine.group, machine.group)",
        ),
        (
            "a machine that is told to stop counts as going on",
            "        if change.stops_copying:\n",
            "        if False:\n",
        ),
    ),
    *planted_in(
        f"{LEVELS}/impact.py",
        ("tests/pure/test_topology.py",),
        (
            "a renamed machine has had nothing in force",
            "        return before.machines.get(self.called.get(name, name))\n",
            "        return before.machines.get(name)\n",
        ),
    ),
)
