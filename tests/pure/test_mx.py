"""From DNS answers to addresses (RFC 5321 5.1, RFC 7505)."""

from __future__ import annotations

import random as chances

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tdc.node_agent.deliver.mx import (
    DnsStatus,
    HostAnswer,
    MxAnswer,
    MxRecord,
    NoRoute,
    candidates,
    hosts_by_mx,
)

HOSTS = st.sampled_from(["a.example", "b.example", "c.example", "", "192.0.2.1", "d.example"])
RECORDS = st.lists(st.builds(MxRecord, st.integers(0, 3), HOSTS), min_size=1, max_size=8)


def found(*records: tuple[int, str]) -> MxAnswer:
    return MxAnswer(DnsStatus.FOUND, tuple(MxRecord(*record) for record in records))


@given(RECORDS, st.randoms(use_true_random=False))
def test_hosts_come_by_preference_each_once_and_only_names(
    records: list[MxRecord], random: chances.Random
) -> None:
    usable = [one for one in records if one.host and not one.host[0].isdigit()]
    answer = MxAnswer(DnsStatus.FOUND, tuple(records))
    if not usable:
        with pytest.raises(NoRoute):
            hosts_by_mx("x.example", answer, random.random)
        return
    hosts = hosts_by_mx("x.example", answer, random.random)
    assert sorted(hosts) == sorted({one.host for one in usable})
    best = {host: min(one.preference for one in usable if one.host == host) for host in hosts}
    assert [best[host] for host in hosts] == sorted(best.values())


@pytest.mark.proves("B76")
def test_equal_preferences_are_shuffled() -> None:
    answer = found((10, "a.example"), (10, "b.example"))
    first = hosts_by_mx("x.example", answer, iter([0.1, 0.9]).__next__)
    second = hosts_by_mx("x.example", answer, iter([0.9, 0.1]).__next__)
    assert (first, second) == (("a.example", "b.example"), ("b.example", "a.example"))


def test_without_mx_the_domain_is_the_host() -> None:
    assert hosts_by_mx("x.example", MxAnswer(DnsStatus.NO_DATA), lambda: 0.0) == ("x.example",)


@pytest.mark.parametrize("status", [DnsStatus.NO_NAME, DnsStatus.FAILED, DnsStatus.TIMEOUT])
def test_a_failed_lookup_is_never_a_reason_to_use_the_domain(status: DnsStatus) -> None:
    with pytest.raises(NoRoute):
        hosts_by_mx("x.example", MxAnswer(status), lambda: 0.0)


@pytest.mark.proves("B69", "B70")
def test_a_null_mx_says_no_and_means_nothing_among_others() -> None:
    with pytest.raises(NoRoute, match="null MX"):
        hosts_by_mx("x.example", found((0, "")), lambda: 0.0)
    assert hosts_by_mx("x.example", found((0, ""), (5, "a.example")), lambda: 0.0) == ("a.example",)


def addresses(*hosts: HostAnswer, allow_private: bool = False) -> list[str]:
    return [one.address for one in candidates("x.example", hosts, 25, allow_private=allow_private)]


def test_address_families_alternate_and_five_are_enough() -> None:
    host = HostAnswer("a.example", ("9.9.9.1", "9.9.9.2", "9.9.9.3"), ("2a00::1",))
    other = HostAnswer("b.example", ("9.9.9.4", "9.9.9.5"))
    assert addresses(host, other) == [
        "2a00::1", "9.9.9.1", "9.9.9.2", "9.9.9.4", "9.9.9.5",
    ]  # fmt: skip
    assert len(addresses(host)) == 4
    both = HostAnswer("a.example", ("9.9.9.1", "9.9.9.2"), ("2a00::1", "2a00::2"))
    assert addresses(both) == ["2a00::1", "9.9.9.1", "2a00::2", "9.9.9.2"]


def test_a_host_with_many_addresses_does_not_hide_the_next_one() -> None:
    host = HostAnswer("a.example", tuple(f"9.9.9.{number}" for number in range(1, 9)))
    assert addresses(host, HostAnswer("b.example", ("9.9.9.99",))) == [
        "9.9.9.1", "9.9.9.2", "9.9.9.3", "9.9.9.4", "9.9.9.99",
    ]  # fmt: skip
    assert len(addresses(host)) == 5


def test_mx_hosts_without_addresses_are_skipped_and_all_of_them_are_an_error() -> None:
    assert addresses(HostAnswer("a.example"), HostAnswer("b.example", ("9.9.9.4",))) == ["9.9.9.4"]
    with pytest.raises(NoRoute, match="has no address"):
        addresses(HostAnswer("a.example"))
    with pytest.raises(NoRoute, match="got no answer"):
        addresses(HostAnswer("a.example", failed=True))


PRIVATE = [
    "127.0.0.1", "127.9.9.9", "::1", "169.254.169.254", "fe80::1", "fd00:ec2::254",
    "100.100.100.200", "10.1.2.3", "172.31.255.255", "192.168.1.1", "100.64.0.1", "fdab::1",
    "192.0.2.1", "198.18.0.1", "240.0.0.1", "2001:db8::1", "2001::1", "fec0::1", "0.1.2.3",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::10.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::1",
    "2002:a00:1::1", "64:ff9b::7f00:1", "::ffff:a9fe:a9fe",
]  # fmt: skip
NEVER = [
    "0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "::ffff:0.0.0.0", "64:ff9b::e000:1",
]  # fmt: skip
PUBLIC = ["9.9.9.1", "172.32.0.1", "2a00::1", "::ffff:9.9.9.9", "64:ff9b::909:909", "2002:909:9::1"]


@pytest.mark.proves("B73", "S9")
@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_for_the_internet_is_refused_unless_the_route_allows_it(address: str) -> None:
    assert addresses(HostAnswer("a.example", v4=(address,)), allow_private=True) == [address]
    with pytest.raises(NoRoute, match=r"set smtp_route\.private = true, or deliver\.allow_private"):
        addresses(HostAnswer("a.example", v4=(address,)))


@pytest.mark.parametrize("address", NEVER)
def test_some_addresses_are_never_a_mail_host(address: str) -> None:
    with pytest.raises(NoRoute, match="never a mail host"):
        addresses(HostAnswer("a.example", v4=(address,)), allow_private=True)


@pytest.mark.parametrize("address", PUBLIC)
def test_addresses_of_the_internet_are_allowed_in_every_form(address: str) -> None:
    assert addresses(HostAnswer("a.example", v4=(address,))) == [address]


def test_an_address_of_this_machine_is_refused_though_it_is_public() -> None:
    host = HostAnswer("a.example", ("9.9.9.1", "9.9.9.2"))
    found = candidates("x.example", [host], 25, allow_private=False, own={"9.9.9.1"})
    assert [one.address for one in found] == ["9.9.9.2"]


def test_a_refusal_names_each_address_and_why() -> None:
    host = HostAnswer("a.example", tuple(f"10.0.0.{number}" for number in range(9)))
    with pytest.raises(NoRoute, match=r"10\.0\.0\.0 \(private\), .* and 4 more"):
        addresses(host)
