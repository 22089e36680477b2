"""Delivery against an intake with faults: real spool, real TLS, real sockets."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tdc.node_agent.deliver.timeouts import Timeouts
from tdc.shared.edge.tasks import running

from tests.fakes.smtp_faults import Faults
from tests.fakes.smtp_sink import SmtpSink
from tests.stage.delivery import (
    HOST,
    INTAKE,
    MESSAGE,
    Authority,
    DeliveryStage,
    staged,
)

FAILED = "TDC: Message {} delivery failed to Cisco Secure Email Threat Defense: TLS Error."


async def test_a_copy_arrives_as_a_report_over_verified_tls(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        mid = await stage.queue()
        await stage.drained()
        [message] = stage.intake.messages
        assert message.tls_version == "TLSv1.3"
        assert message.sender == ""
        assert message.recipients == (INTAKE,)
        assert MESSAGE in message.content
        await stage.logged(f"Message {mid} delivered to Cisco Secure Email Threat Defense")
        assert stage.counters.delivered == 1
        assert stage.intake.bytes_of_messages_seen_without_tls == 0


def _no_starttls(_: Authority) -> Faults:
    return Faults(offer_starttls=False)


def _starttls_454(_: Authority) -> Faults:
    return Faults(replies={"starttls": "454 4.7.0 TLS not available"})


def _old_tls(_: Authority) -> Faults:
    return Faults(tls_maximum="1.1")


def _unknown_ca(authority: Authority) -> Faults:
    (authority.folder / "other").mkdir()
    return Faults(certificate=_pair(Authority(authority.folder / "other").issue(HOST)))


def _wrong_name(authority: Authority) -> Faults:
    return Faults(certificate=_pair(authority.issue("mail.attacker.example")))


def _expired(authority: Authority) -> Faults:
    return Faults(certificate=_pair(authority.issue_expired(HOST)))


def _plain_text(_: Authority) -> Faults:
    return Faults(plaintext_after_starttls=True)


def _injected(_: Authority) -> Faults:
    return Faults(inject_after_starttls="250-injected\r\n250 PIPELINING\r\n")


def _pair(files: tuple[Path, Path]) -> tuple[str, str]:
    return str(files[0]), str(files[1])


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        (_no_starttls, "offered no STARTTLS"),
        (_starttls_454, "answered STARTTLS with 454 4.7.0 TLS not available"),
        (_old_tls, "ended the TLS handshake (connection closed); it may not support TLS 1.2"),
        (_unknown_ca, "presents a certificate of an unknown CA"),
        (_wrong_name, "presents a certificate for mail.attacker.example, not for intake.example"),
        (_expired, "presents an expired certificate"),
        (_plain_text, "sent plain text after its reply to STARTTLS"),
        (_injected, "sent plain text after its reply to STARTTLS"),
    ],
)
@pytest.mark.proves("P9", "F43", "B65")
async def test_no_byte_of_a_message_leaves_without_verified_tls(
    tmp_path: Path, fault: Callable[[Authority], Faults], check: str
) -> None:
    """The copy stays queued, the log says TLS Error and what to check; once fixed, it arrives."""
    async with staged(tmp_path) as stage:
        stage.intake.faults = fault(stage.authority)
        first, second = await stage.queue(), await stage.queue()
        for mid in (first, second):
            await stage.logged(FAILED.format(mid))
            await stage.logged(f"TDC: Message {mid} TLS Error: {HOST}:{stage.intake.port} {check}")
        await stage.logged("Delivery to intake.example on hold: TLS Error")
        assert stage.intake.counts.mail_commands == 0
        assert stage.intake.bytes_of_messages_seen_without_tls == 0
        assert stage.spool.facts().queued == 2
        [row] = stage.delivery.destinations()
        assert row.host_status == "down"
        assert row.held_reason.startswith("TLS Error: ")
        assert row.active_recipients == 2

        stage.intake.faults = Faults()
        stage.delivery.kick()
        await stage.drained()
        await stage.logged("Delivery to intake.example resumed.")
        assert len(set(stage.report_ids())) == len(stage.intake.messages) == 2
        assert stage.intake.bytes_of_messages_seen_without_tls == 0


@pytest.mark.proves("P6")
async def test_a_hold_ends_by_its_own_probe(tmp_path: Path) -> None:
    async with staged(tmp_path, faults=Faults(offer_starttls=False), retry_initial=1) as stage:
        await stage.queue()
        await stage.logged("on hold: TLS Error")
        stage.intake.faults = Faults()
        await stage.drained(timeout=5)


async def test_tls_1_2_is_refused_where_1_3_is_the_minimum(tmp_path: Path) -> None:
    faults = Faults(tls_maximum="1.2")
    async with staged(tmp_path, faults=faults, tls_minimum_version="1.3") as stage:
        mid = await stage.queue()
        await stage.logged(f"Message {mid} TLS Error: {HOST}:{stage.intake.port}")
        await stage.logged("it may not support TLS 1.3")
        assert stage.intake.counts.mail_commands == 0
        stage.settings = replace(stage.settings, tls_minimum_version="1.2")
        stage.delivery.kick()
        await stage.drained()
        assert stage.intake.messages[0].tls_version == "TLSv1.2"


@pytest.mark.proves("P10")
async def test_the_second_mx_takes_over_when_the_first_is_dead(tmp_path: Path) -> None:
    async with staged(tmp_path, run=False) as stage, _another(stage) as second:
        stage.dns.zone["intake.example"] = {"MX": [[10, "dead.intake.example"], [20, HOST]]}
        stage.dns.zone["dead.intake.example"] = {"A": ["127.0.0.3"]}
        async with running(stage.delivery.run(), name="delivery"):
            for _ in range(5):
                await stage.queue()
            await stage.drained()
        assert len(stage.intake.messages) == 5
        assert not second.messages
        assert stage.counters.deferred == 0
        assert "on hold" not in stage.log.getvalue()


@pytest.mark.parametrize(
    "faults",
    [
        Faults(replies={"banner": "554 5.3.2 go away"}),
        Faults(replies={"ehlo": "421 4.3.2 shutting down"}),
        Faults(replies={"mail": "451 4.3.0 try later"}),
        Faults(drop=("banner",)),
        Faults(drop=("mail",)),
        Faults(garbage={"banner": "SSH-2.0-OpenSSH_9.2\r\n"}),
        Faults(offer_starttls=False),
    ],
    ids=str,
)
@pytest.mark.proves("P10")
async def test_the_second_mx_takes_over_from_one_in_trouble(tmp_path: Path, faults: Faults) -> None:
    async with staged(tmp_path, run=False) as stage, _another(stage, faults=faults) as bad:
        stage.dns.zone["intake.example"] = {"MX": [[10, "bad.intake.example"], [20, HOST]]}
        stage.dns.zone["bad.intake.example"] = {"A": ["127.0.0.3"]}
        async with running(stage.delivery.run(), name="delivery"):
            for _ in range(3):
                await stage.queue()
            await stage.drained()
        assert len(set(stage.report_ids())) == len(stage.intake.messages) == 3
        assert bad.counts.connections >= 1
        assert not bad.messages


@pytest.mark.proves("B64")
async def test_a_drop_after_the_dot_is_repeated_with_the_same_report_id(tmp_path: Path) -> None:
    faults = Faults(drop=("after-dot",), drop_times=1)
    async with staged(tmp_path, faults=faults, retry_initial=1) as stage:
        await stage.queue()
        await stage.drained()
        one, two = stage.report_ids()
        assert one == two
        assert stage.counters.maybe_duplicate == 1
        assert stage.counters.delivered == 1


async def test_a_drop_amid_the_content_is_tried_again(tmp_path: Path) -> None:
    faults = Faults(drop=("before-dot",), drop_times=1)
    big = MESSAGE + b"x" * 70 + b"\r\n" * 1_000_000  # cut within the content
    async with staged(tmp_path, faults=faults, retry_initial=1) as stage:
        await stage.queue(big)
        await stage.drained()
        assert len(stage.intake.messages) == 1
        assert stage.counters.deferred == 1
        assert stage.counters.maybe_duplicate <= 1  # the kernel may have taken all of it


@pytest.mark.proves("F37", "P6")
async def test_a_refusal_of_the_address_holds_everything_and_loses_nothing(tmp_path: Path) -> None:
    """One alarm, one probe for each interval, and all is delivered once the intake is fixed."""
    faults = Faults(replies={"rcpt": "550 5.1.1 No such user"})
    async with staged(tmp_path, faults=faults, retry_initial=1, retry_maximum=1) as stage:
        for _ in range(30):
            await stage.queue()
        await stage.logged("on hold: Intake Refused")
        before = stage.intake.counts.mail_commands
        await asyncio.sleep(2.2)
        probes = stage.intake.counts.mail_commands - before
        assert 1 <= probes <= 3
        assert stage.log.getvalue().count("on hold") == 1
        assert stage.spool.facts().queued == 30
        assert stage.counters.dead == 0
        stage.intake.faults = Faults()
        stage.delivery.kick()
        await stage.drained()
        assert len(set(stage.report_ids())) == len(stage.intake.messages) == 30
        assert stage.log.getvalue().count("resumed") == 1


@pytest.mark.parametrize("reply", ["554 Not a journal report", "450 4.6.0 Not now"])
async def test_a_refusal_of_the_content_delays_that_message_alone(
    tmp_path: Path, reply: str
) -> None:
    async with staged(tmp_path, faults=Faults(replies={"dot": [reply]})) as stage:
        first = await stage.queue()
        await stage.logged(f"answered end of data with {reply}; next try in ")
        second = await stage.queue()
        await stage.logged(f"Message {second} delivered")
        assert f"Message {first} delivery failed" in stage.log.getvalue()
        assert len(stage.intake.messages) == 1
        assert stage.spool.facts().queued == stage.counters.deferred == 1
        assert stage.counters.dead == 0


async def test_refusing_every_content_ends_as_a_hold(tmp_path: Path) -> None:
    faults = Faults(replies={"dot": "554 Tenant expired"})
    async with staged(tmp_path, faults=faults, delivery_max_connections=1) as stage:
        for _ in range(40):
            await stage.queue()
        await stage.logged("more than 20 messages in a row")
        await asyncio.sleep(0.2)
        assert stage.spool.facts().dead == 0
        assert stage.spool.facts().queued == 40
        assert stage.counters.deferred in (21, 22)  # one more may have been announced


async def test_an_intake_without_size_is_asked_without_it(tmp_path: Path) -> None:
    """555 to MAIL: once more without the parameter that we added (RFC 5321 4.1.1.11)."""
    faults = Faults(replies={"mail": ["555 5.5.4 Unsupported parameter"]})
    async with staged(tmp_path, faults=faults) as stage:
        await stage.queue()
        await stage.drained()
        assert not any("SIZE" in word for word in stage.intake.messages[0].mail_parameters)


async def test_too_large_for_the_intake_is_known_before_mail(tmp_path: Path) -> None:
    intake: dict[str, Any] = {"without": ("SIZE",)}
    faults = Faults(extra_keywords=("SIZE 100000",))
    async with staged(tmp_path, faults=faults, intake=intake) as stage:
        mid = await stage.queue(MESSAGE + b"x" * 70 + b"\r\n" * 60_000)
        await stage.logged(f"Message {mid} too-large: the report has ")
        assert stage.intake.counts.mail_commands == 0
        assert stage.spool.facts().queued == 1


_PLAIN = ("PIPELINING", "CHUNKING", "BINARYMIME", "8BITMIME", "SMTPUTF8", "SIZE")


@pytest.mark.parametrize(
    "without",
    [(), ("PIPELINING",), ("CHUNKING", "BINARYMIME"), ("CHUNKING", "PIPELINING"), _PLAIN],
    ids=str,
)
async def test_content_arrives_exactly_whatever_the_intake_offers(
    tmp_path: Path, without: tuple[str, ...]
) -> None:
    dots = b"Subject: dots\r\n\r\n.\r\n..\r\n.a\r\n\r\n.\r\n" + b".line\r\n" * 50
    async with staged(tmp_path, intake={"without": without}) as stage:
        for _ in range(5):
            await stage.queue(dots)
        await stage.drained()
        assert len(stage.intake.messages) == 5
        for message in stage.intake.messages:
            assert dots in message.content
            assert message.via == ("DATA" if "CHUNKING" in without else "BDAT")


@pytest.mark.proves("P8", "B60")
async def test_a_reply_too_many_is_never_a_success(tmp_path: Path) -> None:
    """An extra 250 shifts all later replies: the message is tried again, not counted."""
    faults = Faults(garbage={"mail": "250 2.1.0 Ok\r\n250 2.1.0 Ok\r\n"})
    async with staged(tmp_path, faults=faults) as stage:
        await stage.queue()
        await stage.logged("Protocol Error")
        assert stage.counters.delivered == 0
        assert stage.spool.facts().queued == 1


async def test_a_silent_intake_costs_a_timeout_and_no_message(tmp_path: Path) -> None:
    short = Timeouts(connect=1, banner=0.2, tls=1, command=0.3, data=0.3, dot=0.3)
    faults = Faults(delays={"banner": 30})
    async with staged(tmp_path, faults=faults, options={"timeouts": short}) as stage:
        mid = await stage.queue()
        await stage.logged(f"Message {mid} Timeout: {HOST}:{stage.intake.port} did not reply")
        assert stage.spool.facts().queued == 1


async def test_disabled_still_drains(tmp_path: Path) -> None:
    async with staged(tmp_path, enabled=False) as stage:
        await stage.queue()
        await stage.drained()


@pytest.mark.proves("B69")
async def test_a_null_mx_is_a_configuration_error(tmp_path: Path) -> None:
    async with staged(tmp_path, run=False) as stage:
        stage.dns.zone["intake.example"] = {"MX": [[0, "."]]}
        async with running(stage.delivery.run(), name="delivery"):
            mid = await stage.queue()
            await stage.logged(f"Message {mid} DNS Error: intake.example does not accept mail")
        assert stage.intake.counts.connections == 0


async def test_a_private_intake_is_refused_until_its_route_allows_it(tmp_path: Path) -> None:
    async with staged(tmp_path, options={"allow_private_targets": False}) as stage:
        await stage.queue()
        await stage.logged("127.0.0.1 (loopback)")
        await stage.logged("set smtp_route.private = true")
        assert stage.intake.counts.connections == 0
        stage.settings = dataclasses.replace(stage.settings, smtp_route_private=True)
        stage.delivery.kick()
        await stage.intake.wait_for(1)


def _another(stage: DeliveryStage, **facts: Any) -> SmtpSink:
    """A second intake on 127.0.0.3, same port, with a good certificate of its own."""
    certificate = stage.authority.issue("bad.intake.example")
    return SmtpSink(host="127.0.0.3", port=stage.intake.port, certificate=certificate, **facts)
