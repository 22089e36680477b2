"""PURE. The text of a join token: ``tdc1.CA.SECRET``.

CA is the SHA-256 of the CA's certificate (64 hexadecimal digits): the joining machine can check
the manager before it sends the secret.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(r"tdc1\.([0-9a-f]{64})\.[a-z2-7]{26,64}")


class NotAToken(ValueError):
    """The text is not a join token; perhaps it was cut off when copied."""


def token_text(ca_fingerprint: str, secret: str) -> str:
    """Write a token with this secret (base32, lower case); raises NotAToken if it can't be one."""
    text = f"tdc1.{ca_fingerprint}.{secret}"
    authority_of(text)
    return text


def authority_of(token: str) -> str:
    """Read the CA's fingerprint from a token; raises NotAToken."""
    match = _TOKEN.fullmatch(token)
    if match is None:
        raise NotAToken(
            "this is not a join token (tdc1., 64 hexadecimal digits, a dot, a secret): copy all "
            "of it from `tdc machine token`"
        )
    return match[1]
