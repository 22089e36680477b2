"""Intakes and DNS zones that do everything wrong: nothing is lost, nothing leaves in the clear."""

from __future__ import annotations

import asyncio
import dataclasses
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tdc.node_agent.deliver.mx import NoRoute
from tdc.node_agent.deliver.resolver import Resolver
from tdc.shared.connector.settings import ConnectorSettings

from tests.fakes.dns import DnsServer
from tests.fakes.listening import listening
from tests.fakes.smtp_faults import Faults
from tests.stage.delivery import HOST, MESSAGE, staged

HELLO = "250-sink.example\r\n"
DATA_ONLY = ("CHUNKING", "BINARYMIME")


@dataclass(frozen=True)
class Case:
    """What an intake does wrong, and what the log must say of it.

    `without`: extensions that it does not offer.
    """

    name: str
    faults: Faults
    log: str
    without: tuple[str, ...] = ()


def _raw(name: str, stage: str, raw: str, log: str, *without: str) -> Case:
    return Case(name, Faults(garbage={stage: raw}), log, without)


def _reply(name: str, stage: str, reply: str, log: str) -> Case:
    return Case(name, Faults(replies={stage: reply}), log)


def _dropped(stage: str, log: str, *without: str) -> Case:
    return Case(f"drop-{stage}", Faults(drop=(stage,)), log, without)


TROUBLE = [
    _raw("banner-endless-line", "banner", "2" * 10_000_000, "a reply line is longer than 512"),
    _raw("banner-endless-reply", "banner", "220-x\r\n" * 1_500_000, "more than 100 lines"),
    _raw("banner-1000-lines", "banner", "220-x\r\n" * 1_000 + "220 x\r\n", "more than 100 lines"),
    _raw("banner-1yz", "banner", "120 x\r\n", "is not an SMTP reply"),
    _raw("banner-6yz", "banner", "620 x\r\n", "is not an SMTP reply"),
    _raw("banner-nul", "banner", "220 \0\r\n", "is not an SMTP reply"),
    _raw("banner-two", "banner", "220 a\r\n250 b\r\n", "a reply to nothing"),
    _reply("banner-554", "banner", "554 5.7.1 go away", "answered banner with 554"),
    _reply("banner-421", "banner", "421 4.3.2 busy", "answered banner with 421"),
    _raw("ehlo-10000-keywords", "ehlo", HELLO * 10_000 + "250 X\r\n", "more than 100 lines"),
    _raw("ehlo-two-codes", "ehlo", "250-x\r\n550 y\r\n", "one reply with the codes 250 and 550"),
    _raw("ehlo-starttls-within-a-word", "ehlo", "250 XSTARTTLS\r\n", "offered no STARTTLS"),
    _reply("starttls-250-is-not-tls", "starttls", "250 2.0.0 Ok", "TLS Error"),
    _reply("starttls-501", "starttls", "501 5.5.4 no", "answered STARTTLS with 501"),
    _reply("mail-530", "mail", "530 5.7.0 Must issue STARTTLS", "TLS Error"),
    _raw("mail-early-250s", "mail", "250 ok\r\n" * 5, "a reply to nothing"),
    _raw("mail-354", "mail", "354 go\r\n", "354 in reply to MAIL"),
    _raw("rcpt-two-codes", "rcpt", "250-a\r\n550 b\r\n", "one reply with the codes"),
    _reply("rcpt-550", "rcpt", "550 5.1.1 no", "answered RCPT with 550"),
    _reply("rcpt-terminal-escape", "rcpt", "450 \x1b[2J%s{0}<script>", "450 \\x1b[2J%s{0}<script>"),
    _raw("data-354-twice", "data", "354 a\r\n354 b\r\n", "a reply to nothing", *DATA_ONLY),
    _raw("data-250", "data", "250 a\r\n", "250 in reply to DATA", *DATA_ONLY),
    _raw("dot-354", "bdat", "354 a\r\n", "354 in reply to end of data"),
    _raw("dot-1yz", "bdat", "150 a\r\n", "is not an SMTP reply"),
    _raw("dot-2", "bdat", "2\r\n", "is not an SMTP reply"),
    _raw("dot-garbage", "bdat", "\0\xff\r\n", "is not an SMTP reply"),
    _reply("dot-421", "dot", "421 4.3.2 bye", "answered end of data with 421"),
    _reply("dot-refused", "dot", "554 5.6.0 \x1b[31m<b>%n", "554 5.6.0 \\x1b[31m<b>%n"),
    *(
        _dropped(stage, "closed the connection")
        for stage in ("banner", "ehlo", "starttls", "mail", "rcpt", "bdat", "before-dot")
    ),
    _dropped("data", "closed the connection", *DATA_ONLY),
    _dropped("dot", "closed the connection", *DATA_ONLY),
    _dropped("after-dot", "closed the connection"),
    Case("size-1", Faults(extra_keywords=("SIZE 1",)), "accepts at most 1, and"),
]


