"""PURE. The address of an SMTP client, as an MTA reports it to the servers after it."""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Address, IPv6Address

_TAG = "ipv6:"  # RFC 5321 4.1.3; XFORWARD writes it too


def parse_client_address(text: str) -> str | None:
    """The address in its one usual form (RFC 5952), or None if `text` is no IP address.

    An IPv4 client of a socket that serves both families (``::ffff:198.51.100.9``) is an IPv4
    address. A zone (``fe80::1%eth0``) means something on one machine only, and may be any text, so
    it is left out.
    """
    if text.startswith("[") and text.endswith("]"):  # an address literal, RFC 5321 4.1.3
        text = text[1:-1]
    try:
        if ":" not in text:
            return str(IPv4Address(text))
        address = IPv6Address(text[len(_TAG) :] if text[: len(_TAG)].lower() == _TAG else text)
    except AddressValueError:
        return None
    if address.scope_id is not None:
        address = IPv6Address(int(address))
    return str(address.ipv4_mapped or address)
