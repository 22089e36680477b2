"""PURE. The journal report: bytes around the untouched original (docs/journal-report.md).

Promises: the report holds the original byte for byte, because it is made by joining bytes and
nothing is parsed and written again; the same copy gives the same report each time; nothing in a
message can add a header or a line to what we write.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import re
import secrets
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import NamedTuple

from tdc.node_agent.journal.headers import LOOP_HEADER, HeaderFacts, read_headers
from tdc.node_agent.journal.loop import Reporter, signed
from tdc.node_agent.spool.values import Copy
from tdc.shared.connector.settings import ConnectorSettings
from tdc.shared.mail.address import is_own_postmaster
from tdc.shared.mail.client import parse_client_address

ENCODED_HEADER = "X-TDC-Original-Encoded"
"""Header of a report whose original is in base64, because the intake can't accept it as it is."""

MAX_LINE = 998
"""Octets of a line without its CRLF (RFC 5322 2.1.1, RFC 5321 4.5.3.1.6)."""

_MAX_OUTER_VALUE = 900
_BOUNDARY_START = b"=_tdc_"
_SPLIT_UP_TO = 64 * 1024  # octets of a content whose lines are split to look at them
_BLOCK = 57 * 1024  # octets of 1,024 lines in base64
_ENCODED_WORD_BYTES = 45  # 60 in base64: an encoded word has at most 75 (RFC 2047 2)
# C0, DEL, C1 and the two line separators of Unicode: none of these in a line of ours.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class Needs(NamedTuple):
    """What the intake must offer to accept the report as it is.

    `eight_bit`: 8BITMIME (RFC 6152). `binary`: CHUNKING and BINARYMIME (RFC 3030), for the
    content has lines over 998 octets, bare CR, bare LF or NUL. `smtputf8`: SMTPUTF8 (RFC 6531).
    """

    eight_bit: bool
    binary: bool
    smtputf8: bool


class Report(NamedTuple):
    """A journal report in three pieces, to be sent one after the other.

    `content` is the copy's own bytes object (no second one is made); `size` is the sum, before
    dot-stuffing.
    """

    head: bytes
    content: bytes
    tail: bytes
    needs: Needs
    size: int


def new_report_id(random: bytes | None = None) -> str:
    """32 hexadecimal digits: 128 random bits, given or from the system.

    Nobody outside can guess it, so nobody can write a message that holds its boundary.
    """
    return (secrets.token_bytes(16) if random is None else random).hex()


_NOTHING = Needs(eight_bit=False, binary=False, smtputf8=False)


class Draft(NamedTuple):
    """What all forms of a copy's report are made of; `needs` is what the plain form needs.

    `needs_quoted` is what it needs with its own text in quoted-printable: less, where the original
    is ASCII and only its decoded subject, in our text, is not.
    """

    copy: Copy
    outer: bytes
    text: bytes
    top: bytes
    needs: Needs
    needs_quoted: Needs

    def report(self, *, encoded: bool = False, quoted: bool = False) -> Report:
        """Build the report in one of its forms.

        With `encoded` the original goes as base64, flagged by ENCODED_HEADER, for an intake that
        does not offer what `needs` names; such a report needs nothing. With `quoted` the original
        stays as it is and our text goes as quoted-printable.
        """
        return _encoded(self) if encoded else _plain(self, quoted=quoted)


def draft(copy: Copy, settings: ConnectorSettings, reporter: Reporter) -> Draft:
    """Read the copy's header once, and find out what its report would need."""
    facts = read_headers(copy.content)
    outer = _outer_headers(copy, settings, reporter, facts)
    text = _text_part(copy, facts, reporter.domain)
    top = _remote_ip_line(copy, settings)
    # Whole lines each, and without controls, as `_one_line` makes them: only their length may be
    # too much. What else stands in the head, all of it ASCII, needs nothing.
    quoted = Needs(
        eight_bit=not copy.content.isascii(),
        binary=needs_binary(copy.content) or _has_long_line(outer + top),
        smtputf8=copy.envelope.smtputf8 and facts.eight_bit,
    )
    needs = quoted._replace(
        eight_bit=quoted.eight_bit or not text.isascii(),
        binary=quoted.binary or _has_long_line(text),
    )
    return Draft(copy, outer, text, top, needs, quoted)


def _plain(draft: Draft, *, quoted: bool) -> Report:
    copy = draft.copy
    needs = draft.needs_quoted if quoted else draft.needs
    boundary = _boundary(copy.report_id, copy.content)
    kind = b"global" if needs.smtputf8 else b"rfc822"
    head = b"".join(
        (
            draft.outer,
            _multipart(boundary, needs),
            b"--", boundary, b"\r\n",
            _quoted(draft.text) if quoted else _as_it_is(draft.text),
            b"\r\n--", boundary, b"\r\n",
            b"Content-Type: message/", kind, b"\r\n",
            _transfer_encoding(draft.needs_quoted), b"\r\n",
            draft.top,
        )
    )  # fmt: skip
    return _report(head, copy.content, boundary, needs)


