"""Faults in the store: commits and their race, history, writes by hand, place, tokens."""

from __future__ import annotations

from tests.mutants.values import planted_in

STORE = "manager/tdc/manager/store"
ETCD = "manager/tdc/manager/etcd"
DOCUMENTS = ("tests/pure/test_store_documents.py",)
COMMIT = ("tests/contract/test_commit.py",)
BY_HAND = ("tests/contract/test_by_hand.py",)
LOST = ("tests/contract/test_what_is_lost.py",)
HEAD = ("tests/contract/test_head_and_history.py",)
ENROLMENTS = ("tests/contract/test_enrolments_by_hand.py",)
JOINS = ("tests/contract/test_joins.py",)
PLACE = tuple(
    f"tests/etcd/test_place.py::test_{name}"
    for name in (
        "what_makes_another_place_and_what_does_not",
        "a_snapshot_beside_its_original_is_another_place",
        "a_note_that_says_nothing_is_no_permission",
        "the_id_of_a_machine_is_not_written_down",
    )
)

MUTANTS = (
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
            "    if change.base == 0:\n"
            '        raise ClusterExists(f"cluster {name!r} already exists, at revision '
            '{stored}")\n',
            "    if change.base == 0:\n        return head\n",
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
        BY_HAND,
        (
            "the chain starts again at each commit",
            "replace(change.record, sealed=sealed), head.chain)",
            'replace(change.record, sealed=sealed), "")',
        ),
        (
            "which commit wrote a document is forgotten",
            "written = {**head.written, **dict.fromkeys(values, revision)}",
            "written = dict.fromkeys(values, revision)",
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
            "a record that lost seal and chain is believed",
            "not row.sealed and 0 < first <= row.revision",
            "not row.sealed and 0 < row.revision < 0",
        ),
        (
            "a record of before seals that lost its chain value is believed",
            "        if not record.chain and 0 < first < record.revision:\n",
            "        if record.revision < 0:\n",
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
        BY_HAND,
        (
            "an enrolment that lost its seal lets in",
            "if known is None or (sealed and not known.sealed):",
            "if known is None:",
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
        f"{STORE}/replay.py",
        DOCUMENTS,
        (
            "a record that was changed is replayed",
            "    if not fits_chain(record, head.chain):\n",
            "    if not record:\n",
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
        f"{ETCD}/place.py",
        PLACE,
        (
            "another machine is the same place",
            "    if before.machine and now.machine and before.machine != now.machine:\n",
            "    if before.machine == '':\n",
        ),
        (
            "a snapshot beside its original is the original",
            "return not same or _original_is_there(before, now)",
            "return not same",
        ),
        (
            "a copy in the place of the original is the original",
            "same = before.born == now.born if before.born and now.born else before.inode "
            "== now.inode",
            "same = before.path == now.path or before.inode == now.inode",
        ),
        (
            "a note that can't be read is a permission",
            'moved, where = True, "a place that can\'t be read any more"',
            'moved, where = False, "a place that can\'t be read any more"',
        ),
        (
            "a renamed folder is another place",
            "return not same or _original_is_there(before, now)",
            "return not same or before.path != now.path",
        ),
        (
            "the machine's id is shown to others",
            'return hashlib.sha256(f"tdc {found}".encode()).hexdigest()[:32]',
            "return found",
        ),
    ),
    *planted_in(
        f"{ETCD}/place.py",
        ("tests/etcd/test_place.py",),
        (
            "data that came without its file is taken as it is",
            "        _check_note(folder, mark, alone=not (folder / FILE).exists())\n",
            "        _check_note(folder, mark)\n",
        ),
    ),
    *planted_in(
        f"{ETCD}/embedded.py",
        ("tests/etcd/test_place.py",),
        (
            "what the data says of its place is not read",
            "        place.check_mark(self.folder, mark)\n",
            "",
        ),
        (
            "a place is noted before it is known",
            "                place.check(self.folder)\n",
            "                place.check(self.folder)\n                place.settle(self.folder)\n",
        ),
        (
            "an adopted copy keeps the mark of another place",
            "                await etcd.txn([], [Put(self._mark, note)])\n",
            "                await etcd.get(self._mark)\n",
        ),
    ),
    *planted_in(
        f"{ETCD}/backoff.py",
        ("tests/etcd/test_backoff.py",),
        (
            "waits do not grow",
            "self._bound = min(2 * self._bound, self._longest)",
            "self._bound = self._first",
        ),
        (
            "waits grow without end",
            "seconds = self._chance() * min(self._bound, self._longest)\n"
            "        self._bound = min(2 * self._bound, self._longest)",
            "seconds = self._chance() * self._bound\n        self._bound = 2 * self._bound",
        ),
        (
            "all come back at once",
            "seconds = self._chance() * min(self._bound, self._longest)",
            "seconds = min(self._bound, self._longest)",
        ),
    ),
    *planted_in(
        f"{ETCD}/grpc_errors.py",
        ("tests/etcd/test_secrets.py",),
        (
            "what was refused unsent may have been done",
            "if sent and executed:",
            "if sent:",
        ),
        (
            "what may have been done was certainly not",
            "if sent and executed:",
            "if sent and not text:",
        ),
    ),
    *planted_in(
        f"{ETCD}/channel.py",
        ("tests/etcd/test_secrets.py",),
        (
            "replaced TLS files wait for a restart",
            "return found.st_ino, found.st_mtime_ns",
            "return 1, 1",
        ),
    ),
    *planted_in(
        f"{ETCD}/channel.py",
        ("tests/etcd/test_secrets.py",),
        (
            "a TLS file that is away ends the connection that there is",
            "if old is not None and await _is_ready(old.channel):",
            "if old is None and await _is_ready(old.channel):",
        ),
    ),
    *planted_in(
        f"{ETCD}/follow.py",
        ("tests/etcd/test_secrets.py",),
        (
            "a denied call is no reason to compare",
            "if options.clock() >= compare_at or etcd.denials != denials:",
            "if options.clock() >= compare_at:",
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
        ("tests/manager/test_topology.py",),
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
            "for name in names if name in after.removed}",
            "for name in ()}",
        ),
    ),
    *planted_in(
        "manager/tdc/manager/store/replay.py",
        ("tests/pure/test_topology_stored.py",),
        (
            "history leaves a removed machine where it was",
            "        machines.pop(change.name, None)\n",
            "        pass\n",
        ),
        (
            "history makes a machine that was never created",
            "born = record.revision if record.sealed else 0",
            "born = 0",
        ),
    ),
)
