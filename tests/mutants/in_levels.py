"""Faults in what settings mean: levels, the disable rule, plans, values and their rules."""

from __future__ import annotations

from tests.mutants.values import planted_in

LEVELS = "manager/tdc/manager/levels"
SETTINGS = "shared/tdc/shared/settings"
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
            "    if row.machine not in (None, _machine_at(cluster, row.key)):\n",
            "    if False:\n",
        ),
        (
            "a row kept for another machine is still for the one before",
            "was=held.get(row.setting), machine=machine)",
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
        f"{LEVELS}/difference.py",
        (f"{PURE}/test_difference.py",),
        (
            "a group that was renamed is another one",
            "for before, after in names.items() if after and after != before}",
            "for before, after in () if after and after != before}",
        ),
        (
            "a group that was removed was renamed",
            "                older[each.name] = None\n",
            "                pass\n",
        ),
        (
            "a group that was created was renamed",
            "            older.pop(each.name, None)\n",
            "            pass\n",
        ),
        (
            "the machines of a renamed group have moved",
            "was.groups.get(machine.group) != before.machines[called].group:",
            "machine.group != before.machines[called].group:",
        ),
        (
            "the settings of what is gone are no difference",
            '[(name, "") for name in gone]',
            "[]",
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
            "change.setting, *_shown(change)]",
            "change.setting]",
        ),
        ("the fingerprint leaves the cluster out", "        [before.name],\n", "        [],\n"),
        (
            "a machine is removed in the place of another",
            "        was = [before.machines[change.name].born]\n",
            "        was = []\n",
        ),
        (
            "the fingerprint leaves out what a removed machine does",
            ", change.removed, change.stops_copying]",
            ", change.removed]",
        ),
    ),
    *planted_in(
        f"{LEVELS}/undo.py",
        (f"{PURE}/test_plan.py", f"{PURE}/test_topology.py"),
        (
            "a rollback goes oldest first",
            "for levels, topology in newest_first:",
            "for levels, topology in reversed(list(newest_first)):",
        ),
        (
            "a rollback makes levels that are gone",
            "            if self._is_there(each.key):\n",
            "            if True:\n",
        ),
        (
            "a rollback brings nothing back",
            "            if change.removed:\n",
            "            if False:\n",
        ),
        (
            "a rollback removes what was created since",
            "            if change.created:\n",
            "            if False:\n",
        ),
        (
            "a machine goes back to the group of a later time",
            "            self.machines[change.name] = was.group\n",
            "            pass\n",
        ),
        (
            "a rollback is refused for a group that took the place of one that is gone",
            "            elif now is not None:\n",
            "            elif was.name in self.groups:\n",
        ),
        (
            "a rollback takes a name that another group has",
            "                if now != then and then in there:\n",
            "                if False:\n",
        ),
    ),
    *planted_in(
        f"{LEVELS}/revert.py",
        (f"{PURE}/test_revert.py",),
        (
            "what a later commit set is set back",
            '            yield f"{change.setting} of {change.key} was changed again"\n',
            "            yield from ()\n",
        ),
        (
            "later settings go with what the commit created",
            "        if others:\n",
            "        if False:\n",
        ),
        (
            "machines of later commits go without a word",
            "        elif change.created and change.name in newcomers:\n",
            "        elif change.created and False:\n",
        ),
        (
            "a group that is gone has the settings of its name's next",
            "        if not (_is_there(cluster, key) and later.is_same(key)):\n",
            "        if not _is_there(cluster, key):\n",
        ),
        (
            "all levels are read again for each machine that the commit created",
            "given.get(key, set())",
            "{change.setting for change in levels if change.key == key}",
        ),
        (
            "what the commit created stays",
            "*_removing(created))",
            "*_removing([]))",
        ),
        (
            "a level is another one of its name",
            "        if not (_is_there(cluster, change.key) and later.is_same(change.key)):\n",
            "        if not _is_there(cluster, change.key):\n",
        ),
        (
            "a machine is removed for its name",
            "        elif not change.removed and not (there and later.is_same(key)):\n",
            "        elif not change.removed and not there:\n",
        ),
        (
            "a machine goes back to another group of the name",
            "    there = home in cluster.groups and later.is_same(LevelKey(Level.GROUP, home))\n",
            "    there = home in cluster.groups\n",
        ),
        (
            "a removed machine comes back beside another of its name",
            "        elif change.removed and key in later.created:\n",
            "        elif change.removed and there:\n",
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
        f"{LEVELS}/later.py",
        (f"{PURE}/test_revert.py",),
        (
            "the newest commit is followed first",
            "reversed([*newest_first])",
            "newest_first",
        ),
        (
            "a renamed level is another one",
            "        self._then |= was\n",
            "",
        ),
        (
            "what was moved to and fro was not moved",
            "            if then is not None:\n                self.placed[then]",
            "            if False:\n                self.placed[key]",
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
        f"{SETTINGS}/check.py",
        (f"{PURE}/test_settings_check.py", f"{PURE}/test_settings_text.py"),
        ("true counts as a number", "if isinstance(value, bool) or not", "if not"),
        ("limits are open above", "row.low <= value <= row.high", "row.low <= value"),
        ("any header may be set", 'r"X-[A-Za-z0-9-]{1,70}"', 'r"[A-Za-z0-9-]{1,70}"'),
        ("a port may be 0", "if not 1 <= int(match[2])", "if not 0 <= int(match[2])"),
        ("two policies of one name", "if policy.name in seen:", "if False:"),
        ("unknown policy fields are ignored", "    if unknown:\n", "    if False:\n"),
    ),
    *planted_in(
        f"{SETTINGS}/validate.py",
        (f"{PURE}/test_settings_validate.py",),
        (
            "enabled without intake passes",
            'values["enabled"] is True and values["intake_address"] in (None, NONE)',
            'values["enabled"] is True and values["intake_address"] == NONE',
        ),
        (
            "enabled with none for an intake passes",
            'values["enabled"] is True and values["intake_address"] in (None, NONE)',
            'values["enabled"] is True and values["intake_address"] is None',
        ),
        (
            "pinned without pins passes",
            'values["tls.verification"] == "pinned" and not values["tls.pins"]',
            'values["tls.verification"] == "pinned" and values["tls.pins"] is None',
        ),
        (
            "a message that never fits may wait for ever",
            'values["spool.when_full"] == "tempfail" and largest > room',
            'values["spool.when_full"] == "pass" and largest > room',
        ),
        (
            "a policy for all mail passes",
            "if not policy.senders and not policy.recipients:",
            "if policy.senders is None and not policy.recipients:",
        ),
    ),
    *planted_in(
        "shared/tdc/shared/mail/address.py",
        (f"{PURE}/test_address.py",),
        ("an IP address is a domain", "if _NUMBER.fullmatch(labels[-1]):", "if False and labels:"),
        ("quotes are another mailbox", 'local = _ESCAPED.sub(r"\\1", local[1:-1])', "pass"),
        (
            "a name that ends alike is below",
            'domain.endswith("." + above)',
            "domain.endswith(above)",
        ),
        ("the sharp s is ss", "return name if back ==", "return name if True or back =="),
    ),
    *planted_in(
        "shared/tdc/shared/connector/selection.py",
        (f"{PURE}/test_selection.py",),
        ("own reports are copied", "    if loop:\n", "    if False:\n"),
        ("mail to an intake is copied", "if matching_form(recipient) in intakes:", "if False:"),
        (
            "subdomains are incoming",
            "return domain_of(recipient) in domains or",
            "return domain_of(recipient).partition('.')[2] in domains or",
        ),
        (
            "the last policy decides",
            "            for policy in policies\n            if _matches",
            "            for policy in reversed(policies)\n            if _matches",
        ),
        (
            "one of the two lists is enough",
            "_matches(policy.senders, sender) and _matches",
            "_matches(policy.senders, sender) or _matches",
        ),
        (
            "a larger message is copied",
            "    if size > settings.max_message_size:\n",
            "    if size > 2 * settings.max_message_size:\n",
        ),
    ),
    *planted_in(
        f"{LEVELS}/plan.py",
        ("tests/pure/test_topology.py",),
        (
            "a kept plan renames another machine of the name",
            "            was.append(before.machines[change.before.name].born)\n",
            "            pass\n",
        ),
    ),
    *planted_in(
        f"{LEVELS}/undo.py",
        ("tests/pure/test_topology.py",),
        (
            "a rollback leaves machines their names of now",
            "            self._call(change.name, was.name)\n",
            "",
        ),
        (
            "a rollback pushes a machine out of its name",
            "        if to in self.machines and now is not None:\n",
            "        if False:\n",
        ),
    ),
    *planted_in(
        f"{LEVELS}/difference.py",
        ("tests/pure/test_difference.py",),
        (
            "a renamed machine is another one",
            "_renamed(steps, Level.MACHINE))",
            "{})",
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
