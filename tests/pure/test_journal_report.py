"""The journal report: the original byte for byte, what readers demand, nothing injected."""

from __future__ import annotations

import email
import email.policy
import itertools
import re
from dataclasses import replace
from email.message import EmailMessage

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tdc.node_agent.journal.loop import Reporter, is_own_report
from tdc.node_agent.journal.report import (
    ENCODED_HEADER,
    MAX_LINE,
    Report,
    needs_binary,
    new_report_id,
)
from tdc.node_agent.spool.values import Copy
from tdc.shared.connector.settings import ConnectorSettings
from tdc.shared.mail.envelope import Envelope

from tests.fakes.journal_reader import NotAReport, read_report
from tests.fakes.reports import build

SETTINGS = ConnectorSettings.defaults()
KEY = bytes(32)
REPORTER = Reporter("mx1", KEY)
MESSAGE = (
    b"Received: from a by b\r\nFrom: Ann <ann@example.com>\r\nTo: bob@example.org\r\n"
    b"Subject: Invoice 12\r\nMessage-ID: <1@example.com>\r\n\r\nHello\r\n.\r\n..two\r\n"
)


def copy_of(content: bytes = MESSAGE, **envelope: object) -> Copy:
    facts = {"sender": "ann@example.com", "recipients": ("bob@example.org",), **envelope}
    return Copy(
        mid=7,
        report_id="0123456789abcdef0123456789abcdef",
        intake="journal@intake.example",
        envelope=Envelope(**facts),  # type: ignore[arg-type]
        content=content,
        taken_at=1_700_000_000.5,
        dated=1_795_425_302.5,
    )


def whole(report: Report) -> bytes:
    joined = report.head + report.content + report.tail
    assert len(joined) == report.size
    return joined


def cut_out(raw: bytes) -> bytes:
    """The dumb twin of a reader: between the second delimiter's part header and the last CRLF."""
    boundary = re.search(rb'boundary="([^"]+)"', raw)
    assert boundary is not None
    parts = raw.split(b"--" + boundary[1])
    assert len(parts) == 4, "the boundary occurs in the original"
    assert parts[3] == b"--\r\n"
    header, original = parts[2].split(b"\r\n\r\n", 1)
    assert header.startswith(b"\r\nContent-Type: message/")
    assert original.endswith(b"\r\n")
    return original[:-2]


ODD_PIECES = [
    b"\r\n", b"\n", b"\r", b"\0", b"--", b"=_tdc_", b".", b"Subject: x", b": ", b" ", b"\xff",
    b"Content-Type: multipart/mixed; boundary=q\r\n", b"--q\r\n", b"x" * 1_000, "é".encode(),
]  # fmt: skip
CONTENT = st.one_of(
    st.binary(max_size=300), st.lists(st.sampled_from(ODD_PIECES), max_size=30).map(b"".join)
)


@given(content=CONTENT)
@example(b"")
@example(b"\r\n")
@example(b"\r\nbegins with a blank line")
def test_the_original_stands_in_the_report_byte_for_byte(content: bytes) -> None:
    raw = whole(build(copy_of(content), SETTINGS, REPORTER))
    assert cut_out(raw) == content
    assert read_report(raw).original == content


@given(content=CONTENT)
def test_a_report_for_an_old_intake_gives_the_same_bytes_and_needs_nothing(content: bytes) -> None:
    report = build(copy_of(content, sender="änn@example.com"), SETTINGS, REPORTER, fallback=True)
    raw = whole(report)
    assert raw.isascii()
    assert not needs_binary(raw)
    assert (report.needs.eight_bit, report.needs.binary, report.needs.smtputf8) == (False,) * 3
    read = read_report(raw)
    assert read.original == content
    assert read.sender == "änn@example.com"
    assert read.headers[ENCODED_HEADER.lower()] == "base64"


def _declared(part: bytes) -> str:
    """The Content-Transfer-Encoding in a part's or a message's own header; 7bit is the default."""
    header = part.split(b"\r\n\r\n", 1)[0]
    found = re.search(rb"(?m)^Content-Transfer-Encoding: (\S+)\r?$", header)
    return found[1].decode() if found else "7bit"


