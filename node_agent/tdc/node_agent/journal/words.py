"""PURE. The text of a header's value: encoded words (RFC 2047), with a language or without.

What is no well-formed encoded word stays as it is written. Octets of neighbours with one charset
are joined before they are read: many programs cut a character in two between two words.
"""

from __future__ import annotations

import base64
import binascii
import quopri
import re
from itertools import pairwise

from tdc.node_agent.journal.charsets import decode

# RFC 2231 5: the charset may be followed by an asterisk and a language. Each part is bounded, and
# none holds a question mark, so a line of them is read in one pass.
_WORD = re.compile(r"=\?([^?*\s]{1,80})(?:\*[^?\s]{0,80})?\?([bBqQ])\?([^?]*+)\?=")
_NO_BASE64 = re.compile(r"[^A-Za-z0-9+/]")


def decode_words(text: str) -> str:
    """`text` with its encoded words read; white space between two of them belongs to neither."""
    pieces: list[str] = []
    words: list[tuple[str, bytes]] = []
    done = 0
    for found in _WORD.finditer(text):
        octets = _octets(found[2], found[3])
        if octets is None:
            continue
        between = text[done : found.start()]
        if between.strip() or not words:
            pieces += [_read(words), between]
            words = []
        words.append((found[1].lower(), octets))
        done = found.end()
    return "".join([*pieces, _read(words), text[done:]])


def _octets(encoding: str, encoded: str) -> bytes | None:
    """The octets of a word; None if that is not what it holds."""
    try:
        if encoding in "qQ":
            return quopri.decodestring(encoded.encode("ascii"), header=True)
        # Blanks and missing padding are common; any other sign makes it no base64.
        digits = "".join(encoded.split()).rstrip("=")
        if _NO_BASE64.search(digits):
            return None
        return base64.b64decode(digits + "=" * (-len(digits) % 4))
    except (UnicodeEncodeError, binascii.Error):
        return None


def _read(words: list[tuple[str, bytes]]) -> str:
    """The text of neighbouring words."""
    text, run = [], b""
    for (charset, octets), (following, _) in pairwise([*words, ("", b"")]):
        run += octets
        if following != charset:
            text.append(decode(run, charset))
            run = b""
    return "".join(text)
