"""Faults in what the spool holds: holds, counts, claims, orders, intakes."""

from __future__ import annotations

from tests.mutants.values import planted_in

SPOOL = "node_agent/tdc/node_agent/spool"
TESTS = "tests/spool"
PURE = "tests/pure"
MAIN = f"{TESTS}/test_spool.py"
DAMAGE = f"{TESTS}/test_spool_damage.py"
SLOW = f"{TESTS}/test_slow_disk.py"
UNDER_WAY = f"{TESTS}/test_queue_work_under_way.py"
HEALS = "test_a_disk_that_refuses_writes_stops_taking_and_delivering_until_it_heals"

MUTANTS = (
    *planted_in(
        f"{SPOOL}/batch.py",
        (
            f"{SLOW}::test_a_copy_that_was_refused_never_appears",
            f"{SLOW}::test_a_copy_whose_sync_failed_never_appears",
            f"{DAMAGE}::{HEALS}",
            f"{DAMAGE}::test_marks_that_were_kept_are_written_at_the_end_at_the_latest",
        ),
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
        (f"{UNDER_WAY}::test_an_order_that_cannot_be_written_is_done_when_it_can",),
        ("an order that failed is forgotten", "        self.orders += refused.orders\n", ""),
    ),
    *planted_in(
        f"{SPOOL}/spool.py",
        (
            f"{SLOW}::test_a_copy_whose_taker_went_away_never_appears",
            f"{DAMAGE}::{HEALS}",
            f"{SLOW}::test_a_slow_disk_costs_one_wait_and_says_so_until_it_is_sound",
            f"{MAIN}::test_many_holds_at_once_do_not_pass_the_bounds",
            f"{MAIN}::test_a_released_copy_was_not_waiting_for_an_answer",
        ),
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
            f"{UNDER_WAY}::test_a_copy_in_hand_is_moved_and_its_fate_at_the_old_intake_does_not_count",
            f"{UNDER_WAY}::test_a_copy_in_hand_is_dropped_and_counts_no_more",
            f"{TESTS}/test_spool_clock.py",
            f"{PURE}/test_spool_due.py",
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
        (
            f"{MAIN}::test_a_copy_that_can_not_be_read_now_waits_on",
            f"{MAIN}::test_a_claim_reads_no_more_than_it_may",
            f"{DAMAGE}::test_a_damaged_row_is_set_aside_and_the_others_flow",
        ),
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
            "a copy that is due is put off to be hastened",
            "heap[0] = min(heap[0], _pack(heap[0] & _MID_MASK, now))",
            "heap[0] = _pack(heap[0] & _MID_MASK, now)",
        ),
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
        (
            f"{TESTS}/test_queue_work.py",
            f"{UNDER_WAY}::test_a_large_order_is_written_in_parts_and_counted_whole",
        ),
        (
            "a retry of dead copies hastens those that wait",
            "        if not selection.waiting:\n",
            "        if not (selection.waiting or selection.dead):\n",
        ),
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
