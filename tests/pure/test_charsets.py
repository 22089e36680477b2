"""Subjects are read by the labels that mail uses, not by what the labels once meant."""

from __future__ import annotations

import base64
import email.header
import quopri
from time import process_time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tdc.node_agent.journal.charsets import decode
from tdc.node_agent.journal.words import decode_words

# What browsers read from these octets under these labels.
READ = [
    ("gb2312", "e946c96a94f7", "\u9555\u84b5\u65dd"),  # in GBK alone
    ("GB2312", "81308130", "\x80"),  # in GB 18030 alone
    ("gbk", "b9fe", "\u54c8"),
    ("x-gbk", "8140", "\u4e02"),
    ("big5", "a140f9d6", "\u3000\u7881"),
    ("shift_jis", "87408a4f88a4fbfc", "\u2460\u5916\u611b\u9ad9"),  # NEC's and IBM's
    ("x-sjis", "8754", "\u2160"),
    ("windows-31j", "818181608d8282b3", "\uff1d\uff5e\u9ad8\u3055"),
    ("ms932", "ed40", "\u7e8a"),
    ("euc-kr", "8141b0a1c6a3", "\uac02\uac00\ud281"),
    ("ks_c_5601-1987", "8c63", "\ub620"),
    ("windows-949", "b0a1", "\uac00"),
    ("iso-8859-8-i", "f9ece5ed", "\u05e9\u05dc\u05d5\u05dd"),
    ("iso-8859-8-e", "e0", "\u05d0"),
    ("iso-8859-6-i", "c7", "\u0627"),
    ("iso-2022-jp", "1b24422d21467c1b2842", "\u2460\u65e5"),
    ("iso-2022-jp", "411b24402d351b284a5a", "A\u2160Z"),
    ("iso-2022-jp", "1b2849311b2842", "\uff71"),
    ("iso-2022-jp", "1b2442467c", "\u65e5"),
    ("iso-2022-jp", "1b244221411b2842", "\uff5e"),
    ("euc-jp", "ada1c6fc", "\u2460\u65e5"),
    ("euc-jp", "8eb1c6fc", "\uff71\u65e5"),
    ("euc-jp", "41c6fc8fb0a1", "A\u65e5\u4e02"),
    ("ascii", "93808594", "\u201c\u20ac\u2026\u201d"),
    ("us-ascii", "e9", "\xe9"),
    ("latin1", "96", "\u2013"),
    ("ISO-8859-1", "80", "\u20ac"),
    ("iso-8859-9", "80fd", "\u20ac\u0131"),
    ("iso-8859-11", "85a1", "\u2026\u0e01"),
    ("tis-620", "a1", "\u0e01"),
    ("koi8-ru", "a4", "\u0454"),
    ("iso-8859-15", "a4", "\u20ac"),
    ("x-mac-cyrillic", "80", "\u0410"),
    ("macintosh", "80", "\xc4"),
    ("unicode-1-1-utf-8", "c3a9", "\xe9"),
    ("utf8", "c3a9", "\xe9"),
    (" UTF-8 ", "c3a9", "\xe9"),
    ("nobody-knows", "e9", "\xe9"),
    ("unicode_escape", "5c7530303431", "\\u0041"),
    ("hex", "3431", "41"),
]


@pytest.mark.parametrize(("label", "octets", "text"), READ)
def test_a_label_means_what_mail_programs_mean(label: str, octets: str, text: str) -> None:
    assert decode(bytes.fromhex(octets), label) == text


LABELS = st.sampled_from(sorted({label for label, _, _ in READ} | {"", "\0", "utf-16", "utf-7"}))


@given(octets=st.binary(max_size=60), label=st.one_of(LABELS, st.text(max_size=12)))
@example(b"\x1b$B!", "iso-2022-jp")
@example(b"\x1b$B\xff\x00\x1b(I\xff\x1b", "iso-2022-jp")
@example(b"\x8f\xa1", "euc-jp")
@pytest.mark.proves("S20", "B54")
def test_no_octets_under_no_label_make_it_fail(octets: bytes, label: str) -> None:
    assert isinstance(decode(octets, label), str)
    words = base64.b64encode(octets).decode()
    assert isinstance(decode_words(f"=?{label}?B?{words}?= =?{label}*xx?q?{label}?="), str)