@pytest.mark.proves("B57", "B58", "B59", "B60", "B61", "B62", "B63", "B64", "P8")
@pytest.mark.parametrize("case", TROUBLE, ids=lambda case: case.name)
@pytest.mark.proves("P8", "F30", "B57", "B59", "B60", "B61", "B62", "B63", "B64")
async def test_an_intake_in_trouble_gets_nothing_in_the_clear_and_the_copy_is_kept(
    tmp_path: Path, case: Case
) -> None:
    """It never counts as delivered; a copy that waits arrives once the intake is fixed."""
    async with staged(
        tmp_path,
        faults=case.faults,
        intake={"without": case.without},
        retry_initial=1,
        retry_maximum=1,
    ) as stage:
        mid = await stage.queue()
        await stage.logged(case.log)
        await stage.until(lambda: stage.spool.facts().queued == 1)
        assert stage.counters.delivered == 0
        assert stage.spool.facts().dead == 0
        assert stage.intake.bytes_of_messages_seen_without_tls == 0
        assert "Traceback" not in stage.log.getvalue()
        assert "Internal Error" not in stage.log.getvalue()
        assert "\x1b" not in stage.log.getvalue()
        stage.intake.faults = Faults()
        stage.delivery.kick()
        await stage.logged(f"Message {mid} delivered")


@pytest.mark.parametrize(
    "faults",
    [
        Faults(garbage={"banner": "220 \xff\xfe caf\xe9\r\n"}),
        Faults(replies={"banner": "220-one\r\n220-two\r\n220 three"}),
        Faults(garbage={"banner": "220\r\n"}),
        Faults(extra_keywords=("SIZE much", "SIZE " + "9" * 400, "SIZE \u00b2", "", " ")),
        Faults(extra_keywords=("STARTTLS",)),  # within TLS too
        Faults(extra_keywords=("SIZE 0", "PIPELINING x", "8BITMIME y")),
        Faults(replies={"dot": "250-taken\r\n250-really\r\n250 yes"}),
        Faults(replies={"mail": "259 fine", "rcpt": "251 will forward", "dot": "200 x"}),
    ],
)
@pytest.mark.proves("B58")
async def test_an_odd_but_lawful_intake_is_served(tmp_path: Path, faults: Faults) -> None:
    async with staged(tmp_path, faults=faults) as stage:
        await stage.queue()
        await stage.intake.wait_for(1)
        assert MESSAGE in stage.intake.messages[0].content


async def test_a_success_before_the_end_of_the_content_is_not_a_success(tmp_path: Path) -> None:
    """A stray 250 within a large content must not count as the reply to its end."""
    async with staged(tmp_path, run=False) as stage:
        chain, key = stage.intake.certificate or ("", "")
        taken = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal taken
            writer.write(b"220 x\r\n")
            while line := await reader.readline():
                verb = line[:4].upper()
                if verb == b"EHLO":
                    writer.write(b"250-x\r\n250-PIPELINING\r\n250 STARTTLS\r\n")
                elif verb == b"STAR":
                    writer.write(b"220 go\r\n")
                    await writer.start_tls(_server_context(chain, key))
                elif verb == b"DATA":
                    writer.write(b"354 go\r\n")
                    taken += len(await reader.readexactly(300_000))
                    writer.write(b"250 2.0.0 Taken\r\n")
                    await asyncio.sleep(0.2)
                    return
                else:
                    writer.write(b"250 ok\r\n")

        async with listening(serve) as port:
            stage.settings = _routed(stage.settings, port)
            running = asyncio.ensure_future(stage.delivery.run())
            await stage.queue(
                MESSAGE + b"x" * 70 * 10**3 + b"\r\n" + (b"y" * 78 + b"\r\n") * 300_000
            )
            try:
                await stage.logged("accepted a message before its end")
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
        assert taken
        assert stage.counters.delivered == 0
        assert stage.spool.facts().queued == 1


