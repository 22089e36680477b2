"""Who loses connections while a port is crowded."""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tdc.manager.identity.rates import endpoint_of
from tdc.manager.rpc.crowding import (
    CROWDED,
    MOST_STRANGERS,
    SHARE,
    SPARE,
    bounds_for,
    surplus,
)
from tdc.manager.rpc.sockets import Connection

MOST = {7443: 80, 7444: 40}


def connections(address: str, count: int, port: int = 7443, first: int = 1) -> list[Connection]:
    numbers = range(first, first + count)
    return [Connection(each, port, (ip_address(address), each)) for each in numbers]


def test_who_holds_most_of_a_crowded_port_keeps_his_newest() -> None:
    silent = connections("192.0.2.7", 60)
    others = [each for host in range(1, 9) for each in connections(f"198.51.100.{host}", 1)]
    cut = surplus([*silent, *others], MOST, known=())
    assert cut == silent[:50]
    assert len(silent) - len(cut) == SHARE * MOST[7443]


def test_while_there_is_room_nobody_is_cut() -> None:
    assert surplus(connections("192.0.2.7", int(CROWDED * MOST[7443])), MOST, known=()) == []


def test_a_port_with_room_for_a_large_fleet_is_crowded_by_strangers_alone() -> None:
    large = {7443: 50_000}
    fleet = connections("198.51.100.1", 10_000)
    silent = connections("192.0.2.7", MOST_STRANGERS + 1, first=20_001)
    known = {each.peer for each in fleet}
    assert surplus([*fleet, *silent[1:]], large, known) == []
    cut = surplus([*fleet, *silent], large, known)
    assert {each.peer[0] for each in cut} == {ip_address("192.0.2.7")}
    assert len(silent) - len(cut) == SHARE * 2 * MOST_STRANGERS


def test_a_crowded_port_is_no_matter_of_the_other() -> None:
    enrolling = connections("192.0.2.7", 20, port=7444)
    agents = connections("192.0.2.7", 79)
    assert {each.port for each in surplus([*enrolling, *agents], MOST, known=())} == {7443}


def test_an_ipv6_network_of_one_site_counts_as_one_address() -> None:
    here = [each for host in range(60) for each in connections(f"2001:db8::{host:x}", 1)]
    assert len(surplus(here, MOST, known=())) == 50


@given(
    st.lists(
        st.tuples(st.integers(1, 4), st.sampled_from(sorted(MOST)), st.booleans()), max_size=200
    )
)
def test_who_was_identified_is_never_cut_and_strangers_keep_their_share(
    drawn: list[tuple[int, int, bool]],
) -> None:
    here = [
        Connection(number, port, (ip_address(f"192.0.2.{host}"), number))
        for number, (host, port, _) in enumerate(drawn)
    ]
    known = {each.peer for each, (_, _, is_known) in zip(here, drawn, strict=True) if is_known}
    cut = surplus(here, MOST, known)
    assert not {each.peer for each in cut} & known
    left = Counter((each.port, each.peer[0]) for each in here if each not in cut)
    for port, address in {(each.port, each.peer[0]) for each in cut}:
        assert left[port, address] >= SHARE * MOST[port]


@pytest.mark.parametrize("open_files", [64, 256, 1_024, 20_000, 1_048_576])
def test_a_limit_of_open_files_has_room_for_both_ports_and_the_rest(open_files: int) -> None:
    bounds = bounds_for(open_files)
    assert 0 < bounds.enrol < bounds.main
    assert bounds.main + bounds.enrol + SPARE <= max(open_files, SPARE + 8)


@pytest.mark.parametrize(
    ("peer", "host", "port"),
    [
        ("ipv4:192.0.2.7:4312", "192.0.2.7", 4312),
        ("ipv6:%5B2001:db8::7%5D:4312", "2001:db8::7", 4312),
        ("ipv6:%5B::ffff:192.0.2.7%5D:4312", "192.0.2.7", 4312),
        ("ipv6:%5Bfe80::7%25eth0%5D:4312", "fe80::7", 4312),
    ],
)
def test_what_grpc_calls_a_peer_is_what_its_socket_says(peer: str, host: str, port: int) -> None:
    assert endpoint_of(peer) == (ip_address(host), port)


def test_a_unix_socket_is_no_endpoint() -> None:
    assert endpoint_of("unix:/run/tdc.sock") is None