def _fits(octets: bytes) -> str:
    """The least of the three encodings that are none (RFC 2045 2.7 to 2.9), line by line."""
    lines = octets.split(b"\r\n")
    if any(len(line) > MAX_LINE or re.search(rb"[\r\n\0]", line) for line in lines):
        return "binary"
    return "7bit" if octets.isascii() else "8bit"


@given(
    content=CONTENT,
    sender=st.sampled_from(["ann@example.com", "änn@example.com", "x" * 990 + "@example.com"]),
    quoted=st.booleans(),
)
@example(b"Subject: =?utf-8?q?=C3=A9?=\r\n\r\nbody\r\n", "ann@example.com", True)
@example(b"Subject: x\r\n\r\n\xe9\r\n", "ann@example.com", False)
def test_every_part_and_what_is_around_it_declares_its_octets(
    content: bytes, sender: str, quoted: bool
) -> None:
    """RFC 2045 6.4: a multipart may say 8bit only if it holds such, and binary only likewise."""
    report = build(copy_of(content, sender=sender), SETTINGS, REPORTER, quoted=quoted)
    raw = whole(report)
    _, text, part, _ = raw.split(b"\r\n--" + re.findall(rb'boundary="([^"]+)"', raw)[0])
    assert _declared(part.removeprefix(b"\r\n")) == _fits(content)
    text_says = _declared(text.removeprefix(b"\r\n"))
    assert text_says == ("quoted-printable" if quoted else _fits(text))
    assert _declared(raw) == _fits(raw)
    assert report.needs.binary == (_fits(raw) == "binary")
    assert report.needs.eight_bit == (not raw.isascii())
    read = read_report(raw)
    assert (read.original, read.sender) == (content, sender)


@given(content=CONTENT)
def test_needs_binary_agrees_with_a_line_by_line_look(content: bytes) -> None:
    lines = content.split(b"\r\n")
    odd = any(b"\n" in line or b"\r" in line or b"\0" in line for line in lines)
    assert needs_binary(content) == (odd or any(len(line) > MAX_LINE for line in lines))


@pytest.mark.parametrize("length", range(7))
def test_a_large_content_is_judged_as_a_small_one(length: int) -> None:
    """Every order of CR, LF and a letter, before many lines and after them."""
    lines = (b"x" * 70 + b"\r\n") * 1_000
    for signs in itertools.product(b"\r\nx", repeat=length):
        odd = bytes(signs)
        assert needs_binary(odd + b"\r\n" + lines) == needs_binary(odd + b"\r\n")
        assert needs_binary(lines + odd) == needs_binary(odd)


@pytest.mark.parametrize("length", [997, 998, 999, 1_000, 1_001])
@pytest.mark.parametrize("end", [b"", b"\r\n", b"\r\nx"])
def test_a_line_may_have_998_octets(length: int, end: bytes) -> None:
    assert needs_binary(b"a\r\n" + b"x" * length + end) == (length > 998)


def test_a_report_says_who_sent_what_to_whom() -> None:
    copy = copy_of(recipients=("bob@example.org", "carol@example.net", "bob@example.org"))
    read = read_report(whole(build(copy, SETTINGS, Reporter("mx1.example", KEY))))
    assert read.sender == "ann@example.com"
    assert read.subject == "Invoice 12"
    assert read.message_id == "<1@example.com>"
    assert read.recipients == ("bob@example.org", "carol@example.net", "bob@example.org")
    assert read.headers["from"] == "tdc@mx1.example"
    assert read.headers["to"] == "journal@intake.example"
    assert read.headers["subject"] == "Invoice 12"
    assert read.headers["message-id"] == "<0123456789abcdef0123456789abcdef@mx1.example>"
    assert read.headers["date"] == "Mon, 23 Nov 2026 09:15:02 +0000"
    assert read.headers["x-ms-exchange-parent-message-id"] == "<1@example.com>"
    assert read.headers["auto-submitted"] == "auto-generated"


def test_the_text_part_is_exactly_this() -> None:
    head = build(copy_of(sender=""), SETTINGS, REPORTER).head
    text = head.split(b"\r\n\r\n", 2)[2].split(b"\r\n--")[0]
    assert text == (
        b"Sender: <>\r\nSubject: Invoice 12\r\nMessage-Id: <1@example.com>\r\n"
        b"Recipient: bob@example.org\r\n"
    )


