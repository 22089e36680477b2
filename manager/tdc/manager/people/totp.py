"""PURE. One-time codes (RFC 6238, with what every authenticator app takes: SHA-1, 6 digits, 30 s).

A code is good in its own step and the one before and after, for clocks differ; and once: the step
of the code that was used is kept, and none up to it is taken again.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from urllib.parse import quote

from tdc.manager.people.user import PeopleError

STEP = 30
DIGITS = 6
SECRET_BYTES = 20
"""As RFC 4226 section 4 (R6) recommends."""
_DRIFT = 1


def code_at(secret: bytes, step: int) -> str:
    """The code of a step (RFC 4226 5.3)."""
    digest = hmac.digest(secret, step.to_bytes(8), hashlib.sha1)
    offset = digest[-1] & 0xF
    number = int.from_bytes(digest[offset : offset + 4]) & 0x7FFF_FFFF
    return str(number % 10**DIGITS).zfill(DIGITS)


def step_of(secret: bytes, code: str, now: float, last_step: int) -> int | None:
    """The step in which a code is good now, after `last_step`; None if it is not."""
    given = "".join(code.split()).encode(errors="replace")
    current, found = int(now) // STEP, None
    for step in range(current - _DRIFT, current + _DRIFT + 1):
        same = hmac.compare_digest(code_at(secret, step).encode(), given)
        if same and step > last_step and found is None:
            found = step
    return found


def secret_shown(secret: bytes) -> str:
    """The secret as people type it into an app."""
    return base64.b32encode(secret).decode().rstrip("=")


def uri_of(secret: bytes, name: str, issuer: str) -> str:
    """The address that an app reads from a QR code."""
    label = quote(f"{issuer}:{name}", safe=":")
    return (
        f"otpauth://totp/{label}?secret={secret_shown(secret)}&issuer={quote(issuer, safe='')}"
        f"&algorithm=SHA1&digits={DIGITS}&period={STEP}"
    )


def secret_read(text: str) -> bytes:
    """The secret of `secret_shown`; raises PeopleError."""
    plain = "".join(text.split()).upper()
    try:
        raw = base64.b32decode(plain + "=" * (-len(plain) % 8))
    except ValueError:
        raw = b""
    if len(raw) != SECRET_BYTES:
        raise PeopleError("this is not the secret of one-time codes that the manager made")
    return raw
