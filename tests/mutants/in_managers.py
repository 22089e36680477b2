"""Faults among several managers: who is there, who is asked, who does what one alone must do."""

from __future__ import annotations

from tests.mutants.values import planted_in

STORE = "manager/tdc/manager/store"
PEERS = "manager/tdc/manager/peers"
OWNERSHIP = "tests/contract/test_ownership.py"
MANAGERS = "tests/manager/test_managers.py"
OUTAGES = "tests/manager/test_outages.py"
ELSEWHERE = "tests/manager/test_elsewhere.py"

CUT_OFF = "tests/manager/test_cut_off.py"
NAMED = f"{CUT_OFF}::test_one_that_is_cut_off_is_named_and_its_machines_wait_for_nothing"
COPIED = "tests/manager/test_copied_folder.py"

MUTANTS = (
    *planted_in(
        "manager/tdc/manager/view/etcd_link.py",
        (
            f"{CUT_OFF}::test_nobody_is_sent_away_for_an_etcd_that_another_manager_saw_come_back_first",
        ),
        (
            "an etcd that has just come back for another manager moves agents",
            "each.reached_for(now) >= SURELY_CUT",
            "each.reached_for(now) > 0",
        ),
    ),
    *planted_in(
        "manager/tdc/manager/view/presence.py",
        (NAMED,),
        (
            "an update is in progress at a manager that hears of no commit",
            'cut_off = self._elsewhere.cut_off(key) if seen.manager else ""',
            'cut_off = ""',
        ),
    ),
    *planted_in(
        f"{PEERS}/cut_off.py",
        (NAMED,),
        (
            "a manager that is cut off does not say that it is there",
            "await peers.facts(asking=own())",
            "await peers.facts()",
        ),
    ),
    *planted_in(
        "manager/tdc/manager/push/agents.py",
        (f"{CUT_OFF}::test_its_agents_go_to_another_that_has_etcd",),
        (
            "who reaches no other manager is sent away again and again",
            "            if key not in self._sent:\n",
            "            if True:\n",
        ),
    ),
    *planted_in(
        "manager/tdc/manager/intent/managers.py",
        (f"{MANAGERS}::test_a_frozen_etcd_is_named_in_time",),
        (
            "a frozen etcd is waited for without end",
            "            async with asyncio.timeout(ETCD_PATIENCE):\n                return",
            "            async with asyncio.timeout(None):\n                return",
        ),
    ),
    *planted_in(
        "manager/tdc/manager/membership.py",
        (
            f"{COPIED}::test_a_manager_that_finds_its_id_taken_writes_over_nothing_and_takes_another",
        ),
        (
            "what a copy of this folder announced is written over",
            "if self._of_another(item) is not None:",
            "if False:",
        ),
        (
            "two managers go on with one id",
            "                raise IdTaken(other)",
            "                pass",
        ),
    ),
    *planted_in(
        f"{STORE}/ownership.py",
        (OWNERSHIP,),
        (
            "who has a lease that may be over still owns",
            "self._written and self._with and self._with == self._lease.id",
            "self._written and self._with",
        ),
    ),
    *planted_in(
        f"{STORE}/maintenance.py",
        (OWNERSHIP,),
        (
            "each manager does every round",
            "if fence is None and self._ownership is not None and not self._ownership.unowned:",
            "if False:",
        ),
        (
            "a full store is not maintained",
            "if error.reason is not Reason.NO_SPACE:\n                raise\n            if 0 <=",
            "if error.reason is Reason.NO_SPACE:\n                raise\n            if 0 <=",
        ),
    ),
    *planted_in(
        f"{STORE}/lease.py",
        (f"{OWNERSHIP}::test_one_owns_and_another_at_once_when_it_stops",),
        (
            "a manager that stops keeps what it owns until its lease is over",
            "                await self._revoke(lease)",
            "                pass",
        ),
    ),
    *planted_in(
        f"{PEERS}/peers.py",
        (f"{MANAGERS}::test_a_manager_that_is_killed_is_named_and_gone_within_seconds",),
        (
            "what a manager said that does not answer any more is believed",
            "replace(seen, connected=False) if peer.silent else seen",
            "seen",
        ),
        (
            "a manager that is gone is named for ever",
            "if manager not in announced and peer.failed:",
            "if False:",
        ),
    ),
    *planted_in(
        "manager/tdc/manager/view/presence.py",
        (ELSEWHERE,),
        (
            "what is said of another machine of the name counts",
            'if there is not None and there.enrolment != (self._fleet.enrolment(*key) or ""):',
            "if False:",
        ),
        (
            "what machines elsewhere run is not compared with the store",
            "                self.ahead.heard(key, seen.running, seen.known)",
            "                pass",
        ),
    ),
    *planted_in(
        "manager/tdc/manager/view/presence.py",
        (ELSEWHERE,),
        (
            "another manager's word of a machine is marked and passed on as our own",
            "if seen.manager:\n            return seen, state, reason,",
            "if False:\n            return seen, state, reason,",
        ),
        (
            "a commit does not begin a state of machines elsewhere",
            "                self._judged.wanted(key, self._now())\n",
            "",
        ),
    ),
    *planted_in(
        "manager/tdc/manager/view/judged.py",
        (ELSEWHERE,),
        (
            "since when a machine elsewhere is out of sync begins again with each answer",
            "elif kept is not None and kept.state is state and kept.since.at >= seen.since.at:",
            "elif False:",
        ),
        (
            "what a machine was before it was in sync still counts",
            "kept.since.at >= seen.since.at:",
            "True:",
        ),
    ),
    *planted_in(
        "manager/tdc/manager/cli/recover.py",
        ("tests/cli/test_recover.py",),
        (
            "adopt is the next step though machines are not known",
            "    if found.unknown:\n        raise",
            "    if False:\n        raise",
        ),
    ),
    *planted_in(
        "manager/tdc/manager/peers/streams.py",
        (ELSEWHERE,),
        (
            "what machines elsewhere run is not asked for",
            "        found = await self._peers.ask_settings(key, known, timeout)\n",
            "        found = await self._own.ask_settings(key, timeout)\n",
        ),
    ),
    *planted_in(
        "manager/tdc/manager/intent/settings.py",
        (f"{OUTAGES}::test_while_etcd_is_away_reads_are_served_and_writes_refused_at_once",),
        (
            "a check of settings does not say that it is last known",
            "return Checked(found, findings, (*problems, *self._presence.problems))",
            "return Checked(found, findings, self._presence.problems)",
        ),
    ),
    *planted_in(
        "manager/tdc/manager/push/strangers.py",
        ("tests/manager/test_recovery.py",),
        (
            "a machine that was just enrolled again is another one",
            "        if self.last - self.replaced_since < AGAIN:\n",
            "        if False:\n",
        ),
        (
            "one whose name another machine has is taken for it",
            "        return Stranger(*key, self.address, replaced=True)\n",
            "        return Stranger(*key, self.address, replaced=False)\n",
        ),
    ),
    *planted_in(
        "manager/tdc/manager/intent/recovery.py",
        (ELSEWHERE,),
        (
            "a machine that left is not asked for where it was seen",
            "        asked.groups.setdefault((running.hash, facts.known), []).append(name)\n",
            "        asked.groups.setdefault((running.hash, facts.known), [])\n",
        ),
        (
            "a machine that knocks with a lost enrolment is forgotten",
            "            if any((each.cluster, each.machine) == key for each in",
            "            if any(False for each in",
        ),
    ),
    *planted_in(
        f"{STORE}/audit_trim.py",
        ("tests/contract/test_audit.py",),
        (
            "who lost the work goes on trimming the audit log",
            "[*fence, Unchanged(AUDIT_ANCHOR",
            "[Unchanged(AUDIT_ANCHOR",
        ),
    ),
    *planted_in(
        f"{STORE}/maintenance.py",
        ("tests/contract/test_audit.py",),
        (
            "the audit log keeps a full store from being maintained",
            "_fence)\n        except EtcdRefused as error:\n            if error.reason is not",
            "_fence)\n        except EtcdRefused as error:\n            if error.reason is",
        ),
    ),
    *planted_in(
        "manager/tdc/manager/backup/restore.py",
        ("tests/contract/test_backup.py",),
        (
            "what speaks of a manager that is not there is restored",
            "if each.key not in gone and not each.key.startswith(OF_MANAGERS)",
            "if each.key not in gone",
        ),
    ),
)
