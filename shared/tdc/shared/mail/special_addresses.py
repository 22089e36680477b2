"""PURE. Addresses that only a route that says so may lead to (IANA special-purpose registries).

DNS is not trusted: the owner of a zone could have us connect to services of this machine, of the
network that it stands in, or to a cloud's metadata service. So an address that is not for the
public Internet is refused, in whatever form it is written, unless the route allows it
(`smtp_route.private`, or `deliver.allow_private_targets` in agent.toml).

Sources: RFC 6890 and the registries that it made, IPv4 and IPv6 Special-Purpose Address Space;
RFC 4291 2.5.5 (mapped, compatible), RFC 6052 2.1 (NAT64), RFC 3056 2 (6to4).
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address

_SPECIAL: tuple[tuple[str, str], ...] = (
    ("0.0.0.0/8", "this network"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "carrier-grade NAT"),
    ("127.0.0.0/8", "loopback"),
    ("169.254.0.0/16", "link-local, cloud metadata"),
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "IETF protocols"),
    ("192.0.2.0/24", "documentation"),
    ("192.31.196.0/24", "AS112"),
    ("192.52.193.0/24", "AMT"),
    ("192.88.99.0/24", "6to4 relays"),
    ("192.168.0.0/16", "private"),
    ("192.175.48.0/24", "AS112"),
    ("198.18.0.0/15", "benchmarks"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("240.0.0.0/4", "reserved"),
    ("::1/128", "loopback"),
    ("64:ff9b:1::/48", "local NAT64"),
    ("100::/64", "discarded"),
    ("2001::/23", "IETF protocols, Teredo among them"),
    ("2001:db8::/32", "documentation"),
    ("2620:4f:8000::/48", "AS112"),
    ("3fff::/20", "documentation"),
    ("5f00::/16", "segment routing"),
    ("fc00::/7", "unique local"),
    ("fe80::/10", "link-local"),
    ("fec0::/10", "site-local"),
)
_NETWORKS: tuple[tuple[IPv4Network | IPv6Network, str], ...] = tuple(
    (ip_network(text), what) for text, what in _SPECIAL
)
_NAT64 = IPv6Network("64:ff9b::/96")
_COMPATIBLE = IPv6Network("::/96")
_BROADCAST = IPv4Address("255.255.255.255")


def never_a_host(address: str) -> bool:
    """Whether nothing can be sent to an address: unspecified, multicast or broadcast."""
    ip = _reached(ip_address(address))
    return ip.is_unspecified or ip.is_multicast or ip == _BROADCAST


def why_private(address: str) -> str:
    """What an address is for, if it is not for the public Internet; else empty."""
    ip = _reached(ip_address(address))
    return next((what for network, what in _NETWORKS if ip in network), "")


def _reached(ip: Address) -> Address:
    """The IPv4 address that an IPv6 address leads to, if it carries one; else the address."""
    if isinstance(ip, IPv4Address) or ip in (IPv6Address("::"), IPv6Address("::1")):
        return ip
    carried = ip.ipv4_mapped or ip.sixtofour
    if carried is None and (ip in _NAT64 or ip in _COMPATIBLE):
        carried = IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip if carried is None else carried
