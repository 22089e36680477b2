"""Faults in who may do what: tables, a caller's identity, enrolment, rates, certificates."""

from __future__ import annotations

from tests.mutants.values import planted_in

MANAGER = "manager/tdc/manager"
MATRIX = ("tests/manager/test_matrix.py::test_exactly_who_may_is_let_in",)
CHANGES = "tests/manager/test_changes.py"
INTENT = ("tests/manager/test_intent.py",)
IDENTITY = ("tests/sync/test_identity.py",)
ENROLMENT = "tests/sync/test_enrolment.py"
RATES = ("tests/pure/test_rates.py",)

MUTANTS = (
    *planted_in(
        f"{MANAGER}/intent/changes.py",
        ("tests/manager/test_reach.py",),
        (
            "who has no history is told who committed last",
            " and actor.reach.has_cluster(plan.cluster_name):",
            ":",
        ),
        (
            "a plan of others is committed without a look at who commits it",
            "        require_plan(actor, plan)\n        if plan.fingerprint",
            "        if plan.fingerprint",
        ),
    ),
    *planted_in(
        "manager/tdc/manager/intent/monitoring.py",
        ("tests/manager/test_monitoring.py",),
        (
            "a page that is exactly full says that there are more",
            "more = 0 < asked.limit < len(chosen)",
            "more = 0 < asked.limit <= len(chosen)",
        ),
        (
            "a page begins with the last of the one before",
            "(machine.name, cluster.name) <= after:",
            "(machine.name, cluster.name) < after:",
        ),
        (
            "machines in other states are shown too",
            "if not asked.states or state in asked.states:",
            "if True:",
        ),
    ),
    *planted_in(
        f"{MANAGER}/rpc/callers.py",
        MATRIX,
        *(
            (
                f"{rpc} is for {whom.lower()}",
                f'"tdc.v1.{rpc}": Rpc({row})',
                f'"tdc.v1.{rpc}": Rpc(Who.{whom})',
            )
            for rpc, row, whom in (
                ("Fleet.CreateJoinToken", 'Who.OPERATOR, "tokens.create"', "ANYONE"),
                ("Fleet.ListMachines", 'Who.OPERATOR, "fleet.list_machines"', "ANYONE"),
                ("Changes.MakeCommit", 'Who.OPERATOR, "changes.commit"', "MACHINE"),
                ("SettingsReader.GetLevel", 'Who.OPERATOR, "settings.read_level"', "ANYONE"),
                ("Monitoring.GetStatus", 'Who.OPERATOR, "monitoring.read_status"', "MACHINE"),
                ("Queue.DoWork", 'Who.OPERATOR, "queue.do"', "ANYONE"),
                ("Agents.Session", "Who.MACHINE, paced=True", "ANYONE"),
                ("Agents.Renew", "Who.MACHINE", "ANYONE_WITH_TOKEN"),
            )
        ),
        (
            "anyone may read the description of the API",
            '    "grpc.reflection.v1alpha.ServerReflection.ServerReflectionInfo": Rpc(\n'
            "        Who.OPERATOR, DESCRIBES_ITSELF\n"
            "    ),",
            '    "grpc.reflection.v1alpha.ServerReflection.ServerReflectionInfo": Rpc(Who.ANYONE),',
        ),
    ),
    *planted_in(
        f"{MANAGER}/rpc/entry.py",
        MATRIX,
        (
            "any certificate will do",
            "        if not isinstance(peer, wanted):\n",
            "        if peer is None:\n",
        ),
        (
            "a removed machine is let in",
            "        if isinstance(peer, MachinePeer):\n            peer = await",
            "        if peer is None:\n            peer = await",
        ),
    ),
    *planted_in(
        f"{MANAGER}/rpc/entry.py",
        ("tests/manager/test_budgets.py::test_a_machine_that_calls_without_end_is_refused",),
        (
            "a machine may call without end",
            "if not self._door.machines.take((peer.cluster, peer.machine)):",
            "if not self._door.machines.take(context.peer()):",
        ),
    ),
    *planted_in(
        f"{MANAGER}/rpc/guard.py",
        (
            "tests/manager/test_garbage.py"
            "::test_who_may_not_call_is_told_so_before_his_bytes_are_looked_at",
        ),
        (
            "bytes are parsed before it is known whose they are",
            "        async with entry.admitted(context):\n"
            "            result = behaviour(await take(messages, context), context)",
            "        try:\n"
            "            taken = await take(messages, context)\n"
            "        except Unreadable as error:\n"
            "            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))\n"
            "        async with entry.admitted(context):\n"
            "            result = behaviour(taken, context)",
        ),
    ),
    *planted_in(
        f"{MANAGER}/intent/permissions.py",
        INTENT,
        *(
            (
                f"{name} is for the role {to.lower()}",
                f'"{name}": Permission(Role.{role}',
                f'"{name}": Permission(Role.{to}',
            )
            for name, role, to in (
                ("changes.plan", "READ_ONLY", "HELP_DESK"),
                ("changes.commit", "OPERATOR", "READ_ONLY"),
                ("changes.create_cluster", "ADMINISTRATOR", "OPERATOR"),
                ("queue.do", "OPERATOR", "HELP_DESK"),
                ("tokens.create", "ADMINISTRATOR", "READ_ONLY"),
            )
        ),
        (
            "who has a part of an installation has all of it",
            "has_role = actor.role >= self.role and self.extent.suits(actor.reach)",
            "has_role = actor.role >= self.role",
        ),
        (
            "an operation without a row is for all",
            "    if needed is not None and needed.allows(actor):",
            "    if needed is None or needed.allows(actor):",
        ),
    ),
    *planted_in(
        f"{MANAGER}/intent/changes.py",
        ("tests/manager/test_interrupted_commits.py",),
        (
            "what was made is unknown to the fleet that it left",
            "        except _REFUSALS:\n",
            "        except IntentError:\n",
        ),
        (
            "another plan passes for what was made",
            "            if made is not None and made.fingerprint == fingerprint:\n",
            "            if made is not None:\n",
        ),
    ),
    *planted_in(
        f"{MANAGER}/intent/changes.py",
        (
            f"{CHANGES}::test_a_commit_without_plan_or_request_id_is_refused",
            f"{CHANGES}::test_a_stale_plan_is_refused_and_says_who_changed_what_it_rests_on",
            f"{CHANGES}::test_enabling_without_an_intake_address_names_every_machine_and_changes_nothing",
        ),
        (
            "a create needs no request id",
            "        signature = sign(actor, comment, request_id)\n"
            "        cluster = self._view.new_cluster(name)\n",
            "        signature = Signature(actor.name, comment, request_id)\n"
            "        cluster = self._view.new_cluster(name)\n",
        ),
        (
            "a commit needs no request id",
            "if not 0 < len(request_id) <= REQUEST_ID_LIMIT:",
            "if len(request_id) > REQUEST_ID_LIMIT:",
        ),
        (
            "a commit needs no plan",
            "        if not fingerprint:\n",
            "        if fingerprint is None:\n",
        ),
        (
            "a commit is not what was planned",
            "        if plan.fingerprint != fingerprint:\n",
            "        if plan.fingerprint != fingerprint and plan.problems:\n",
        ),
        (
            "an invalid outcome is committed",
            "        if plan.problems:\n            raise InvalidPlan",
            "        if plan.problems and plan.changes_nothing:\n            raise InvalidPlan",
        ),
    ),
    *planted_in(
        f"{MANAGER}/identity/peer.py",
        IDENTITY,
        (
            "a certificate may name several",
            "case [x509.UniformResourceIdentifier(value=uri)]:",
            "case [x509.UniformResourceIdentifier(value=uri), *_]:",
        ),
        (
            "a certificate for any use is a client's",
            "if list(usage) != [ExtendedKeyUsageOID.CLIENT_AUTH]:",
            "if ExtendedKeyUsageOID.CLIENT_AUTH not in usage:",
        ),
        (
            "a connection without TLS may show a certificate",
            'if list(facts.get("transport_security_type", [])) != [b"ssl"]:',
            "if not facts:",
        ),
        (
            "who calls is taken from what it says",
            '    certificates = list(facts.get("x509_pem_cert", []))\n',
            "    for key, value in context.invocation_metadata() or ():\n"
            '        if str(value).startswith("tdc:") or key == "tdc-identity":\n'
            "            return parse_identity(str(value))\n"
            '    certificates = list(facts.get("x509_pem_cert", []))\n',
        ),
    ),
    *planted_in(
        f"{MANAGER}/identity/authority.py",
        IDENTITY,
        (
            "a request need not be signed by its key",
            "    if not proven:\n",
            "    if proven is None:\n",
        ),
        (
            "a weak key is taken",
            "isinstance(key, rsa.RSAPublicKey) and _RSA_LOW <= key.key_size <= _RSA_HIGH",
            "isinstance(key, rsa.RSAPublicKey)",
        ),
        (
            "any curve is taken",
            "if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVES):",
            "if isinstance(key, ec.EllipticCurvePublicKey):",
        ),
        (
            "a request has no bound",
            "    if len(content) > _MAX_REQUEST:\n",
            "    if not content:\n",
        ),
        (
            "a machine's certificate is good for a server",
            ".add_extension(_only(ExtendedKeyUsageOID.CLIENT_AUTH), critical=True)",
            ".add_extension(_only(ExtendedKeyUsageOID.SERVER_AUTH), critical=True)",
        ),
        (
            "a certificate outlives its CA",
            "end = min(max(now, begins) + lifetime, "
            "self._certificate.not_valid_after_utc.timestamp())",
            "end = max(now, begins) + lifetime",
        ),
        (
            "the name in a request is the machine's",
            "        peer = MachinePeer(cluster, machine, enrolment)\n",
            "        said = x509.load_pem_x509_csr(\n"
            "            csr_pem.encode() if isinstance(csr_pem, str) else csr_pem\n"
            "        ).subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)\n"
            "        peer = MachinePeer(cluster, str(said[0].value) if said else machine, "
            "enrolment)\n",
        ),
        (
            "a key of another CA is used",
            "same = _public_bytes(certificate.public_key()) == _public_bytes(key.public_key())",
            "same = True",
        ),
    ),
    *planted_in(
        f"{MANAGER}/identity/rates.py",
        RATES,
        (
            "a bucket that rests holds ever more",
            "min(bucket.tokens + gained, rate.burst)",
            "bucket.tokens + gained",
        ),
        (
            "callers are remembered without bound",
            "        if len(self._buckets) > MOST_CALLERS:\n",
            "        if not self._buckets:\n",
        ),
        (
            "each address of a network has its own budget",
            "ip_network((address, 64)",
            "ip_network((address, 128)",
        ),
        (
            "who is over his budget takes from the others",
            "            return False  # who is over his own budget takes nothing from the "
            "others\n",
            "            self._total = replace(self._total, tokens=self._total.tokens - 1)\n"
            "            return False\n",
        ),
        (
            "what is given back is lost",
            "        self._total = replace(self._total, tokens=self._total.tokens + 1)\n",
            "",
        ),
    ),
    *planted_in(
        f"{MANAGER}/rpc/enrolment.py",
        (
            "tests/manager/test_budgets.py::test_enrolments_that_fail_are_limited_before_the_store_is_asked",
        ),
        (
            "enrolments may be tried without end",
            "        if not self._tries.take(address):\n",
            "        if not address:\n",
        ),
    ),
    *planted_in(
        f"{MANAGER}/rpc/enrolment.py",
        ("tests/manager/test_budgets.py::test_a_store_that_is_away_uses_up_nobodys_tries",),
        (
            "a store that is away uses up the tries",
            "        except Exception:  # the store is away, say: no fault of the caller\n"
            "            self._tries.give_back(address)\n",
            "        except Exception:\n",
        ),
    ),
    *planted_in(
        f"{MANAGER}/rpc/enrolment.py",
        ("tests/sync/test_enrolment.py::test_a_request_that_is_refused_uses_up_no_token",),
        (
            "a token is used up by a weak key",
            "            self._authority.check_request(request.csr_pem)\n",
            "            pass\n",
        ),
    ),
    *planted_in(
        f"{MANAGER}/rpc/agents.py",
        (
            "tests/manager/test_budgets.py::test_a_machine_renews_a_few_times_an_hour_and_others_are_not_kept_from_it",
        ),
        (
            "certificates are renewed without end",
            "        if not self._renewals.take((peer.cluster, peer.machine)):\n",
            "        if not peer.machine:\n",
        ),
    ),
    *planted_in(
        f"{MANAGER}/rpc/agents.py",
        (f"{ENROLMENT}::test_a_certificate_is_renewed_at_half_life_and_keeps_its_key",),
        (
            "a renewal is an enrolment of its own",
            "                peer.enrolment,\n                lifetime",
            '                peer.enrolment + "r",\n                lifetime',
        ),
    ),
    *planted_in(
        f"{MANAGER}/push/session.py",
        ("tests/manager/test_budgets.py::test_a_stream_that_floods_is_ended_with_a_reason",),
        (
            "a stream may flood",
            "                if not self._takes(message.ByteSize()):\n",
            "                if message.ByteSize() < 0:\n",
        ),
    ),
    *planted_in(
        f"{MANAGER}/push/outbox.py",
        ("tests/sync/test_session.py",),
        (
            "a machine that reads nothing is written to for ever",
            "asyncio.timeout(self._duties.longest)",
            "asyncio.timeout(None)",
        ),
        ("time is not kept", "        else:\n            self._set_alarm(wait)\n", ""),
        ("an alarm rings late", "if self._alarm.when() <= at:", "if self._alarm is not None:"),
        (
            "a message in its way out is cut off",
            "            if self._under_way:",
            "            if False:",
        ),
    ),
    *planted_in(
        f"{MANAGER}/identity/join.py",
        ("tests/sync/test_enrolment.py::test_only_the_hash_of_a_token_is_stored",),
        (
            "a secret is stored in another encoding",
            'return hashlib.sha256(text.encode(errors="replace")).hexdigest()',
            'return text.encode(errors="replace").hex()',
        ),
        (
            "a secret is printed with its token",
            "    text: str = field(repr=False)\n",
            "    text: str\n",
        ),
        ("a secret can be guessed", "_SECRET_BYTES = 20  # 160 bits", "_SECRET_BYTES = 5"),
    ),
    *planted_in(
        f"{MANAGER}/identity/expiry.py",
        ("tests/manager/test_expiry.py",),
        ("an end is said a day late", "if left <= step", "if left < step - 1"),
        ("an end is said at each look", "            self._logged[ending.what] = step\n", ""),
    ),
)
