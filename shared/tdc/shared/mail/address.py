"""PURE. Addresses and domains as settings name them (RFC 5321 sections 2.3.11 and 4.1.2).

Settings are written by people, so this is the strict form: a dot-atom local part, a fully
qualified domain name, no quoted strings, no address literals, no source routes. Envelope
addresses of passing mail are never judged here; they pass as they are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NewType

Domain = NewType("Domain", str)
"""A fully qualified domain name in lower-case A-label form (RFC 5890), without a final dot."""

MAX_DOMAIN = 253  # RFC 1035 2.3.4: 255 octets on the wire
MAX_LOCAL_PART = 64  # RFC 5321 4.5.3.1.1
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_DOT_ATOM = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


class AddressError(ValueError):
    """A text that is not an address or a domain; says why in one sentence."""


@dataclass(frozen=True, slots=True)
class Address:
    """An address; the local part keeps its case (RFC 5321 2.4), the domain is normal."""

    local: str
    domain: Domain

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"


def parse_domain(text: str) -> Domain:
    """Read a domain name, an internationalised one included; raises AddressError."""
    shown = text if len(text) <= MAX_DOMAIN else text[:40] + "…"
    try:
        ascii_name = text.encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise AddressError(f"{shown!r} is not a domain name") from None
    labels = ascii_name.split(".")
    if len(ascii_name) > MAX_DOMAIN or len(labels) < 2 or not all(map(_LABEL.fullmatch, labels)):
        raise AddressError(f"{shown!r} is not a domain name such as example.com")
    if labels[-1].isdigit():
        raise AddressError(f"{shown!r} is an IP address, not a domain name")
    return Domain(ascii_name)


def parse_address(text: str) -> Address:
    """Read an address of the form local@domain; raises AddressError."""
    shown = text if len(text) <= MAX_DOMAIN else text[:40] + "…"
    local, at, domain = text.rpartition("@")
    if not at or not local:
        raise AddressError(f"{shown!r} is not an address of the form user@example.com")
    if len(local.encode()) > MAX_LOCAL_PART or not _DOT_ATOM.fullmatch(local):
        raise AddressError(f"{shown!r} has a local part that is not plain (letters, digits, dots)")
    return Address(local, parse_domain(domain))


def domain_of(path: str) -> str:
    """Return the lower-case domain of an envelope path as given; empty for the null sender."""
    return path.rpartition("@")[2].lower() if "@" in path else ""


def is_at_or_below(domain: str, above: str) -> bool:
    """Say whether `domain` is `above` or a subdomain of it; both in normal form."""
    return domain == above or domain.endswith("." + above)
