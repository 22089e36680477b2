"""PURE. Addresses and domains as settings name them (RFC 5321 sections 2.3.11 and 4.1.2).

Settings are written by people, so this is the strict form: a dot-atom local part, a fully
qualified domain name, no quoted strings, no address literals, no source routes. Envelope
addresses of passing mail are never judged here; they pass as they are, and `domain_of` and
`matching_form` only say what they are compared by.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import NewType

Domain = NewType("Domain", str)
"""A fully qualified domain name in lower-case A-label form (RFC 5890), without a final dot."""

MAX_DOMAIN = 253  # RFC 1035 2.3.4: 255 octets on the wire
MAX_LOCAL_PART = 64  # RFC 5321 4.5.3.1.1
MAX_ADDRESS = 254  # RFC 5321 4.5.3.1.3: a path of 256 octets, its angle brackets included
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_DOT_ATOM = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_NO_TEXT = frozenset({"Cc", "Co", "Cs"})  # control, private use, surrogate
_MAX_SHOWN = 60


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
    name = _a_labels(text) if len(text) <= MAX_DOMAIN else ""
    labels = name.split(".")
    if len(name) > MAX_DOMAIN or len(labels) < 2 or not all(map(_LABEL.fullmatch, labels)):
        raise AddressError(f"{_shown(text)} is not a domain name such as example.com")
    if _NUMBER.fullmatch(labels[-1]):  # also the forms that old resolver libraries take for one
        raise AddressError(f"{_shown(text)} is an IP address, not a domain name")
    if not all(map(_decodes, labels)):
        raise AddressError(
            f"{_shown(text)} has a label beginning with xn-- that stands for no text"
        )
    return Domain(name)


def parse_address(text: str) -> Address:
    """Read an address of the form local@domain; raises AddressError."""
    local, at, domain = text.rpartition("@")
    if not at or not local:
        raise AddressError(f"{_shown(text)} is not an address of the form user@example.com")
    if not _DOT_ATOM.fullmatch(local):
        raise AddressError(
            f"{_shown(text)} has a local part that is not plain: ASCII letters, digits, single "
            "dots, and none of the characters that need quoting"
        )
    if len(local) > MAX_LOCAL_PART:
        raise AddressError(f"{_shown(text)} has a local part of over {MAX_LOCAL_PART} characters")
    address = Address(local, parse_domain(domain))
    if len(str(address)) > MAX_ADDRESS:
        raise AddressError(f"{_shown(text)} is longer than {MAX_ADDRESS} characters")
    return address


def domain_of(path: str) -> str:
    """Return the domain of an envelope path, normal where it is one; empty for the null sender.

    What is no domain (an address literal, say) comes back in lower case, and matches nothing.
    """
    text = path.rpartition("@")[2].removesuffix(".") if "@" in path else ""
    name = _a_labels(text) if len(text) <= MAX_DOMAIN else ""
    return name or text.lower()


def matching_form(path: str) -> str:
    """Return what an envelope path or a pattern is compared by: without case and quotes.

    The local part's case is the receiving host's affair (RFC 5321 2.4), but hardly any host tells
    ``User`` from ``user``. An operator who writes one means the mailbox, and a sender must not
    get past a policy by writing the other; nor by quoting what needs no quotes (RFC 5321 4.1.2).
    A source route (RFC 5321 appendix C) is left out, as it says nothing about the mailbox.
    """
    local, at, _ = path.rpartition("@")
    if not at:
        return path.lower()
    if local.startswith("@"):
        local = local.partition(":")[2]
    if len(local) > 1 and local.startswith('"') and local.endswith('"'):
        local = _ESCAPED.sub(r"\1", local[1:-1])
    return f"{local.lower()}@{domain_of(path)}"


def is_at_or_below(domain: str, above: str) -> bool:
    """Say whether `domain` is `above` or a subdomain of it; both in normal form."""
    return domain == above or domain.endswith("." + above)


def _a_labels(text: str) -> str:
    """Return a domain in lower-case A-label form; empty if it has none, or not surely this one.

    The codec knows the mapping of IDNA 2003, which turns some texts into *another* domain
    (sharp s into ss, full-width into plain letters). Mail must not go astray by that: only what
    comes back from its A-labels as it was is taken; the rest can be given in its xn-- form.
    """
    if text.isascii():
        return text.lower()
    try:
        name = text.encode("idna").decode("ascii").lower()
        back = name.encode("ascii").decode("idna")
    except UnicodeError:
        return ""
    return name if back == unicodedata.normalize("NFC", text.lower()) else ""


def _decodes(label: str) -> bool:
    """Say whether a label that claims to be an A-label stands for a text that is not ASCII."""
    if not label.startswith("xn--"):
        return True
    try:
        text = label[4:].encode("ascii").decode("punycode")
    except UnicodeError:
        return False
    return not text.isascii() and not any(unicodedata.category(sign) in _NO_TEXT for sign in text)


def _shown(text: str) -> str:
    return repr(text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "…")
