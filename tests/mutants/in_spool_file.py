"""Faults in the spool's file: its time, its disk, its damage, its folder, who is to blame."""

from __future__ import annotations

from tests.mutants.values import planted_in

SPOOL = "node_agent/tdc/node_agent/spool"
TESTS = "tests/spool"
PURE = "tests/pure"
MAIN = f"{TESTS}/test_spool.py"
DAMAGE = f"{TESTS}/test_spool_damage.py"
SLOW = f"{TESTS}/test_slow_disk.py"
HEALS = "test_a_disk_that_refuses_writes_stops_taking_and_delivering_until_it_heals"

MUTANTS = (
    *planted_in(
        "node_agent/tdc/node_agent/spool_places.py",
        ("tests/spool/test_left.py",),
        (
            "a spool of before is forgotten at once",
            "places = (here, *behind)[:MOST]",
            "places = (here,)[:MOST]",
        ),
        (
            "a spool that can't be read is taken for empty",
            "if place != here and (left := copies_left(place)) != 0",
            "if place != here and (left := copies_left(place))",
        ),
    ),
    *planted_in(
        "node_agent/tdc/node_agent/spool/left.py",
        ("tests/spool/test_left.py",),
        (
            "the log of writes is not read",
            '"mode=ro" if log.exists() and log.stat().st_size else "immutable=1"',
            '"immutable=1"',
        ),
    ),
    *planted_in(
        f"{SPOOL}/steady.py",
        (f"{PURE}/test_steady.py",),
        (
            "a clock that is set makes copies old",
            "return min(max(now.wall - before.wall, 0.0), LONGEST_STEP)",
            "return max(now.wall - before.wall, 0.0)",
        ),
        (
            "a clock that is set makes copies young",
            "return min(max(now.wall - before.wall, 0.0), LONGEST_STEP)",
            "return min(now.wall - before.wall, LONGEST_STEP)",
        ),
        (
            "a machine restored from an image goes back",
            " and now.since_boot >= before.since_boot",
            "",
        ),
        (
            "another start of the machine is the same",
            "if before.boot and before.boot == now.boot and",
            "if before.boot and now.boot and",
        ),
    ),
    *planted_in(
        f"{SPOOL}/clock.py",
        (f"{TESTS}/test_spool_clock.py",),
        (
            "people see the spool's own time",
            "return as_wall(at, self(), self.wall())",
            "return at",
        ),
        (
            "time starts again at each start",
            "self._anchor = resumed(saved, self._clocks.read())",
            "self._anchor = resumed(None, self._clocks.read())",
        ),
    ),
    *planted_in(
        f"{SPOOL}/suspects.py",
        ("tests/crash/test_poison.py",),
        ("the first death is enough", "DEATHS = 2", "DEATHS = 1"),
        (
            "a copy that passed is not cleared",
            "            if mid == self._accused[hazard]:\n"
            "                self._accused[hazard] = 0\n"
            "                self._write(hazard, 0, 0)\n",
            "            if mid == self._accused[hazard]:\n"
            "                self._accused[hazard] = 0\n",
        ),
        (
            "fresh copies are blamed",
            "return _NOT_NOTED if mid > self._up_to else self._marked(hazard, mid)",
            "return self._marked(hazard, mid)",
        ),
    ),
    *planted_in(
        f"{SPOOL}/health.py",
        (f"{PURE}/test_spool_due.py",),
        (
            "the disk is filled by the log",
            "log_fits = free - another >= FREE_RESERVE // 2",
            "log_fits = True",
        ),
        (
            "a copy needs its room once",
            "free + reusable - 2 * another < FREE_RESERVE",
            "free + reusable - another < FREE_RESERVE",
        ),
        (
            "the bound of bytes is passed by one copy",
            "if size + another > self.max_bytes:",
            "if size > self.max_bytes:",
        ),
        (
            "the bound of messages is passed by one copy",
            "if messages + 1 > self.max_messages:",
            "if messages > self.max_messages:",
        ),
        (
            "a large commit has no more time than a small one",
            "if commit_takes > STALLED_AFTER + size / SOUND_RATE:",
            "if commit_takes > STALLED_AFTER:",
        ),
    ),
    *planted_in(
        f"{SPOOL}/rows.py",
        (f"{TESTS}/test_spool_damage.py", f"{TESTS}/test_queue_work.py"),
        (
            "a damaged envelope is not noticed",
            '"\\0".join(("", report_id, intake, envelope))',
            '"\\0".join(("", report_id, intake))',
        ),
        (
            "a damaged move is not noticed",
            "if moved and self.move_check != move_check(self.checksum, self.intake):",
            "if moved and self.move_check is None:",
        ),
        (
            "an impossible time is believed",
            "return counted and all(isinstance(time, float) and 0 <= time <= LATEST for "
            "time in times)",
            "return counted and bool(times)",
        ),
    ),
    *planted_in(
        f"{SPOOL}/writer.py",
        (f"{DAMAGE}::test_a_file_that_vanished_is_told_and_message_numbers_go_on",),
        (
            "numbers of messages are not reserved",
            "self._file.folder.reserve(group.highest_mid)\n",
            "pass\n",
        ),
    ),
    *planted_in(
        f"{SPOOL}/writer.py",
        (f"{DAMAGE}::{HEALS}",),
        (
            "marks are lost while the disk fails",
            "        self._unwritten.keep_marks(group.batch, REFUSED)\n",
            "",
        ),
    ),
    *planted_in(
        f"{SPOOL}/writer.py",
        (f"{SLOW}::test_a_slow_disk_costs_one_wait_and_says_so_until_it_is_sound",),
        (
            "one write that was late closes no latch",
            "        if self._late:\n            self._slow_disk()\n",
            "",
        ),
    ),
    *planted_in(
        f"{SPOOL}/writer.py",
        (f"{SLOW}::test_a_commit_takes_no_time_in_which_the_process_did_not_run",),
        (
            "a process that was stopped blames its disk",
            "return 0.0 if since is None else monotonic() - max(since, self._awake.woke_at)",
            "return 0.0 if since is None else monotonic() - since",
        ),
    ),
    *planted_in(
        f"{SPOOL}/writer.py",
        (f"{SLOW}::test_a_busy_but_sound_disk_has_time_in_proportion",),
        (
            "a busy disk has the same time for any group",
            "end = group.expires_at + group.held_bytes / SOUND_RATE",
            "end = group.expires_at",
        ),
    ),
    *planted_in(
        f"{SPOOL}/writer.py",
        (f"{DAMAGE}::test_marks_that_were_kept_are_written_at_the_end_at_the_latest",),
        (
            "marks that are kept at a stop are lost",
            "        if self._fault is not None and self._unwritten:\n",
            "        if self._fault is not None and not self._unwritten:\n",
        ),
    ),
    *planted_in(
        f"{SPOOL}/upkeep.py",
        (f"{TESTS}/test_spool.py", f"{TESTS}/test_queue_work.py"),
        (
            "room on the disk is seen only after a write",
            "if group.operations <= 1 or now - self._refreshed_at >= REFRESH:",
            "if group.operations:",
        ),
        (
            "what is dropped stays in the file",
            "        self.sweeping |= bool(group.batch.orders)\n",
            "",
        ),
    ),
    *planted_in(
        f"{SPOOL}/folder.py",
        (f"{TESTS}/test_spool_folder.py", f"{TESTS}/test_spool_damage.py"),
        (
            "a folder of others is taken",
            "            elif is_foreign(path):\n",
            "            elif not path:\n",
        ),
        (
            "the log of a damaged file is lost",
            '            Path(f"{aside}-wal").hardlink_to(log)\n',
            "",
        ),
        (
            "a file that was removed is not missed",
            "        changed = (path for path, was in self._watched.items() if "
            "_identity(path) != was)\n",
            "        changed = (path for path, was in self._watched.items() if was is None)\n",
        ),
        (
            "a file of the spool has the mode of the umask",
            "            os.fchmod(file, 0o600)  # whatever the umask\n"
            "        finally:\n"
            "            os.close(file)\n"
            "        _sync_folder(self._path)\n"
            "        return path",
            "            pass\n"
            "        finally:\n"
            "            os.close(file)\n"
            "        _sync_folder(self._path)\n"
            "        return path",
        ),
    ),
    *planted_in(
        f"{SPOOL}/opening.py",
        (
            f"{TESTS}/test_spool_opening.py",
            f"{TESTS}/test_spool_damage.py",
            f"{TESTS}/test_spool.py",
        ),
        (
            "message numbers begin again in a new file",
            "highest_mid = database.highest_mid() or folder.reserved_mid",
            "highest_mid = database.highest_mid()",
        ),
        (
            "copies that were held at a death are forgotten",
            "        were_held = database.release_all_held()\n",
            "        were_held = 0\n",
        ),
        (
            "a damaged index costs the whole file",
            "        except DatabaseUnreadable:  # damage in an index alone can be "
            "repaired, and loses nothing\n"
            "            return _read(folder, clock, reindex=True)\n",
            "        except ZeroDivisionError:\n"
            "            return _read(folder, clock, reindex=True)\n",
        ),
    ),
)
