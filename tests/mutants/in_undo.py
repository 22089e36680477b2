"""Faults in what was: differences, roll back, revert."""

from __future__ import annotations

from tests.mutants.values import planted_in

LEVELS = "manager/tdc/manager/levels"
PURE = "tests/pure"

MUTANTS = (
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
)
