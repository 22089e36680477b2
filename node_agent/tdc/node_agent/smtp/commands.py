"""PURE. Command lines of the MTA, read as far as the copy's envelope needs.

The lines themselves go to the next hop byte for byte, with their case, spacing, parameters and
paths; what is read here is only what the journal report must know. So reading is cheap, and
strict only where a wrong reading could make the copy's envelope differ from the original's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tdc.shared.mail.client import parse_client_address
from tdc.shared.mail.envelope import BodyType

XFORWARD_ATTRIBUTES = ("NAME", "ADDR", "PORT", "PROTO", "HELO", "IDENT", "SOURCE")
"""What Postfix may report about its client (its XFORWARD_README)."""

# RFC 5321 4.1.2: a path in angle brackets; a quoted local part may contain anything, ">" too.
_PATH = rb'<((?:"(?:[^"\\]|\\.)*"|[^"<> ])*)>((?: +[^ ]+)*) *'
_MAIL = re.compile(rb"MAIL FROM: *" + _PATH, re.IGNORECASE)
_RCPT = re.compile(rb"RCPT TO: *" + _PATH, re.IGNORECASE)
_SOURCE_ROUTE = re.compile(rb"@[^:\"]+:")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_HEXCHAR = re.compile(rb"\+([0-9A-F]{2})")
_BODY_TYPES: dict[bytes, BodyType] = {
    b"BODY=7BIT": "7BIT",
    b"BODY=8BITMIME": "8BITMIME",
    b"BODY=BINARYMIME": "BINARYMIME",
}
QUEUE_ID = re.compile(rb"[0-9A-Za-z][0-9A-Za-z.-]{0,63}")
"""A number that an MTA gives a message. Postfix: hexadecimal, or 52 letters and digits; Exim: with
hyphens. Anything else is no number, and may be what somebody wants to see in our log."""


XFORWARD_OFFER = "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE"
"""What the answer to EHLO offers of XFORWARD."""
OTHER_VERBS = frozenset((b"STARTTLS", b"AUTH", b"EXPN", b"HELP", b"TURN", b"ETRN", b"XCLIENT"))
"""Commands of SMTP that this server knows and does not offer."""
OTHER_PROTOCOLS = (b"GET ", b"POST ", b"PUT ", b"HEAD ", b"OPTIONS ", b"CONNECT ", b"\x16\x03")
"""How lines begin that are no SMTP: HTTP, and the start of TLS."""


class BadCommand(Exception):
    """A command that can't be passed on. The text is the reply, code included."""


@dataclass(frozen=True, slots=True)
class Mail:
    """What a MAIL command says; `sender` as in Envelope."""

    sender: str
    smtputf8: bool
    body: BodyType


def parse_mail(line: bytes) -> Mail:
    """Read a MAIL command; raises BadCommand."""
    path, parameters = _path(_MAIL, line, "MAIL FROM:<address>")
    body: BodyType = "7BIT"
    smtputf8 = False
    for parameter in parameters.upper().split():
        if parameter == b"SMTPUTF8":
            smtputf8 = True
        elif parameter in _BODY_TYPES:
            body = _BODY_TYPES[parameter]
    return Mail(path, smtputf8, body)


def parse_recipient(line: bytes) -> str:
    """Read the forward path of a RCPT command; raises BadCommand."""
    path, _ = _path(_RCPT, line, "RCPT TO:<address>")
    if not path:
        raise BadCommand("501 5.1.3 A recipient needs an address")
    return path


def parse_xforward(line: bytes) -> dict[str, bytes]:
    """Read an XFORWARD command: attribute -> value as it came (xtext); raises BadCommand."""
    attributes: dict[str, bytes] = {}
    for word in line.split()[1:]:
        name, equals, value = word.partition(b"=")
        key = name.upper().decode("ascii", "replace")
        if not equals or not value or key not in XFORWARD_ATTRIBUTES or _unfit(value):
            raise BadCommand("501 5.5.4 Bad XFORWARD attribute")
        attributes[key] = value
    if not attributes:
        raise BadCommand("501 5.5.4 XFORWARD needs an attribute")
    return attributes


def queue_id(xforward: Mapping[str, bytes]) -> str | None:
    """The MTA's number of the message as XFORWARD gave it; None if it is unknown, or no such."""
    value = xforward.get("IDENT", b"")
    return value.decode("ascii") if QUEUE_ID.fullmatch(value) else None


def client_address(xforward: dict[str, bytes]) -> str | None:
    """The client's IP address as XFORWARD gave it; None if what it gave is none.

    An MTA that doesn't know it says ``[UNAVAILABLE]``, ``[TEMPUNAVAIL]`` or ``unknown``.
    """
    value = xforward.get("ADDR", b"")
    value = _HEXCHAR.sub(lambda found: bytes([int(found[1], 16)]), value)  # xtext, RFC 3461 4
    return parse_client_address(value.decode("latin-1"))


def _path(form: re.Pattern[bytes], line: bytes, syntax: str) -> tuple[str, bytes]:
    if _CONTROL.search(line):
        raise BadCommand("501 5.5.4 Control characters are not allowed in a command")
    found = form.fullmatch(line)
    if not found:
        raise BadCommand(f"501 5.5.4 Syntax: {syntax}")
    path = found[1]
    if path.startswith(b"@"):  # a source route is to be ignored, RFC 5321 4.1.2 and F.2
        path = _SOURCE_ROUTE.sub(b"", path, count=1)
    # Bytes that are not UTF-8 break RFC 6531, but refusing them is the next hop's to do.
    return path.decode("utf-8", "surrogateescape"), found[2]


def _unfit(value: bytes) -> bool:
    return bool(_CONTROL.search(value)) or not value.isascii()