KANJI = st.text(
    st.characters(codec="shift_jis", min_codepoint=0x3041, max_codepoint=0x9FFF), max_size=20
)


@given(text=KANJI)
def test_japanese_text_reads_back_in_each_of_its_codings(text: str) -> None:
    for label, codec in [
        ("iso-2022-jp", "iso2022_jp"),
        ("euc-jp", "euc_jp"),
        ("shift_jis", "shift_jis"),
    ]:
        assert decode(text.encode(codec), label) == text


@given(text=st.text(st.characters(codec="gbk"), max_size=20))
def test_chinese_text_reads_back_under_the_narrower_label(text: str) -> None:
    assert decode(text.encode("gb18030"), "gb2312") == text


@given(text=st.text(st.characters(codec="cp949"), max_size=20))
def test_korean_text_reads_back_under_the_narrower_label(text: str) -> None:
    assert decode(text.encode("cp949"), "euc-kr") == text


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("=?utf-8*en?Q?caf=C3=A9?=", "caf\xe9"),
        ("=?iso-2022-jp*ja-JP?B?GyRCRnwbKEI=?=", "\u65e5"),
        ("=?gb2312?B?6UY=?=", "\u9555"),
        ("=?utf-8?B?w6k?=", "\xe9"),  # no padding
        ("=?utf-8?B?w6 k=?=", "\xe9"),
        ("=?utf-8?B?4oI=?= =?UTF-8?Q?=AC?=", "\u20ac"),  # a character in two words
        ("=?utf-8?Q?a?=\t =?latin1?Q?=80?= b", "a\u20ac b"),
        ("=?utf-8?Q?a_b?=c=?utf-8?Q?d?=", "a bcd"),
        ("\u20ac =?utf-8?Q?x?= \u20ac", "\u20ac x \u20ac"),
        ("=?utf-8?B?broken!?= =?utf-8?Q?=C3=A9?=", "=?utf-8?B?broken!?= \xe9"),
        ("=?utf-8?Q?=C3=A9?= =?utf-8?B?broken!?=", "\xe9 =?utf-8?B?broken!?="),
        ("=?utf-8?Q??=", ""),
        ("=?utf-8?Q?open", "=?utf-8?Q?open"),
        ("=??Q?x?=", "=??Q?x?="),
        ("=?utf-8*?Q?x?=", "x"),
    ],
)
def test_encoded_words(raw: str, text: str) -> None:
    assert decode_words(raw) == text


PLAIN = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="=?"))
CHARSETS = st.sampled_from(["utf-8", "iso-8859-15", "koi8-r", "utf-16-be"])


@st.composite
def _written(draw: st.DrawFn) -> str:
    """An encoded word or a plain one."""
    plain = draw(PLAIN.filter(bool))
    if draw(st.booleans()):
        return plain
    charset = draw(CHARSETS)
    octets = plain.encode(charset)
    if draw(st.booleans()):
        return f"=?{charset}?B?{base64.b64encode(octets).decode()}?="
    quoted = quopri.encodestring(octets, header=True).replace(b"=\n", b"").decode()
    return f"=?{charset}?Q?{quoted}?="


@given(words=st.lists(_written(), max_size=8))
def test_the_standard_library_reads_the_same(words: list[str]) -> None:
    raw = " ".join(words)
    expected = "".join(
        part if isinstance(part, str) else part.decode(charset or "ascii")
        for part, charset in email.header.decode_header(raw)
    )
    assert decode_words(raw) == expected


@pytest.mark.parametrize(
    "raw", ["=?" * 4_000, "=?utf-8?Q?" * 800, "=?utf-8?Q?a?= " * 600, "=?x*" + "y" * 8_000]
)
@pytest.mark.proves("B54")
def test_a_value_made_to_be_slow_is_read_quickly(raw: str) -> None:
    begun = process_time()
    decode_words(raw)
    assert process_time() - begun < 0.5
