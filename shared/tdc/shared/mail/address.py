"""PURE. Addresses and domains as settings name them (RFC 5321 sections 2.3.11 and 4.1.2).

People write settings, so this is the strict form: a dot-atom local part, a fully qualified domain
name, no quoted strings, no address literals, no source routes. Envelope addresses of passing mail
are never judged here and never changed; `domain_of` and `matching_form` only give the form in
which they are compared.
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
    """The text is not a valid address or domain; one sentence says why."""


@dataclass(frozen=True, slots=True)
class Address:
    """An address. The local part keeps its case (RFC 5321 2.4); the domain is in normal form."""

    local: str
    domain: Domain

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"


def parse_domain(text: str) -> Domain:
    """Read a domain name, also an internationalised one; raises AddressError."""
    name = _a_labels(text) if len(text) <= MAX_DOMAIN else ""
    labels = name.split(".")
    if len(name) > MAX_DOMAIN or len(labels) < 2 or not all(map(_LABEL.fullmatch, labels)):
        raise AddressError(f"{_shown(text)} is not a domain name such as example.com")
    if _NUMBER.fullmatch(labels[-1]):  # also what old resolver libraries read as an address
        raise AddressError(f"{_shown(text)} is an IP address, not a domain name")
    if not all(map(_decodes, labels)):
        raise AddressError(
            f"{_shown(text)} has a label that begins with xn-- but is not valid (RFC 5890)"
        )
    return Domain(name)


def parse_address(text: str) -> Address:
    """Read an address of the form local@domain; raises AddressError."""
    local, at, domain = text.rpartition("@")
    if not at or not local:
        raise AddressError(f"{_shown(text)} is not an address of the form user@example.com")
    if not _DOT_ATOM.fullmatch(local):
        raise AddressError(
            f"{_shown(text)} must have a plain part before the @: ASCII letters, digits, single "
            "dots, and no characters that need quoting"
        )
    if len(local) > MAX_LOCAL_PART:
        raise AddressError(f"{_shown(text)} has more than {MAX_LOCAL_PART} characters before the @")
    address = Address(local, parse_domain(domain))
    if len(str(address)) > MAX_ADDRESS:
        raise AddressError(f"{_shown(text)} is longer than {MAX_ADDRESS} characters")
    return address


def domain_of(path: str) -> str:
    """The domain of an envelope path, in normal form if it is one; empty for the null sender.

    Anything else (an address literal, say) comes back in lower case and matches no setting.
    """
    text = path.rpartition("@")[2].removesuffix(".") if "@" in path else ""
    name = _a_labels(text) if len(text) <= MAX_DOMAIN else ""
    return name or text.lower()


def matching_form(path: str) -> str:
    """The form in which envelope paths and patterns are compared: without case and quotes.

    Only the receiving host may interpret the local part's case (RFC 5321 2.4), but hardly any host
    distinguishes ``User`` from ``user``. An operator who writes one means the mailbox, and a sender
    must not get past a policy by writing the other, nor by quoting what needs no quotes (RFC 5321
    4.1.2). A source route (RFC 5321 appendix C) is dropped: it says nothing about the mailbox.
    """
    local, at, _ = path.rpartition("@")
    if not at:
        return path.lower()
    if local.startswith("@"):
        local = local.partition(":")[2]
    if len(local) > 1 and local.startswith('"') and local.endswith('"'):
        local = _ESCAPED.sub(r"\1", local[1:-1])
    return f"{local.lower()}@{domain_of(path)}"


def is_own_postmaster(path: str) -> bool:
    """Whether a path is the receiving host's own postmaster, who needs no domain.

    RFC 5321 4.5.1: ``RCPT TO:<Postmaster>`` must be accepted, in any case of letters.
    """
    return path.lower() == "postmaster"


def is_at_or_below(domain: str, above: str) -> bool:
    """True if `domain` is `above` or a subdomain of it; both in normal form."""
    return domain == above or domain.endswith("." + above)


def _a_labels(text: str) -> str:
    """A domain in lower-case A-label form; empty if it has none or the mapping is not certain.

    Python's codec follows IDNA 2003, which maps some texts to *another* domain (sharp s to ss,
    full-width to plain letters). That must not send mail astray: only a name that comes back
    unchanged from its A-labels is accepted; others can be given in their xn-- form.
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
    """False for an xn-- label that decodes to nothing, to plain ASCII, or to unprintable signs."""
    if not label.startswith("xn--"):
        return True
    try:
        text = label[4:].encode("ascii").decode("punycode")
    except UnicodeError:
        return False
    return not text.isascii() and not any(unicodedata.category(sign) in _NO_TEXT for sign in text)


def _shown(text: str) -> str:
    return repr(text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "…")
