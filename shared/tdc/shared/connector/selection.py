"""PURE. Is a message copied, for which intake, and why not (DESIGN section 7, "Taking the copy").

The agent asks before it spools a copy; the manager can ask the same about an imagined message.
The decision is made recipient by recipient; the recipients of one intake share one copy.
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
    TOO_LARGE = "too-large"  # a copy was due: the only reason that counts as a missed copy


@dataclass(frozen=True, slots=True)
class Due:
    """One copy that is due: its intake, and the envelope recipients that it reports, in order."""

    intake: str
    recipients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """The copies due of one message, one for each distinct intake; `reason` only if there is none.

    Where the recipients have different reasons, the one that says most is given: no-scan before
    to-intake before not-incoming.
    """

    copies: tuple[Due, ...]
    reason: NotDue | None


_RECIPIENT_REASONS = (NotDue.NO_SCAN, NotDue.TO_INTAKE, NotDue.NOT_INCOMING)


def select(envelope: Envelope, size: int, loop: bool, settings: ConnectorSettings) -> Selection:
    """Decide what copies of a message are due.

    `size` is the octets of the message as DATA gave it, dots unstuffed; `loop` says that it
    carries our loop header. Size is judged last, so that "too large" means a copy was missed.
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
    """Return the intake that gets a copy for this recipient, or why none does."""
    if matching_form(recipient) in intakes:
        return NotDue.TO_INTAKE
    # A domain of the organisation is exactly what is listed: a subdomain is listed by itself.
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
    """Say whether a path is one of these addresses or in one of these domains; none match all.

    The null sender has no domain, so only "all" matches it.
    """
    if not patterns:
        return True
    wanted = _wanted(patterns)
    return matching_form(path) in wanted or f"@{domain_of(path)}" in wanted


@lru_cache(maxsize=512)
def _wanted(patterns: tuple[str, ...]) -> frozenset[str]:
    """Return what paths are looked up in: long lists must not cost each message their length.

    A domain stands there as ``@domain``, so that a bare local part is never taken for one.
    """
    return frozenset(matching_form(text) if "@" in text else f"@{text}" for text in patterns)
