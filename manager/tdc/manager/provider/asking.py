"""PURE. What a client asks a provider: addresses, forms, PKCE (RFC 6749, 7636, 8252, 8628)."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from urllib.parse import quote_plus, urlencode, urlsplit

from tdc.manager.provider.values import Metadata, Registration

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"

_REDIRECT = re.compile(r"http://(?:127\.0\.0\.1|\[::1\]):([0-9]{1,5})/[A-Za-z0-9/_-]{0,64}")


def is_redirect(text: str) -> bool:
    """Whether a login may come back there: to the loopback of who began it (RFC 8252 7.3)."""
    match = _REDIRECT.fullmatch(text)
    return match is not None and 0 < int(match[1]) <= 65_535


def challenge_of(verifier: str) -> str:
    """What is shown of a PKCE verifier at first (RFC 7636 4.2)."""
    return unpadded(hashlib.sha256(verifier.encode()).digest())


def unpadded(raw: bytes) -> str:
    """Base64 for addresses, without padding."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def authorization_url(
    metadata: Metadata, own: Registration, redirect: str, state: str, nonce: str, verifier: str
) -> str:
    """The address that a browser opens."""
    query = urlencode(
        {
            "response_type": "code",
            "client_id": own.client_id,
            "redirect_uri": redirect,
            "scope": " ".join(own.scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge_of(verifier),
            "code_challenge_method": "S256",
        }
    )
    joined = "&" if urlsplit(metadata.authorization).query else "?"
    return f"{metadata.authorization}{joined}{query}"


def code_form(code: str, redirect: str, verifier: str) -> Mapping[str, str]:
    """What exchanges a code of a redirect."""
    return {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect,
        "code_verifier": verifier,
    }


def device_form(code: str) -> Mapping[str, str]:
    """What asks whether a login by device was completed."""
    return {"grant_type": DEVICE_GRANT, "device_code": code}


def with_client(
    metadata: Metadata, own: Registration, secret: str, form: Mapping[str, str]
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """The form and the headers that show which client asks (RFC 6749 2.3.1)."""
    if secret and metadata.basic:
        pair = f"{quote_plus(own.client_id)}:{quote_plus(secret)}"
        return form, {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
    shown = {"client_id": own.client_id, **({"client_secret": secret} if secret else {})}
    return {**form, **shown}, {}
