"""Header facts from raw bytes: tolerant, bounded, and right where the message is right."""

from __future__ import annotations

import base64
import email
import email.policy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tdc.node_agent.journal import charsets
from tdc.node_agent.journal.headers import (
    MAX_HEADER_BYTES,
    MAX_VALUE_BYTES,
    decode_value,
    loop_lines,
    read_headers,
)


@pytest.mark.parametrize(
    ("content", "subject", "end"),
    [
        (b"", "", 0),
        (b"\r\n", "", 2),
        (b"\r\nbody", "", 2),
        (b"body only, no colon", "", 19),
        (b"junk first\r\nSubject: read on\r\n\r\n", "read on", 32),
        (b"Subject: no body", "no body", 16),
        (b"Subject: s\r\n\r\nbody", "s", 14),
        (b"subject : obsolete blank\r\n\r\n", "obsolete blank", 28),
        (b"Subject: folded\r\n over\r\n\tlines\r\n\r\n", "folded over\tlines", 34),
        (b"Subject: first\r\nSubject: second\r\n\r\n", "first", 35),
        (b"Subject: bare\nFrom: lf\n\nbody", "bare", 24),
        (b"X-Subject: no\r\nSubject:yes\r\n\r\nSubject: body", "yes", 30),
        (b"Subject: s\r\nno colon here\r\nMessage-ID: <late>\r\n\r\n", "s", 49),
        (b"From a@b Thu Nov 26 09:00:00 2026\r\nSubject: mbox\r\n\r\n", "mbox", 52),
        (b">From a@b\r\n>From c@d\r\nSubject: quoted\r\n\r\n", "quoted", 41),
        (b"Subject:\r\n\r\n", "", 12),
        (b" continuation first\r\nSubject: s\r\n\r\n", "s", 35),
    ],
)
@pytest.mark.proves("B52", "B54")
def test_header_of_odd_messages(content: bytes, subject: str, end: int) -> None:
    facts = read_headers(content)
    assert facts.subject == subject
    assert facts.end == end


@pytest.mark.parametrize(
    "charset", ["no\0charset", "hex", "idna", "undefined", "x" * 5_000, "\xff"]
)
def test_a_charset_that_is_none_does_not_keep_a_message_from_its_report(charset: str) -> None:
    """With a NUL in it Python raises what it raises for no other: a sender could hide so."""
    raw = f"=?{charset}?q?caf=E9?= \0".encode()
    assert "caf" in read_headers(b"Subject: " + raw + b"\r\n\r\n").subject


@given(content=st.binary(max_size=400))
def test_no_bytes_make_it_fail(content: bytes) -> None:
    facts = read_headers(content)
    assert 0 <= facts.end <= len(content)
    assert loop_lines(content) == facts.loop_lines


VALUE = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60).map(str.strip)


@given(subject=VALUE, message_id=VALUE, hops=st.integers(0, 5))
def test_agrees_with_the_standard_library(subject: str, message_id: str, hops: int) -> None:
    content = (
        "Received: x\r\n" * hops + f"Subject: {subject}\r\nMessage-ID: {message_id}\r\n\r\nbody\r\n"
    ).encode()
    facts = read_headers(content)
    parsed = email.message_from_bytes(content, policy=email.policy.compat32)
    assert facts.subject_raw.decode() == parsed["Subject"].strip()
    assert facts.message_id_raw.decode() == parsed["Message-ID"].strip()
    assert facts.hops == hops
    assert content[facts.end :] == b"body\r\n"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"=?utf-8?B?w6k=?=", "é"),
        (b"=?iso-8859-1?Q?caf=E9?= =?utf-8?Q?_=E2=82=AC?=", "café €"),
        (b"plain =?utf-8?Q?=C3=A9?= mixed", "plain é mixed"),
        (b"=?no-such-charset?B?w6k=?=", "Ã©"),
        (b"=?utf-8?B?broken!?=", "=?utf-8?B?broken!?="),
        (b"=?utf-8?X?unknown?=", "=?utf-8?X?unknown?="),
        (b"=?utf-8?Q?=FF=FE?=", "\ufffd\ufffd"),
        ("ü".encode(), "ü"),
        (b"\xfc", "ü"),
    ],
)
def test_subjects_are_decoded(raw: bytes, text: str) -> None:
    assert decode_value(raw) == text