def _has_long_line(ours: bytes) -> bool:
    return max(map(len, ours.split(b"\r\n"))) > MAX_LINE


def needs_binary(content: bytes) -> bool:
    """Whether `content` can't go by DATA: a line too long, bare CR, bare LF, NUL.

    RFC 5321 2.3.8 allows CR and LF only together; RFC 3030 lifts that for BDAT.
    """
    if b"\0" in content or _has_bare_break(content):
        return True
    # From each start of a line, the next MAX_LINE bytes and CRLF must hold an end of line.
    start, window = 0, MAX_LINE + 2
    while len(content) - start > MAX_LINE:
        last = content.rfind(b"\n", start, start + window)
        if last < 0:
            return True
        start = last + 1
    return False


def _has_bare_break(content: bytes) -> bool:
    """Whether there is a CR without LF after it, or an LF without CR before it."""
    breaks = content.count(b"\r\n")
    if len(content) > _SPLIT_UP_TO:
        return content.count(b"\n") != breaks or content.count(b"\r") != breaks
    # Faster by a third, where the lines take no memory to speak of. bytes.splitlines ends a line at
    # CR, LF and CRLF alike, so each bare one makes a line more; at the very end it makes none.
    if content.endswith((b"\r", b"\n")):
        return not content.endswith(b"\r\n") or len(content.splitlines()) != breaks
    return len(content.splitlines()) != breaks + bool(content)


def _report(head: bytes, content: bytes, boundary: bytes, needs: Needs) -> Report:
    tail = b"\r\n--" + boundary + b"--\r\n"
    return Report(head, content, tail, needs, len(head) + len(content) + len(tail))


def _encoded(draft: Draft) -> Report:
    copy, text = draft.copy, draft.text
    content = _base64_lines(draft.top + copy.content if draft.top else copy.content)
    boundary = _boundary(copy.report_id, content)
    quoted = not text.isascii() or _has_long_line(text)
    head = b"".join(
        (
            draft.outer,
            ENCODED_HEADER.encode(), b": base64\r\n",
            _multipart(boundary, _NOTHING),
            b"--", boundary, b"\r\n",
            _quoted(text) if quoted else _as_it_is(text),
            b"\r\n--", boundary, b"\r\n",
            b"Content-Type: application/octet-stream\r\n",
            b"Content-Transfer-Encoding: base64\r\n\r\n",
        )
    )  # fmt: skip
    return _report(head, content, boundary, _NOTHING)


def _base64_lines(content: bytes) -> bytes:
    """Base64 in lines of 76 (RFC 2045 6.8), made in blocks: line by line costs much memory."""
    lines = bytearray()
    for start in range(0, len(content), _BLOCK):
        encoded = base64.b64encode(memoryview(content)[start : start + _BLOCK])
        lines += b"\r\n" if start else b""
        lines += b"\r\n".join(encoded[at : at + 76] for at in range(0, len(encoded), 76))
    return bytes(lines)


# The outer header


def _outer_headers(
    copy: Copy, settings: ConnectorSettings, reporter: Reporter, facts: HeaderFacts
) -> bytes:
    sender = settings.report_from or f"tdc@{reporter.domain}"
    parent = _unstructured(facts.message_id_raw, facts.message_id)
    # The original's lines follow ours: a loop through several gateways comes back through a machine
    # that made an inner report, and that machine must recognise its own line.
    loop = (signed(copy.report_id, reporter.loop_key), *facts.loop_lines)
    lines = (
        f"From: {_same_for_many(sender)}",
        f"To: {_same_for_many(copy.intake)}",
        f"Subject: {_unstructured(facts.subject_raw, facts.subject)}",
        f"Message-ID: <{copy.report_id}@{_same_for_many(reporter.domain)}>",
        f"Date: {_date(int(copy.dated))}",
        # Readers look for exactly this spelling at the start of a line, with nothing after it.
        "X-MS-Journal-Report:",
        f"X-MS-Exchange-Parent-Message-Id: {parent}",
        "Auto-Submitted: auto-generated",  # RFC 3834 5
        *(f"{LOOP_HEADER}: {line.report_id} {line.proof}" for line in loop),
        "MIME-Version: 1.0",
    )
    return ("\r\n".join(lines) + "\r\n").encode("ascii")


@functools.lru_cache(maxsize=64)
def _same_for_many(text: str) -> str:
    """A header's value that is the same in many reports: our domain, the intake, From."""
    return _ascii(_one_line(text))


@functools.lru_cache(maxsize=64)  # many copies are taken in one second
def _date(second: int) -> str:
    return format_datetime(datetime.fromtimestamp(second, UTC))