def test_the_journal_header_is_spelled_as_readers_look_for_it_and_empty() -> None:
    assert b"\r\nX-MS-Journal-Report:\r\n" in build(copy_of(), SETTINGS, REPORTER).head


def test_the_original_part_has_no_other_header_than_its_type() -> None:
    copy = copy_of()
    report = build(copy, SETTINGS, REPORTER)
    assert report.head.endswith(b"\r\nContent-Type: message/rfc822\r\n\r\n"), "it is 7bit"
    assert report.content is copy.content, "no second copy of a large original in memory"


def test_the_standard_library_reads_the_same() -> None:
    copy = copy_of(recipients=("bob@example.org", "carol@example.net"))
    raw = whole(build(copy, SETTINGS, REPORTER))
    message = email.message_from_bytes(raw, policy=email.policy.SMTP)
    assert isinstance(message, EmailMessage)
    text, original = message.iter_parts()
    assert not message.defects
    assert text.get_content().splitlines() == [
        "Sender: ann@example.com",
        "Subject: Invoice 12",
        "Message-Id: <1@example.com>",
        "Recipient: bob@example.org",
        "Recipient: carol@example.net",
    ]
    inner = original.get_payload(0)
    assert isinstance(inner, EmailMessage)
    assert inner["Subject"] == "Invoice 12"
    assert inner.get_payload() == "Hello\r\n.\r\n..two\r\n"


def test_the_same_copy_gives_the_same_report_in_each_attempt() -> None:
    first = build(copy_of(), SETTINGS, REPORTER)
    assert build(replace(copy_of(), attempts=3), SETTINGS, REPORTER) == first


def test_a_message_that_contains_the_boundary_gets_another_one() -> None:
    boundary = re.search(rb'boundary="([^"]+)"', build(copy_of(), SETTINGS, REPORTER).head)
    assert boundary is not None
    aimed = b"Subject: x\r\n\r\n--" + boundary[1] + b"--\r\n"
    raw = whole(build(copy_of(aimed), SETTINGS, REPORTER))
    assert read_report(raw).original == aimed


def test_bare_original_without_subject_and_message_id_gives_empty_lines() -> None:
    read = read_report(whole(build(copy_of(b"\r\nbody only\r\n"), SETTINGS, REPORTER)))
    assert (read.subject, read.message_id) == ("", "")
    assert read.headers["x-ms-exchange-parent-message-id"] == ""


def test_an_encoded_subject_is_decoded_in_the_text_and_kept_in_the_header() -> None:
    subject = b"=?utf-8?Q?Gr=C3=BC=C3=9Fe?= =?utf-8?B?4oKs?="
    report = build(copy_of(b"Subject: " + subject + b"\r\n\r\n"), SETTINGS, REPORTER)
    assert b"\r\nSubject: " + subject + b"\r\n" in report.head.split(b"\r\n\r\n")[0]
    assert read_report(whole(report)).subject == "Grüße€"
    assert report.needs.eight_bit


@pytest.mark.parametrize("charset", ["utf-8", "latin-1"])
def test_a_raw_8bit_subject_is_encoded_in_our_header(charset: str) -> None:
    subject = "Grüße " * 60
    content = b"Subject: " + subject.encode(charset) + b"\r\n\r\nx"
    raw = whole(build(copy_of(content), SETTINGS, REPORTER))
    assert raw.split(b"\r\n\r\n")[0].isascii()
    assert read_report(raw).subject == subject.strip()
    parsed = email.message_from_bytes(raw, policy=email.policy.default)
    assert parsed["Subject"] == subject.strip()


@pytest.mark.parametrize("charset", ["utf-8", "latin-1"])
def test_a_raw_8bit_message_id_is_told_as_it_is(charset: str) -> None:
    content = b"Message-ID: " + "<grüße.1@exämple.com>".encode(charset) + b"\r\n\r\nx"
    raw = whole(build(copy_of(content), SETTINGS, REPORTER))
    assert raw.split(b"\r\n\r\n")[0].isascii()
    assert read_report(raw).message_id == "<grüße.1@exämple.com>"
    parsed = email.message_from_bytes(raw, policy=email.policy.default)
    assert parsed["X-MS-Exchange-Parent-Message-Id"] == "<grüße.1@exämple.com>"


