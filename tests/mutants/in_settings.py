"""Faults in values and their rules: settings, addresses, what mail is selected, options."""

from __future__ import annotations

from tests.mutants.values import planted_in

SETTINGS = "shared/tdc/shared/settings"
PURE = "tests/pure"

MUTANTS = (
    *planted_in(
        f"{SETTINGS}/check.py",
        (f"{PURE}/test_settings_check.py", f"{PURE}/test_settings_text.py"),
        ("true counts as a number", "if isinstance(value, bool) or not", "if not"),
        ("limits are open above", "row.low <= value <= row.high", "row.low <= value"),
        ("any header may be set", 'r"X-[A-Za-z0-9-]{1,70}"', 'r"[A-Za-z0-9-]{1,70}"'),
        ("a port may be 0", "if not 1 <= int(match[2])", "if not 0 <= int(match[2])"),
        ("two policies of one name", "if policy.name in seen:", "if False:"),
        ("unknown policy fields are ignored", "    if unknown:\n", "    if False:\n"),
    ),
    *planted_in(
        f"{SETTINGS}/validate.py",
        (f"{PURE}/test_settings_validate.py",),
        (
            "enabled without intake passes",
            'values["enabled"] is True and values["intake_address"] in (None, NONE)',
            'values["enabled"] is True and values["intake_address"] == NONE',
        ),
        (
            "enabled with none for an intake passes",
            'values["enabled"] is True and values["intake_address"] in (None, NONE)',
            'values["enabled"] is True and values["intake_address"] is None',
        ),
        (
            "pinned without pins passes",
            'values["tls.verification"] == "pinned" and not values["tls.pins"]',
            'values["tls.verification"] == "pinned" and values["tls.pins"] is None',
        ),
        (
            "a message that never fits may wait for ever",
            'values["spool.when_full"] == "tempfail" and largest > room',
            'values["spool.when_full"] == "pass" and largest > room',
        ),
        (
            "a policy for all mail passes",
            "if not policy.senders and not policy.recipients:",
            "if policy.senders is None and not policy.recipients:",
        ),
    ),
    *planted_in(
        "shared/tdc/shared/mail/address.py",
        (f"{PURE}/test_address.py",),
        ("an IP address is a domain", "if _NUMBER.fullmatch(labels[-1]):", "if False and labels:"),
        ("quotes are another mailbox", 'local = _ESCAPED.sub(r"\\1", local[1:-1])', "pass"),
        (
            "a name that ends alike is below",
            'domain.endswith("." + above)',
            "domain.endswith(above)",
        ),
        ("the sharp s is ss", "return name if back ==", "return name if True or back =="),
    ),
    *planted_in(
        "shared/tdc/shared/connector/selection.py",
        (f"{PURE}/test_selection.py",),
        ("own reports are copied", "    if loop:\n", "    if False:\n"),
        ("mail to an intake is copied", "if matching_form(recipient) in intakes:", "if False:"),
        (
            "subdomains are incoming",
            "return domain_of(recipient) in domains or",
            "return domain_of(recipient).partition('.')[2] in domains or",
        ),
        (
            "the last policy decides",
            "            for policy in policies\n            if _matches",
            "            for policy in reversed(policies)\n            if _matches",
        ),
        (
            "one of the two lists is enough",
            "_matches(policy.senders, sender) and _matches",
            "_matches(policy.senders, sender) or _matches",
        ),
        (
            "a larger message is copied",
            "    if size > settings.max_message_size:\n",
            "    if size > 2 * settings.max_message_size:\n",
        ),
    ),
    *planted_in(
        "shared/tdc/shared/settings/text.py",
        ("tests/pure/test_settings_text.py",),
        (
            "5 without a unit means seconds",
            "    unit = measure.units.get(found[2].lower()) if found else None\n",
            '    unit = measure.units.get(found[2].lower() or "s") if found else None\n',
        ),
        ("a unit counts only in lower case", "units.get(found[2].lower())", "units.get(found[2])"),
        (
            "an empty word is no value",
            "    if not text and row.optional:\n",
            "    if not text and not row.optional:\n",
        ),
        ("an empty entry is left out", '    if "" in items:\n', "    if not items:\n"),
        (
            "a policy's field may be given twice",
            "    if len(fields) != len(pairs):\n",
            "    if len(fields) > len(pairs):\n",
        ),
        (
            "a duration is shown as another",
            "if number >= least and number % size == 0:",
            "if number >= least:",
        ),
    ),
    *planted_in(
        "manager/tdc/manager/options.py",
        ("tests/manager/test_options.py",),
        (
            "every stream is dead",
            "        if self.deadline <= self.ping_interval:\n",
            "        if self.deadline < 0:\n",
        ),
        (
            "a mistyped line means the default",
            "        if not is_option(name):\n",
            "        if not name:\n",
        ),
        (
            "the environment wins over a flag",
            "            _from_environment(environment),\n            _from_flags(flags),\n",
            "            _from_flags(flags),\n            _from_environment(environment),\n",
        ),
        (
            "a path in the file begins where the manager was started",
            "yield _Given(place, name, raw, path.parent)",
            "yield _Given(place, name, raw, Path())",
        ),
        (
            "nobody can connect to 0.0.0.0",
            "        if self.advertised_host in _WILDCARDS:\n",
            "        if not self.advertised_host:\n",
        ),
        (
            "a certificate for etcd is used without a CA",
            "        if self.etcd_certificate and not self.etcd_ca:\n",
            "        if self.etcd_certificate and self.etcd_ca is False:\n",
        ),
        (
            "a password ends in its line end",
            '.read_text(encoding="utf-8").rstrip("\\r\\n")',
            '.read_text(encoding="utf-8")',
        ),
    ),
)
