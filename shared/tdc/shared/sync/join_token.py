"""PURE. The text of a join token: ``tdc1.CA.SECRET``.

CA is the SHA-256 of the CA's certificate (64 hexadecimal digits), so that the joining machine
knows which manager to believe before it says the secret.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(r"tdc1\.([0-9a-f]{64})\.[a-z2-7]{26,64}")


class NotAToken(ValueError):
    """The text is not a join token; it may have been cut when it was copied."""


def token_text(ca_fingerprint: str, secret: str) -> str:
    """Return the token with this secret (base32, lower case); raises NotAToken if it is none."""
    text = f"tdc1.{ca_fingerprint}.{secret}"
    authority_of(text)
    return text


def authority_of(token: str) -> str:
    """Return the CA fingerprint in a token; raises NotAToken."""
    match = _TOKEN.fullmatch(token)
    if match is None:
        raise NotAToken(
            "this is not a join token (tdc1., 64 hexadecimal digits, a dot, a secret): copy it "
            "whole from `tdc machine token`"
        )
    return match[1]
