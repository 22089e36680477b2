"""Delivery against an intake with faults: real spool, real TLS, real sockets."""

from __future__ import annotations

from pathlib import Path

from tests.deliver.stage import staged


async def test_a_copy_arrives_as_a_report_over_verified_tls(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        mid = await stage.queue()
        await stage.drained()
        [message] = stage.intake.messages
        assert message.tls_version == "TLSv1.3"
        assert message.sender == ""
        assert message.recipients == ("copies@intake.example",)
        await stage.logged(f"Message {mid} delivered to Cisco Secure Email Threat Defense")
        assert stage.counters.delivered == 1
        assert stage.intake.bytes_of_messages_seen_without_tls == 0
