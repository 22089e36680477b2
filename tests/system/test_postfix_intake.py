"""What a Postfix at the intake does to the original inside a report, as the operator guide says."""

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

LONG = b"X-Long: x" + b"\r\n xxxxx" * 20_000 + b"\r\n"  # over header_size_limit
ORIGINAL = b"Subject : blank\r\n" + LONG + b"Content-Type: text/plain\r\n\r\nbody\r\n"


@pytest.mark.parametrize(("setting", "untouched"), [("", False), ("yes", True)])
async def test_only_without_mime_processing_the_original_arrives_as_it_is(
    setting: str, untouched: bool
) -> None:
    envelope = Envelope("ann@example.com", ("bob@example.org",))
    copy = Copy(1, "0" * 32, "journal@corp.example", envelope, ORIGINAL, 0.0)
    report = build(copy, ConnectorSettings.defaults(), Reporter("mx1", bytes(32)))
    raw = report.head + report.content + report.tail
    option = f"disable_mime_input_processing = {setting}\n" if setting else ""
    async with SmtpSink() as store:
        route = f"relay_transport = smtp:[127.0.0.1]:{store.port}\n"
        with private_postfix(main=option + route) as postfix:
            await asyncio.to_thread(_send, postfix.port, raw)
            await store.wait_for(1, timeout=20)
    original = read_report(store.messages[0].content).original
    assert (original == ORIGINAL) == untouched
    assert original.startswith(b"Subject :") == untouched
    assert (len(original) > 150_000) == untouched


def _send(port: int, raw: bytes) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
        assert client.sendmail("", ["journal@corp.example"], raw) == {}
