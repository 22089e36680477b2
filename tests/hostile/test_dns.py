"""DNS answers that are forged, broken or huge: none is believed, none ends the lookup."""

from __future__ import annotations

import asyncio

import pytest
from dnslib import QTYPE, RR, A, DNSRecord
from tdc.node_agent.deliver import resolver
from tdc.node_agent.deliver.mx import NoRoute
from tdc.node_agent.deliver.resolver import Resolver

from tests.fakes.dns import DnsServer, Zone

TRUE, FORGED = "9.9.9.9", "6.6.6.6"
SHORT = 0.4
NO_ANSWER = "no answer"
UDP_AS_IT_IS, OVER_TCP = "", "truncated"


async def find(dns: DnsServer, domain: str = "i.example") -> list[str]:
    candidates = await Resolver((dns.nameserver,)).find(
        domain, ("usedns",), 25, allow_private=False
    )
    return [one.address for one in candidates]


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A question is given up early: what is not an answer is waited past, to the end."""
    monkeypatch.setattr(resolver, "LOOKUP_TIMEOUT", SHORT)


def forged_id(question: bytes) -> bytes:
    """An answer by somebody who did not see the question's number."""
    asked = DNSRecord.parse(question)
    reply = asked.reply()
    reply.add_answer(RR(asked.q.qname, QTYPE.A, rdata=A(FORGED), ttl=3_600))
    reply.header.id ^= 1
    return bytes(reply.pack())


def forged_question(question: bytes) -> bytes:
    """The right number, for a question that nobody asked."""
    reply = DNSRecord.question("other.example", "A").reply()
    reply.add_answer(RR("i.example", QTYPE.A, rdata=A(FORGED), ttl=3_600))
    reply.header.id = DNSRecord.parse(question).header.id
    return bytes(reply.pack())


def garbage(question: bytes) -> bytes:
    return question[:2] + b"\xff" * 30


@pytest.mark.proves("F40")
@pytest.mark.parametrize("forge", [forged_id, forged_question, garbage])
async def test_a_forged_answer_is_ignored_and_the_true_one_behind_it_taken(forge: object) -> None:
    zone: Zone = {"i.example": {"A": [TRUE]}}
    async with DnsServer(zone, forge=forge) as dns:  # type: ignore[arg-type]
        assert await find(dns) == [TRUE]


@pytest.mark.proves("F40", "B78")
@pytest.mark.parametrize("fault", ["wrong id", "pointer loop"])
async def test_an_answer_that_is_none_is_not_believed(hurried: None, fault: str) -> None:
    """Nor taken for "there is no MX": the domain's own address must not be tried then."""
    zone: Zone = {"i.example": {"MX": [[10, "m.example"]], "A": [FORGED], "fault": fault}}
    async with DnsServer(zone) as dns:
        async with asyncio.timeout(10 * SHORT):
            with pytest.raises(NoRoute, match=NO_ANSWER):
                await find(dns)
        assert dns.questions["i.example", "A"] == 0


@pytest.mark.proves("B78")
async def test_a_loop_of_pointers_in_the_answer_about_a_host_costs_that_host_alone(
    hurried: None,
) -> None:
    zone: Zone = {
        "i.example": {"MX": [[10, "loop.example"], [20, "good.example"]]},
        "loop.example": {"A": [FORGED], "fault": "pointer loop"},
        "good.example": {"A": [TRUE]},
    }
    async with DnsServer(zone) as dns:
        assert await find(dns) == [TRUE]


@pytest.mark.proves("B78")
async def test_pointers_that_run_on_for_long_hold_nothing_up() -> None:
    """Each to the one before it, 8 000 of them within a record, at the end of 2 000 names."""

    def chained(question: bytes) -> bytes:
        head = question[:2] + b"\x81\x80\x00\x01\x07\xd1\x00\x00\x00\x00" + question[12:]
        head += _record(b"\xc0\x0c", 65_281, bytes(16_000))[:-16_000]
        places = [12, *range(len(head), len(head) + 16_000, 2)]
        chain = b"".join(map(_pointer_to, places[:-1]))
        return head + chain + _record(_pointer_to(places[-1]), QTYPE.A, bytes(4)) * 2_000

    zone: Zone = {"i.example": {"A": [TRUE]}}
    async with DnsServer(zone, forge=chained) as dns, asyncio.timeout(5):
        assert await find(dns) == [TRUE]


def _pointer_to(place: int) -> bytes:
    return (0xC000 | place).to_bytes(2, "big")


def _record(name: bytes, kind: int, data: bytes) -> bytes:
    facts = kind.to_bytes(2, "big") + b"\x00\x01" + bytes(4) + len(data).to_bytes(2, "big")
    return name + facts + data


@pytest.mark.proves("F40")
@pytest.mark.parametrize("fault", [UDP_AS_IT_IS, OVER_TCP])
async def test_an_answer_of_10_kb_is_read_whole(fault: str) -> None:
    hosts: Zone = {f"mail-host-number-{n:03d}.i.example": {"A": [TRUE]} for n in range(400)}
    records = [[1_000 - n, host] for n, host in enumerate(hosts)]
    zone: Zone = {"i.example": {"MX": records, "fault": fault}, **hosts}
    best = f"mail-host-number-{399:03d}.i.example"
    async with DnsServer(zone) as dns:
        query = bytes(DNSRecord.question("i.example", "MX").pack())
        assert len(dns.answer(query, udp=False) or b"") > 10_000
        found = await Resolver((dns.nameserver,)).find(
            "i.example", ("usedns",), 25, allow_private=False
        )
        assert found[0].host == best


@pytest.mark.proves("B77")
async def test_a_truncated_answer_without_tcp_is_no_answer(hurried: None) -> None:
    """Not "no such record", and not what of it came: a part of the hosts may be the wrong ones."""
    zone: Zone = {"i.example": {"MX": [[10, "m.example"]], "A": [FORGED], "fault": "truncated"}}
    async with DnsServer(zone, tcp=False) as dns:
        async with asyncio.timeout(10 * SHORT):
            with pytest.raises(NoRoute, match=r"the MX lookup for i\.example failed"):
                await find(dns)
        assert dns.questions["i.example", "A"] == 0
        dns.zone["i.example"]["fault"] = ""
        dns.zone["m.example"] = {"A": [TRUE]}
        assert await find(dns) == [TRUE]
