"""PURE. What every answer carries for the browser, and which requests may change something.

Cross-site requests
-------------------
There are no form tokens. A browser says of every request whether it comes from our own pages
(`Sec-Fetch-Site`), and scripts of other sites can't change that. So what may change something needs
`same-origin`, or `none`: the address was typed. A browser that does not send it sends `Origin`,
which must be our own host. A request with neither is no browser's, and has no cookie either; with a
cookie it is refused. An API token is sent by programs on purpose and never by a browser of itself.
"""

from __future__ import annotations

from collections.abc import Mapping

COOKIE = "__Host-tdc"
"""The session's cookie: the prefix keeps it to this host, whole, and to HTTPS."""

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

ALWAYS: tuple[tuple[str, str], ...] = (
    ("content-security-policy", _POLICY),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("x-frame-options", "DENY"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
)
"""Headers of every answer."""

NOT_KEPT = ("cache-control", "no-store")
"""Of every answer but files that are the same for everybody."""

FOR_GOOD = "public, max-age=31536000, immutable"
"""How long a file is kept whose name has the hash of its content."""


def from_elsewhere(headers: Mapping[str, str], *, cookie: bool) -> str:
    """Why a request that may change something is not from our own pages; empty if it may be."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        if site in ("same-origin", "none"):
            return ""
        return f"the browser says that it comes from another site ({site[:20]})"
    origin = headers.get("origin")
    if origin is not None:
        own = f"https://{headers.get('host', '')}".lower()
        if own != "https://" and origin.lower() == own:
            return ""
        return "it comes from a page of another site"
    return "the browser does not say where it comes from" if cookie else ""


def cookie_with(secret: str) -> str:
    """The header that gives a browser its session."""
    return f"{COOKIE}={secret}; Path=/; Secure; HttpOnly; SameSite=Lax"


def cookie_gone() -> str:
    """The header that takes it away."""
    return f"{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0"


def secret_of(headers: Mapping[str, str]) -> str:
    """The secret in a request's cookie; empty without one, and where there are two."""
    found = [
        value
        for part in headers.get("cookie", "").split(";")
        for name, _, value in [part.strip().partition("=")]
        if name == COOKIE
    ]
    return found[0] if len(found) == 1 else ""


def own_address(text: str) -> str:
    """Where to go on after a login: an address of this console, `/` for anything else."""
    good = text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable()
    return text if good and len(text) <= 2_000 and "\\" not in text else "/"
