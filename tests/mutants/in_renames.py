"""Faults in which machine is which, whatever it is called."""

from __future__ import annotations

from tests.mutants.values import planted_in

MANAGER = "manager/tdc/manager"

MUTANTS = (
    *planted_in(
        f"{MANAGER}/levels/identities.py",
        ("tests/manager/test_machine_renamed.py",),
        (
            "a machine of a renamed one's first name shares its enrolment",
            'slot=f"{name}~{born}" if name in slots else "")',
            'slot="")',
        ),
        (
            "a removed machine hears of the removal of another that had its slot",
            "    return since[min(since)] if since else",
            "    return since[max(since)] if since else",
        ),
        (
            "a renamed machine leaves its enrolment to the next of its name",
            '    return replace(machine, name=name, slot="" if slot == name else slot)\n',
            '    return replace(machine, name=name, slot="")\n',
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
