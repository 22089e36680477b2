"""PURE. The text of secrets: what they are is told by their beginning, a typing error by their end.

``tdc_s_`` (a session) or ``tdc_p_`` (an API token), 30 digits of base 62, and 6 of the CRC-32 of
all before. So a scanner for leaked secrets finds them, and one that was cut off is never looked up.
"""

from __future__ import annotations

import hashlib
import string
import zlib
from enum import StrEnum

DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
RANDOM, CHECK = 30, 6
"""Digits of each part; 30 of base 62 are 178 bits."""


class Kind(StrEnum):
    """What a secret is of; the letter in it."""

    SESSION = "s"
    TOKEN = "p"  # noqa: S105  # a letter


def secret_text(kind: Kind, random: str) -> str:
    """Make the text of a secret of RANDOM random digits."""
    text = f"tdc_{kind}_{random}"
    return text + _checksum(text)


def kind_of(text: str) -> Kind | None:
    """What a secret is of; None for what is none, or was mistyped."""
    for kind in Kind:
        start = f"tdc_{kind}_"
        body, check = text[:-CHECK], text[-CHECK:]
        whole = text.startswith(start) and len(text) == len(start) + RANDOM + CHECK
        if whole and set(text[len(start) :]) <= set(DIGITS) and _checksum(body) == check:
            return kind
    return None


def secret_id(text: str) -> str:
    """What is stored of a secret: SHA-256 of its text, 64 hexadecimal digits.

    A slow hash is not needed: the secret is random and too long to guess.
    """
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


def _checksum(text: str) -> str:
    number, digits = zlib.crc32(text.encode(errors="replace")), ""
    for _ in range(CHECK):
        number, digit = divmod(number, len(DIGITS))
        digits = DIGITS[digit] + digits
    return digits
