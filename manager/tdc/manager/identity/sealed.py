"""A document that only a passphrase opens: what leaves a manager with secrets in it.

AES-256-GCM under a key that scrypt makes of the passphrase (64 MB of memory for a guess).
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

_COST, _BLOCK, _PARALLEL = 2**16, 8, 1
_FIELDS = ("salt", "nonce", "sealed")


class NotOpened(Exception):
    """It is no such document, or the passphrase is not its own."""


def new_passphrase() -> str:
    """One that nobody guesses, in groups that can be read out: 120 bits."""
    text = base64.b32encode(secrets.token_bytes(15)).decode().lower()
    return "-".join(text[start : start + 4] for start in range(0, len(text), 4))


def seal(kind: str, document: Mapping[str, object], passphrase: str) -> bytes:
    """The bytes of a document of this kind, closed."""
    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
    text = json.dumps(document).encode()
    sealed = AESGCM(_key(passphrase, salt)).encrypt(nonce, text, kind.encode())
    parts = {"salt": salt, "nonce": nonce, "sealed": sealed}
    outer = {name: base64.b64encode(part).decode() for name, part in parts.items()}
    return json.dumps({"kind": kind, **outer}, indent=1).encode() + b"\n"


def opened(kind: str, raw: bytes, passphrase: str) -> dict[str, object]:
    """The document of these bytes; raises NotOpened."""
    try:
        outer = json.loads(raw)
        if outer["kind"] != kind:
            raise NotOpened(f"it is not a {kind}")
        salt, nonce, sealed = (base64.b64decode(outer[name], validate=True) for name in _FIELDS)
        text = AESGCM(_key(passphrase, salt)).decrypt(nonce, sealed, kind.encode())
        document = json.loads(text)
    except InvalidTag:
        raise NotOpened(
            "the passphrase is not that of this file, or the file was altered"
        ) from None
    except (ValueError, LookupError, TypeError, binascii.Error, RecursionError) as error:
        raise NotOpened(f"it can't be read: {error}") from None
    if not isinstance(document, dict):
        raise NotOpened("it holds no document")
    return document


def _key(passphrase: str, salt: bytes) -> bytes:
    scrypt = Scrypt(salt=salt, length=32, n=_COST, r=_BLOCK, p=_PARALLEL)
    return scrypt.derive(passphrase.strip().encode())
