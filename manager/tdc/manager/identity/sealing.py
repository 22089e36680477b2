"""Secrets that are stored, encrypted by a key that is not in the store (AES-256-GCM).

The key comes from the CA's, which each manager has in its data folder: who reads etcd or a backup
of it learns nothing. After a new CA, what was sealed can't be opened, and is made again.
"""

from __future__ import annotations

import base64
import binascii
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12


class NotOpened(Exception):
    """What is stored was not sealed by this key for this owner."""


class Sealing:
    """Seals and opens under one key of 32 bytes; `owner` is bound to what is sealed."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, secret: bytes, owner: str) -> str:
        """The text to store."""
        nonce = secrets.token_bytes(_NONCE)
        sealed = self._cipher.encrypt(nonce, secret, owner.encode())
        return base64.b64encode(nonce + sealed).decode()

    def open(self, stored: str, owner: str) -> bytes:
        """What was sealed; raises NotOpened."""
        try:
            raw = base64.b64decode(stored, validate=True)
            return self._cipher.decrypt(raw[:_NONCE], raw[_NONCE:], owner.encode())
        except (InvalidTag, ValueError, binascii.Error) as error:
            raise NotOpened("it was not sealed by this manager's CA") from error
