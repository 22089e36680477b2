"""PURE. What a provider says of itself and answers, read strictly.

A provider is reached by HTTPS; by HTTP only where it is on this machine's loopback, which is no
network. The document must be of the very issuer that was asked (OpenID Connect Discovery 4.3): so
nobody can stand in for another provider by a document about himself.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from tdc.manager.provider.values import DeviceCode, Metadata, ProviderAway, ProviderRefused, Tokens

DOCUMENT = "/.well-known/openid-configuration"
LONGEST_URL = 2_048
LONGEST_CODE = 2_048
LONGEST_TOKEN = 64 * 1024
LONGEST_LIFETIME = 1_800
"""Seconds that a login by device may take at most."""
DEFAULT_INTERVAL, LONGEST_INTERVAL = 5, 60
"""Seconds between two questions (RFC 8628 3.2)."""


def check_issuer(text: str) -> str:
    """Return `text` if a provider may be called so; raises ValueError."""
    fault = _fault_of(text, on_loopback=True)
    parts = urlsplit(text) if not fault else None
    if parts is not None and (parts.query or text.endswith("?")):
        fault = "has a query"
    if fault:
        raise ValueError(f"{text[:200]!r} {fault}")
    return text


def read_metadata(document: object, issuer: str) -> Metadata:
    """What a provider says of itself; raises ProviderAway."""
    table = _table(document)
    if table.get("issuer") != issuer:
        raise ProviderAway(
            f"it calls itself {str(table.get('issuer'))[:200]!r} and not {issuer!r}; oidc_issuer "
            "must be as the provider itself has it, to the last character"
        )
    near = issuer.startswith("http:")
    methods = table.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    algorithms = table.get("id_token_signing_alg_values_supported", [])
    return Metadata(
        issuer,
        authorization=_url(table, "authorization_endpoint", near),
        token=_url(table, "token_endpoint", near),
        keys=_url(table, "jwks_uri", near),
        userinfo=_url(table, "userinfo_endpoint", near, needed=False),
        device=_url(table, "device_authorization_endpoint", near, needed=False),
        algorithms=frozenset(map(str, algorithms)) if isinstance(algorithms, list) else frozenset(),
        basic=not isinstance(methods, list) or "client_secret_basic" in methods,
        names_itself=table.get("authorization_response_iss_parameter_supported") is True,
    )


def read_keys(document: object) -> tuple[dict[str, object], ...]:
    """The provider's keys (RFC 7517 5); raises ProviderAway."""
    keys = _table(document).get("keys")
    if not isinstance(keys, list):
        raise ProviderAway("its document of keys has none")
    return tuple(each for each in keys if isinstance(each, dict))


def read_tokens(document: object) -> Tokens:
    """What a code was exchanged for; raises ProviderAway."""
    table = _table(document)
    return Tokens(
        _text(table, "id_token", LONGEST_TOKEN), _text(table, "access_token", LONGEST_TOKEN)
    )


def read_device(document: object, *, near: bool) -> DeviceCode:
    """A login by device that began; `near`: HTTP will do. Raises ProviderAway."""
    table = _table(document)
    return DeviceCode(
        _text(table, "device_code", LONGEST_CODE),
        _shown(table, "user_code"),
        _url(table, "verification_uri", near),
        _url(table, "verification_uri_complete", near, needed=False),
        _seconds(table, "expires_in", 0, LONGEST_LIFETIME),
        _seconds(table, "interval", DEFAULT_INTERVAL, LONGEST_INTERVAL),
    )


def refusal_of(status: int, document: object) -> Exception:
    """What an answer other than 200 means; its words are the provider's, cut."""
    table = document if isinstance(document, dict) else {}
    code = table.get("error")
    if not 400 <= status < 500 or status == 429 or not isinstance(code, str):
        return ProviderAway(f"it answered {status}")
    said = plain(table.get("error_description"))
    return ProviderRefused(f"{plain(code)}: {said}" if said else plain(code), code)


def plain(text: object) -> str:
    """What somebody else wrote, fit to be shown: cut, and without control characters."""
    shown = text if isinstance(text, str) else ""
    return "".join(each for each in shown[:200] if each.isprintable())


def _table(document: object) -> dict[str, object]:
    if not isinstance(document, dict):
        raise ProviderAway("its answer is not the JSON object that a provider answers")
    return document


def _text(table: dict[str, object], name: str, longest: int) -> str:
    value = table.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        raise ProviderAway(f"its answer has no {name} that can be used")
    return value


def _shown(table: dict[str, object], name: str) -> str:
    value = _text(table, name, 64)
    if not value.isprintable():
        raise ProviderAway(f"its answer has no {name} that can be shown")
    return value


def _seconds(table: dict[str, object], name: str, default: int, longest: int) -> int:
    value = table.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ProviderAway(f"its answer has no {name} that can be used")
    return min(value, longest)


def _url(table: dict[str, object], name: str, near: bool, *, needed: bool = True) -> str:
    value = table.get(name)
    if value is None and not needed:
        return ""
    fault = _fault_of(value, near) if isinstance(value, str) else "is not an address"
    if fault:
        raise ProviderAway(f"its {name} {fault}")
    return str(value)


def _fault_of(text: str, on_loopback: bool) -> str:
    """What is wrong with an address, in words; empty if it will do."""
    if len(text) > LONGEST_URL or not text.isprintable() or " " in text:
        return "is not an address"
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is not an address"
    if parts.scheme not in ("https", "http") or not host:
        return "is not an address that begins with https://"
    if parts.username is not None or parts.fragment or text.endswith("#"):
        return "has a user or a fragment"
    if parts.scheme == "http" and not (on_loopback and is_loopback(host)):
        return "is without TLS: http:// is for loopback only"
    return ""


def is_loopback(host: str) -> bool:
    """Whether a host is this machine itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