INJECTION = st.text(
    st.sampled_from("ab\r\n\0\x0b\x0c\x1c\x85\u2028\ud800:é <>@=?"), min_size=1, max_size=40
)


@given(sender=INJECTION, recipient=INJECTION, subject=INJECTION)
@example("a\r\nRecipient: x@y", "b\r\n\r\n--x", "s\r\n Bcc: x")
def test_nothing_in_a_message_adds_a_header_or_a_line_to_ours(
    sender: str, recipient: str, subject: str
) -> None:
    content = b"Subject: " + subject.encode("utf-8", "surrogatepass") + b"\r\n\r\nbody"
    for fallback in (False, True):
        copy = copy_of(content, sender=sender, recipients=(recipient,))
        raw = whole(build(copy, SETTINGS, REPORTER, fallback=fallback))
        header, first, *_ = raw.split(b"\r\n--=_tdc_")
        encoding = header.count(b"\r\nContent-Transfer-Encoding: ")
        assert encoding <= (not fallback)
        assert len(re.findall(rb"(?m)^\S", header)) == 11 + fallback + encoding
        assert not re.search(rb"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f]", header + first)
        assert header.count(b"\n") == header.count(b"\r\n") == header.count(b"\r")
        assert first.count(b"\n") == first.count(b"\r\n") == first.count(b"\r")
        names = [name for name, _ in _text_fields(raw)]
        assert names == ["Sender", "Subject", "Message-Id", "Recipient"]


def _text_fields(raw: bytes) -> list[tuple[str, str]]:
    message = email.message_from_bytes(raw)
    part = message.get_payload(0)
    text = part.get_payload(decode=True).decode()  # type: ignore[union-attr]
    lines = text.removesuffix("\r\n").split("\r\n")
    return [tuple(line.split(":", 1)) for line in lines]


def test_the_client_address_goes_on_top_of_the_copy_when_asked_for() -> None:
    settings = replace(SETTINGS, remote_ip_header="X-IronPort-RemoteIP")
    report = build(copy_of(client_address="192.0.2.7"), settings, REPORTER)
    assert read_report(whole(report)).original == (b"X-IronPort-RemoteIP: 192.0.2.7\r\n" + MESSAGE)
    unknown = build(copy_of(), settings, REPORTER)
    assert read_report(whole(unknown)).original == MESSAGE


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("IPv6:2001:DB8::1", "2001:db8::1"),
        ("::ffff:198.51.100.9", "198.51.100.9"),
        ("[192.0.2.7]", "192.0.2.7"),
        ("unknown", ""),
        ("203.0.113.300", ""),
        ("[UNAVAILABLE]", ""),
        ("", ""),
        ("192.0.2.7\r\nBcc: x", ""),
        ("fe80::1%eth0", "fe80::1"),
        ("IPV6:fe80::1%x\r\nBcc: y", "fe80::1"),
    ],
)
def test_a_client_address_is_a_valid_one_or_left_out(given: str, shown: str) -> None:
    settings = replace(SETTINGS, remote_ip_header="X-Ip")
    raw = whole(build(copy_of(client_address=given), settings, REPORTER))
    line = f"X-Ip: {shown}\r\n".encode() if shown else b""
    assert read_report(raw).original == line + MESSAGE


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"Subject: x\r\n\r\n\xc3\xa9\r\n", "8bit"),
        (b"Subject: x\r\n\r\na\0b\r\n", "binary"),
        (b"Subject: x\r\n\r\nplain\r\n", ""),
    ],
)
def test_what_holds_8bit_or_binary_parts_says_so(content: bytes, word: str) -> None:
    """RFC 2045 6.4, as the standard library reads it."""
    message = email.message_from_bytes(whole(build(copy_of(content), SETTINGS, REPORTER)))
    original = message.get_payload()[1]  # type: ignore[index]  # the second of its parts
    assert (message["Content-Transfer-Encoding"] or "") == word
    assert (original["Content-Transfer-Encoding"] or "") == word  # type: ignore[index]  # as above


