"""For each original the log says whether it was copied, by which rule not, and how to find it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tdc.node_agent.counters import MissedReason
from tdc.node_agent.facts import spool_full
from tdc.shared.settings.values import Policy, PolicyAction
from tdc.shared.sync.suspension import Suspended, Suspension

from tests.fakes.smtp_sink import SmtpSink
from tests.stage.content_filter import INTAKE, Bench, running_filter
from tests.stage.filter_dialogue import connected
from tests.stage.next_hops import Hop, before

CONTENT = "Subject: x\r\nMessage-ID:\r\n <1@partner.example>\r\n\r\nhello"
PAYROLL = Policy("payroll", PolicyAction.NO_SCAN, recipients=("pay@corp.example",))
OTHER = "hr@scanner.example"
IDS = "Message-ID <1@partner.example>, queue id 4F1C2A."


async def _hand_over(
    bench: Bench, *recipients: str, ident: str = "4F1C2A", content: str = CONTENT
) -> str:
    """Hand a message over as Postfix does; return the reply to its end."""
    mta = await connected(bench.filter.port)
    lines = ["EHLO mx1.corp.example"]
    lines += [f"XFORWARD NAME=out.example ADDR=203.0.113.5 IDENT={ident}"] if ident else []
    lines += ["MAIL FROM:<a@partner.example>"]
    lines += [f"RCPT TO:<{recipient}>" for recipient in recipients]
    answer = b""
    async with asyncio.timeout(10):
        await mta.reader.readline()
        for line in [*lines, "DATA", content + "\r\n."]:
            await mta.send(line)
            while (answer := await mta.reader.readline())[3:4] == b"-":
                pass
    await mta.close()
    return answer.decode()


@pytest.mark.proves("S10")
@pytest.mark.parametrize(
    ("recipients", "settings", "line"),
    [
        (["bob@corp.example"], {}, f"Message 1 queued for delivery. {IDS}"),
        (
            ["pay@corp.example"],
            {"policies": (PAYROLL,)},
            f"No copy due: no-scan policy payroll. {IDS}",
        ),
        (
            ["bob@corp.example", "pay@corp.example", "x@other.example"],
            {"policies": (PAYROLL,), "incoming_domains": ("corp.example",)},
            f"No copy due for 1 of 3 recipients: no-scan policy payroll. {IDS}",
        ),
        (
            ["bob@corp.example", "x@other.example"],
            {"incoming_domains": ("corp.example",)},
            f"No copy due for 1 of 2 recipients: not incoming. {IDS}",
        ),
        ([INTAKE], {}, f"No copy due: addressed to the intake. {IDS}"),
        (
            ["bob@corp.example"],
            {"max_message_size": 10},
            "Copy missed: a message of ",
        ),
    ],
)
async def test_each_decision_has_a_line(
    tmp_path: Path, recipients: list[str], settings: dict[str, Any], line: str
) -> None:
    async with SmtpSink() as hop, running_filter(tmp_path, hop.port) as bench:
        bench.settings = replace(bench.settings, **settings)
        assert (await _hand_over(bench, *recipients)).startswith("250")
        assert (await bench.logged(line)).endswith(IDS)


async def test_a_gateway_without_copies_writes_no_line_for_each_message(tmp_path: Path) -> None:
    async with SmtpSink() as hop, running_filter(tmp_path, hop.port) as bench:
        bench.settings = replace(bench.settings, enabled=False)
        await _hand_over(bench, "bob@corp.example")
        assert bench.counters.copies_not_due == 1
        bench.settings = replace(bench.settings, enabled=True)
        await _hand_over(bench, "bob@corp.example")
        await bench.logged("queued for delivery.")
        assert "No copy due" not in bench.log.getvalue()


async def test_a_refused_original_has_no_line(tmp_path: Path) -> None:
    """It is still the MTA's: nothing was decided."""
    async with SmtpSink() as hop, running_filter(tmp_path, hop.port) as bench:
        bench.settings = replace(bench.settings, incoming_domains=("corp.example",))
        hop.faults = replace(hop.faults, replies={"dot": "554 5.7.1 spam"})
        assert (await _hand_over(bench, "x@other.example")).startswith("554")
        assert bench.counters.copies_not_due == 0
        hop.faults = replace(hop.faults, replies={})
        await _hand_over(bench, "x@other.example")
        await bench.logged("No copy due: not incoming.")
        assert bench.log.getvalue().count("No copy due") == 1


async def test_a_number_that_is_none_is_left_out(tmp_path: Path) -> None:
    async with SmtpSink() as hop, running_filter(tmp_path, hop.port) as bench:
        await _hand_over(bench, "bob@corp.example", ident="[UNAVAILABLE]")
        line = await bench.logged("queued for delivery.")
        assert line.endswith("queued for delivery. Message-ID <1@partner.example>.")


