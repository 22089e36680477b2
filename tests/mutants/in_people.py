"""Faults in people: users, reach, sessions, one-time codes; and in their drafts."""

from __future__ import annotations

from tests.mutants.values import planted_in

MANAGER = "manager/tdc/manager"

MUTANTS = (
    *planted_in(
        f"{MANAGER}/intent/drafts.py",
        (
            "tests/manager/test_drafts.py",
            "tests/manager/test_reach.py",
            "tests/manager/test_users.py",
        ),
        (
            "a draft that is not shared is read by all",
            "    return draft.shared and there\n",
            "    return there\n",
        ),
        (
            "a draft of a former user is the next one's",
            "        return Draft(draft.cluster, draft.owner)\n",
            "        return draft\n",
        ),
        (
            "another one's draft can be changed",
            'if owner not in ("", actor.name) and not isinstance(change, Tidy):',
            "if False:",
        ),
        (
            "a shared draft is shown whole to who reaches a part of it",
            "    return draft.shared and there\n",
            "    return draft.shared\n",
        ),
    ),
    *planted_in(
        f"{MANAGER}/intent/user_records.py",
        ("tests/manager/test_users.py",),
        (
            "the last administrator can be deleted",
            "if had and not any(each.administers_all for each in then.values()):",
            "if False:",
        ),
    ),
    *planted_in(
        f"{MANAGER}/intent/users.py",
        ("tests/manager/test_users.py",),
        (
            "who creates a user again forgets when certificates were shut",
            "                certificates_from=since,\n",
            "",
        ),
        (
            "a certificate by a fast clock is newer than its user's end",
            "shut = certificates_shut(user, self._clock(), newest)",
            "shut = certificates_shut(user, self._clock(), 0.0)",
        ),
    ),
    *planted_in(
        f"{MANAGER}/intent/proofs.py",
        ("tests/manager/test_people_audited.py",),
        (
            "a token that is revoked many times at once is an entry each time",
            "mine = ids - self._ending",
            "mine = set(ids)",
        ),
    ),
    *planted_in(
        f"{MANAGER}/intent/permissions.py",
        ("tests/pure/test_permissions.py",),
        (
            "who has a group has its cluster's history",
            "return reach.everywhere or bool(reach.clusters)",
            "return True",
        ),
    ),
    *planted_in(
        f"{MANAGER}/intent/permissions.py",
        ("tests/manager/test_own_proofs.py",),
        (
            "an API token looks after its own user",
            "return has_role and actor.means in self.means",
            "return has_role",
        ),
        (
            "an API token makes one-time codes for its user",
            '"people.set_second_factor": Permission(Role.HELP_DESK, Extent.OWN, WHOLE_USER)',
            '"people.set_second_factor": Permission(Role.HELP_DESK, Extent.OWN)',
        ),
    ),
    *planted_in(
        f"{MANAGER}/intent/users.py",
        ("tests/manager/test_own_proofs.py",),
        (
            "a certificate of anybody sets a password over the one there is",
            "(by_certificate and known.administers_all)",
            "by_certificate",
        ),
        (
            "who has a session guesses passwords without a wait",
            "        self._throttle.tried(known.name, _HIMSELF, now)\n",
            "",
        ),
    ),
    *planted_in(
        f"{MANAGER}/store/people.py",
        ("tests/manager/test_users.py",),
        (
            "two managers each take the other administrator",
            "            [_unchanged(PEOPLE_HEAD, head), _unchanged(key, item)],\n",
            "            [_unchanged(key, item)],\n",
        ),
    ),
    *planted_in(
        f"{MANAGER}/intent/access.py",
        ("tests/manager/test_users.py",),
        (
            "a token may do what was given to it, whatever its user may now",
            "min(token.role, user.role), of_now(self._view, token.reach & user.reach)",
            "token.role, of_now(self._view, token.reach)",
        ),
        (
            "a certificate opens to the next user of its name",
            "and of_former_user(user, operator.issued):",
            "and user.deleted:",
        ),
        (
            "a withdrawn certificate is let in",
            "if known is not None and known.withdrawn is not None:",
            "if False:",
        ),
    ),
    *planted_in(
        f"{MANAGER}/people/totp.py",
        ("tests/pure/test_people.py",),
        (
            "a code is good twice",
            "if same and step > last_step and found is None:",
            "if same and found is None:",
        ),
    ),
    *planted_in(
        f"{MANAGER}/intent/within.py",
        ("tests/manager/test_reach.py",),
        (
            "an edit that can't be made tells who has a group what is beyond it",
            "    if not all(isinstance(each, SetValues | UnsetValues) for each in edits):\n",
            "    if not edits:\n",
        ),
        (
            "all machines of a cluster are shown to who has one group",
            "if each.group in groups},",
            "},",
        ),
        (
            "who has a group may change its cluster",
            "                there = False\n",
            "                there = True\n",
        ),
        (
            "who has a group may create and remove machines",
            "if not all(isinstance(each, SetValues | UnsetValues) for each in edits):",
            "if not edits:",
        ),
        (
            "what is out of reach is there",
            "if self._reach.touches(name)}",
            "}",
        ),
    ),
    *planted_in(
        f"{MANAGER}/store/drafts.py",
        ("tests/manager/test_drafts.py",),
        (
            "two terminals overwrite each other's rows",
            "self._audit.txn([compare], [write], draft_event(before",
            "self._audit.txn([], [write], draft_event(before",
        ),
    ),
)
