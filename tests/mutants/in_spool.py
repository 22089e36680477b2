"""Faults in the spool: what is acknowledged, counted, refused, found again; how old it is."""

from __future__ import annotations

from tests.mutants.values import planted_in

SPOOL = "node_agent/tdc/node_agent/spool"
TESTS = "tests/spool"
PURE = "tests/pure"

MUTANTS = (
    *planted_in(
        f"{SPOOL}/batch.py",
        (f"{TESTS}/test_slow_disk.py", f"{TESTS}/test_spool_damage.py"),
        (
            "a hold that was refused reappears",
            '        self.finished += [(copy.mid, copy.taken_at, outcome, "") for copy in '
            "refused.held]\n",
            "",
        ),
        (
            "what was delivered while the disk failed is sent again",
            "        self.finished += refused.finished\n",
            "",
        ),
        (
            "what was deferred while the disk failed is forgotten",
            "        self.deferred += refused.deferred\n",
            "",
        ),
        ("what died while the disk failed lives again", "        self.dead += refused.dead\n", ""),
    ),
    *planted_in(
        f"{SPOOL}/batch.py",
        (f"{TESTS}/test_queue_work_under_way.py",),
        ("an order that failed is forgotten", "        self.orders += refused.orders\n", ""),
    ),
    *planted_in(
        f"{SPOOL}/spool.py",
        (f"{TESTS}/test_slow_disk.py", f"{TESTS}/test_spool.py"),
        (
            "a hold whose taker went away reappears",
            "        self._writer.submit(lambda batch: batch.finished.append(end))\n",
            "",
        ),
        (
            "a hold that failed counts for ever",
            "        except SpoolUnavailable:\n"
            "            ledger.remove(size)\n"
            "            raise\n",
            "        except SpoolUnavailable:\n            raise\n",
        ),
        (
            "a hold counts only when it is written",
            "        ledger.add(size)\n"
            "        try:\n"
            "            await self._writer.write_copy(copy)\n",
            "        try:\n"
            "            await self._writer.write_copy(copy)\n"
            "            ledger.add(size)\n",
        ),
        (
            "copies are taken while nothing can be written",
            "        self._check_health()\n        size = len(content)\n",
            "        size = len(content)\n",
        ),
        (
            "a released copy is not marked",
            "        self._unmarked.add(mid)\n",
            "",
        ),
    ),
    *planted_in(
        f"{SPOOL}/ledger.py",
        (f"{TESTS}/test_spool.py", f"{TESTS}/test_queue_work.py"),
        (
            "dead copies do not count after a restart",
            "        for intake, size in rows:\n            self.add(size)\n",
            "        for intake, size in rows:\n",
        ),
        (
            "a discarded copy counts on",
            "        self.remove(self._held.pop(mid).size)\n",
            "        self._held.pop(mid)\n",
        ),
        (
            "a delivered copy counts on",
            "        self.remove(self._claimed.pop(mid).size)\n",
            "        self._claimed.pop(mid)\n",
        ),
        (
            "what is read from the file does not count meanwhile",
            "        self._reading += being_read\n",
            "",
        ),
        (
            "a moved copy is sent from memory as before",
            "                self.recall(mid)  # what is in memory is as it was before\n",
            "                pass\n",
        ),
    ),
    *planted_in(
        f"{SPOOL}/ledger.py",
        (
            f"{TESTS}/test_queue_work_under_way.py",
            f"{TESTS}/test_spool_clock.py",
            f"{TESTS}/test_spool_large.py",
        ),
        (
            "a copy that was moved is sent to its old intake",
            "return entry is not None and not entry.recalled",
            "return entry is not None",
        ),
        (
            "a time far ahead is waited for",
            "yield intake, mid, next_at if next_at <= latest else 0.0",
            "yield intake, mid, next_at",
        ),
        (
            "all that is taken stays in memory",
            "if self._recent_bytes + len(copy.content) <= RECENT_BYTES:",
            "if self._recent_bytes >= 0:",
        ),
        (
            "a dropped copy in hand counts on",
            "        else:\n            self.remove(entry.size)\n",
            "",
        ),
    ),
    *planted_in(
        f"{SPOOL}/claims.py",
        (f"{TESTS}/test_spool.py", f"{TESTS}/test_spool_damage.py"),
        (
            "a copy beyond what may be read is lost",
            "            if copy is None:\n                ledger.due.push(intake, mid, due_at)\n",
            "            if copy is None:\n                pass\n",
        ),
        (
            "a copy that can't be read now is lost",
            "                for intake, mid, due_at in taken:\n"
            "                    ledger.due.push(intake, mid, due_at)\n",
            "",
        ),
        (
            "a damaged copy is sent",
            "            elif isinstance(copy, DamagedCopy):\n"
            "                self._on_damaged(copy, intake)\n",
            "            elif isinstance(copy, DamagedCopy):\n                pass\n",
        ),
    ),
    *planted_in(
        f"{SPOOL}/due.py",
        (f"{PURE}/test_spool_due.py",),
        (
            "a copy is due a little too soon",
            "last = _pack(_MID_MASK, now)",
            "last = _pack(_MID_MASK, now + 1)",
        ),
        (
            "the first intake goes first and not the oldest copy",
            "intake = min(heaps, key=lambda name: heaps[name][0])",
            "intake = next(iter(heaps))",
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
            "time begins anew at each start",
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
        (
            f"{TESTS}/test_slow_disk.py",
            f"{TESTS}/test_spool_opening.py",
            f"{TESTS}/test_spool_damage.py",
        ),
        (
            "numbers of messages are not reserved",
            "        self._file.folder.reserve(group.highest_mid)\n",
            "",
        ),
        (
            "marks are lost while the disk fails",
            "        self._unwritten.keep_marks(group.batch, REFUSED)\n",
            "",
        ),
        (
            "each mail waits for a slow disk",
            "            self._post_fault(SLOW_DISK)\n",
            "",
        ),
        (
            "a process that was stopped blames its disk",
            "return 0.0 if since is None else monotonic() - max(since, self._awake.woke_at)",
            "return 0.0 if since is None else monotonic() - since",
        ),
        (
            "a busy disk has the same time for any group",
            "end = group.expires_at + group.held_bytes / SOUND_RATE",
            "end = group.expires_at",
        ),
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
            "the spool's folder is for all to read",
            "path.mkdir(mode=0o700)\n    path.chmod(0o700)",
            "path.mkdir(mode=0o755)\n    path.chmod(0o755)",
        ),
        (
            "a folder above has the mode of the umask",
            "    path.mkdir(mode=0o755)\n    path.chmod(0o755)\n",
            "    path.mkdir(mode=0o755)\n",
        ),
        (
            "a folder of others is taken",
            "            elif _is_foreign(path):\n",
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
    *planted_in(
        f"{SPOOL}/intake_book.py",
        (
            f"{TESTS}/test_intake_book.py",
            "tests/deliver/test_own_intake.py::test_an_unknown_intake_gets_the_safest_facts_"
            "and_a_warning",
        ),
        (
            "an unknown intake may be anywhere",
            "return Intake(address, (USE_DNS,), False,",
            "return Intake(address, (USE_DNS,), True,",
        ),
        (
            "what copies need is forgotten",
            "idle = [address for address in self._last_known if address not in needed]",
            "idle = list(self._last_known)",
        ),
        (
            "an intake is as it was once and not as it is",
            "known = self._in_force.get(address) or self._last_known.get(address)",
            "known = self._last_known.get(address) or self._in_force.get(address)",
        ),
    ),
    *planted_in(
        f"{SPOOL}/orders.py",
        (f"{TESTS}/test_queue_work.py", f"{TESTS}/test_queue_work_under_way.py"),
        (
            "an order is done as often as it is sent",
            "            if done is not None:\n                return done\n",
            "",
        ),
        (
            "a part of an order passes for the whole",
            'done = self._mark(change, part, order_id if last else "", now, total)',
            "done = self._mark(change, part, order_id, now, total)",
        ),
    ),
)
