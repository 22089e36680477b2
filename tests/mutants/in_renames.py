"""Faults in which machine is which, whatever it is called."""

from __future__ import annotations

from tests.mutants.values import planted_in

MANAGER = "manager/tdc/manager"

MUTANTS = (
    *planted_in(
        f"{MANAGER}/levels/identities.py",
        ("tests/pure/test_topology_stored.py", "tests/manager/test_machine_renamed.py"),
        (
            "a machine of a renamed one's first name shares its enrolment",
            'slot=f"{name}~{born}" if name in slots else "")',
            'slot="")',
        ),
        (
            "a removed machine hears of the removal of another that had its slot",
            "since[min(since)] if since else",
            "since[max(since)] if since else",
        ),
        (
            "a removed machine is not known by what created it",
            "exact = [key for key, each in had.items() if each.born == born]",
            "exact = [key for key, each in had.items()]",
        ),
        (
            "the slot of a removed machine is given away",
            "    return slots_in(cluster) | frozenset(gone)\n",
            "    return slots_in(cluster)\n",
        ),
        (
            "a renamed machine leaves its enrolment to the next of its name",
            '    return replace(entry, name=name, slot="" if slot == name else slot)\n',
            '    return replace(entry, name=name, slot="")\n',
        ),
    ),
    *planted_in(
        f"{MANAGER}/view/names.py",
        ("tests/manager/test_cluster_renamed.py",),
        (
            "the history of a renamed cluster is found by its new name alone",
            "    return had[0] if had else find_cluster(clusters, name)",
            "    return find_cluster(clusters, name)",
        ),
        (
            "of two that had a name the history of any is shown",
            "    if len(had) > 1:",
            "    if False:",
        ),
    ),
    *planted_in(
        f"{MANAGER}/view/fleet.py",
        ("tests/manager/test_cluster_renamed.py",),
        (
            "machines of a renamed cluster stay in force by its old name",
            "            before = self._in_force.pop(left, None)\n",
            "            before = self._in_force.get(left)\n",
        ),
    ),
    *planted_in(
        f"{MANAGER}/store/claims.py",
        ("tests/contract/test_cluster_names.py",),
        (
            "two clusters get one name at the same moment",
            "        for each in claim_keys(after)\n",
            "        for each in ()\n",
        ),
        (
            "a name is not free again once it was left",
            "        writes.append(Delete(left))\n",
            "        pass\n",
        ),
    ),
    *planted_in(
        f"{MANAGER}/view/named.py",
        ("tests/manager/test_machine_renamed.py", "tests/manager/test_cluster_renamed.py"),
        (
            "a certificate with a name of before opens nothing",
            "        if found is None:\n            return peer\n",
            "        return peer\n",
        ),
        (
            "a removed machine with a name of before is not told",
            "gone = removed_from(home, *found[1:]) if",
            'gone = "" if',
        ),
        (
            "how a machine was removed is forgotten once its name is used again",
            "            return home.removed[key] if home is not None and key else None\n",
            "            return None\n",
        ),
        (
            "a token's certificate has any name of its slot",
            "        return home.name, machine.name\n",
            "        return home.name, slot\n",
        ),
        (
            "a later cluster of a name gets the keys of the one before",
            "free_place(name, self._clusters.places())",
            '""',
        ),
        (
            "a deleted cluster's name is given to another",
            "        if name in self._clusters.deleted:\n",
            "        if False:\n",
        ),
    ),
    *planted_in(
        f"{MANAGER}/intent/reaches.py",
        ("tests/manager/test_reach_renamed.py",),
        (
            "a reach is kept by the name of its cluster",
            "        return view.find_cluster(_named(name)).home\n",
            "        return view.find_cluster(_named(name)).name\n",
        ),
        (
            "a reach of a group is kept by the name of its cluster",
            "        return cluster.home, slot_of(group)\n",
            "        return cluster.name, slot_of(group)\n",
        ),
        (
            "a reach is kept by the name of its group",
            "        return cluster.home, slot_of(group)\n",
            "        return cluster.home, group.name\n",
        ),
        (
            "a cluster that was deleted is named as if it were there",
            "if home is not None and not home.deleted:",
            "if home is not None:",
        ),
        (
            "a group that is gone leaves its name to the next",
            "            gone.add((home.name if home is not None else place, slot))\n",
            "            groups.add((home.name if home is not None else place, slot))\n",
        ),
        (
            "a reach of no cluster is one of the only cluster",
            "    if not name:\n",
            "    if False:\n",
        ),
    ),
    *planted_in(
        f"{MANAGER}/intent/access.py",
        ("tests/manager/test_reach_renamed.py",),
        (
            "a session has the reach as it is kept",
            "        reach = of_now(self._view, user.reach)\n",
            "        reach = user.reach\n",
        ),
        (
            "an API token has the reach as it is kept",
            "of_now(self._view, token.reach & user.reach)",
            "token.reach & user.reach",
        ),
        (
            "a certificate has the reach as it is kept",
            "        reach = of_now(self._view, reach)\n",
            "",
        ),
    ),
    *planted_in(
        f"{MANAGER}/levels/identities.py",
        ("tests/manager/test_reach_renamed.py", "tests/pure/test_topology.py"),
        (
            "a group of a renamed one's first name comes into its reach",
            'Group(name, slot=f"{name}~{born}" if taken else "", born=born)',
            "Group(name, born=born)",
        ),
        (
            "a group is found by the slot of another",
            "    if known is not None and not known.slot:\n",
            "    if known is not None:\n",
        ),
    ),
    *planted_in(
        f"{MANAGER}/store/replay.py",
        ("tests/pure/test_topology_stored.py",),
        (
            "history makes groups without their slots",
            "replace(group, name=change.name, slot=change.slot)",
            "replace(group, name=change.name)",
        ),
    ),
    *planted_in(
        f"{MANAGER}/intent/changes.py",
        ("tests/contract/test_cluster_names.py",),
        (
            "a commit is made in another cluster of the name",
            "        if cluster.home != meant.home:",
            "        if False:",
        ),
    ),
    *planted_in(
        f"{MANAGER}/intent/changes.py",
        ("tests/manager/test_reach_renamed.py",),
        (
            "who reaches one cluster learns the names of others by a rename",
            '            require_everywhere(actor, "renaming a cluster")\n',
            "            pass\n",
        ),
    ),
    *planted_in(
        f"{MANAGER}/store/claims.py",
        ("tests/contract/test_cluster_names.py",),
        (
            "a claim is removed while its cluster's head can't be read",
            "        if key in right or certain",
            "        if True",
        ),
        (
            "an edited claim is taken for a right one",
            "        elif not _is(found[key], right[key]):\n",
            "        elif False:\n",
        ),
    ),
    *planted_in(
        f"{MANAGER}/view/chains.py",
        ("tests/contract/test_cluster_names.py",),
        (
            "an agent's history is compared with that of another cluster of the name",
            "(self._view.place(cluster), revision)",
            "(cluster, revision)",
        ),
    ),
    *planted_in(
        f"{MANAGER}/store/audit_reading.py",
        ("tests/contract/test_cluster_names.py",),
        (
            "commits of another cluster speak for a renamed one",
            "commits_prefix(cluster.home)",
            "commits_prefix(cluster.name)",
        ),
    ),
    *planted_in(
        f"{MANAGER}/peers/peers.py",
        ("tests/manager/test_elsewhere.py",),
        (
            "an order goes to another machine of the name",
            "home is not None and home.seen[key].enrolment == enrolment",
            "home is not None",
        ),
    ),
    *planted_in(
        f"{MANAGER}/view/presence.py",
        ("tests/manager/test_elsewhere.py",),
        (
            "a renamed machine leaves behind that it is ahead",
            "        self.ahead.renamed(names)\n",
            "",
        ),
    ),
    *planted_in(
        f"{MANAGER}/view/last_known.py",
        ("tests/pure/test_topology_stored.py",),
        (
            "a slot that was left is found for ever",
            "        del known[slot]\n",
            "        known[slot] = known[slot]\n",
        ),
        (
            "only the slots of what was written last are known",
            "return known | are if are else known",
            "return are",
        ),
    ),
    *planted_in(
        f"{MANAGER}/push/agents.py",
        ("tests/manager/test_machine_renamed.py",),
        (
            "a connected agent is not sent its new name",
            "session.rename(key)",
            "session.key = key",
        ),
        (
            "what is known of a renamed machine is forgotten",
            "        self._presence.renamed(names)\n",
            "",
        ),
    ),
)