def _multipart(boundary: bytes, needs: Needs) -> bytes:
    kind = b'Content-Type: multipart/mixed; boundary="' + boundary + b'"\r\n'
    return kind + _transfer_encoding(needs) + b"\r\n"


def _transfer_encoding(needs: Needs) -> bytes:
    """The header for what is inside (RFC 2045 6.1, 6.4); none for 7bit, which is the default."""
    if needs.binary:
        return b"Content-Transfer-Encoding: binary\r\n"
    return b"Content-Transfer-Encoding: 8bit\r\n" if needs.eight_bit else b""


def _unstructured(raw: bytes, decoded: str) -> str:
    """A value as the original has it; as encoded words if that is not valid in a header."""
    if raw.isascii() and len(raw) <= _MAX_OUTER_VALUE:
        return _one_line(raw.decode("ascii"))
    text = _cut(_one_line(decoded), _MAX_OUTER_VALUE)
    words = []
    while text:
        word = _cut(text, _ENCODED_WORD_BYTES)
        words.append(f"=?utf-8?B?{base64.b64encode(word.encode()).decode()}?=")
        text = text[len(word) :]
    return "\r\n ".join(words)


# The text part


def _text_part(copy: Copy, facts: HeaderFacts, domain: str) -> bytes:
    """One value on each line, CRLF, never folded (docs/journal-report.md)."""
    # Recipient, not To, Cc or Bcc: those would mean that the headers can be trusted, and this mail
    # is from outside. The null sender is written as in SMTP: a line without a value looks like a
    # field that was forgotten.
    lines = [
        f"Sender: {_one_line(copy.envelope.sender) or '<>'}",
        _cut(f"Subject: {_one_line(facts.subject)}", MAX_LINE),
        _cut(f"Message-Id: {_one_line(facts.message_id)}", MAX_LINE),
        *(f"Recipient: {_mailbox(recipient, domain)}" for recipient in copy.envelope.recipients),
    ]
    return ("\r\n".join(lines) + "\r\n").encode()


def _mailbox(recipient: str, domain: str) -> str:
    """A recipient; the gateway's own postmaster may come without a domain (RFC 5321 4.5.1)."""
    shown = _one_line(recipient)
    return f"{shown}@{domain}" if is_own_postmaster(recipient) else shown


def _as_it_is(text: bytes) -> bytes:
    """The text part, header and all, for an intake that takes its octets."""
    if _has_long_line(text):
        return _text_headers("utf-8", "binary") + text
    return (_ASCII_HEADERS if text.isascii() else _UTF8_HEADERS) + text


def _quoted(text: bytes) -> bytes:
    """The text part, header and all, for any intake."""
    return _QUOTED_HEADERS + binascii.b2a_qp(text)


def _text_headers(charset: str, encoding: str) -> bytes:
    return (
        f'Content-Type: text/plain; charset="{charset}"\r\n'
        f"Content-Transfer-Encoding: {encoding}\r\n\r\n"
    ).encode()


_ASCII_HEADERS = _text_headers("us-ascii", "7bit")
_UTF8_HEADERS = _text_headers("utf-8", "8bit")
_QUOTED_HEADERS = _text_headers("utf-8", "quoted-printable")


# Pieces


def _remote_ip_line(copy: Copy, settings: ConnectorSettings) -> bytes:
    """The one permitted change to the copy: a header with the client's address on top."""
    # Parsed again: a copy in the spool may be of a version that kept what XFORWARD said.
    address = parse_client_address(copy.envelope.client_address or "")
    if settings.remote_ip_header is None or not address:
        return b""
    return f"{settings.remote_ip_header}: {address}\r\n".encode("ascii")


def _boundary(report_id: str, content: bytes) -> bytes:
    """A boundary that does not occur in `content`, the same each time.

    It comes from the report id, which was drawn after the message had been received, so that
    no sender can aim at it; that it does not occur is checked all the same (RFC 2046 5.1.1).
    """
    number = 0
    # It is a boundary only after two hyphens. The short search is fast whatever the content is; the
    # long search is not.
    suspect = b"--" + _BOUNDARY_START in content
    while True:
        digest = hashlib.sha256(f"{report_id} {number}".encode()).hexdigest()
        boundary = _BOUNDARY_START + digest[:32].encode()
        if not suspect or boundary not in content:
            return boundary
        number += 1


def _one_line(text: str) -> str:
    """`text` with each run of controls as one space, and without lone surrogates."""
    if not text.isprintable():
        text = _CONTROLS.sub(" ", text).encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    return text.strip()


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode("ascii")


def _cut(text: str, octets: int) -> str:
    """The longest start of `text` that takes at most `octets` in UTF-8."""
    raw = text.encode()
    return text if len(raw) <= octets else raw[:octets].decode("utf-8", "ignore")