def _server_context(chain: Path | str, key: Path | str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    return context


def _routed(settings: ConnectorSettings, port: int) -> ConnectorSettings:
    return dataclasses.replace(settings, smtp_route=(f"127.0.0.1:{port}",), tls_names=(HOST,))


@pytest.mark.parametrize(
    ("name", "common_name"),
    [
        ("*.com", None),
        ("*.example", None),
        ("mx1.intake.example.attacker.example", None),
        ("127.0.0.1", None),
        ("other.example", HOST),  # RFC 9525 2: the common name is no identity
    ],
)
async def test_a_certificate_for_another_name_gets_nothing(
    tmp_path: Path, name: str, common_name: str | None
) -> None:
    async with staged(tmp_path) as stage:
        chain, key = stage.authority.issue(name, common_name=common_name)
        stage.intake.faults = Faults(certificate=(str(chain), str(key)))
        await stage.queue()
        await stage.logged("not for intake.example")
        assert stage.intake.counts.mail_commands == 0


# DNS

Zone = dict[str, dict[str, Any]]


def _one_host(kind: str, address: str) -> Zone:
    return {"i.example": {"MX": [(0, "m.e")]}, "m.e": {kind: [address]}}


NO_HOST = "no MX of i.example is a valid host name"
ROUTES: list[tuple[str, Zone, str]] = [
    ("null", {"i.example": {"MX": [(0, ".")]}}, "does not accept mail (null MX)"),
    ("address", {"i.example": {"MX": [(0, "192.0.2.1")]}}, NO_HOST),
    ("short-address", {"i.example": {"MX": [(0, "127.1")]}}, NO_HOST),
    ("number", {"i.example": {"MX": [(0, "2130706433")]}}, NO_HOST),
    ("long-number", {"i.example": {"MX": [(0, "1.2.3.4.5")]}}, NO_HOST),
    ("colon", {"i.example": {"MX": [(0, "a:b")]}}, NO_HOST),
    ("ipv6", {"i.example": {"MX": [(0, "::1")]}}, NO_HOST),
    ("space", {"i.example": {"MX": [(0, "a b.example")]}}, NO_HOST),
    ("escape", {"i.example": {"MX": [(0, "\x1b[1m.example")]}}, NO_HOST),
    ("missing", {"i.example": {"MX": [(0, "m.example")]}}, "m.example (host of i.example) has no"),
    ("loop", {"i.example": {"MX": [(0, "a.e")]}, "a.e": {"CNAME": "b.e"}, "b.e": {"CNAME": "a.e"}},
     "DNS Error"),
    ("apex-loop", {"i.example": {"CNAME": "i.example"}}, "DNS Error"),
    ("servfail", {"i.example": {"fault": "servfail"}}, "failed: SERVFAIL"),
    ("refused", {"i.example": {"fault": "refused"}}, "failed: SERVFAIL"),
    *(
        (address, _one_host(kind, address), "no address that may be used")
        for kind, address in (
            ("A", "127.0.0.1"),
            ("A", "127.8.8.8"),
            ("A", "169.254.169.254"),
            ("A", "0.0.0.0"),  # an answer, nothing is bound
            ("A", "255.255.255.255"),
            ("A", "224.0.0.1"),
            ("AAAA", "::1"),
            ("AAAA", "::"),
            ("AAAA", "fe80::1"),
            ("AAAA", "0:0:0:0:0:ffff:7f00:1"),
            ("AAAA", "0:0:0:0:0:ffff:a9fe:a9fe"),
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize(("zone", "log"), [r[1:] for r in ROUTES], ids=[r[0] for r in ROUTES])
@pytest.mark.proves("B69", "B72", "B74", "B79")
async def test_a_hostile_zone_leads_nowhere(zone: Zone, log: str) -> None:
    async with DnsServer(zone) as dns:
        with pytest.raises(NoRoute) as raised:
            await Resolver((dns.nameserver,)).find(
                "i.example", ("usedns",), 25, allow_private=False
            )
    assert log in str(raised.value)


@pytest.mark.proves("F41", "B71")
async def test_a_long_list_of_mx_costs_a_few_questions() -> None:
    hosts: Zone = {f"m{number}.e": {"A": [f"9.9.9.{number % 250}"]} for number in range(500)}
    zone: Zone = {"i.example": {"MX": list(enumerate(hosts))}, **hosts}
    async with DnsServer(zone, ttl=0) as dns:
        resolver = Resolver((dns.nameserver,))
        for _ in range(3):
            found = await resolver.find("i.example", ("usedns",), 25, allow_private=False)
        assert len(found) == 5
        assert dns.questions.total() < 25  # a TTL of 0 does not make us ask each time
