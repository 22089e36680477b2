"""Faults in the audit log: what is written, what is found, and what agents keep of it."""

from __future__ import annotations

from tests.mutants.values import planted_in

LOG = ("tests/contract/test_audit.py",)
REFUSED = ("tests/manager/test_refusals.py",)
PEOPLE = ("tests/manager/test_people_audited.py",)
SYSLOG = ("tests/manager/test_audit_syslog.py",)
STORE = "manager/tdc/manager/store"

MUTANTS = (
    *planted_in(
        "shared/tdc/shared/sync/audit.py",
        ("tests/pure/test_audit_witness.py",),
        (
            "an agent forgets what a cut log contradicts",
            "earlier=(*self.earlier, self.newest)[-MOST_EARLIER:]",
            "earlier=self.earlier",
        ),
        (
            "an agent takes an older head for the newest",
            "if head.number > self.newest.number:",
            "if head.number != self.newest.number:",
        ),
    ),
    *planted_in(
        f"{STORE}/audit.py",
        LOG,
        (
            "an entry overwrites one that is there",
            "*(Unchanged(audit_key(member.entry.number), 0) for member in batch),",
            "",
        ),
        (
            "what is written is written by a CA that was dropped",
            "                    *fenced,\n",
            "",
        ),
        (
            "a step of a rotation ends all that this manager writes",
            "            self._fenced = None\n",
            "",
        ),
        (
            "a race of the log is one of the store",
            "if _unmoved(head, position) and not taken:",
            "if not taken:",
        ),
        (
            "one that can't be done ends all that went with it",
            "        if len(batch) > 1:\n",
            "        if len(batch) > 99:\n",
        ),
    ),
    *planted_in(
        f"{STORE}/audit_check.py",
        LOG,
        (
            "an entry that follows from nothing is believed",
            "if self._chain is not None and not follows(entry, self._chain):",
            'if self._chain is None and not follows(entry, self._chain or ""):',
        ),
        (
            "a log that was cut is only shorter",
            "if head.number > max(end, verdict.trimmed.number):",
            "if head.number < verdict.trimmed.number:",
        ),
        (
            "a log that was written again is the same log",
            "if stored and stored != head.chain:",
            "if not stored and stored != head.chain:",
        ),
    ),
    *planted_in(
        f"{STORE}/audit_trim.py",
        LOG,
        (
            "what is trimmed leaves no anchor",
            "Put(AUDIT_ANCHOR, pack_mark(AUDIT_ANCHOR, end.head)),",
            "",
        ),
    ),
    *planted_in(
        "manager/tdc/manager/intent/refusals.py",
        REFUSED,
        (
            "a flood is written one by one",
            "if len(self._waiting) < _MOST_WAITING and budget.take(caller):",
            "if budget.take(caller) or True:",
        ),
        (
            "what strangers try hides what those do who are known",
            "budget = self._known if known else self._unknown",
            "budget = self._known",
        ),
        (
            "who gives another name each time has another budget each time",
            'known = by.name if by.kind != "unknown" else ""',
            "known = by.name",
        ),
    ),
    *planted_in(
        "manager/tdc/manager/syslog.py",
        SYSLOG,
        (
            "what syslog did not take is forgotten",
            "if self._dropped and self._waiting.empty():",
            "if self._dropped < 0:",
        ),
    ),
    *planted_in(
        "manager/tdc/manager/intent/login.py",
        PEOPLE,
        (
            "logins have no bound",
            "        self._acts.take(name)\n",
            "",
        ),
        (
            "a failed login is no entry",
            "            self._refused(AuditEvent(LOGIN, given, outcome=REFUSED, reason=said))\n",
            "",
        ),
        (
            "a throttled login is no entry",
            "            self._refused(AuditEvent(LOGIN, given, outcome=REFUSED, reason=why))\n",
            "",
        ),
    ),
    *planted_in(
        f"{STORE}/people.py",
        PEOPLE,
        (
            "API tokens are revoked without an entry",
            "            await self._audit.txn([], some, event)",
            "            await self._etcd.txn([], some)",
        ),
        (
            "a change of a user and its entry are two transactions",
            "            replace(event, rows=user_rows(users.get(name), after, self._of_now)),\n"
            "        )\n"
            "        if not done:",
            "            replace(event, rows=user_rows(users.get(name), after, self._of_now)),\n"
            "        )\n"
            "        await self._etcd.txn([], [Put(key, pack_user(key, after))])\n"
            "        if not done:",
        ),
    ),
    *planted_in(
        "manager/tdc/manager/intent/permissions.py",
        PEOPLE,
        (
            "the log is read by who administers a cluster",
            '"audit.list": Permission(Role.ADMINISTRATOR),',
            '"audit.list": Permission(Role.ADMINISTRATOR, Extent.CLUSTERS),',
        ),
    ),
)
