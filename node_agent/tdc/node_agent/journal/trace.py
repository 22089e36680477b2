"""PURE. By what a message can be found in other logs: its Message-ID and the MTA's queue id.

Both are for a line of the log, once for each message, so they are looked for with few passes over a
bounded part of the header, and nothing is decoded. Promise: a queue id is the MTA's or none; what a
sender can write is never taken for one.
"""

from __future__ import annotations

import re
from itertools import pairwise

from tdc.node_agent.log.ids import NO_IDS, MessageIds
from tdc.node_agent.smtp.commands import QUEUE_ID
from tdc.shared.mail.envelope import Envelope

MAX_HEADER = 64 * 1024
"""Octets of a header that are looked at: a Message-ID further down is not worth the time."""
MAX_ID = 500
"""Octets of a Message-ID that are kept. RFC 5322 2.1.1 has no line over 998."""
_MAX_RECEIVED = 2_000

_VALUE = re.compile(rb"[ \t]*+:((?:[^\r\n]|\r?\n(?=[ \t]))*+)")
_COMMENT = re.compile(rb"\([^()]*\)")
_MAX_NESTED = 5


def message_ids(content: bytes, envelope: Envelope) -> MessageIds:
    """Both ids, each empty if it is not there; never raises."""
    header = content[: _header_end(content)]
    lower = b"\n" + header.lower()  # one octet more, so an offset in it is one after its name
    message_id = b"".join(_field(header, lower, b"message-id", MAX_ID).split())
    queue_id = envelope.queue_id or _received_id(header, lower, envelope.mta)
    if not message_id and not queue_id:
        return NO_IDS
    return MessageIds(message_id.decode("utf-8", "surrogateescape"), queue_id)


def _header_end(content: bytes) -> int:
    if content.startswith((b"\r\n", b"\n")):
        return 0  # there is none: what follows is the body, and anybody may have written it
    end = content.find(b"\r\n\r\n", 0, MAX_HEADER)
    return end if end >= 0 else min(len(content), MAX_HEADER)


def _field(header: bytes, lower: bytes, name: bytes, most: int) -> bytes:
    """The value of the first field of a name, unfolded."""
    at = lower.find(b"\n" + name)
    while at >= 0:
        found = _VALUE.match(header, at + len(name), at + len(name) + most)
        if found is not None:
            above = lower[: at + 1]
            if b"\n\n" in above or b"\n\r\n" in above:
                return b""  # an empty line with another end: it is in the body
            return found[1].replace(b"\r\n", b"").replace(b"\n", b"").strip()
        at = lower.find(b"\n" + name, at + 1)  # that was a longer name, such as Message-ID-Hash
    return b""


def _received_id(header: bytes, lower: bytes, mta: str) -> str:
    """The id in the topmost Received (RFC 5321 4.4), if the MTA that handed it over wrote that.

    It says so by its own name, the one that it gave us in EHLO. A field of which there could be two
    readings, as a sender may have written into a clause of it, has no id.
    """
    if not mta:
        return ""
    value = _field(header, lower, b"received", _MAX_RECEIVED).partition(b";")[0]
    for _ in range(_MAX_NESTED):
        value = _COMMENT.sub(b" ", value)
    if b"(" in value or b")" in value or b'"' in value:
        return ""
    words = value.split()
    names = [after for word, after in pairwise(words) if word.lower() == b"by"]
    ids = [after for word, after in pairwise(words) if word.lower() == b"id"]
    if len(names) != 1 or len(ids) != 1 or names[0].lower() != mta.encode().lower():
        return ""
    return ids[0].decode("ascii") if QUEUE_ID.fullmatch(ids[0]) else ""
