"""Faults in what delivery makes of a reply: whose fault it is, what dies, what goes again."""

from __future__ import annotations

from tests.mutants.values import planted_in

DELIVER = "node_agent/tdc/node_agent/deliver"
PURE = "tests/pure"

MUTANTS = (
    *planted_in(
        f"{DELIVER}/hosts.py",
        (f"{PURE}/test_hosts.py",),
        (
            "a probe tries one host",
            "        if now < probe_at:\n",
            "        if True:\n",
        ),
        (
            "a probe never has tried all hosts",
            "any(self._failed_at(one) < probe_at for one in others)",
            "any(self._failed_at(one) <= now for one in others)",
        ),
    ),
    *planted_in(
        f"{DELIVER}/destination.py",
        ("tests/deliver/test_hosts.py::test_each_probe_tries_all_hosts_before_the_next_one_waits",),
        (
            "a probe does not say when it was due",
            "probe_at = math.inf if self.hold is None else self.hold.next_probe",
            "probe_at = math.inf",
        ),
    ),
    *planted_in(
        f"{DELIVER}/destination.py",
        ("tests/deliver/test_probes.py",),
        ("a probe ends where it broke", "            self.probed = None\n", ""),
    ),
    *planted_in(
        f"{DELIVER}/retry.py",
        ("tests/deliver/test_probes.py", "tests/pure/test_settle.py"),
        (
            "a copy that is due waits for the probe that is planned",
            "next_probe=min(at, due)",
            "next_probe=at",
        ),
        (
            "a probe that was asked for puts the planned one off",
            "    if planned is not None and planned > now:\n",
            "    if planned is not None and planned > now + 1e9:\n",
        ),
    ),
    *planted_in(
        f"{DELIVER}/scheduler.py",
        ("tests/deliver/test_probes.py",),
        (
            "a probe waits until a copy is due",
            "if one.ready or self._spool.hasten(one.intake):",
            "if one.ready:",
        ),
        (
            "a hold whose probe judged nothing is not probed again",
            "            elif not one.ready and (wait := self._due_in(one.intake)) > 0:\n",
            "            elif (wait := self._due_in(one.intake)) > 1e9:\n",
        ),
        (
            "a probe has a copy due again and again",
            "            if one.hold != one.probed:\n",
            "            if one.hold is not None:\n",
        ),
    ),
    *planted_in(
        f"{DELIVER}/reply_table.py",
        (f"{PURE}/test_reply_table.py", f"{PURE}/test_trouble.py"),
        (
            "a reply to STARTTLS is read like any other",
            '    Row((Stage.STARTTLS,), _ANY_CODE, _ANY_TOPIC, About.HOST, "TLS Error"),\n',
            "",
        ),
        (
            "a full mailbox is a message too large",
            '("552",), _NO_TOPIC, About.SIZE',
            '("552",), _ANY_TOPIC, About.SIZE',
        ),
        (
            "any refusal of the content is the message's fault",
            '_DOT, ("550", "554"), _NO_TOPIC, About.MESSAGE',
            '_DOT, ("5",), _ANY_TOPIC, About.MESSAGE',
        ),
        (
            "504 is not about a command",
            '("50", "455", "555"), _ANY_TOPIC',
            '("500", "455", "555"), _ANY_TOPIC',
        ),
        (
            "greylisting is asked again at once",
            'About.INTAKE, "Intake Deferred",\n        at_least=GREYLIST_WAIT),\n'
            '    Row(_ANY_STAGE, ("4",), _ANY_TOPIC',
            'About.INTAKE, "Intake Deferred"),\n    Row(_ANY_STAGE, ("4",), _ANY_TOPIC',
        ),
        (
            "an enhanced code says nothing by its subject",
            "return {match[1], match[2]} if match",
            "return {match[1]} if match",
        ),
    ),
    *planted_in(
        f"{DELIVER}/trouble.py",
        (f"{PURE}/test_trouble.py",),
        (
            "a 4yz can kill",
            "Verdict.REFUSED if reply.permanent",
            "Verdict.REFUSED if reply.refused",
        ),
        (
            "a limit of any size is believed",
            "limit is not None and LEAST_LIMIT <= limit < size",
            "limit is not None and limit < size",
        ),
        (
            "a lost reply to the final dot repeats nothing",
            "._replace(maybe_duplicate=trouble.may_be_taken)",
            "",
        ),
        (
            "a fault in the content is the host's",
            "if trouble.may_be_taken or trouble.stage in (Stage.CONTENT, Stage.DOT):",
            "if trouble.may_be_taken:",
        ),
        (
            "a host that always hangs up is asked for ever",
            " and trouble.sent_again < MAX_AGAIN",
            "",
        ),
        (
            "the form in base64 goes again and again",
            "case About.FORM if not trouble.sent.encoded:",
            "case About.FORM:",
        ),
        (
            "BDAT goes on where it was refused",
            "return used & {Extension.CHUNKING}",
            "return used & {Extension.SIZE}",
        ),
        (
            "all parameters of MAIL are left out at once",
            "            return frozenset({Extension.SIZE})",
            "            return used",
        ),
    ),
    *planted_in(
        "node_agent/tdc/node_agent/smtp/replies.py",
        (f"{PURE}/test_trouble.py", f"{PURE}/test_dialogue.py", "tests/ingest/test_replies.py"),
        ("a 3yz is a delivery", "return 200 <= self.code <= 299", "return 200 <= self.code <= 399"),
        (
            "the lines of one reply may have several codes",
            "if line[:3] != self._begun[0][:3]:",
            "if line[:1] != self._begun[0][:1]:",
        ),
        ("a reply may never end", "if len(self._begun) >= MAX_LINES:", "if not self._begun:"),
        (
            "a line of a reply has no bound",
            "start += len(line)\n            if len(line) > self._limit:",
            "start += len(line)\n            if not line:",
        ),
        (
            "a line that begins and never ends is kept",
            'raise ProtocolFault(f"{line[:80]!r} is not an SMTP reply")\n'
            "        if len(line) > self._limit:",
            'raise ProtocolFault(f"{line[:80]!r} is not an SMTP reply")\n        if not line:',
        ),
    ),
    *planted_in(
        f"{DELIVER}/evidence.py",
        (f"{PURE}/test_evidence.py", f"{PURE}/test_settle.py"),
        ("the first refusal kills", "before.tries + 1 >= DEAD_AFTER and ", ""),
        ("refusals within a minute kill", " and now - before.first >= DEAD_WITHIN", ""),
        (
            "a copy dies though nothing is delivered",
            "return enough and before.others_passed",
            "return enough",
        ),
        (
            "a full intake may refuse twenty in a row",
            "in_a_row < FEW_IN_A_ROW",
            "in_a_row < MANY_IN_A_ROW",
        ),
        (
            "a hold ends at the next refusal",
            "alone = others_pass and not on_hold and",
            "alone = others_pass and",
        ),
        (
            "an intake that refuses everything is never held",
            "if in_a_row >= MANY_IN_A_ROW:",
            "if in_a_row >= 100 * MANY_IN_A_ROW:",
        ),
    ),
    *planted_in(
        f"{DELIVER}/record.py",
        (f"{PURE}/test_evidence.py",),
        (
            "what a run of refusals proved stands",
            "        for mid in self._run:\n            self._failed.pop(mid, None)\n",
            "",
        ),
        (
            "what died in a run stays dead",
            "died, self._died = self._died, []",
            "died: list[int] = []",
        ),
        ("what failed is remembered without bound", "        _bound(self._failed)\n", ""),
        ("the alarm is raised at each refusal", "        self._warned = True\n", ""),
    ),
    *planted_in(
        f"{DELIVER}/settle.py",
        (f"{PURE}/test_settle.py",),
        (
            "the age alone kills a copy",
            "if dies and is_proven(attempt.failures, attempt.failures.first + tried):",
            "if dies and (over or is_proven(attempt.failures, attempt.failures.first + tried)):",
        ),
        (
            "one hold raises many alarms",
            "    if before is None:\n        effects.append(HoldDestination",
            "    if hold is not None:\n        effects.append(HoldDestination",
        ),
        (
            "an attempt of before lengthens a hold",
            "if before is not None and now < before.next_probe:",
            "if before is not None and now < 0:",
        ),
        (
            "a busy intake keeps all its connections",
            "half = max(1, min(standing.allowed, standing.connections) // 2)",
            "half = max(1, min(standing.allowed, standing.connections))",
        ),
        (
            "a delivery does not end the hold",
            "    if standing.hold is not None:\n        effects.append(ReleaseHold())\n",
            "",
        ),
        (
            "a stop puts destinations on hold",
            "    if standing.stopping:\n        return ()\n",
            "",
        ),
        (
            "the wait of greylisting is cut short",
            "next_probe=max(at, now + outcome.at_least)",
            "next_probe=at",
        ),
        (
            "an idle connection that ends teaches a limit",
            "limit = () if attempt.was_idle else ended(",
            "limit = ended(",
        ),
        (
            "a further connection that fails holds the destination",
            "    if working:\n",
            "    if working > 100:\n",
        ),
        (
            "copies in hand pass by a hold",
            "return standing.stopping or standing.hold is not None",
            "return standing.stopping",
        ),
        (
            "what may have arrived is not counted",
            "return (CountMaybeDuplicate(),) if awaits_reply else ()",
            "return ()",
        ),
    ),
    *planted_in(
        f"{DELIVER}/retry.py",
        (f"{PURE}/test_retry.py",),
        (
            "a wait is longer than its maximum",
            "high = min(float(settings.maximum), middle * (1 + _SPREAD))",
            "high = middle * (1 + _SPREAD)",
        ),
        (
            "nothing is tried at the end of a lifetime",
            "return min(wait, left) if left > 0 else wait",
            "return wait",
        ),
        (
            "waits do not grow",
            "doublings = min(max(failures, 1) - 1, _MAX_DOUBLINGS)",
            "doublings = 0",
        ),
    ),
    *planted_in(
        f"{DELIVER}/retry.py",
        (f"{PURE}/test_evidence.py", f"{PURE}/test_settle.py"),
        ("a lifetime never ends", "return age >= settings.lifetime", "return False"),
    ),
    *planted_in(
        f"{DELIVER}/assign.py",
        (f"{PURE}/test_assign.py",),
        (
            "a hold is probed at once",
            "if limits.probe_at is not None and now < limits.probe_at:",
            "if limits.probe_at is not None and now < 0:",
        ),
        (
            "more connections are opened than may be",
            "room = connections - (len(live) - surplus if surplus else len(live))",
            "room = connections",
        ),
        (
            "a connection of earlier settings goes on",
            "return lane.stale or lane.sent",
            "return lane.sent",
        ),
        (
            "a connection carries one report too many",
            "within = lane.sent < limits.messages",
            "within = lane.sent <= limits.messages",
        ),
        (
            "a connection that is opening is not counted",
            "waiting - len(sends) - opening)",
            "waiting - len(sends))",
        ),
    ),
)
