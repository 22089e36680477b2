"""A client's address is an address, or it is left out: what XFORWARD may say in its place."""

from __future__ import annotations

import socket

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tdc.node_agent.smtp.commands import BadCommand, client_address, parse_xforward
from tdc.shared.mail.client import parse_client_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("198.51.100.9", "198.51.100.9"),
        ("IPv6:2001:DB8:0:0::1", "2001:db8::1"),
        ("IPV6:2001:db8::1", "2001:db8::1"),
        ("ipv6:::1", "::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:198.51.100.9", "198.51.100.9"),
        ("IPV6:::FFFF:c633:6409", "198.51.100.9"),
        ("fe80::1%eth0", "fe80::1"),
        ("", None),
        ("unknown", None),
        ("UNKNOWN", None),
        ("[UNAVAILABLE]", None),
        ("[TEMPUNAVAIL]", None),
        ("[198.51.100.9]", "198.51.100.9"),
        ("[IPv6:2001:db8::1]", "2001:db8::1"),
        ("[[198.51.100.9]]", None),
        ("[198.51.100.9", None),
        ("fe80::1%x\r\nBcc: y", "fe80::1"),
        ("203.0.113.300", None),
        ("203.0.113", None),
        ("203.0.113.07", None),
        ("0xcb007101", None),
        ("3405803777", None),
        ("198.51.100.9:25", None),
        ("198.51.100.9/32", None),
        (" 198.51.100.9", None),
        ("198.51.100.9\r\nBcc: x", None),
        ("IPV6:198.51.100.9", None),
        ("IPV6:", None),
        ("IPV6:IPV6:::1", None),
        (":", None),
        ("2001:db8::1::", None),
        ("\u0661\u0669\u0668.51.100.9", None),
        ("1" * 5_000, None),
    ],
)
def test_an_address_or_nothing(text: str, address: str | None) -> None:
    assert parse_client_address(text) == address


TEXT = st.one_of(
    st.text("0123456789abcdef:.%IPv \r\n", max_size=30),
    st.ip_addresses().map(str),
    st.text(max_size=20).filter(lambda text: not text.startswith("[")),
)


def _by_the_system(text: str) -> str | None:
    """The dumb twin: what the C library reads, and writes again."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            return socket.inet_ntop(family, socket.inet_pton(family, text))
        except (OSError, ValueError, UnicodeError):
            continue
    return None


@given(text=TEXT)
@example("::ffff:1.2.3.4")
@example("1.2.3.4\n")
def test_the_system_reads_the_same(text: str) -> None:
    bare = text[5:] if text[:5].lower() == "ipv6:" and ":" in text[5:] else text
    told, expected = parse_client_address(text), _by_the_system(bare.partition("%")[0])
    if told is None:
        assert expected is None or "%" in bare
    else:
        assert expected is not None
        assert _by_the_system(told) == expected.removeprefix("::ffff:") or "." in expected


@given(value=st.binary(min_size=1, max_size=40))
def test_no_xforward_value_gives_anything_else(value: bytes) -> None:
    try:
        attributes = parse_xforward(b"XFORWARD ADDR=" + value)
    except BadCommand:
        return
    address = client_address(attributes)
    assert address is None or _by_the_system(address) == address


def test_nothing_in_a_zone_adds_a_line() -> None:
    attributes = parse_xforward(b"XFORWARD ADDR=IPV6:fe80::1%x+0D+0ABcc:+20y")
    assert client_address(attributes) == "fe80::1"


def test_xtext_is_undone() -> None:
    assert client_address({"ADDR": b"IPV6+3A2001+3Adb8+3A+3A1"}) == "2001:db8::1"
    assert client_address({"NAME": b"unknown"}) is None
