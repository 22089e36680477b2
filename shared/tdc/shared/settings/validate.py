"""PURE. Rules between settings: values that are allowed one by one, but not together.

Manager and agent use the same rules: the manager before it commits, the agent before it applies,
so that an agent never has to reject what a manager of its version committed. A fault blames one
setting, so that an operator knows where to begin. What a single value may be is in `check`.

Three rules keep mail safe. Copies must not come back: an intake inside the organisation would
journal its own reports. Copies must be retried: a first wait longer than the lifetime would turn
one failure into a dead letter. And no original may wait for ever: with `spool.when_full = tempfail`
a message that can never fit into the spool would never be delivered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from tdc.shared.mail.address import domain_of, is_at_or_below
from tdc.shared.settings.text import render
from tdc.shared.settings.values import NONE, Policy, PolicyAction, Settings, Value


@dataclass(frozen=True, slots=True)
class Fault:
    """A broken rule, blamed on one setting. `reason` says what is wrong and what would be right."""

    setting: str
    reason: str


Values = Mapping[str, Value | None]


def faults_of(values: Values) -> tuple[Fault, ...]:
    """What is wrong with values in force on a machine; empty if they may run.

    `values` must hold every setting in `JUDGED`.
    """
    return tuple(fault for rule in _RULES for fault in rule.judge(values))


def own_faults_of(settings: Settings) -> tuple[Fault, ...]:
    """What is wrong with one level's settings, whatever the other levels hold.

    Only rules whose settings are all present count: what is absent may come from another level.
    """
    return tuple(
        fault
        for rule in _RULES
        if settings.keys() >= set(rule.reads)
        for fault in rule.judge(settings)
    )


def _enabled_has_intake(values: Values) -> Iterator[Fault]:
    if values["enabled"] is True and values["intake_address"] in (None, NONE):
        yield Fault(
            "intake_address",
            "enabled is true but there is no intake_address; set intake_address in the same "
            "commit, or leave enabled false",
        )


def _intake_is_elsewhere(values: Values) -> Iterator[Fault]:
    # A copy sent into the organisation comes back through the gateway, as incoming mail.
    own = _own_domain(values["intake_address"], values["incoming_domains"])
    if own:
        yield Fault(
            "intake_address",
            f"{values['intake_address']} is in {own}, which is one of the organisation's own "
            "domains (incoming_domains): copies would come back as incoming mail",
        )


def _policy_intake_is_elsewhere(values: Values) -> Iterator[Fault]:
    for policy in _policies(values):
        own = _own_domain(policy.intake_address, values["incoming_domains"])
        if policy.action is PolicyAction.CUSTOM and own:
            yield Fault(
                "policies",
                f"policy {policy.name!r}: {policy.intake_address} is in {own}, which is one of the "
                "organisation's own domains (incoming_domains): copies would come back as "
                "incoming mail",
            )


def _policy_names_an_address(values: Values) -> Iterator[Fault]:
    for policy in _policies(values):
        if not policy.senders and not policy.recipients:
            yield Fault(
                "policies",
                f"policy {policy.name!r} has neither senders nor recipients; give it some "
                "(mail that matches no policy goes to intake_address anyway)",
            )


def _pinned_has_pins(values: Values) -> Iterator[Fault]:
    if values["tls.verification"] == "pinned" and not values["tls.pins"]:
        yield Fault(
            "tls.pins",
            "tls.verification is pinned but tls.pins is empty; add the fingerprint of the "
            "intake's certificate, or use webpki",
        )


def _waits_are_ordered(values: Values) -> Iterator[Fault]:
    initial, maximum = _number(values["retry.initial"]), _number(values["retry.maximum"])
    if initial > maximum:
        yield Fault(
            "retry.initial",
            f"{_quoted(values, 'retry.initial')} is longer than "
            f"{_quoted(values, 'retry.maximum')}; shorten it, or raise retry.maximum",
        )


def _lifetime_allows_a_retry(values: Values) -> Iterator[Fault]:
    initial, lifetime = _number(values["retry.initial"]), _number(values["retry.lifetime"])
    if initial > lifetime:
        yield Fault(
            "retry.initial",
            f"{_quoted(values, 'retry.initial')} is longer than "
            f"{_quoted(values, 'retry.lifetime')}; no copy would be retried",
        )


def _largest_copy_fits(values: Values) -> Iterator[Fault]:
    # With `pass` such a message passes uncopied; with `tempfail` it would never pass at all.
    largest, room = _number(values["max_message_size"]), _number(values["spool.max_bytes"])
    if values["spool.when_full"] == "tempfail" and largest > room:
        yield Fault(
            "spool.max_bytes",
            "with spool.when_full = tempfail, a message of "
            f"{_quoted(values, 'max_message_size')} would wait for ever: it can never fit into "
            f"{_quoted(values, 'spool.max_bytes')}",
        )


@dataclass(frozen=True, slots=True)
class _Rule:
    """A rule and the settings it reads."""

    judge: Callable[[Values], Iterator[Fault]]
    reads: tuple[str, ...]


_RULES = (
    _Rule(_enabled_has_intake, ("enabled", "intake_address")),
    _Rule(_intake_is_elsewhere, ("intake_address", "incoming_domains")),
    _Rule(_policy_intake_is_elsewhere, ("policies", "incoming_domains")),
    _Rule(_policy_names_an_address, ("policies",)),
    _Rule(_pinned_has_pins, ("tls.verification", "tls.pins")),
    _Rule(_waits_are_ordered, ("retry.initial", "retry.maximum")),
    _Rule(_lifetime_allows_a_retry, ("retry.initial", "retry.lifetime")),
    _Rule(_largest_copy_fits, ("spool.when_full", "max_message_size", "spool.max_bytes")),
)

JUDGED = tuple(dict.fromkeys(name for rule in _RULES for name in rule.reads))
"""The settings that some rule reads."""


def _own_domain(address: Value | None, domains: Value | None) -> str:
    if not isinstance(address, str) or not isinstance(domains, tuple):
        return ""
    domain = domain_of(address)
    own = (own for own in domains if isinstance(own, str) and is_at_or_below(domain, own))
    return next(own, "")


def _policies(values: Values) -> Iterator[Policy]:
    policies = values["policies"]
    if isinstance(policies, tuple):
        yield from (policy for policy in policies if isinstance(policy, Policy))


def _quoted(values: Values, name: str) -> str:
    """A setting and its value as people type it: ``retry.initial (2h)``."""
    return f"{name} ({render(name, values[name])})"


def _number(value: Value | None) -> int:
    assert isinstance(value, int)  # by the schema
    return value
