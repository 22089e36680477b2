"""PURE. From a copy to what is sent on this connection: the report as the intake can take it."""

from __future__ import annotations

from tdc.node_agent.deliver.trouble import Outcome, too_large
from tdc.node_agent.journal.loop import Reporter
from tdc.node_agent.journal.report import Needs, draft
from tdc.node_agent.smtp.dialogue import Offers, Outgoing
from tdc.node_agent.spool.values import Copy
from tdc.shared.connector.settings import ConnectorSettings
from tdc.shared.mail.envelope import BodyType


def prepare(
    copy: Copy,
    settings: ConnectorSettings,
    reporter: Reporter,
    offers: Offers,
    *,
    declare_size: bool = True,
) -> Outgoing | Outcome:
    """Make the transaction that sends a copy's report, or say why this intake can't have it.

    A `message/rfc822` part may not be encoded (RFC 2046 5.2.1): where the intake can't take the
    octets as they are, the report is built in its other form, with the original as base64.
    """
    drafted = draft(copy, settings, reporter)
    report = drafted.report(encoded=not _carries(offers, drafted.needs))
    needs = report.needs
    if offers.size and report.size > offers.size:
        return too_large(report.size, offers.size)
    return Outgoing(
        sender=settings.report_envelope_sender or "",
        recipient=copy.intake,
        parts=(report.head, report.content, report.tail),
        size=report.size,
        body=_body(needs),
        smtputf8=needs.smtputf8,
        declare_size=declare_size,
    )


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
