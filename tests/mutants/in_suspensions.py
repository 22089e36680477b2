"""Faults in what suspends a machine's work, and in what operators learn about it."""

from __future__ import annotations

from tests.mutants.values import planted_in

PURE = ("tests/pure/test_suspension.py",)
KEPT = ("tests/sync/test_suspension.py",)
API = ("tests/manager/test_suspensions.py",)
TDC = ("tests/cli/test_suspensions.py",)
AGENT = "node_agent/tdc/node_agent"
MANAGER = "manager/tdc/manager"
SYNC = "shared/tdc/shared/sync"

MUTANTS = (
    *planted_in(
        f"{SYNC}/suspension.py",
        PURE,
        (
            "one that is over lasts",
            "if seconds > 0 else None)\n    ",
            "if seconds else None)\n    ",
        ),
        (
            "what an agent ended by its time begins again",
            "    return first and any(reported",
            "    return first or any(reported",
        ),
        (
            "a manager that lags undoes a newer order",
            "wanted.suspension.number >= known.number",
            "wanted.suspension.number >= 0",
        ),
        (
            "an older agent is sent what it can't read",
            "    if reported is None:\n        return False\n",
            "    if reported is None:\n        return True\n",
        ),
    ),
    *planted_in(
        f"{MANAGER}/levels/suspensions.py",
        PURE,
        (
            "a machine has the suspension of one that had its name",
            "found.born == machine.born else None",
            "found.born >= 0 else None",
        ),
        (
            "an end that came is lifted by another order",
            "_after(known.suspension.at(order.at), ",
            "_after(known.suspension, ",
        ),
        (
            "a suspension stays with the name of a machine that has another",
            "        kept[slot] = now\n",
            "        kept[name] = now\n",
        ),
        ("a number comes twice", "max(before.number + 1, int", "max(before.number, int"),
        (
            "a resume ends all of it",
            "    for work in works:\n        now = now",
            '    for work in (works if suspend else ("copying", "delivery")):\n        now = now',
        ),
    ),
    *planted_in(
        f"{AGENT}/deliver/settle.py",
        PURE,
        (
            "copies grow old while delivery is suspended",
            "    age = acting(moment.pauses, moment",
            "    age = acting((), moment",
        ),
        (
            "hours of suspension count as hours of trying",
            "    tried = acting(moment.pauses, moment",
            "    tried = acting((), moment",
        ),
    ),
    *planted_in(
        f"{AGENT}/sync/suspension.py",
        KEPT,
        (
            "what could not be written is in force",
            "            if not await self._write(kept):\n                return\n",
            "            await self._write(kept)\n",
        ),
        (
            "another enrolment goes on with it",
            'if self._kept.enrolment not in ("", enrolment):',
            "if not enrolment:",
        ),
        (
            "the time that passed before a restart is forgotten",
            "    gone = passed(kept.reading, now)\n",
            "    gone = max(0.0, now.since_boot - kept.reading.since_boot) % 3_600\n",
        ),
        (
            "time that passed is never written",
            "late = passed(before.reading, after.reading) >= SAVE_EVERY",
            "late = False",
        ),
    ),
    *planted_in(
        f"{AGENT}/sync/suspending.py",
        KEPT,
        (
            "a store that was left suspends",
            "if wanted.store_id in in_force.running.left:",
            "if not wanted.store_id:",
        ),
    ),
    *planted_in(
        f"{AGENT}/sync/stream.py",
        KEPT,
        (
            "a removed machine stays suspended",
            '        await self._machine.suspension.end("this machine was removed")\n',
            "",
        ),
    ),
    *planted_in(
        f"{MANAGER}/push/suspensions.py",
        KEPT,
        (
            "an agent of an older protocol is sent it",
            "hello.protocol >= SUSPENSIONS",
            "hello.protocol >= 1",
        ),
    ),
    *planted_in(
        f"{MANAGER}/intent/suspensions.py",
        API,
        (
            "a request that is sent again is done again",
            "            if made is not None:\n                return stored\n",
            "",
        ),
        (
            "no machine means nothing to do",
            "        if not names:\n",
            "        if not names and asked.cluster:\n",
        ),
        (
            "a look changes something",
            "        if asked.check_only:\n            after",
            "        if asked.check_only and not asked.request_id:\n            await "
            "self._store.change(cluster.name, known, lambda it: ordered(it, order, "
            "cluster.machines, fingerprint)[0])\n            after",
        ),
    ),
    *planted_in(
        f"{MANAGER}/store/suspensions.py",
        API,
        (
            "a deleted document ends all suspensions with the next one",
            "stored if stored.number >= known.number else known",
            "stored",
        ),
    ),
    *planted_in(
        f"{SYNC}/suspension_state.py",
        API,
        (
            "what is only wanted is called suspended",
            "    there = (report.suspension if report is not None else None) or NOT_SUSPENDED\n",
            "    there = (report.suspension if report is not None else None) or wanted\n",
        ),
    ),
    *planted_in(
        f"{MANAGER}/cli/suspensions.py",
        TDC,
        (
            "it is done without a look",
            '        await confirm(f"{question}',
            '        return True\n        await confirm(f"{question}',
        ),
        (
            "only one part is meant where none is named",
            "else (True, True)",
            "else (True, False)",
        ),
    ),
    *planted_in(
        f"{AGENT}/ingest/take.py",
        ("tests/ingest/test_decisions.py",),
        (
            "copies are taken while copying is suspended",
            "            copies = ()\n",
            "",
        ),
    ),
)
