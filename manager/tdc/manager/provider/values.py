"""PURE. What is asked of a provider and what it answers, and why it may not do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


class ProviderError(Exception):
    """A login that the provider has not proven. One sentence for people."""


class ProviderAway(ProviderError):
    """The provider does not answer, or not as a provider does: try again later."""


class ProviderRefused(ProviderError):
    """The provider said no. `code` is its reason, as RFC 6749 5.2 and RFC 8628 3.5 name it."""

    def __init__(self, sentence: str, code: str) -> None:
        super().__init__(sentence)
        self.code = code


class NotOffered(ProviderError):
    """The provider does not offer this kind of login."""


class NotProven(ProviderError):
    """What came as a proof is none: forged, of another client, out of date."""


class UnknownKey(NotProven):
    """The proof is signed by a key that the provider is not known to have."""


@dataclass(frozen=True, slots=True)
class Registration:
    """What the manager is registered as at the provider.

    `secret` reads the client's secret, empty for a public client; it may raise OSError, ValueError.
    `ca` is the file of CAs to trust it by; empty for the system's.
    """

    issuer: str
    client_id: str
    secret: Callable[[], str]
    scopes: tuple[str, ...]
    ca: str = ""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a provider says of itself (OpenID Connect Discovery 1.0, RFC 8414).

    An endpoint that it does not have is empty. `names_itself`: each of its answers in a browser
    has `iss` (RFC 9207).
    """

    issuer: str
    authorization: str
    token: str
    keys: str
    userinfo: str = ""
    device: str = ""
    algorithms: frozenset[str] = frozenset()
    basic: bool = True
    names_itself: bool = False


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a code was exchanged for."""

    id_token: str = field(repr=False)
    access_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """A login by device that began. `lifetime` and `interval` are seconds."""

    code: str = field(repr=False)
    user_code: str
    url: str
    complete_url: str
    lifetime: int
    interval: int


Claims = Mapping[str, object]
"""What the provider says of a person."""
