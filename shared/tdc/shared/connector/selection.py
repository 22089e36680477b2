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

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from tdc.shared.connector.settings import ConnectorSettings
from tdc.shared.mail.address import domain_of, matching_form
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


@dataclass(frozen=True, slots=True)
class Selection:
    """The copies due of one message, one for each intake; `reason` only if there are none.

    If recipients have different reasons, the most telling is kept: no-scan before to-intake before
    not-incoming.
    """

    copies: tuple[Due, ...]
    reason: NotDue | None


_RECIPIENT_REASONS = (NotDue.NO_SCAN, NotDue.TO_INTAKE, NotDue.NOT_INCOMING)


def select(envelope: Envelope, size: int, loop: bool, settings: ConnectorSettings) -> Selection:
    """Decide which copies of a message are due.

    `size` is the message's octets as DATA gave them, dots unstuffed; `loop`: it carries our loop
    header.
    """
    if not settings.enabled or settings.intake_address is None:
        return Selection((), NotDue.DISABLED)
    if loop:
        return Selection((), NotDue.JOURNAL_REPORT)
    intakes = _all_intakes(settings.intake_address, settings.policies)
    due: dict[str, list[str]] = {}
    reasons: set[NotDue] = set()
    for recipient in envelope.recipients:
        intake = _intake_for(envelope.sender, recipient, settings, intakes)
        if isinstance(intake, NotDue):
            reasons.add(intake)
        else:
            due.setdefault(intake, []).append(recipient)
    if not due:
        strongest = (reason for reason in _RECIPIENT_REASONS if reason in reasons)
        return Selection((), next(strongest, NotDue.NOT_INCOMING))
    if size > settings.max_message_size:
        return Selection((), NotDue.TOO_LARGE)
    return Selection(
        tuple(Due(intake, tuple(recipients)) for intake, recipients in due.items()), None
    )


@lru_cache(maxsize=8)
def _all_intakes(default: str, policies: tuple[Policy, ...]) -> frozenset[str]:
    custom = [policy.intake_address for policy in policies if policy.intake_address is not None]
    return frozenset(map(matching_form, [default, *custom]))


def _intake_for(
    sender: str, recipient: str, settings: ConnectorSettings, intakes: frozenset[str]
) -> str | NotDue:
    """The intake that gets a copy for this recipient, or why none does."""
    if matching_form(recipient) in intakes:
        return NotDue.TO_INTAKE
    # Only the listed domains themselves: a subdomain must be listed too.
    if settings.incoming_domains and domain_of(recipient) not in settings.incoming_domains:
        return NotDue.NOT_INCOMING
    policy = _first_match(sender, recipient, settings.policies)
    if policy is not None and policy.action is PolicyAction.NO_SCAN:
        return NotDue.NO_SCAN
    intake = policy.intake_address if policy is not None else None
    return intake or settings.intake_address or NotDue.DISABLED


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
