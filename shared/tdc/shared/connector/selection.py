"""PURE. Is a message copied, to which intake, and if not, why?

The agent asks before it spools a copy; a manager can ask the same about an imagined message.

Each recipient is judged on its own, because policies differ between the recipients of one message;
the recipients of one intake then share one copy. The order of the tests is the policy:

1. Copying is off, or the message is one of our own journal reports (loop header): no copy at all.
2. A recipient that is an intake gets none: the gateway may relay to the intake, and a copy of such
   mail would be a copy of a copy.
3. A recipient outside of `incoming_domains` gets none: only incoming mail is journaled.
4. The first policy that matches sender and recipient decides; without one, `intake_address` does.
5. Size comes last: only a message that would have been copied can be a missed copy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from tdc.shared.connector.settings import ConnectorSettings
from tdc.shared.mail.address import domain_of, is_own_postmaster, matching_form
from tdc.shared.mail.envelope import Envelope
from tdc.shared.settings.values import Policy, PolicyAction


class NotDue(StrEnum):
    """Why no copy is taken of a message."""

    DISABLED = "disabled"
    JOURNAL_REPORT = "journal-report"  # it carries our loop header
    TO_INTAKE = "to-intake"
    NOT_INCOMING = "not-incoming"
    NO_SCAN = "no-scan"
    TOO_LARGE = "too-large"  # a copy was due: the one reason that counts as a missed copy


@dataclass(frozen=True, slots=True)
class Due:
    """A copy that is due: its intake, and the envelope recipients that it reports, in order."""

    intake: str
    recipients: tuple[str, ...]


class Rule(NamedTuple):
    """Why a recipient gets no copy; `policy` names the no-scan policy that says so."""

    reason: NotDue
    policy: str = ""


class LeftOut(NamedTuple):
    """How many recipients one rule leaves out."""

    rule: Rule
    recipients: int


@dataclass(frozen=True, slots=True)
class Selection:
    """The copies due of one message, one for each intake; `reason` only if there are none.

    `left_out` has a row for each rule that left recipients out, also where others get a copy; the
    most telling is first, and is the `reason`: no-scan before to-intake before not-incoming.
    """

    copies: tuple[Due, ...]
    reason: NotDue | None
    left_out: tuple[LeftOut, ...] = ()


_TO_INTAKE = Rule(NotDue.TO_INTAKE)
_NOT_INCOMING = Rule(NotDue.NOT_INCOMING)
_MOST_TELLING = {NotDue.NO_SCAN: 0, NotDue.TO_INTAKE: 1, NotDue.NOT_INCOMING: 2}


def select(envelope: Envelope, size: int, loop: bool, settings: ConnectorSettings) -> Selection:
    """Decide which copies of a message are due.

    `size` is the message's octets as DATA gave them, dots unstuffed; `loop`: it carries our loop
    header.
    """
    default = settings.intake_address
    if not settings.enabled or default is None:
        return _all_left_out(envelope, NotDue.DISABLED)
    if loop:
        return _all_left_out(envelope, NotDue.JOURNAL_REPORT)
    intakes = _all_intakes(default, settings.policies)
    due: dict[str, list[str]] = {}
    rules: dict[Rule, int] = {}
    for recipient in envelope.recipients:
        intake = _intake_for(envelope.sender, recipient, settings, default, intakes)
        if isinstance(intake, Rule):
            rules[intake] = rules.get(intake, 0) + 1
        else:
            due.setdefault(intake, []).append(recipient)
    left_out = _in_order(rules) if rules else ()
    if not due:
        return Selection((), left_out[0].rule.reason if left_out else NotDue.NOT_INCOMING, left_out)
    if size > settings.max_message_size:
        return Selection((), NotDue.TOO_LARGE, left_out)
    copies = tuple(Due(intake, tuple(recipients)) for intake, recipients in due.items())
    return Selection(copies, None, left_out)


def _all_left_out(envelope: Envelope, reason: NotDue) -> Selection:
    return Selection((), reason, (LeftOut(Rule(reason), len(envelope.recipients)),))


def _in_order(rules: Mapping[Rule, int]) -> tuple[LeftOut, ...]:
    rows = [LeftOut(rule, recipients) for rule, recipients in rules.items()]
    return tuple(sorted(rows, key=lambda row: _MOST_TELLING[row.rule.reason]))


@lru_cache(maxsize=8)
def _all_intakes(default: str, policies: tuple[Policy, ...]) -> frozenset[str]:
    custom = [policy.intake_address for policy in policies if policy.intake_address is not None]
    return frozenset(map(matching_form, [default, *custom]))


def _intake_for(
    sender: str, recipient: str, settings: ConnectorSettings, default: str, intakes: frozenset[str]
) -> str | Rule:
    """The intake that gets a copy for this recipient, or why none does."""
    if matching_form(recipient) in intakes:
        return _TO_INTAKE
    # Only the listed domains themselves: a subdomain must be listed too.
    if settings.incoming_domains and not _is_incoming(recipient, settings.incoming_domains):
        return _NOT_INCOMING
    policy = _first_match(sender, recipient, settings.policies)
    if policy is not None and policy.action is PolicyAction.NO_SCAN:
        return Rule(NotDue.NO_SCAN, policy.name)
    own = policy.intake_address if policy is not None else None
    return own or default


def _is_incoming(recipient: str, domains: tuple[str, ...]) -> bool:
    return domain_of(recipient) in domains or is_own_postmaster(recipient)


def _first_match(sender: str, recipient: str, policies: tuple[Policy, ...]) -> Policy | None:
    return next(
        (
            policy
            for policy in policies
            if _matches(policy.senders, sender) and _matches(policy.recipients, recipient)
        ),
        None,
    )


def _matches(patterns: tuple[str, ...], path: str) -> bool:
    """Whether a path is one of these addresses or in one of these domains; no patterns match all.

    The null sender has no domain, so only an empty list matches it.
    """
    if not patterns:
        return True
    wanted = _wanted(patterns)
    return matching_form(path) in wanted or f"@{domain_of(path)}" in wanted


@lru_cache(maxsize=512)
def _wanted(patterns: tuple[str, ...]) -> frozenset[str]:
    """The patterns as a set: a long list must not cost each message its length.

    Domains are kept as ``@domain``, so that a bare local part is never mistaken for a domain.
    """
    return frozenset(matching_form(text) if "@" in text else f"@{text}" for text in patterns)
