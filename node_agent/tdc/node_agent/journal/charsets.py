"""PURE. Text of the charsets that mail really uses, under the labels that it really gives them.

Senders label by habit: `gb2312` where the text is GBK, `shift_jis` where it is Windows code page
932. Readers know the labels as the WHATWG Encoding Standard has them, which maps each to the
charset that the text then is in; so does this table, as far as Python has a codec. A label may
carry a language (RFC 2231 5). Nothing here raises: an unknown label is read as Latin-1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_BY_CODEC: Mapping[str, str] = {
    "cp1252": "ascii us-ascii ansi_x3.4-1968 iso-8859-1 iso8859-1 iso88591 latin1 l1 iso-ir-100 "
    "csisolatin1 cp819 ibm819 windows-1252 x-cp1252",
    "cp1254": "iso-8859-9 iso8859-9 iso88599 latin5 l5 iso-ir-148 csisolatin5 windows-1254 "
    "x-cp1254",
    "cp874": "tis-620 iso-8859-11 iso8859-11 iso885911 dos-874 windows-874",
    "gb18030": "gb2312 gb_2312 gb_2312-80 csgb2312 csiso58gb231280 iso-ir-58 chinese gbk x-gbk",
    "big5hkscs": "big5 big5-hkscs cn-big5 csbig5 x-x-big5",
    "cp932": "shift_jis shift-jis sjis x-sjis ms_kanji ms932 csshiftjis windows-31j cswindows31j",
    "cp949": "euc-kr cseuckr ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601 korean iso-ir-149 "
    "csksc56011987 windows-949",
    "iso8859_8": "iso-8859-8-i iso-8859-8-e csiso88598i csiso88598e logical visual hebrew",
    "euc_jp": "x-euc-jp cseucpkdfmtjapanese",
    "koi8_r": "koi koi8 cskoi8r",
    "koi8_u": "koi8-ru",
    "cp866": "866 ibm866 csibm866",
    "mac_roman": "mac x-mac-roman csmacintosh",
    "mac_cyrillic": "x-mac-cyrillic x-mac-ukrainian",
    "utf-8": "unicode-1-1-utf-8 unicode11utf8 unicode20utf8 x-unicode20utf8",
    "cp1250": "x-cp1250",
    "cp1251": "x-cp1251",
    "cp1253": "x-cp1253",
    "cp1255": "x-cp1255",
    "cp1256": "x-cp1256",
    "cp1257": "x-cp1257",
    "cp1258": "x-cp1258",
}
_CODECS = {label: codec for codec, labels in _BY_CODEC.items() for label in labels.split()}
_ISO_2022_JP = {"iso-2022-jp", "csiso2022jp"}
_ESCAPE = re.compile(rb"\x1b(\([BJI]|\$[@B])")


def decode(raw: bytes, label: str | None) -> str:
    """The text of `raw` in the charset that `label` means; never raises."""
    name = (label or "").strip().lower().partition("*")[0]
    if name in _ISO_2022_JP:
        return _iso_2022_jp(raw)
    try:
        return raw.decode(_CODECS.get(name, name) or "cp1252", "replace")
    except (LookupError, ValueError):  # an unknown charset, or a name with a NUL in it
        return raw.decode("latin-1")


def _iso_2022_jp(raw: bytes) -> str:
    """ISO-2022-JP (RFC 1468) with the characters of NEC and IBM that mail has in it.

    Python's codec refuses those. They stand where code page 932 has them, so each run of two-byte
    characters is read as that.
    """
    parts = _ESCAPE.split(raw)
    text = parts[0].decode("ascii", "replace")
    for escape, run in zip(parts[1::2], parts[2::2], strict=True):
        if escape.startswith(b"$"):
            text += _shifted(run).decode("cp932", "replace")
        elif escape == b"(I":  # half-width katakana
            text += bytes(byte | 0x80 for byte in run).decode("cp932", "replace")
        else:
            text += run.decode("ascii", "replace")
    return text


def _shifted(run: bytes) -> bytes:
    """Two-byte characters of JIS X 0208 as Shift_JIS has them; an odd byte at the end stays."""
    shifted = bytearray()
    for first, second in zip(run[::2], run[1::2], strict=False):
        high = ((first - 0x21) >> 1) + 0x81
        low = second + (0x1F if first & 1 else 0x7E)
        shifted.append((high + 0x40 if high > 0x9F else high) & 0xFF)
        shifted.append((low + 1 if first & 1 and low >= 0x7F else low) & 0xFF)
    return bytes(shifted) + run[len(run) & ~1 :]
