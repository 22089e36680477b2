"""Join tokens: a word that lets one machine enrol once.

Only a token's hash is stored; what it allows (cluster, group, machine, until when) is in the
store, not in its text.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass, field

from tdc.shared.sync.join_token import token_text

DEFAULT_LIFETIME = 600
"""Seconds that a join token is good for, by default."""

MAX_LIFETIME = 7 * 86_400

_SECRET_BYTES = 20  # 160 bits


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token to hand out once, and the hash to store."""

    text: str = field(repr=False)
    hash: str


def new_token(ca_fingerprint: str) -> NewToken:
    """Make a token of the CA with this fingerprint (64 hexadecimal digits)."""
    secret = base64.b32encode(secrets.token_bytes(_SECRET_BYTES)).decode().lower()
    text = token_text(ca_fingerprint, secret)
    return NewToken(text, token_hash(text))


def token_hash(text: str) -> str:
    """What is stored of a token: SHA-256 of its text, 64 hexadecimal digits.

    A slow hash is not needed: the secret is random and too long to guess.
    """
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()
