"""PURE. From a copy to what is sent on this connection: the report as the intake can take it."""

from __future__ import annotations

from typing import NamedTuple

from tdc.node_agent.deliver.trouble import Outcome, Sent, too_large
from tdc.node_agent.journal.loop import Reporter
from tdc.node_agent.journal.report import Needs, draft
from tdc.node_agent.smtp.dialogue import Extension, Offers, Outgoing
from tdc.node_agent.spool.values import Copy
from tdc.shared.connector.settings import ConnectorSettings
from tdc.shared.mail.envelope import BodyType


class Means(NamedTuple):
    """What earlier replies of this host, and to this copy, leave to send it by.

    `without`: extensions that `host` refused after it had offered them. `encoded`: the copy was
    refused in the plain form.
    """

    host: str = "the intake"
    without: frozenset[Extension] = frozenset()
    encoded: bool = False


PLAIN = Means()
"""Nothing was refused."""


def prepare(
    copy: Copy,
    settings: ConnectorSettings,
    reporter: Reporter,
    offers: Offers,
    means: Means = PLAIN,
) -> Outgoing | Outcome:
    """Make the transaction that sends a copy's report, or say why this intake can't have it.

    A `message/rfc822` part may not be encoded (RFC 2046 5.2.1): where the intake can't take the
    octets as they are, the report is built in another form, with the original as base64. Where only
    our own text is 8-bit, it is enough to quote that.
    """
    usable = offers.without(means.without)
    drafted = draft(copy, settings, reporter)
    quoted = not _carries(usable, drafted.needs) and _carries(usable, drafted.needs_quoted)
    encoded = means.encoded or not (quoted or _carries(usable, drafted.needs))
    report = drafted.report(encoded=encoded, quoted=quoted)
    needs = report.needs
    if offers.size and report.size > offers.size:
        return too_large(means.host, report.size, offers.size)
    return Outgoing(
        sender=settings.report_envelope_sender or "",
        recipient=copy.intake,
        parts=(report.head, report.content, report.tail),
        size=report.size,
        body=_body(needs),
        smtputf8=needs.smtputf8,
        declare_size=Extension.SIZE not in means.without,
        by_data=not usable.chunking,
        encoded=encoded,
    )


def sent_as(report: Outgoing, offers: Offers) -> Sent:
    """Say how a report was sent to a host with these offers."""
    return Sent(report.uses(offers), report.encoded, report.size, offers.size)


def _carries(offers: Offers, needs: Needs) -> bool:
    if needs.binary and not (offers.chunking and offers.binary):
        return False
    if needs.smtputf8 and not offers.smtputf8:
        return False
    return offers.eight_bit or not needs.eight_bit


def _body(needs: Needs) -> BodyType:
    if needs.binary:
        return "BINARYMIME"
    return "8BITMIME" if needs.eight_bit else "7BIT"
