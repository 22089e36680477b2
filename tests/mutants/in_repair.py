"""Faults in what notices and repairs a store that was changed by hand."""

from __future__ import annotations

from tests.mutants.values import planted_in

STORE = "manager/tdc/manager/store"
PURE = ("tests/pure/test_by_hand.py",)
BY_HAND = ("tests/contract/test_by_hand.py",)
LOST = ("tests/contract/test_what_is_lost.py",)
HEAD = ("tests/contract/test_head_and_history.py",)
ENROLMENTS = ("tests/contract/test_enrolments_by_hand.py",)

MUTANTS = (
    *planted_in(
        f"{STORE}/commit.py",
        BY_HAND,
        (
            "the chain starts again at each commit",
            "replace(change.record, sealed=sealed, audit=audit), head.chain)",
            'replace(change.record, sealed=sealed, audit=audit), "")',
        ),
        (
            "which commit wrote a document is forgotten",
            "written = {**head.written, **dict.fromkeys(values, revision)}",
            "written = dict.fromkeys(values, revision)",
        ),
    ),
    *planted_in(
        f"{STORE}/by_hand.py",
        BY_HAND,
        (
            "a document that was deleted is not missed",
            "        if found is None and revision:\n",
            "        if found is None and revision < 0:\n",
        ),
        (
            "a document that was set back is believed",
            "        elif found is not None and found.whole and found.revision < revision:\n",
            "        elif found is not None and found.whole and found.revision < 0:\n",
        ),
    ),
    *planted_in(
        f"{STORE}/by_hand.py",
        PURE,
        (
            "a head that was set back is believed",
            "    if newest > head.revision:\n",
            "    if newest < 0:\n",
        ),
    ),
    *planted_in(
        f"{STORE}/by_hand.py",
        BY_HAND,
        (
            "a document that lost its seal is believed",
            "    if 0 < head.sealed <= max(revision, found.revision) and not found.sealed:\n",
            "    if head.sealed < 0:\n",
        ),
        (
            "a document that no commit wrote is believed",
            "    if head.sealed == 1 and not revision:",
            "    if head.sealed < 0:",
        ),
    ),
    *planted_in(
        f"{STORE}/documents.py",
        BY_HAND,
        (
            "a head that lost its seal is believed",
            "    if sealed and not is_sealed(document):\n",
            "    if sealed < 0:\n",
        ),
    ),
    *planted_in(
        f"{STORE}/record.py",
        BY_HAND,
        (
            "a record that lost its seal is believed",
            "    if sealed and not is_sealed(document):\n",
            "    if sealed < 0:\n",
        ),
    ),
    *planted_in(
        f"{STORE}/judging.py",
        BY_HAND,
        (
            "a record of before seals may say anything",
            "        if not record.sealed:\n            wrong",
            "        if record.sealed:\n            wrong",
        ),
    ),
    *planted_in(
        f"{STORE}/judging.py",
        HEAD,
        (
            "a record of before seals that lost its chain value is believed",
            "        if not record.chain and 0 < first < record.revision:\n",
            "        if record.revision < 0:\n",
        ),
    ),
    *planted_in(
        f"{STORE}/judging.py",
        PURE,
        (
            "a record that lost its seal is believed",
            "not row.sealed and 0 < first <= row.revision",
            "not row.sealed and 0 < row.revision < 0",
        ),
    ),
    *planted_in(
        f"{STORE}/beside.py",
        HEAD,
        (
            "a head may come after all of history",
            "    if found.record is None and head.sealed:\n",
            "    if found.record is None:\n        return None\n    if head.revision < 0:\n",
        ),
        (
            "a head that history has left behind is believed",
            "    if found.after is not None:\n",
            "    if head.revision < 0 and found.after is not None:\n",
        ),
        (
            "a head of before seals says what its record does not",
            '    return edited(key, f"it is not what commit {head.revision} says", REPAIR)\n',
            "    return None\n",
        ),
    ),
    *planted_in(
        f"{STORE}/snapshots.py",
        HEAD,
        (
            "a snapshot vouches for a head that nothing vouches for",
            "    if cluster in wrong and wrong[cluster][1].key == head_key(cluster):\n",
            "    if not cluster:\n",
        ),
    ),
    *planted_in(
        f"{STORE}/beside.py",
        LOST,
        (
            "a cluster of which history is left is no matter",
            "        lost[name] = by_hand.deleted(",
            "        dict[str, Unreadable]()[name] = by_hand.deleted(",
        ),
        (
            "a stray key hides the clusters before it",
            "        end = commits_prefix(name) if name is not None else key\n",
            "        end = commits_prefix(name) if name is not None else COMMITS\n",
        ),
    ),
    *planted_in(
        "manager/tdc/manager/view/last_known.py",
        LOST,
        (
            "a cluster that is back is still lost",
            " if not self._documents.get(name)]",
            "]",
        ),
    ),
    *planted_in(
        "manager/tdc/manager/view/last_known.py",
        HEAD,
        (
            "a head that lost its seal is in force",
            "documents.values(), sealed=sealed)",
            "[], sealed=False)",
        ),
        (
            "a level that was edited with the head is in force",
            "        beside_it = by_hand.faults_beside(head, documents, keys) "
            "if head is not None else ()\n",
            "        beside_it = () if fault is not None or head is None else "
            "by_hand.faults_beside(head, documents, keys)\n",
        ),
    ),
    *planted_in(
        "manager/tdc/manager/view/fleet.py",
        ENROLMENTS,
        (
            "what can't be read lets every removed machine in",
            "            unreadable and self._clusters.may_have(cluster, machine)\n",
            "            unreadable\n",
        ),
        (
            "what can't be read lets the machine of before in",
            "            born=known.born if known is not None else None,\n",
            "            born=None,\n",
        ),
    ),
    *planted_in(
        "manager/tdc/manager/view/last_known.py",
        ENROLMENTS,
        (
            "a damaged shard lets its removed machines in",
            "        return hidden and name not in map(name_removed, document.removed)\n",
            "        return hidden\n",
        ),
        (
            "a machine's own damage ends its identity",
            "any(trouble.entry in (None, name) for trouble in document.unreadable)",
            "False",
        ),
        (
            "a shard that was deleted ends the identity of its machines",
            "            return head is None or head.sealed != 1 or key in head.written\n",
            "            return head is None\n",
        ),
    ),
    *planted_in(
        "manager/tdc/manager/view/enrolments.py",
        ENROLMENTS,
        (
            "an older enrolment is valid once the newer is gone",
            "    if newest is None or found.number >= newest.number:\n",
            "    if newest is None or found.number >= 0:\n",
        ),
        (
            "a manager that starts admits an older certificate",
            "    if found.number < count.number:\n",
            "    if found.number < 0:\n",
        ),
        (
            "an enrolment needs no count",
            '        return gone if found.counted else ""\n',
            '        return ""\n',
        ),
    ),
    *planted_in(
        f"{STORE}/keys.py",
        ENROLMENTS,
        (
            "a stray key is an enrolment's",
            "    return found if enrolment_key(*found) == key else None\n",
            "    return found\n",
        ),
    ),
    *planted_in(
        f"{STORE}/repair.py",
        BY_HAND,
        (
            "an edit without a seal is not found",
            "        elif not _as_in(found.items[key].value, values[key]):\n",
            "        elif found.documents[key].unreadable:\n",
        ),
        (
            "a document that no commit wrote stays",
            "        elif key not in values:\n            faults.append(",
            "        elif key not in values:\n            len(",
        ),
    ),
    *planted_in(
        "manager/tdc/manager/view/last_known.py",
        BY_HAND,
        (
            "what was doubted is what is known",
            "        known = self._trusted.get(read.key.cluster, {}).get(key)\n",
            "        known = self._documents.get(read.key.cluster, {}).get(key)\n",
        ),
    ),
    *planted_in(
        "manager/tdc/manager/view/enrolments.py",
        PURE,
        (
            "an enrolment that lost its seal lets in",
            " or (sealed and not known.sealed):\n            return None\n",
            ":\n            return None\n",
        ),
    ),
    *planted_in(
        "manager/tdc/manager/view/enrolments.py",
        ENROLMENTS,
        (
            "an enrolment may lose its seal",
            "    unsealed = newest.sealed and not found.sealed\n",
            "    unsealed = False\n",
        ),
    ),
    *planted_in(
        f"{STORE}/evidence.py",
        LOST,
        (
            "a record is no evidence of a document",
            "        for key in changed.keys(self.cluster):\n",
            "        for key in ():\n",
        ),
        (
            "an enrolment is no evidence of a machine",
            '            self._entry(Level.MACHINE, name, "it is enrolled")\n',
            "            pass\n",
        ),
        (
            "a group that machines are in is not missed",
            "            if document is None and key not in self.documents:\n",
            "            if document is None and not key:\n",
        ),
    ),
    *planted_in(
        f"{STORE}/repair.py",
        LOST,
        (
            "a head of which not all is known is put right",
            '"have; if one is missing, restore a backup",\n        right=False,',
            '"have; if one is missing, restore a backup",\n        right=True,',
        ),
        (
            "what is lost is forgotten with the head",
            "        written[key] = max(revision, written.get(key, 0))\n",
            "        written.pop(key, None)\n",
        ),
        (
            "a lost newest record sets documents back",
            "    if (found.head.revision if found.head is not None else newest) > head.revision:\n",
            "    if newest < 0:\n",
        ),
        (
            "an older record makes the head",
            "    if not isinstance(newest, CommitRecord) or newest.revision < max(stored.values(), "
            "default=0):\n",
            "    if not isinstance(newest, CommitRecord):\n",
        ),
        (
            "an edited snapshot of before seals is the truth",
            "        if _contradicts(found, fault, values):\n",
            "        if not values:\n",
        ),
    ),
)