def test_a_utf8_message_id_is_whole_in_the_report() -> None:
    content = "Message-ID: <gr\u00fc\u00df@b\u00fccher.example>\r\n\r\nx\r\n".encode()
    raw = whole(build(copy_of(content), SETTINGS, REPORTER))
    parsed = email.message_from_bytes(raw, policy=email.policy.SMTP)
    assert parsed["X-MS-Exchange-Parent-Message-Id"] == "<gr\u00fc\u00df@b\u00fccher.example>"


def test_the_gateways_own_postmaster_gets_its_domain() -> None:
    """RFC 5321 4.5.1: it may come without one."""
    raw = whole(build(copy_of(recipients=("Postmaster",)), SETTINGS, REPORTER))
    assert b"\r\nRecipient: Postmaster@mx1\r\n" in raw


@pytest.mark.parametrize(
    "top", [b"From a@b Thu Nov 26 09:00:00 2026\r\n", b">From a@b\r\njunk\r\n"]
)
def test_a_line_on_top_hides_neither_subject_nor_our_own_report(top: bytes) -> None:
    raw = whole(build(copy_of(top + MESSAGE), SETTINGS, REPORTER))
    plain = whole(build(copy_of(MESSAGE), SETTINGS, REPORTER))
    assert read_report(raw).subject == read_report(plain).subject
    assert is_own_report(top + plain, REPORTER.loop_key)
    assert not is_own_report(top + MESSAGE, REPORTER.loop_key)


def test_report_from_is_as_set() -> None:
    settings = replace(SETTINGS, report_from="journal@example.com")
    raw = whole(build(copy_of(), settings, REPORTER))
    assert read_report(raw).headers["from"] == "journal@example.com"


@pytest.mark.parametrize(
    ("content", "smtputf8", "kind", "needs"),
    [
        (MESSAGE, False, "message/rfc822", (False, False, False)),
        (MESSAGE, True, "message/rfc822", (False, False, False)),
        ("Subject: é\r\n\r\n".encode(), True, "message/global", (True, False, True)),
        ("Subject: é\r\n\r\n".encode(), False, "message/rfc822", (True, False, False)),
        ("Subject: e\r\n\r\né\r\n".encode(), True, "message/rfc822", (True, False, False)),
        (b"Subject: e\r\n\r\nbare\nLF\r\n", False, "message/rfc822", (False, True, False)),
        (b"Subject: e\r\n\r\nbare\rCR\r\n", False, "message/rfc822", (False, True, False)),
        (b"Subject: e\r\n\r\nnul\0\r\n", False, "message/rfc822", (False, True, False)),
        (b"Subject: e\r\n\r\n" + b"x" * 999, False, "message/rfc822", (False, True, False)),
    ],
)
def test_what_the_intake_must_offer(
    content: bytes, smtputf8: bool, kind: str, needs: tuple[bool, bool, bool]
) -> None:
    report = build(copy_of(content, smtputf8=smtputf8), SETTINGS, REPORTER)
    assert (report.needs.eight_bit, report.needs.binary, report.needs.smtputf8) == needs
    read = read_report(whole(report))
    assert read.original_type == kind
    assert read.original == content


def test_the_strict_reader_refuses_what_is_no_report() -> None:
    raw = whole(build(copy_of(), SETTINGS, REPORTER))
    for broken in (
        MESSAGE,
        raw.replace(b"X-MS-Journal-Report:", b"X-MS-Journal-Reporting:"),
        raw.replace(b"Sender: ", b"Sent-By: "),
        raw.replace(b"message/rfc822", b"text/html"),
        raw.replace(b"Recipient: ", b" Recipient: "),
    ):
        with pytest.raises(NotAReport):
            read_report(broken)


def test_report_ids_are_128_bits_and_differ() -> None:
    assert new_report_id(bytes(range(16))) == "000102030405060708090a0b0c0d0e0f"
    assert re.fullmatch("[0-9a-f]{32}", new_report_id())
    assert new_report_id() != new_report_id()
