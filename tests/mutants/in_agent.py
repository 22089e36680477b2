"""Faults in the agent's own state: its identity and renewal, its settings, files, options."""

from __future__ import annotations

from tests.mutants.values import planted_in

AGENT = "node_agent/tdc/node_agent"
ENROLMENT = "tests/sync/test_enrolment.py"
FILES = "tests/sync/test_identity_files.py"

MUTANTS = (
    *planted_in(
        f"{AGENT}/sync/identity.py",
        (
            f"{FILES}::test_only_a_machines_certificate_of_its_own_ca_makes_an_identity",
            f"{ENROLMENT}::test_a_certificate_is_renewed_at_half_life_and_keeps_its_key",
            f"{ENROLMENT}::test_a_renewal_that_ends_after_an_enrolment_changes_nothing",
            f"{FILES}::test_two_programs_never_write_an_identity_at_once",
            f"{FILES}::test_an_identity_of_an_older_agent_is_used_until_a_new_one_takes_its_place",
        ),
        (
            "a certificate of another key is used",
            "if not isinstance(peer, MachinePeer) or not same_key:",
            "if not isinstance(peer, MachinePeer):",
        ),
        (
            "an operator's certificate is a machine's",
            "if not isinstance(peer, MachinePeer) or not same_key:",
            "if not same_key:",
        ),
        (
            "a certificate of another CA is used",
            "    certificate.verify_directly_issued_by(last)\n",
            "",
        ),
        (
            "a certificate is renewed when it ends",
            "life * (0.45 + 0.1 * jitter)",
            "life * (0.95 + 0.1 * jitter)",
        ),
        (
            "a renewal undoes an enrolment",
            "            if load(folder) != held:\n                return False\n",
            "            load(folder)\n",
        ),
        (
            "two programs write an identity at once",
            "        _lock(descriptor, folder)\n        yield\n",
            "        yield\n",
        ),
        (
            "what an older agent kept is read first",
            "        whole = durable_file.read(folder / FILE)\n",
            "        if (folder / BEFORE[0]).exists():\n"
            "            raise durable_file.Missing\n"
            "        whole = durable_file.read(folder / FILE)\n",
        ),
    ),
    *planted_in(
        f"{AGENT}/sync/enrol.py",
        (f"{ENROLMENT}::test_enrolling_in_another_cluster_starts_its_revisions_anew",),
        (
            "another cluster's first settings look old",
            "if before is not None and before.cluster != made.cluster:",
            "if before is not None and before.machine != made.machine:",
        ),
        (
            "each enrolment forgets what runs",
            "if before is not None and before.cluster != made.cluster:",
            "if before is not None:",
        ),
    ),
    *planted_in(
        f"{AGENT}/sync/enrol.py",
        ("tests/sync/test_enrolment_crowded.py::test_an_answer_that_is_lost_is_no_refusal",),
        (
            "an answer that did not come is a refusal",
            "    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:\n",
            "    if False:\n",
        ),
        (
            "a connection that was cut took no token along",
            'lost = "" if unsent else f',
            'lost = "" if details else f',
        ),
    ),
    *planted_in(
        f"{AGENT}/sync/renewal.py",
        (
            f"{ENROLMENT}::test_a_renewal_makes_no_other_machine_of_this_one",
            f"{ENROLMENT}::test_a_clock_that_is_far_ahead_renews_no_more_often_than_a_right_one",
            f"{ENROLMENT}::test_a_clock_that_is_behind_renews_in_time",
            f"{ENROLMENT}::test_a_clock_that_was_set_right_is_no_trouble_any_more",
        ),
        (
            "another machine's certificate is taken",
            "if renewed.enrolment != held.enrolment:",
            "if renewed.cluster != held.cluster:",
        ),
        (
            "a clock far ahead renews at every look",
            "        if self._clock_trouble:\n            return by_count\n",
            "",
        ),
        (
            "a slow clock renews too late",
            "            return 0.0  # the clock is slow, nobody knows how much: half life "
            "may be over\n",
            "            return by_count\n",
        ),
        (
            "a clock that was set right is still in doubt",
            '            self._clock_trouble = ""  # it was set right\n',
            "            pass\n",
        ),
    ),
    *planted_in(
        "shared/tdc/shared/edge/grpc_tls.py",
        ("tests/sync/test_identity.py",),
        (
            "a token is shown to any server",
            "if hmac.compare_digest(hashlib.sha256(der).hexdigest(), fingerprint.lower()):",
            "if der:",
        ),
        (
            "a client needs no certificate",
            "        require_client_authentication=needed,\n",
            "        require_client_authentication=False,\n",
        ),
        (
            "a machine passes for the manager",
            '        ("grpc.ssl_target_name_override", SERVER_NAME),\n',
            "",
        ),
        (
            "a server that is silent is waited for",
            "        async with asyncio.timeout(timeout):\n",
            "        async with asyncio.timeout(None):\n",
        ),
    ),
    *planted_in(
        "shared/tdc/shared/edge/grpc_tls.py",
        ("tests/manager/test_connections.py",),
        (
            "a handshake has gRPC's two minutes",
            '        ("grpc.server_handshake_timeout_ms", int(HANDSHAKE * 1000)),\n',
            "",
        ),
    ),
    *planted_in(
        "shared/tdc/shared/edge/durable_file.py",
        ("tests/sync/test_durable_file.py", "tests/sync/test_identity.py"),
        (
            "a private file is for all to read",
            "os.fchmod(descriptor, mode)",
            "os.fchmod(descriptor, mode | 0o044)",
        ),
        (
            "a folder of secrets is for all to read",
            "def make(path: Path, mode: int = 0o700)",
            "def make(path: Path, mode: int = 0o755)",
        ),
        (
            "a folder above has the mode of the umask",
            "    path.chmod(mode)\n",
            "",
        ),
        (
            "a file is changed in place",
            "            _write_new(temporary, content, mode)\n"
            "            temporary.replace(path)\n",
            "            path.write_bytes(content)\n",
        ),
        (
            "what could not be written stays beside",
            "                temporary.unlink()\n",
            "                pass\n",
        ),
        ("a secret is a file by default readable", "PRIVATE = 0o600", "PRIVATE = 0o640"),
    ),
    *planted_in(
        f"{AGENT}/sync/last_good.py",
        ("tests/sync/test_last_good.py", "tests/sync/test_odd_state.py"),
        (
            "one file is kept and not two",
            "        durable_file.write_checked(folder / BEFORE, whole)\n",
            "        pass\n",
        ),
        (
            "damage is kept as the older file",
            "whole = durable_file.read_checked(folder / NEWEST)",
            "whole = durable_file.read(folder / NEWEST)",
        ),
        (
            "a format of the future is read",
            'if document["format"] != _FORMAT:',
            'if not document["format"]:',
        ),
        (
            "what does not fit a message runs",
            "        running_to_wire(running)  # it is reported at each connect, so it "
            "must fit the message\n",
            "",
        ),
    ),
    *planted_in(
        f"{AGENT}/loop_key.py",
        ("tests/sync/test_loop_key.py",),
        ("a key of any length is used", "if len(key) == KEY_BYTES:", "if key is not None:"),
        (
            "a new key at each start",
            "        durable_file.write_checked(path, key)\n",
            "        pass\n",
        ),
    ),
    *planted_in(
        f"{AGENT}/sync/stream.py",
        ("tests/sync/test_reconnect.py",),
    ),
    *planted_in(
        f"{AGENT}/options.py",
        ("tests/sync/test_options.py",),
        (
            "a mistyped key of ingest means the default",
            "class IngestSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):",
            "class IngestSection(msgspec.Struct, frozen=True):",
        ),
        (
            "a port may be 0 anywhere",
            "(0 if zero else 1) <= int(match[2]) <= 65_535",
            "0 <= int(match[2]) <= 65_535",
        ),
        ("limits have no bounds", "    if not least <= value <= most:\n", "    if value < 0:\n"),
        (
            "delivery has all of the memory",
            "return self.deliver.delivery_options(own_name, self.max_bytes_in_hand // "
            "DELIVERY_SHARE)",
            "return self.deliver.delivery_options(own_name, self.max_bytes_in_hand)",
        ),
        (
            "a nameserver may be a name",
            '        ip_address(host_port(text if has_port else f"{text}:53")[0])\n',
            '        host_port(text if has_port else f"{text}:53")\n',
        ),
        (
            "a path begins where the agent was started",
            "        return folder / value\n",
            "        return Path(value)\n",
        ),
    ),
    *planted_in(
        f"{AGENT}/lifetime.py",
        ("tests/sync/test_restart.py",),
        (
            "the old socket is given up before the new one is there",
            "            return Passed(passed_sockets.opened(host, port, BACKLOG, existing))\n",
            "            return Passed()\n",
        ),
        (
            "the log is not opened alone",
            "        if number == signal.SIGUSR1:\n",
            "        if number == signal.SIGUSR1 and not log:\n",
        ),
    ),
    *planted_in(
        "shared/tdc/shared/edge/signals.py",
        ("tests/sync/test_restart.py",),
        (
            "signals are ignored while nobody waits for them",
            "        thread.join()\n",
            "        thread.join()\n"
            "        for each in LATER:\n"
            "            signal.signal(each, signal.SIG_IGN)\n"
            "            unblock(each)\n",
        ),
    ),
    *planted_in(
        f"{AGENT}/preflight.py",
        ("tests/sync/test_preflight.py",),
        (
            "mail may go in a circle",
            "    if address in own:\n        return True\n",
            "",
        ),
    ),
    *planted_in(
        f"{AGENT}/preflight_files.py",
        ("tests/sync/test_preflight.py",),
        (
            "the spool's folder is not looked into",
            "    if is_foreign(path):\n",
            "    if not path:\n",
        ),
        (
            "a file in a folder's place is no fault",
            '        return "is not a folder"\n',
            "        return None\n",
        ),
    ),
    *planted_in(
        f"{AGENT}/loop_faults.py",
        ("tests/sync/test_loop_faults.py",),
        (
            "a connection on which the code failed is left open",
            "            abort()\n",
            "            pass\n",
        ),
    ),
)