@pytest.mark.proves("F38")
async def test_a_full_spool_is_a_fact_until_it_has_room(tmp_path: Path) -> None:
    async with SmtpSink() as hop, running_filter(tmp_path, hop.port) as bench:
        size = len(CONTENT) + 2
        bench.spool.set_limits(100, 2 * size + size // 2)
        for _ in range(2):
            await _hand_over(bench, "bob@corp.example")
        assert spool_full(bench.spool, bench.counters) is None, "nothing was refused yet"
        for _ in range(3):
            assert (await _hand_over(bench, "bob@corp.example")).startswith("250")
        assert "spool.max_bytes is" in (spool_full(bench.spool, bench.counters) or "")
        run = bench.counters.missed[MissedReason.SPOOL_FULL]
        assert (run.count, bench.counters.copies_missed) == (3, 3)
        assert run.since < run.last
        # Delivery makes room while no mail comes.
        [first] = await bench.spool.claim(2**40, 1)
        await bench.spool.delivered(first.mid, reply="250 ok")
        assert spool_full(bench.spool, bench.counters) is None


async def test_while_copying_is_suspended_originals_pass_and_each_due_copy_is_missed(
    tmp_path: Path,
) -> None:
    """Also where a spool without room would refuse them: this is as somebody ordered."""
    async with SmtpSink() as hop, running_filter(tmp_path, hop.port) as bench:
        bench.settings = replace(bench.settings, spool_when_full="tempfail", policies=(TWO,))
        bench.suspension = Suspension(1, copying=Suspended("ada", "loop", 1_795_425_302.0))
        assert (await _hand_over(bench, "bob@corp.example")).startswith("250")
        assert bench.spool.facts().queued == 0
        run = bench.counters.missed[MissedReason.SUSPENDED]
        assert run.count == bench.counters.copies_missed == 1
        line = await bench.logged("Copy missed: copying is suspended by ada since 2026-11-23")
        assert "Copies are taken again once copying is resumed." in line
        bench.suspension = Suspension(2, delivery=bench.suspension.copying)
        assert (await _hand_over(bench, "bob@corp.example")).startswith("250")
        assert bench.spool.facts().queued == 1, "delivery is no business of ingest"
        assert len(hop.messages) == 2


@pytest.mark.proves("F38")
async def test_refused_originals_are_no_missed_copies(tmp_path: Path) -> None:
    async with SmtpSink() as hop, running_filter(tmp_path, hop.port) as bench:
        bench.settings = replace(bench.settings, spool_when_full="tempfail")
        bench.spool.set_limits(1, 10_000)
        await _hand_over(bench, "bob@corp.example")
        assert (await _hand_over(bench, "bob@corp.example")).startswith("451")
        assert bench.counters.missed == {}
        line = await bench.logged("Message not accepted, MTA will retry: the spool is full")
        assert line.endswith(
            "spool.max_messages is 1. Message-ID <1@partner.example>, queue id 4F1C2A."
        )
        assert "spool.max_messages is 1" in (spool_full(bench.spool, bench.counters) or "")


@pytest.mark.parametrize(
    ("closes", "ids"),
    [
        ("MAIL", "queue id 4F1C2A."),
        ("DATA", "queue id 4F1C2A."),
        ("DOT", "Message-ID <1@partner.example>, queue id 4F1C2A."),
    ],
)
async def test_what_is_put_back_to_the_mta_is_named(tmp_path: Path, closes: str, ids: str) -> None:
    """As what is copied is: "was this message copied?" has an answer for it too."""
    async with before(tmp_path, Hop(closes=closes)) as bench:
        await _hand_over(bench, "bob@corp.example")
        line = await bench.logged("Message not accepted, MTA will retry: the next hop closed")
        assert line.endswith(f" {ids}")
        assert await bench.copies() == []


async def test_a_spool_that_takes_smaller_copies_is_not_full(tmp_path: Path) -> None:
    """One large message that had no room does not stand for all."""
    async with SmtpSink() as hop, running_filter(tmp_path, hop.port) as bench:
        bench.spool.set_limits(100, 10_000)
        large = CONTENT + "x" * 900 + "\r\n"
        await _hand_over(bench, "bob@corp.example", content=large * 20)
        assert spool_full(bench.spool, bench.counters)
        await _hand_over(bench, "bob@corp.example")
        assert spool_full(bench.spool, bench.counters) is None


TWO = Policy("hr", PolicyAction.CUSTOM, recipients=("pay@corp.example",), intake_address=OTHER)


async def test_each_intake_gets_a_copy_that_names_its_own_recipients(tmp_path: Path) -> None:
    async with SmtpSink() as hop, running_filter(tmp_path, hop.port) as bench:
        bench.settings = replace(bench.settings, policies=(TWO,))
        await _hand_over(bench, "bob@corp.example", "pay@corp.example", "ann@corp.example")
        copies = await bench.spool.claim(2**40, 10)
        assert {(copy.intake, copy.envelope.recipients) for copy in copies} == {
            (INTAKE, ("bob@corp.example", "ann@corp.example")),
            (OTHER, ("pay@corp.example",)),
        }


async def test_of_a_message_that_is_put_off_no_copy_is_left_behind(tmp_path: Path) -> None:
    """The first intake's copy was taken before there was no room for the second one's."""
    async with SmtpSink() as hop, running_filter(tmp_path, hop.port) as bench:
        bench.settings = replace(bench.settings, policies=(TWO,), spool_when_full="tempfail")
        bench.spool.set_limits(1, 10_000)
        answer = await _hand_over(bench, "bob@corp.example", "pay@corp.example")
        assert answer.startswith("451")
        facts = bench.spool.facts()
        assert (facts.held, facts.queued, facts.bytes) == (0, 0, 0)
