"""Faults in the store: commits and their race, history, documents, tokens."""

from __future__ import annotations

from tests.mutants.values import planted_in

STORE = "manager/tdc/manager/store"
DOCUMENTS = ("tests/pure/test_store_documents.py",)
COMMIT = ("tests/contract/test_commit.py",)
JOINS = ("tests/contract/test_joins.py",)

MUTANTS = (
    *planted_in(
        "manager/tdc/manager/store/assembly.py",
        ("tests/pure/test_assembly.py",),
        (
            "a machine without its group is served all the same",
            "each is not None and each.group not in cluster.groups",
            "each is None and each.group not in cluster.groups",
        ),
        (
            "a machine that is gone from its document stays",
            "            machines |= dict.fromkeys(old.machines)\n",
            "            pass\n",
        ),
        (
            "a removed machine is forgotten",
            "or old.removed != new.removed for old, new",
            "for old, new",
        ),
    ),
    *planted_in(
        "manager/tdc/manager/store/documents.py",
        ("tests/pure/test_topology_stored.py",),
        (
            "of many machines that one commit removed some are forgotten",
            "max(of_one, MOST_REMOVED)",
            "MOST_REMOVED",
        ),
    ),
    *planted_in(
        f"{STORE}/keys.py",
        DOCUMENTS,
        ("a name may hold a separator", 'return quote(name, safe="")', "return quote(name)"),
        (
            "a key in another spelling is a document",
            "return found if found is not None and str(found) == key else None",
            "return found",
        ),
        (
            "commits sort as words",
            "commits_prefix(cluster)}{revision:012d}",
            "commits_prefix(cluster)}{revision}",
        ),
    ),
    *planted_in(
        f"{STORE}/encoding.py",
        DOCUMENTS,
        ("a schema of the future is read", "    if schema > SCHEMA:\n", "    if schema < 0:\n"),
        (
            "a value unfolds without bound",
            "unfolding.decompress(raw[1:], MAX_UNPACKED)",
            "unfolding.decompress(raw[1:])",
        ),
        ("a value that was cut off is whole", "    if not unfolding.eof:\n", "    if not text:\n"),
    ),
    *planted_in(
        f"{STORE}/documents.py",
        DOCUMENTS,
        (
            "a machine in another shard is believed",
            "            if shard_of(name, shards) != key.shard:\n",
            "            if not name:\n",
        ),
    ),
    *planted_in(
        f"{STORE}/rewrite.py",
        (*DOCUMENTS, *COMMIT),
        (
            "a value that can't be read is written over",
            "            raise Untouchable(str(trouble))\n",
            "            pass\n",
        ),
        (
            "what is stored beside is lost",
            "return beside + [after[name] for name in names if name in after]",
            "return [after[name] for name in names if name in after]",
        ),
    ),
    *planted_in(
        f"{STORE}/commit.py",
        ("tests/contract/test_commit.py::test_only_what_was_sent_is_in_doubt",),
        (
            "what certainly was not sent is in doubt",
            "sent = sent or isinstance(error, EtcdAnswerLost)",
            "sent = True",
        ),
    ),
    *planted_in(
        f"{STORE}/commit.py",
        ("tests/contract/test_commit.py::test_only_what_was_sent_is_in_doubt",),
        (
            "what may have been made is given up",
            "                if not sent:\n                    raise _plainer",
            "                if error:\n                    raise _plainer",
        ),
    ),
    *planted_in(
        f"{STORE}/commit.py",
        ("tests/contract/test_commit.py::test_a_plan_without_changes_makes_no_revision",),
        (
            "a plan without changes makes a revision",
            "        if not plan.levels and not plan.topology:\n",
            "        if plan is None:\n",
        ),
    ),
    *planted_in(
        f"{STORE}/commit.py",
        ("tests/contract/test_commit.py::test_a_cluster_is_created_once",),
        (
            "a cluster is created twice",
            "    if change.creates and stored and not head.deleted:\n"
            '        raise ClusterExists(f"cluster {name!r} already exists, at revision '
            '{stored}")\n',
            "    if change.creates and stored and not head.deleted:\n        return head\n",
        ),
    ),
    *planted_in(
        f"{STORE}/commit.py",
        COMMIT,
        (
            "a request id commits as often as it is sent",
            "                if found.made is not None:\n",
            "                if found.made == 0:\n",
        ),
        (
            "a commit is made on whatever is there",
            "    compares = [\n",
            "    compares = [][:0] and [\n",
        ),
        (
            "a plan on an older revision is made",
            "    if stored == change.base:\n",
            "    if stored >= change.base > 0:\n        return head\n",
        ),
    ),
    *planted_in(
        f"{STORE}/commit.py",
        (
            "tests/contract/test_commit.py::test_a_request_id_commits_once",
            "tests/manager/test_changes.py::test_a_request_id_that_comes_again_gets_the_first_answer",
        ),
        (
            "an earlier commit's request id is forgotten",
            "    values[asked] = pack_request(asked, made)\n",
            "",
        ),
    ),
    *planted_in(
        f"{STORE}/commit.py",
        ("tests/contract/test_maintenance.py::test_a_commit_beyond_the_bound_drops_the_oldest",),
        (
            "history grows without bound",
            "    if revision > MAX_COMMITS:\n",
            "    if revision < 0:\n",
        ),
    ),
    *planted_in(
        f"{STORE}/history.py",
        ("tests/manager/test_changes.py::test_a_request_id_used_for_another_plan_is_refused",),
        (
            "a request id made of another plan passes for done",
            "if self.fingerprint is None or self.fingerprint == fingerprint:",
            "if self.revision:",
        ),
    ),
    *planted_in(
        f"{STORE}/judging.py",
        ("tests/contract/test_by_hand.py::test_a_commit_record_of_another_revision_is_named",),
        (
            "a record of another revision is believed",
            "        if record.revision != parse_commit_key(item.key):\n",
            "        if record.revision < 0:\n",
        ),
    ),
    *planted_in(
        f"{STORE}/judging.py",
        (
            "tests/contract/test_by_hand.py::test_a_commit_record_that_is_gone_is_a_row_and_a_refusal",
        ),
        (
            "a record that was deleted is not missed",
            "        for missing in range((above or revision + 1) - 1, revision, -1):\n",
            "        for missing in range(0):\n",
        ),
    ),
    *planted_in(
        f"{STORE}/record.py",
        DOCUMENTS,
        (
            "what the disable rule did is forgotten",
            '        fields["by_disable_rule"] = True\n',
            "        pass\n",
        ),
    ),
    *planted_in(
        f"{STORE}/seal.py",
        DOCUMENTS,
        (
            "a seal fits whatever it is on",
            "        if document[_SEAL] != _seal(key, rest):\n",
            "        if not document[_SEAL]:\n",
        ),
        (
            "a seal fits at another key",
            'content = key.encode("utf-8", "surrogatepass") + b"\\n" + _canonical(document)',
            "content = _canonical(document)",
        ),
    ),
    *planted_in(
        f"{STORE}/identity.py",
        ("tests/contract/test_store_id_by_hand.py",),
        (
            "an id without a seal is believed",
            "        if not is_sealed(unpack_any(item.value)):",
            "        if not item.value:",
        ),
        (
            "an id that lost its seal gets one at the start",
            "        if is_sealed(document) or await _any_sealed(etcd):\n",
            "        if is_sealed(document):\n",
        ),
    ),
    *planted_in(
        f"{STORE}/replay.py",
        DOCUMENTS,
        (
            "a record that was changed is replayed",
            "    if not fits_chain(record, head.chain):\n",
            "    if not record:\n",
        ),
    ),
    *planted_in(
        f"{STORE}/identity.py",
        (
            "tests/contract/test_maintenance.py::test_the_first_manager_to_write_makes_the_stores_id",
        ),
        ("each manager makes an id", "[Unchanged(STORE, 0)], [_put(", "[], [_put("),
    ),
    *planted_in(
        f"{STORE}/identity.py",
        ("tests/contract/test_by_hand.py::test_the_stores_id_is_noticed_and_the_known_one_kept",),
        (
            "a store that lost its id gets another",
            "        if (await etcd.range(CLUSTERS, keys_only=True)).items:\n",
            "        if etcd is None:\n",
        ),
    ),
    *planted_in(
        f"{STORE}/joins.py",
        ("tests/contract/test_by_hand.py::test_a_join_token_that_is_set_back_enrols_nobody_again",),
        (
            "a token that was set back by hand works again",
            "    if token_hash in {each.token for each in",
            "    if token_hash + '.' in {each.token for each in",
        ),
    ),
    *planted_in(
        f"{STORE}/joins.py",
        (
            "tests/contract/test_by_hand.py::test_an_enrolment_that_is_set_back_brings_no_old_certificate_back",
        ),
        (
            "an enrolment that was set back is valid again",
            "return max(newest + 1, int(now))",
            "return 0",
        ),
    ),
    *planted_in(
        f"{STORE}/joins.py",
        JOINS,
        (
            "a token has no end",
            "if stored.used_by is None and now >= stored.token.expires:",
            "if now < 0:",
        ),
        (
            "a token works twice",
            "    if stored.used_by is not None and stored.used_by != enrolment_id:\n",
            "    if stored.used_by is not None and not stored.used_by:\n",
        ),
        (
            "of two calls at once both win",
            "                Unchanged(key, item.mod_revision),\n"
            "                *(\n"
            "                    Unchanged(each, before[each].mod_revision "
            "if each in before else 0)\n"
            "                    for each in (place, count)\n"
            "                ),\n",
            "",
        ),
        (
            "a lost answer uses up a token",
            "    if stored.used_by is not None and stored.used_by != enrolment_id:\n",
            "    if stored.used_by is not None:\n",
        ),
    ),
    *planted_in(
        "manager/tdc/manager/view/enrolments.py",
        ("tests/manager/test_topology.py",),
        (
            "an enrolment of another machine of the name lets in",
            "return known.id if born in (None, known.born) else None",
            "return known.id",
        ),
    ),
    *planted_in(
        "manager/tdc/manager/store/joins.py",
        ("tests/contract/test_joins.py",),
        (
            "a token of a removed machine ends the enrolment of another",
            "    if known is not None and known.born > born:\n",
            "    if False:\n",
        ),
    ),
    *planted_in(
        "manager/tdc/manager/store/rewrite.py",
        ("tests/pure/test_topology_stored.py",),
        (
            "the machines of a renamed group name the old one",
            "    if renamed and after is not None:\n",
            "    if False:\n",
        ),
        (
            "a removed machine is forgotten",
            "    return kept | new\n",
            "    return kept\n",
        ),
    ),
    *planted_in(
        "manager/tdc/manager/store/replay.py",
        ("tests/pure/test_topology_stored.py",),
        (
            "history leaves a removed machine where it was",
            "        gone = machines.pop(change.name, Machine(change.name, change.group))\n",
            "        gone = machines.get(change.name, Machine(change.name, change.group))\n",
        ),
        (
            "history makes a machine that was never created",
            "born = record.revision if record.sealed else 0",
            "born = 0",
        ),
    ),
    *planted_in(
        "manager/tdc/manager/store/replay.py",
        ("tests/pure/test_topology_stored.py",),
        (
            "history leaves a deleted cluster its settings",
            "deleted=True, stored=StoredSettings())",
            "deleted=True)",
        ),
    ),
    *planted_in(
        "manager/tdc/manager/store/commit.py",
        ("tests/contract/test_cluster_deleted.py",),
        (
            "a late commit brings a deleted cluster back",
            "    if head.deleted and not change.creates:\n",
            "    if False:\n",
        ),
    ),
    *planted_in(
        "manager/tdc/manager/view/named.py",
        ("tests/manager/test_cluster_deleted.py",),
        (
            "a cluster that follows a deleted one begins at revision 1",
            "revision=revision)\n        if gone",
            "revision=1)\n        if gone",
        ),
    ),
    *planted_in(
        "manager/tdc/manager/levels/plan.py",
        ("tests/manager/test_cluster_deleted.py",),
        (
            "a kept plan deletes a cluster that was created since",
            "        was = [which.before.revision]  # one",
            "        was = []  # one",
        ),
    ),
)
