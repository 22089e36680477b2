"""Faults in what manager and agent say to each other, and in who may say it."""

from __future__ import annotations

from tests.mutants.values import planted_in

SYNC = "shared/tdc/shared/sync"
AGENT = "node_agent/tdc/node_agent/sync"
PURE = ("tests/pure/test_stream_state.py",)
REMOVED = ("tests/sync/test_removed_machine.py",)

MUTANTS = (
    *planted_in(
        f"{SYNC}/acceptance.py",
        PURE,
        ("a torn message runs", "    if missing:\n", "    if len(missing) == len(SCHEMA):\n"),
        ("a wrong hash runs", "if found != wanted.hash:", "if not found:"),
        ("an older revision runs", "wanted.revision < running.revision:", "wanted.revision < 0:"),
        (
            "revisions of other stores are compared",
            "if wanted.store_id == running.store_id and wanted.revision",
            "if wanted.revision",
        ),
        ("revision 0 runs", "if wanted.revision < 1:", "if wanted.revision < 0:"),
        ("what can't be read runs", "    if wanted.fault:\n", "    if wanted.fault is None:\n"),
    ),
    *planted_in(
        f"{SYNC}/acceptance.py",
        REMOVED,
        (
            "an older state of the store removes a machine",
            "removed.revision <= running.revision\n",
            "removed.revision < running.revision\n",
        ),
        (
            "a store that was left removes a machine",
            "    left = removed.store_id in running.left\n",
            "    left = False\n",
        ),
    ),
    *planted_in(
        f"{AGENT}/removal.py",
        REMOVED,
        (
            "a revision of before the removal ends it",
            "wanted.revision > self.revision\n",
            "wanted.revision >= self.revision\n",
        ),
        (
            "the removal outlives its store",
            "return wanted.store_id != self.store_id or ",
            "return ",
        ),
    ),
    *planted_in(
        f"{AGENT}/apply.py",
        REMOVED,
        (
            "any welcome ends a removal",
            "        if self.removal.why and self.removal.enrolment != self.enrolment:\n",
            "        if self.removal.why:\n",
        ),
        (
            "a removal outlives the enrolment",
            "        if self.removal.why and self.removal.enrolment != self.enrolment:\n",
            "        if self.removal.why and not self.enrolment:\n",
        ),
    ),
    *planted_in(
        f"{SYNC}/manager_half.py",
        PURE,
        (
            "what runs is offered again",
            "if state.running.hash == target.hash or _was_refused",
            "if _was_refused",
        ),
        (
            "what was refused is offered again",
            "if state.running.hash == target.hash or _was_refused(state, target):",
            "if state.running.hash == target.hash:",
        ),
        (
            "two offers are under way",
            "if state.phase is not Phase.IDLE or target is None:",
            "if target is None:",
        ),
        (
            "an outcome is awaited for ever",
            "state.phase is Phase.BUSY and now >= state.outcome_by",
            "False and now >= state.outcome_by",
        ),
        (
            "silence is not noticed",
            "    if now >= state.heard_at + state.intervals.deadline:\n"
            "        return _manager_close(",
            "    if now < 0:\n        return _manager_close(",
        ),
        (
            "a refusal for age lasts for ever",
            "return not (too_old and target.revision >= running.revision)",
            "return True",
        ),
        (
            "an agent that says applied and lies is flooded",
            "if target == state.last_offer and now < state.offer_again_at:",
            "if target == state.last_offer and now < 0:",
        ),
        (
            "a status without an attempt undoes a refusal",
            "attempt = event.last_attempt or state.last_attempt",
            "attempt = event.last_attempt",
        ),
    ),
    *planted_in(
        f"{SYNC}/agent_half.py",
        PURE,
        (
            "what is objected to is applied",
            "    if refuses:\n        return busy",
            "    if not busy:\n        return busy",
        ),
        (
            "a backlog: the first one wins",
            "return replace(state, next=wanted), ()",
            "return replace(state, next=state.next or wanted), ()",
        ),
        (
            "silence is not noticed",
            "    if now >= state.heard_at + state.intervals.deadline:\n"
            "        return _agent_close(",
            "    if now < 0:\n        return _agent_close(",
        ),
        ("a failure is not tried again", "if event.again and after is None:", "if False:"),
    ),
    *planted_in(
        f"{SYNC}/agent_half.py",
        PURE,
        ("a fork is never left", "now < state.leave_at:", "True:"),
        (
            "a manager that is refused is left before it can ask what runs",
            "    return max(state.leave_at, now + ASKED_WITHIN)\n",
            "    return state.leave_at\n",
        ),
        (
            "a manager that is left does not learn why",
            "    said = effects if SayStatus() in effects else (*effects, SayStatus())",
            "    said = effects",
        ),
    ),
    *planted_in(
        "node_agent/tdc/node_agent/sync/choice.py",
        ("tests/pure/test_choice.py",),
        ("an agent flaps", "AVOID_FIRST * 2.0 **", "0.0 * 2.0 **"),
        ("a refused manager comes first", "found = good or again", "found = again or good"),
        ("a refused manager is avoided for ever", "now < self.avoided[address].until", "True"),
        ("an agent stays with a fork", "            return now\n", "            return math.inf\n"),
    ),
    *planted_in(
        "manager/tdc/manager/view/presence.py",
        ("tests/manager/test_presence.py",),
        (
            "a clock set back hides a machine",
            "self._steady() - moment.at",
            "self._clock() - moment.wall",
        ),
        (
            "a fork is in sync",
            "        if seen.refuses:\n            return SyncState.REJECTED",
            "        if not seen:\n            return SyncState.REJECTED",
        ),
        (
            "a machine that just enrolled is away since the manager's start",
            "Seen(since=self._enrolled.get(key, self._started))",
            "Seen(since=self._started)",
        ),
        (
            "coming back to look begins the time again",
            "seen.refused_since or seen.heard",
            "seen.heard",
        ),
    ),
    *planted_in(
        "shared/tdc/shared/edge/awake.py",
        ("tests/manager/test_presence.py",),
        ("a stopped manager loses its machines", ", LONGEST_STEP)", ", 1e9)"),
    ),
    *planted_in(
        "node_agent/tdc/node_agent/deliver/facts.py",
        ("tests/pure/test_delivery_facts.py",),
        (
            "a hold of nothing is shown",
            "        if one.intake in in_force\n",
            "        if one.intake\n",
        ),
        (
            "a hold in force is hidden",
            "        if one.intake in in_force\n",
            "        if not one.intake\n",
        ),
    ),
    *planted_in(
        "node_agent/tdc/node_agent/sync/renewal.py",
        ("tests/sync/test_renewal.py",),
        (
            "a new enrolment is not noticed",
            "if held.certificate_pem != self._failed:",
            "if not held:",
        ),
    ),
    *planted_in(
        f"{SYNC}/identity.py",
        PURE,
        ("one identity has two spellings", "if identity_uri(peer) != uri:", "if False:"),
        ("names may hold separators", 'quote(part, safe="")', 'quote(part, safe="/")'),
    ),
    *planted_in(
        "shared/tdc/shared/edge/durable_file.py",
        ("tests/sync/test_durable_file.py",),
        (
            "the content is not synced",
            "        os.fsync(descriptor)\n\n\ndef _sync",
            "\n\ndef _sync",
        ),
        (
            "the name is not synced",
            "        _sync_folder(path.parent)\n    except OSError as error:\n"
            "        raise NotWritten(f\"{path} can't be written",
            "    except OSError as error:\n        raise NotWritten(f\"{path} can't be written",
        ),
        ("damage is not noticed", "    if head != _HEAD", "    if not head and head != _HEAD"),
    ),
    *planted_in(
        "node_agent/tdc/node_agent/journal/loop.py",
        ("tests/pure/test_journal_loop.py",),
        (
            "anybody's line is ours",
            "hmac.compare_digest(line.proof, signed(line.report_id, key).proof)",
            "bool(line.proof)",
        ),
        ("the key is printed", "loop_key: bytes = field(repr=False)", "loop_key: bytes"),
    ),
    *planted_in(
        f"{AGENT}/renewal.py",
        ("tests/sync/test_renewal.py",),
        (
            "a new name waits for half life",
            "self._called != (held.cluster, held.machine):\n            return 0.0\n",
            "self._called != (held.cluster, held.machine):\n            pass\n",
        ),
        (
            "a manager that knows only the old name is asked without end",
            '        self._called = ("", "")\n        if renewed.cluster',
            "        if renewed.cluster",
        ),
    ),
)
