"""Secrets that are stored, encrypted by a key that is not in the store (AES-256-GCM).

The key comes from the CA's, which each manager has in its data folder: who reads etcd or a backup
of it learns nothing. While two CAs are trusted, the one that signs seals, and both open; before one
of them goes, what it sealed is sealed again (`rotation`).
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import secrets
from collections.abc import Callable, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SECOND_FACTOR = "second factor"
"""For what the secrets of one-time codes are sealed."""
LOGIN_HANDLE = "login by a provider"
"""For what is remembered of a login between its beginning and its end."""

_NONCE = 12


class NotOpened(Exception):
    """What is stored was not sealed by this key for this owner."""


class Sealing:
    """Seals under the first of its keys (32 bytes each), and opens under any.

    `owner` is bound to what is sealed.
    """

    def __init__(self, keys: Callable[[], Sequence[bytes]]) -> None:
        """`keys` gives those that count now, never none."""
        self._keys = keys

    def seal(self, secret: bytes, owner: str) -> str:
        """The text to store."""
        nonce = secrets.token_bytes(_NONCE)
        sealed = AESGCM(self._keys()[0]).encrypt(nonce, secret, owner.encode())
        return base64.b64encode(nonce + sealed).decode()

    def open(self, stored: str, owner: str) -> bytes:
        """What was sealed; raises NotOpened."""
        try:
            raw = base64.b64decode(stored, validate=True)
        except (ValueError, binascii.Error) as error:
            raise NotOpened(_NOT_OURS) from error
        for key in self._keys():
            with contextlib.suppress(InvalidTag, ValueError):
                return AESGCM(key).decrypt(raw[:_NONCE], raw[_NONCE:], owner.encode())
        raise NotOpened(_NOT_OURS)


_NOT_OURS = "it was not sealed by this manager's CA"
