"""Lookups against a real DNS server with faults."""

from __future__ import annotations

import socket

import pytest
from tdc.node_agent.deliver.mx import Candidate, NoRoute
from tdc.node_agent.deliver.resolver import Resolver, is_own
from tdc.shared.connector.intake import split_hop

from tests.fakes.dns import DnsServer, Zone

ZONE: Zone = {
    "intake.example": {"MX": [[20, "b.intake.example"], [10, "a.intake.example"]]},
    "a.intake.example": {"A": ["9.9.9.1"], "AAAA": ["2a00::1"]},
    "b.intake.example": {"CNAME": "c.intake.example"},
    "c.intake.example": {"A": ["9.9.9.3"]},
    "plain.example": {"A": ["9.9.9.9"]},
    "null.example": {"MX": [[0, "."]], "A": ["9.9.9.9"]},
    "fail.example": {"fault": "servfail"},
    "long.example": {"MX": [[10, "a.intake.example"]], "fault": "truncated"},
    "dark.example": {"MX": [[10, "fail.example"]]},
    "hollow.example": {"MX": [[10, "nothing.example"]], "A": ["9.9.9.9"]},
}
DNS = ("usedns",)


async def find(resolver: Resolver, domain: str, route: tuple[str, ...] = DNS) -> list[str]:
    found = await resolver.find(domain, route, 25, allow_private=False)
    return [one.address for one in found]


async def test_hosts_come_in_order_with_their_addresses() -> None:
    async with DnsServer(ZONE) as dns:
        resolver = Resolver([dns.nameserver])
        assert await find(resolver, "intake.example") == ["2a00::1", "9.9.9.1", "9.9.9.3"]
        assert await find(resolver, "plain.example") == ["9.9.9.9"]


async def test_two_nameservers_of_one_address_keep_their_ports() -> None:
    async with DnsServer(ZONE) as dns:
        with socket.socket(type=socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            other = f"127.0.0.1:{silent.getsockname()[1]}"
            assert await find(Resolver([dns.nameserver, other]), "plain.example") == ["9.9.9.9"]


async def test_a_truncated_answer_is_asked_for_again_over_tcp() -> None:
    async with DnsServer(ZONE) as dns:
        assert "9.9.9.1" in await find(Resolver([dns.nameserver]), "long.example")


@pytest.mark.parametrize(
    ("domain", "text"),
    [
        ("null.example", "null MX"),
        ("fail.example", "SERVFAIL"),
        ("absent.example", "NXDOMAIN"),
        ("hollow.example", "has no address"),
        ("dark.example", "the address lookup for fail.example .* got no answer"),
    ],
)
async def test_where_there_is_no_route_the_reason_is_said(domain: str, text: str) -> None:
    """Never the domain's own address where its MX is no good (RFC 5321 5.1)."""
    async with DnsServer(ZONE) as dns:
        with pytest.raises(NoRoute, match=text):
            await find(Resolver([dns.nameserver]), domain)


async def test_answers_are_cached_until_their_time_or_until_forgotten() -> None:
    now = [0.0]
    async with DnsServer(ZONE, ttl=0) as dns:
        resolver = Resolver([dns.nameserver], clock=lambda: now[0])
        for moment in (0.0, 29.0):  # a TTL of nought would be a flood: 30 s at least
            now[0] = moment
            await find(resolver, "intake.example")
        assert dns.questions["intake.example", "MX"] == 1
        now[0] = 31.0
        await find(resolver, "intake.example")
        assert dns.questions["intake.example", "MX"] == 2
        resolver.forget()
        await find(resolver, "intake.example")
        assert dns.questions["intake.example", "MX"] == 3


async def test_a_route_is_taken_in_its_order_without_asking_for_mx() -> None:
    async with DnsServer(ZONE) as dns:
        resolver = Resolver([dns.nameserver])
        route = ("c.intake.example:2525", "[2a00::7]:26", "9.9.9.8")
        assert await resolver.find("intake.example", route, 25, allow_private=False) == (
            Candidate("c.intake.example", "9.9.9.3", 2525, by_mx=False),
            Candidate("2a00::7", "2a00::7", 26, by_mx=False),
            Candidate("9.9.9.8", "9.9.9.8", 25, by_mx=False),
        )
        assert dns.questions["intake.example", "MX"] == 0


def test_hops_are_split_at_their_port() -> None:
    assert split_hop("mx.example:2525", 25) == ("mx.example", 2525)
    assert split_hop("mx.example", 25) == ("mx.example", 25)
    assert split_hop("[::1]:587", 25) == ("::1", 587)
    assert split_hop("[::1]", 25) == ("::1", 25)


def test_this_machines_own_addresses_are_known() -> None:
    assert is_own("127.0.0.1")
    assert not is_own("9.9.9.9")
    assert not is_own("2620:fe::9")


@pytest.mark.proves("B80")
@pytest.mark.parametrize("ttl", [0, 2**31 - 1, 2**31])
async def test_no_ttl_makes_us_ask_each_time_or_never_again(ttl: int) -> None:
    """RFC 2181 8: a TTL with its highest bit set counts as 0."""
    now = 0.0
    async with DnsServer(ZONE, ttl=ttl) as dns:
        resolver = Resolver([dns.nameserver], clock=lambda: now)
        for moment, asked in ((0.0, 1), (29.0, 1), (3_601.0, 2)):
            now = moment
            await find(resolver, "plain.example")
            assert dns.questions["plain.example", "A"] == asked


@pytest.mark.proves("B75")
async def test_a_host_with_ipv6_alone_is_found() -> None:
    zone = {"six.example": {"AAAA": ["2a00::6"]}}
    async with DnsServer(zone) as dns:
        assert await find(Resolver([dns.nameserver]), "six.example") == ["2a00::6"]
