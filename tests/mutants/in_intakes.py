"""Faults in where a report goes and whom it is shown to: DNS, private targets, TLS, waits."""

from __future__ import annotations

from tests.mutants.values import planted_in

DELIVER = "node_agent/tdc/node_agent/deliver"
MX = ("tests/pure/test_mx.py",)
WAITS = "tests/deliver/test_waits.py"
DRIPS = f"{WAITS}::test_an_intake_that_drips_is_given_up"
TROUBLE = "tests/deliver/test_intake_trouble.py"

MUTANTS = (
    *planted_in(
        "shared/tdc/shared/mail/special_addresses.py",
        MX,
        ("carrier-grade NAT is public", '    ("100.64.0.0/10", "carrier-grade NAT"),\n', ""),
        ("unique local addresses are public", '    ("fc00::/7", "unique local"),\n', ""),
        (
            "a mapped address is not seen through",
            "carried = ip.ipv4_mapped or ip.sixtofour",
            "carried = ip.sixtofour",
        ),
        (
            "a translated address is not seen through",
            "(ip in _NAT64 or ip in _COMPATIBLE)",
            "ip in _COMPATIBLE",
        ),
        ("the broadcast address is a host", " or ip == _BROADCAST", ""),
    ),
    *planted_in(
        f"{DELIVER}/mx.py",
        MX,
        (
            "the highest preference comes first",
            "(record.preference, chance())",
            "(-record.preference, chance())",
        ),
        (
            "equal preferences are not shuffled",
            "(record.preference, chance())",
            "record.preference",
        ),
        (
            "no answer means no MX",
            "if answer.status in (DnsStatus.FAILED, DnsStatus.TIMEOUT):",
            "if answer.status is DnsStatus.FAILED:",
        ),
        (
            "an MX may name an address",
            "return named and not labels[-1].isdigit()",
            "return named",
        ),
        (
            "this machine's own address is an intake",
            'return why_private(address) or ("this machine\'s own" if address in own else "")',
            "return why_private(address)",
        ),
        (
            "a private route leads to nowhere too",
            "    if never_a_host(address):\n",
            "    if never_a_host(address) and not allow_private:\n",
        ),
        (
            "a host with many addresses hides the next",
            "(first if seen[one.host] <= ADDRESSES_FIRST else later).append(one)",
            "first.append(one)",
        ),
        (
            "a broken address family costs many timeouts",
            "chain.from_iterable(zip_longest(v6, v4))",
            "chain(v6, v4)",
        ),
    ),
    *planted_in(
        f"{DELIVER}/resolver.py",
        ("tests/deliver/test_resolver.py",),
        (
            "an answer is asked for each time",
            "if cached is not None and cached[0] > now:",
            "if cached is not None and now < 0:",
        ),
        (
            "an answer is good for ever",
            "if cached is not None and cached[0] > now:",
            "if cached is not None:",
        ),
        (
            "a TTL of years is believed",
            "ttl = min(max(float(found.rrset.ttl if found.rrset else 0), MIN_TTL), MAX_TTL)",
            "ttl = max(float(found.rrset.ttl if found.rrset else 0), MIN_TTL)",
        ),
        (
            "half an answer proves that no address exists",
            "return HostAnswer(host, v4.values, v6.values, failed=bool(failed))",
            "return HostAnswer(host, v4.values, v6.values)",
        ),
    ),
    *planted_in(
        f"{DELIVER}/resolver.py",
        (f"{WAITS}::test_one_question_is_bounded_over_all_nameservers",),
        (
            "one question has no bound",
            "    resolver.lifetime = LOOKUP_TIMEOUT\n",
            "    resolver.lifetime = 10 * LOOKUP_TIMEOUT\n",
        ),
    ),
    *planted_in(
        f"{DELIVER}/verify.py",
        ("tests/deliver/test_verify.py",),
        (
            "a wildcard stands for a top-level domain",
            '("." in parent and f"*.{parent}" in names)',
            'f"*.{parent}" in names',
        ),
        (
            "a wildcard stands for several labels",
            'return host in names or ("." in parent and f"*.{parent}" in names)',
            'return any(host.endswith(name.removeprefix("*")) for name in names)',
        ),
        ("any certificate is pinned", "    if pin not in pins:\n", "    if not pins:\n"),
        (
            "the host that the DNS names is the intake",
            "return is_below(candidate.host, policy.domain) and covers(names, candidate.host)",
            "return covers(names, candidate.host)",
        ),
        (
            "a domain that ends alike is below",
            'return host == domain or host.endswith(f".{domain}")',
            "return host.endswith(domain)",
        ),
        (
            "other names are right beside those configured",
            "        return any(_configured(wanted, names) for wanted in policy.names)\n",
            "        if any(_configured(wanted, names) for wanted in policy.names):\n"
            "            return True\n",
        ),
        ("case matters in a certificate", "value.lower().rstrip", "value.rstrip"),
    ),
    *planted_in(
        f"{DELIVER}/tls.py",
        ("tests/deliver/test_verify.py",),
        (
            "an older TLS than asked for is offered",
            "context.minimum_version = _VERSIONS[version]",
            "context.minimum_version = ssl.TLSVersion.TLSv1_2",
        ),
        (
            "the chain is not looked at",
            "ssl.CERT_REQUIRED if chain else ssl.CERT_NONE",
            "ssl.CERT_NONE",
        ),
        (
            "a trust file that was replaced is not read again",
            "changed = found.st_mtime_ns",
            "changed = ca_file.stat().st_size * 0",
        ),
    ),
    *planted_in(
        f"{DELIVER}/connection.py",
        (f"{TROUBLE}::test_no_byte_of_a_message_leaves_without_verified_tls",),
        (
            "the name in the certificate is not looked at",
            "            verify_peer(peer, self.candidate, policy)\n",
            "            pass\n",
        ),
        (
            "a refused STARTTLS is ignored",
            "        if not event.reply.positive:\n",
            "        if not event.reply.positive and stage is not Stage.STARTTLS:\n",
        ),
    ),
    *planted_in(
        f"{DELIVER}/connection.py",
        (f"{DRIPS}[banner-banner]",),
        (
            "any octet renews a wait",
            "elif self._dialogue.replies != before:  # else it is a part of one, or a drip",
            "else:",
        ),
    ),
    *planted_in(
        f"{DELIVER}/connection.py",
        (f"{DRIPS}[opening-banner]",),
        (
            "the steps have no bound together",
            "await self._wait.wait(allowed, until=self._end)",
            "await self._wait.wait(allowed)",
        ),
    ),
    *planted_in(
        f"{DELIVER}/connection.py",
        (f"{DRIPS}[opening-TLS]",),
        (
            "a handshake is bounded by itself alone",
            "min(self._timeouts.tls, self._end - self._loop.time())",
            "self._timeouts.tls",
        ),
    ),
    *planted_in(
        f"{DELIVER}/connection.py",
        (f"{DRIPS}[message-MAIL]",),
        (
            "a message has no bound in all",
            'self._begin(self._timeouts.for_message(transaction.size), "for one message")',
            'self._begin(1e9, "for one message")',
        ),
    ),
    *planted_in(
        f"{DELIVER}/connection.py",
        (f"{DRIPS}[block-unread]",),
        (
            "an intake that does not read is waited for",
            "async with asyncio.timeout(min(self._timeouts.block, left)):",
            "async with asyncio.timeout(left):",
        ),
    ),
    *planted_in(
        f"{DELIVER}/connection.py",
        (f"{WAITS}::test_a_second_host_takes_over_from_one_that_drips",),
        (
            "a mute host has all its time though another waits",
            "within = timeouts.opening_hurried if hurried else timeouts.opening",
            "within = timeouts.opening",
        ),
    ),
    *planted_in(
        f"{DELIVER}/connection.py",
        (f"{WAITS}::test_a_host_that_does_not_answer_a_connection_is_given_up",),
        (
            "a connection is waited for without end",
            "async with asyncio.timeout(self._timeouts.connect):",
            "async with asyncio.timeout(None):",
        ),
    ),
    *planted_in(
        f"{DELIVER}/connection.py",
        (
            "tests/hostile/test_smtp_out.py::test_a_success_before_the_end_of_the_content_is"
            "_not_a_success",
        ),
        (
            "a success amid the content counts",
            "if self._amid_content and any(\n"
            "            isinstance(one, Finished) and one.succeeded for one in events\n"
            "        ):",
            "if False:",
        ),
    ),
    *planted_in(
        f"{DELIVER}/connection.py",
        ("tests/deliver/test_stop.py",),
        (
            "a reply that is here and unread does not count",
            "        if any(isinstance(event, Finished) for event in self._events):\n"
            "            return True\n",
            "",
        ),
    ),
    *planted_in(
        f"{DELIVER}/timeouts.py",
        (
            f"{WAITS}::test_a_large_report_has_time_in_proportion",
            f"{WAITS}::test_the_bounds_are_those_that_the_standards_page_states",
        ),
        (
            "a large report has no more time than a small one",
            "return self.message + size / self.rate",
            "return self.message",
        ),
        ("the final dot is not waited for", "dot: float = 600.0", "dot: float = 60.0"),
    ),
    *planted_in(
        f"{DELIVER}/prepare.py",
        ("tests/pure/test_prepare.py",),
        (
            "the size of the original must fit and not the report's",
            "if offers.size and report.size > offers.size:",
            "if offers.size and len(copy.content) > offers.size:",
        ),
        (
            "8-bit octets go to any intake",
            "return offers.eight_bit or not needs.eight_bit",
            "return True",
        ),
        (
            "what a host refused is used again",
            "usable = offers.without(means.without)",
            "usable = offers",
        ),
        (
            "the sender of a report is never null",
            'sender=settings.report_envelope_sender or "",',
            'sender=settings.report_envelope_sender or "tdc",',
        ),
    ),
)
