"""PURE. The envelope of a message, as SMTP transferred it (RFC 5321 section 2.3.1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

BodyType = Literal["7BIT", "8BITMIME", "BINARYMIME"]


@dataclass(frozen=True, slots=True)
class Envelope:
    """The envelope of one message.

    `sender` is the reverse path without angle brackets, empty for the null sender;
    `recipients` are the accepted forward paths, in the order of their RCPT commands;
    `smtputf8` and `body` are what MAIL declared (RFC 6531, RFC 6152); `client_address` is the
    client's IP address that the MTA forwarded by XFORWARD, None if it forwarded none. `queue_id` is
    the MTA's number of the message, if it gave one so, and `mta` the name it gave in EHLO; both are
    for the log alone: no part of the envelope, and not kept with a copy in the spool.
    """

    sender: str
    recipients: tuple[str, ...]
    smtputf8: bool = False
    body: BodyType = "7BIT"
    client_address: str | None = None
    queue_id: str | None = field(default=None, compare=False)
    mta: str = field(default="", compare=False)