def test_a_header_of_ten_thousand_folded_lines_is_read_to_its_end() -> None:
    content = b"Subject: s" + b"\r\n folded" * 10_000 + b"\r\nMessage-ID: <m>\r\n\r\nbody"
    facts = read_headers(content)
    assert facts.message_id_raw == b"<m>"
    assert len(facts.subject_raw) == MAX_VALUE_BYTES
    assert content[facts.end :] == b"body"


def test_only_the_first_mebibyte_is_looked_at() -> None:
    line = b"X-Filler: " + b"x" * 1_000 + b"\r\n"
    content = line * (MAX_HEADER_BYTES // len(line) + 2) + b"Subject: too far\r\n\r\n"
    assert read_headers(content).subject == ""


def test_eight_bit_is_of_the_header_alone() -> None:
    assert read_headers("Subject: é\r\n\r\n".encode()).eight_bit
    assert not read_headers("Subject: e\r\n\r\né".encode()).eight_bit


CHARSETS: list[tuple[str, bytes, str]] = [
    ("gb2312", "\u9555".encode("gbk"), "\u9555"),  # not in GB 2312
    ("GBK", "\u9555\u20ac".encode("gb18030"), "\u9555\u20ac"),
    ("shift_jis", b"\x87\x40", "\u2460"),  # NEC row 13
    ("windows-31j", b"\xfa\xb1", "\ufa11"),  # an IBM extension
    ("x-sjis", b"\x82\xa0", "\u3042"),
    ("iso-2022-jp", b"\x1b$B-!\x1b(B a", "\u2460 a"),
    ("iso-2022-jp", b"\x1b$B$\x22F|\x1b(B", "\u3042\u65e5"),
    ("iso-2022-jp", b"\x1b(I1\x1b(B", "\uff71"),
    ("euc-kr", "\ub620".encode("cp949"), "\ub620"),
    ("ks_c_5601-1987", "\uac00".encode("cp949"), "\uac00"),
    ("iso-8859-8-i", b"\xe0\xe1", "\u05d0\u05d1"),
    ("big5", "\u4e2d".encode("big5"), "\u4e2d"),
    ("us-ascii", b"\x93x\x94", "\u201cx\u201d"),
    ("iso-8859-1", b"\x80", "\u20ac"),
    ("tis-620", b"\xa1", "\u0e01"),
    ("koi8-r", b"\xc1", "\u0430"),
    ("utf-8*en", b"\xc3\xa9", "\u00e9"),
    ("us-ascii*en-us", b"plain", "plain"),
    ("iso88592", b"\xb1", "\u0105"),
    ("iso88595", b"\xd0", "\u0430"),
    ("sun_eu_greek", b"\xe1", "\u03b1"),
    ("csisolatin9", b"\xa4", "\u20ac"),
    ("unicodefffe", b"\x04\x30", "\u0430"),
    ("no-such-charset", b"\xe9", "\u00e9"),
]


@pytest.mark.parametrize(("label", "raw", "text"), CHARSETS)
def test_a_subject_is_read_by_the_label_that_mail_really_uses(
    label: str, raw: bytes, text: str
) -> None:
    word = b"=?%s?B?%s?=" % (label.encode(), base64.b64encode(raw))
    assert decode_value(word) == text


@given(st.sampled_from(["iso-2022-jp", "gb2312", "x-sjis", "utf-8*", "*", ""]), st.binary())
def test_no_bytes_of_any_charset_fail(label: str, raw: bytes) -> None:
    assert charsets.decode(raw, label) is not None


@given(st.text(st.characters(codec="iso2022_jp"), max_size=20))
def test_iso_2022_jp_is_read_as_python_reads_it(text: str) -> None:
    """For what the standard has; a few signs differ in code page 932, and NEC's are more."""
    raw = text.encode("iso2022_jp")
    odd = "\\~\u00a5\u203e\u2014\u2016\u2212\u301c\u00a2\u00a3\u00ac\x1b\x0e\x0f"
    if not set(text) & set(odd):
        assert charsets.decode(raw, "ISO-2022-JP") == text
