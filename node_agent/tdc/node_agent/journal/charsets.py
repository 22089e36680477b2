"""PURE. Octets to text, by the labels that mail gives them (WHATWG Encoding Standard, 4.2).

A label says less than it seems to. Mail that is labelled gb2312, shift_jis, euc-kr or iso-8859-1
is in the larger sets that programs write under these names (GB 18030, windows-31J, windows-949,
windows-1252), and mail programs read it so. Python's codecs follow the label, so what differs
stands here; any other label is left to Python's own list of names.
"""

from __future__ import annotations

import codecs
import functools
import re

_LABELS = {
    # codec: labels, in lower case
    "gb18030": "gb2312 gb_2312 gb_2312-80 gbk x-gbk cp936 ms936 windows-936 chinese csgb2312 "
    "csiso58gb231280 iso-ir-58 euc-cn x-euc-cn gb18030-2000",
    "big5hkscs": "big5 big5-hkscs cn-big5 csbig5 x-x-big5",
    "cp932": "shift_jis shift-jis shiftjis sjis x-sjis ms_kanji ms932 windows-31j csshiftjis "
    "cswindows31j windows-932",
    "cp949": "euc-kr euckr cseuckr korean ks_c_5601-1987 ks_c_5601-1989 ks_c_5601 ksc5601 "
    "ksc_5601 csksc56011987 iso-ir-149 windows-949 uhc x-windows-949",
    "cp1252": "ascii us-ascii ansi_x3.4-1968 iso-8859-1 iso8859-1 iso88591 iso_8859-1 "
    "iso_8859-1:1987 latin1 latin-1 l1 iso-ir-100 csisolatin1 cp819 ibm819 windows-1252 x-cp1252 "
    "x-ansi",
    "cp1254": "iso-8859-9 iso8859-9 iso88599 iso_8859-9 iso_8859-9:1989 latin5 l5 iso-ir-148 "
    "csisolatin5 x-cp1254",
    "cp874": "iso-8859-11 iso8859-11 iso885911 tis-620 tis620 windows-874 dos-874 x-tis-620",
    "iso8859-2": "iso88592", "iso8859-3": "iso88593", "iso8859-4": "iso88594",
    "iso8859-5": "iso88595", "iso8859-7": "iso88597 sun_eu_greek", "iso8859-10": "iso885910",
    "iso8859-13": "iso885913", "iso8859-14": "iso885914", "iso8859-15": "iso885915 csisolatin9",
    "iso8859-8": "iso88598 iso-8859-8-i iso-8859-8-e csiso88598i csiso88598e logical visual",
    "iso8859-6": "iso88596 iso-8859-6-i iso-8859-6-e csiso88596i csiso88596e",
    "cp1250": "x-cp1250", "cp1251": "x-cp1251", "cp1253": "x-cp1253", "cp1255": "x-cp1255",
    "cp1256": "x-cp1256", "cp1257": "x-cp1257", "cp1258": "x-cp1258",
    "koi8_r": "koi koi8 cskoi8r", "koi8_u": "koi8-ru",
    "mac_roman": "x-mac-roman csmacintosh mac", "mac_cyrillic": "x-mac-cyrillic x-mac-ukrainian",
    "utf-8": "unicode-1-1-utf-8 unicode11utf8 unicode20utf8 x-unicode20utf8 utf8mb4",
    "utf-16-be": "unicodefffe",
    "utf-16-le": "unicode csunicode iso-10646-ucs-2 ucs-2 unicodefeff",
}  # fmt: skip
_CODECS = {label: codec for codec, labels in _LABELS.items() for label in labels.split()}
_EUC_JP = frozenset(("euc-jp", "eucjp", "x-euc-jp", "x-euc", "cseucpkdfmtjapanese", "ujis"))
_ISO_2022_JP = frozenset(("iso-2022-jp", "iso2022jp", "csiso2022jp", "iso-2022-jp-ms"))

# Codecs of Python that are no charsets of mail.
_NO_CHARSETS = frozenset(("unicode-escape", "raw-unicode-escape", "idna", "punycode", "undefined"))

# ISO-2022-JP: what the octets after an escape sequence are.
_ESCAPE = re.compile(rb"\x1b(\([BJI]|\$[@B])")
_KANJI = (b"$@", b"$B")
_KATAKANA = b"(I"
# EUC-JP: JIS X 0208 in two octets, half-width katakana after SS2, JIS X 0212 after SS3.
_EUC_KANJI = re.compile(rb"(?:[\xa1-\xfe]{2})+")


def decode(octets: bytes, label: str) -> str:
    """The text of `octets` under a charset's label; never raises.

    What is not valid becomes U+FFFD; under a label that nobody knows, octets are read as Latin-1.
    """
    name = label.strip().lower()
    if name in _ISO_2022_JP:
        return _iso_2022_jp(octets)
    if name in _EUC_JP:
        return _euc_jp(octets)
    return octets.decode(_codec(name), "replace")


@functools.lru_cache(maxsize=256)
def _codec(name: str) -> str:
    """The codec that reads this label."""
    try:
        codec = codecs.lookup(_CODECS.get(name, name)).name
        b"0".decode(codec, "replace")  # a LookupError if it is none of text
    except (LookupError, ValueError):  # ValueError: a NUL in the name
        return "latin-1"
    return "latin-1" if codec in _NO_CHARSETS else codec


def _iso_2022_jp(octets: bytes) -> str:
    """ISO-2022-JP with NEC's and IBM's characters, which Python's codec doesn't know."""
    # A list of: octets, then in turn an escape's designation and the octets under it.
    first, *rest = _ESCAPE.split(octets)
    text = [first.decode("ascii", "replace")]
    for designation, run in zip(rest[::2], rest[1::2], strict=True):
        text.append(_under(designation, run))
    return "".join(text)


def _under(designation: bytes, run: bytes) -> str:
    if designation in _KANJI:
        kanji = run.rstrip(b"\r\n ")
        return _kanji(kanji) + run[len(kanji) :].decode("ascii")
    if designation == _KATAKANA:
        return bytes(octet | 0x80 for octet in run).decode("cp932", "replace")
    return run.decode("ascii", "replace")


def _euc_jp(octets: bytes) -> str:
    """EUC-JP, with the same characters in its two-octet part."""
    text, done = [], 0
    for found in _EUC_KANJI.finditer(octets):
        if octets[found.start() - 1 : found.start()] in (b"\x8e", b"\x8f"):
            return octets.decode("euc_jp", "replace")
        text.append(octets[done : found.start()].decode("euc_jp", "replace"))
        text.append(_kanji(bytes(octet & 0x7F for octet in found[0])))
        done = found.end()
    text.append(octets[done:].decode("euc_jp", "replace"))
    return "".join(text)


def _kanji(pairs: bytes) -> str:
    """JIS X 0208 in 7 bits, by way of windows-31J, which places the same rows elsewhere."""
    shifted = bytearray()
    for row, cell in zip(pairs[::2], pairs[1::2], strict=False):
        if not (0x21 <= row <= 0x7E and 0x21 <= cell <= 0x7E):
            shifted += b"\xff"  # no character in windows-31J
            continue
        lead = (row + 1) // 2 + (0x70 if row <= 0x5E else 0xB0)
        low = cell + (0x7E if row % 2 == 0 else 0x20 if cell >= 0x60 else 0x1F)
        shifted += bytes((lead, low))
    return shifted.decode("cp932", "replace") + ("\ufffd" if len(pairs) % 2 else "")
