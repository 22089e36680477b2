"""Faults in what `doctor` judges, and in what repair does beside clusters."""

from __future__ import annotations

from tests.mutants.values import planted_in

MANAGER = "manager/tdc/manager"
PURE = "tests/pure/test_doctor.py"
REAL = "tests/manager/test_doctor.py::test_"

MUTANTS = (
    *planted_in(
        f"{MANAGER}/store/others.py",
        (f"{REAL}repair_names_suspensions_and_what_writes_them_again",),
        (
            "suspensions that were deleted are not missed",
            "sorted({suspensions_key(each) for each in written} - there)",
            "sorted(there - there)",
        ),
    ),
    *planted_in(
        f"{MANAGER}/at_hand.py",
        (f"{REAL}a_store_that_is_not_there_is_named_and_not_made",),
        (
            "who only reads makes a store where there is none",
            "if there and not (folder / DATA).exists():",
            "if False:",
        ),
    ),
    *planted_in(
        f"{MANAGER}/doctor/judge.py",
        (f"{REAL}an_etcd_of_ones_own_that_lost_all_is_named",),
        (
            "a store that is gone was never there",
            "    if not look.folder.ran:\n",
            "    if True:\n",
        ),
    ),
    *planted_in(
        f"{MANAGER}/doctor/judge.py",
        (PURE,),
        (
            "a member too many that is down is a warning",
            "make = _warning if left >= 0 else _critical",
            "make = _warning",
        ),
        (
            "hashes of other revisions are compared",
            "    if len(hashes) > len(moments):\n",
            "    if len(hashes) > 1:\n",
        ),
        (
            "a key that the group can read is private",
            "open_to = each.mode & 0o077",
            "open_to = each.mode & 0o007",
        ),
        (
            "a full embedded etcd is left to the operator",
            '            if etcd.embedded\n            else f"etcdctl compact',
            '            if not etcd.embedded\n            else f"etcdctl compact',
        ),
    ),
    *planted_in(
        f"{MANAGER}/etcd/versions.py",
        ("tests/pure/test_etcd_versions.py",),
        (
            "a release that is older than the table is safe",
            "return version < of_release[0] if of_release else version < max(self.fixed)",
            "return bool(of_release) and version < of_release[0]",
        ),
    ),
    *planted_in(
        f"{MANAGER}/store/others.py",
        (
            f"{REAL}repair_removes_a_draft_that_serves_nobody",
            f"{REAL}repair_leaves_a_draft_of_a_newer_version_and_one_that_changed",
        ),
        (
            "a draft of a newer version is removed",
            "self.item.key.startswith(DRAFTS) and not self.newer",
            "self.item.key.startswith(DRAFTS)",
        ),
        (
            "a draft that changed meanwhile is removed",
            "(await etcd.txn([unchanged], [Delete(other.item.key)])).succeeded",
            "(await etcd.txn([], [Delete(unchanged.key)])).succeeded",
        ),
    ),
    *planted_in(
        f"{MANAGER}/doctor/look.py",
        (f"{REAL}a_commit_during_the_look_is_no_finding",),
        (
            "what is found once is a fault",
            "            first = tuple(each for each in first if each.text in again)\n",
            "            assert again is not None\n",
        ),
    ),
)
