"""Faults in backups: what is saved, what is believed of a file, how a store is made again."""

from __future__ import annotations

from tests.mutants.values import planted_in

BACKUP = "manager/tdc/manager/backup"
STORE = "tests/contract/test_backup.py::test_"
FILE = "tests/manager/test_backup_program.py::test_"

MUTANTS = (
    *planted_in(
        f"{BACKUP}/restore.py",
        tuple(
            f"{STORE}{name}"
            for name in (
                "a_restored_store_is_the_one_that_was_saved",
                "a_store_with_anything_in_it_is_left_alone",
                "no_manager_starts_on_a_restore_that_was_cut_off_and_it_is_done_again",
                "of_two_restores_at_once_one_is_whole",
            )
        ),
        (
            "a store that has something is written over",
            "    if there:\n        raise NotEmpty(",
            "    if there and not keys:\n        raise NotEmpty(",
        ),
        (
            "a restore does not look whether its mark is there still",
            "done = await etcd.txn([Unchanged(STORE, mark)], operations)",
            "done = await etcd.txn([], operations)",
        ),
        (
            "what an earlier restore left stays",
            "    await _written(etcd, mark, [Delete(*each) for each in _BUT_FOR_OURS])\n",
            "",
        ),
    ),
    *planted_in(
        "manager/tdc/manager/store/identity.py",
        (f"{STORE}no_manager_starts_on_a_restore_that_was_cut_off_and_it_is_done_again",),
        (
            "the mark of a restore says nothing",
            "{**_plain(identity), _RESTORING: True}",
            "_plain(identity)",
        ),
        (
            "a manager starts on a restore that was cut off",
            "    if is_restoring(item.value):\n",
            "    if item is None:\n",
        ),
    ),
    *planted_in(
        f"{BACKUP}/verify.py",
        (
            f"{FILE}a_file_that_was_cut_off_or_altered_is_refused",
            f"{FILE}more_or_less_than_all_and_keys_out_of_order_are_refused",
        ),
        (
            "the checksum is not compared",
            "if end.sha256 != digest or end.entries != count:",
            "if end.entries != count:",
        ),
        (
            "a file without its end is whole",
            '    raise NotABackup("it is cut off: its last line is missing")\n',
            "    return Verified(origin, first, sealed, examined.finish(), digest.hexdigest())\n",
        ),
    ),
    *planted_in(
        f"{BACKUP}/contents.py",
        (f"{STORE}what_was_written_by_hand_is_named",),
        (
            "a gap in history is no fault",
            "if cluster.revision and revision != cluster.revision + 1:",
            "if cluster.revision and revision < cluster.revision + 1:",
        ),
        (
            "documents are not compared with their head",
            "        for fault in by_hand.faults_of(name, head.head, documents, sorted(keys)):\n",
            "        for fault in ():\n",
        ),
    ),
    *planted_in(
        f"{BACKUP}/save.py",
        (
            f"{STORE}a_revision_that_is_compacted_meanwhile_makes_it_begin_again",
            f"{STORE}what_ends_with_a_manager_that_runs_is_not_in_it",
        ),
        (
            "what was written before it began again stays in the file",
            "            file.start_again()\n",
            "",
        ),
        ("what has a lease is saved", "            if item.lease:\n", "            if not item:\n"),
    ),
    *planted_in(
        f"{BACKUP}/verbs.py",
        (f"{FILE}advice_after_a_rotation_is_not_to_go_back",),
        (
            "advice after a rotation is to go back to the CA of before",
            "if state.bridges and found.origin.made < state.since:",
            "if not state.bridges and found.origin.made < state.since:",
        ),
    ),
    *planted_in(
        f"{BACKUP}/passphrase.py",
        (
            f"{FILE}a_ca_is_good_in_its_own_backup_only",
            f"{FILE}a_file_can_not_ask_for_all_of_the_memory",
        ),
        (
            "a CA can be put into another backup",
            "AESGCM(key).encrypt(nonce, plain.encode(), first_line)",
            "AESGCM(key).encrypt(nonce, plain.encode(), first_line[:1])",
        ),
        (
            "a file says how much memory it wants",
            "        or not 1 <= sealed.r <= _MOST_BLOCK\n",
            "",
        ),
    ),
)
