"""PURE. Header facts from a message's raw bytes, without parsing MIME.

Anything may pass a gateway: no header at all, no body, lines without a colon, ten thousand folded
lines, bytes of no charset. So nothing here raises, and the work is bounded: only the first
MAX_HEADER_BYTES are read, and a decoded value is cut at MAX_VALUE_BYTES.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from tdc.node_agent.journal.words import decode_words

LOOP_HEADER = "X-TDC-Loop"
"""Header of our journal reports, by which a machine knows its own (journal/loop.py)."""

MAX_LOOP_LINES = 50
"""Loop lines that count in one header, from the top, where each report puts its own."""

MAX_HEADER_BYTES = 1024**2
MAX_VALUE_BYTES = 8 * 1024

# RFC 5322 2.1: the first empty line ends the header. A line of another kind does not, such as
# the "From " that a mailbox file puts on top, or junk: other readers read on, and so must we, or a
# sender could hide subject and Message-ID from the scanner.
_END = re.compile(rb"^\r?\n", re.M)
# RFC 5322 2.2 and 3.6.8: obsolete syntax allows white space before the colon.
_FIELD = re.compile(
    rb"^(subject|message-id|received)[ \t]*:([^\n]*+(?:\n[ \t][^\n]*+)*+)", re.IGNORECASE | re.M
)
_FOLD = re.compile(rb"\r?\n(?=[ \t])")
# An MTA on the way may fold the line where it has white space (RFC 5322 2.2.3). Each quantifier
# is possessive: with backtracking, a megabyte of blanks in the value would take minutes.
_BLANKS = rb"[ \t]*+(?:\r?\n[ \t]++)?+"
_LOOP = re.compile(
    rb"^(?i:" + LOOP_HEADER.encode() + rb")[ \t]*+:" + _BLANKS +
    rb"([0-9a-f]{32})(?=\s)" + _BLANKS + rb"([0-9a-f]{64})[ \t]*+\r?(?:\n|\Z)",
    re.M,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class LoopLine:
    """A well-formed value of LOOP_HEADER, whose proof has not been checked.

    `report_id` is 32 hexadecimal digits, `proof` 64: HMAC-SHA256 (RFC 2104) over the report id.
    """

    report_id: str
    proof: str


class HeaderFacts(NamedTuple):
    """What the journal report and the loop check need of a header.

    `subject_raw` and `message_id_raw` are unfolded and stripped, empty if missing, of the first
    field of that name; `subject` is decoded (RFC 2047), `message_id` is text. `end` is
    the offset after the empty line that ends the header (the content's end, if there is no such
    line). `hops` counts Received (RFC 5321 6.3). `loop_lines` are as `loop_lines` returns them.
    """

    subject_raw: bytes
    subject: str
    message_id_raw: bytes
    message_id: str
    end: int
    eight_bit: bool
    loop_lines: tuple[LoopLine, ...]
    hops: int


def read_headers(content: bytes) -> HeaderFacts:
    """The facts of any bytes; never raises."""
    end = _header_length(content)
    header = content[:end]
    found: dict[bytes, bytes] = {}
    hops = 0
    for match in _FIELD.finditer(header):
        name = match[1].lower()
        if name == b"received":
            hops += 1
        elif name not in found:
            found[name] = _FOLD.sub(b"", match[2]).strip()[:MAX_VALUE_BYTES]
    subject_raw = found.get(b"subject", b"")
    message_id_raw = found.get(b"message-id", b"")
    return HeaderFacts(
        subject_raw=subject_raw,
        subject=decode_value(subject_raw),
        message_id_raw=message_id_raw,
        message_id=_text(message_id_raw),
        end=_after_empty_line(content, end),
        eight_bit=not header.isascii(),
        loop_lines=_loop_lines(content, end),
        hops=hops,
    )


def loop_lines(content: bytes) -> tuple[LoopLine, ...]:
    """The well-formed loop lines of the header, from the top, at most MAX_LOOP_LINES."""
    return _loop_lines(content, _header_length(content))


def decode_value(raw: bytes) -> str:
    """A header's text: UTF-8, otherwise Latin-1, with its encoded words decoded (RFC 2047)."""
    text = _text(raw)
    return decode_words(text) if "=?" in text else text


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _header_length(content: bytes) -> int:
    match = _END.search(content, 0, MAX_HEADER_BYTES)
    return match.start() if match is not None else min(len(content), MAX_HEADER_BYTES)


def _loop_lines(content: bytes, end: int) -> tuple[LoopLine, ...]:
    return tuple(
        LoopLine(match[1].decode(), match[2].decode())
        for match in islice(_LOOP.finditer(content, 0, end), MAX_LOOP_LINES)
    )


def _after_empty_line(content: bytes, end: int) -> int:
    for line in (b"\r\n", b"\n"):
        if content.startswith(line, end):
            return end + len(line)
    return end
