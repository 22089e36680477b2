"""Faults in the CA: its files, its rotation, a manager's own certificates, withdrawals."""

from __future__ import annotations

from tests.mutants.values import planted_in

MANAGER = "manager/tdc/manager"
RECORD = ("tests/manager/test_ca_record.py",)
OWN = ("tests/manager/test_own_certificates.py",)
STANDING = ("tests/pure/test_ca_standing.py",)
IN_ETCD = ("tests/contract/test_ca_in_etcd.py",)
RENEWAL = ("tests/sync/test_renewal.py",)
CUT_OFF = ("tests/system/test_ca_cut_off.py::test_a_manager_that_is_cut_off_makes_no_certificate",)
WITHDRAWN = ("tests/manager/test_withdrawn.py",)

MUTANTS = (
    *planted_in(
        f"{MANAGER}/identity/ca_folder.py",
        ("tests/sync/test_identity.py",),
        (
            "the CA's key is for all to read",
            "durable_file.write(folder / KEY, pair.key.encode())",
            "durable_file.write(folder / KEY, pair.key.encode(), mode=durable_file.READABLE)",
        ),
        (
            "a second CA cuts off every machine",
            "    if exists(folder):\n        raise AuthorityExists",
            "    if not folder:\n        raise AuthorityExists",
        ),
    ),
    *planted_in(
        f"{MANAGER}/identity/ca_state.py",
        ("tests/pure/test_ca_state.py",),
        (
            "the old CA goes before the new one signs",
            "    _require(state, Phase.SWITCHED)\n    return replace(_step(state, Phase.SETTLED",
            "    return replace(_step(state, Phase.SETTLED",
        ),
        (
            "two states have one number",
            "phase=phase, number=state.number + 1, since=now",
            "phase=phase, number=state.number, since=now",
        ),
    ),
    *planted_in(
        f"{MANAGER}/identity/ca_record.py",
        RECORD,
        (
            "who writes etcd makes managers trust his CA",
            "        if not all(hmac.compare_digest(",
            "        if mine is None and not all(hmac.compare_digest(",
        ),
        (
            "a key is in etcd as it is",
            "for by, other in authorities.items()\n            if by != name",
            "for by, other in authorities.items()\n            if by == name",
        ),
    ),
    *planted_in(
        f"{MANAGER}/identity/authorities.py",
        OWN,
        (
            "who trusts the old CA alone is lost at the switch",
            "if self._state.phase is Phase.SWITCHED else ()",
            "if self._state.phase is Phase.PREPARED else ()",
        ),
        (
            "a join token is not good any more once a switch was undone",
            "        if self._switched_back:\n",
            "        if self.replaced:\n",
        ),
        (
            "clients follow the CA, and not the bridge",
            'return "".join(bridges).encode() + roots',
            'return roots + "".join(bridges).encode()',
        ),
    ),
    *planted_in(
        f"{MANAGER}/identity/own.py",
        OWN,
        (
            "a certificate is renewed when it has ended",
            "(self.ends - self._made_at) / 2 - now",
            "(self.ends - self._made_at) * 2 - now",
        ),
        (
            "a new CA waits for the next renewal",
            "        authorities.on_change(self._make_again)\n",
            "",
        ),
    ),
    *planted_in(
        f"{MANAGER}/rpc/entry.py",
        OWN,
        (
            "a connection outlives the CA that it came by",
            "        if not self._door.trusts(peer):",
            "        if self._door.trusts(peer) is None:",
        ),
    ),
    *planted_in(
        f"{MANAGER}/rotation/standing.py",
        STANDING,
        (
            "a machine that nobody saw is taken for ready",
            "        if not each.issuer and expired:\n",
            "        if not each.issuer:\n",
        ),
        (
            "an operator who has moved on is waited for",
            " and each.operator not in moved",
            "",
        ),
        (
            "a manager that is silent is taken for ready",
            "if each.silent or each.late or each.step < step",
            "if each.late or each.step < step",
        ),
        (
            "a manager that is cut off is taken for ready",
            "if each.silent or each.late or each.step < step",
            "if each.silent or each.step < step",
        ),
        (
            "where no manager runs all are taken for ready",
            "    if not managers:\n        return (",
            "    if managers is None:\n        return (",
        ),
    ),
    *planted_in(
        f"{MANAGER}/doctor/look.py",
        (
            "tests/manager/test_doctor.py::test_a_ca_that_was_replaced_without_this_manager_is_named",
        ),
        (
            "a folder in which no manager starts is healthy",
            "values = [*await _authority(etcd, ca_folder), *(",
            "values = [*(",
        ),
    ),
    *planted_in(
        f"{MANAGER}/peers/peers.py",
        ("tests/manager/test_peers_clocks.py",),
        (
            "a clock that is another is named nowhere",
            "if abs(peer.clock_ahead) > _CLOCKS_APART and",
            "if peer.clock_ahead is None and",
        ),
    ),
    *planted_in(
        f"{MANAGER}/view/fleet.py",
        (
            "tests/manager/test_monitoring.py"
            "::test_a_commit_does_not_make_a_machine_look_newly_enrolled",
        ),
        (
            "each commit makes machines look newly enrolled",
            "        self._notify(changed)\n",
            "        self._notify_enrolled(changed)\n",
        ),
    ),
    *planted_in(
        f"{MANAGER}/rpc/agents.py",
        CUT_OFF,
        (
            "a manager that is cut off takes machines back to the CA of before",
            "        await require(self._unsure)\n",
            "",
        ),
    ),
    *planted_in(
        f"{MANAGER}/services.py",
        CUT_OFF,
        (
            "a manager that is cut off uses up a join token",
            "        await require(self._rotation.unsure)\n",
            "",
        ),
    ),
    *planted_in(
        f"{MANAGER}/rotation/look.py",
        IN_ETCD,
        (
            "a step waits for the certificates of a user who was deleted",
            "for each in view.people.certificates_now",
            "for each in view.people.certificates.values()",
        ),
    ),
    *planted_in(
        f"{MANAGER}/rotation/follow.py",
        IN_ETCD,
        (
            "a store that was set back takes a manager back",
            "said.number > known.number:",
            "said.number != known.number:",
        ),
        (
            "a manager without any of the CAs starts",
            "            self._refused = error\n",
            "",
        ),
        (
            "a manager whose CA was dropped serves on",
            "            if error.follows:\n",
            "            if error.follows is None:\n",
        ),
        (
            "who only writes etcd ends every manager",
            "            if error.follows:\n",
            "            if True:\n",
        ),
    ),
    *planted_in(
        f"{MANAGER}/identity/authority.py",
        RECORD,
        (
            "who has a machine proves that a CA of his is the next one",
            "    return usage.ca\n",
            "    return True\n",
        ),
    ),
    *planted_in(
        f"{MANAGER}/identity/authorities.py",
        IN_ETCD,
        (
            "a certificate by a CA that was dropped counts until the manager has ended",
            "frozenset(() if self.replaced else (",
            "frozenset((",
        ),
    ),
    *planted_in(
        f"{MANAGER}/rotation/reseal.py",
        IN_ETCD,
        (
            "codes stay sealed by the CA that goes",
            "if not user.second_factor or _opens(signing, user)",
            "if not user.second_factor or _opens(either, user)",
        ),
    ),
    *planted_in(
        "node_agent/tdc/node_agent/sync/renewal.py",
        RENEWAL,
        (
            "a machine goes on with the CA that it had",
            "trusted = answer.ca_pem.encode() or held.ca_pem",
            "trusted = held.ca_pem",
        ),
        (
            "a fleet renews at once",
            "self._steady() + self._chance() * trust.spread",
            "self._steady()",
        ),
    ),
    *planted_in(
        f"{MANAGER}/view/enrolments.py",
        WITHDRAWN,
        (
            "a withdrawal is shown as an enrolment",
            "if known is None or known.withdrawn is not None or",
            "if known is None or",
        ),
    ),
    *planted_in(
        f"{MANAGER}/people/ending.py",
        STANDING,
        (
            "who has moved on is warned",
            "if known is None or (each.ends or 0.0) > (known.ends or 0.0):",
            "if known is None or (each.ends or 0.0) < (known.ends or 0.0):",
        ),
    ),
)
