"""Faults in the use of etcd: the channel, the watch, the embedded member and its place."""

from __future__ import annotations

from tests.mutants.values import planted_in

ETCD = "manager/tdc/manager/etcd"
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
)
