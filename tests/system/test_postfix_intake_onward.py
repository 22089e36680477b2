"""An intake's Postfix that passes reports on to a host without 8BITMIME, and what keeps them whole.

A part that says 8bit is made quoted-printable on the way, also inside an attached original.
"""

from __future__ import annotations

import asyncio
import smtplib

import pytest
from tdc.node_agent.journal.loop import Reporter
from tdc.node_agent.spool.values import Copy
from tdc.shared.connector.settings import ConnectorSettings
from tdc.shared.mail.envelope import Envelope

from tests.fakes.journal_reader import read_report
from tests.fakes.reports import build
from tests.fakes.smtp_sink import SmtpSink
from tests.system.conftest import needs_postfix
from tests.system.postfix import private_postfix

pytestmark = [pytest.mark.system, needs_postfix]

ORIGINAL = (
    b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: 8bit\r\n\r\nh\xc3\xa9llo\r\n"
)
INPUT = "disable_mime_input_processing = yes\n"
OUTPUT = "disable_mime_output_conversion = yes\n"


@pytest.mark.parametrize(
    ("settings", "lacking", "untouched"),
    [
        ("", (), True),
        ("", ("8BITMIME", "SMTPUTF8"), False),  # SMTPUTF8 includes 8BITMIME (RFC 6531 3.1)
        (INPUT, ("8BITMIME", "SMTPUTF8"), False),
        (INPUT + OUTPUT, ("8BITMIME", "SMTPUTF8"), True),
    ],
)
async def test_what_is_passed_on_stays_whole_without_output_conversion(
    settings: str, lacking: tuple[str, ...], untouched: bool
) -> None:
    envelope = Envelope("ann@example.com", ("bob@example.org",))
    copy = Copy(1, "0" * 32, "journal@corp.example", envelope, ORIGINAL, 0.0)
    report = build(copy, ConnectorSettings.defaults(), Reporter("mx1", bytes(32)))
    raw = report.head + report.content + report.tail
    async with SmtpSink(without=lacking) as archive:
        route = f"relay_transport = smtp:[127.0.0.1]:{archive.port}\n"
        with private_postfix(main=settings + route) as postfix:
            await asyncio.to_thread(_send, postfix.port, raw)
            await archive.wait_for(1, timeout=20)
    original = read_report(archive.messages[0].content).original
    assert (original == ORIGINAL) == untouched
    assert (b"quoted-printable" in original) != untouched


def _send(port: int, raw: bytes) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
        client.sendmail("", ["journal@corp.example"], raw, mail_options=["BODY=8BITMIME"])
