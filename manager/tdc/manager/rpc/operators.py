"""Who operators are, as the guard asks for it, and the secret that a call may carry."""

from __future__ import annotations

from typing import Any, Protocol

import grpc.aio
from tdc.manager.identity.peer import Denied
from tdc.manager.intent.actor import Actor
from tdc.manager.intent.errors import NotKnown
from tdc.shared.sync.identity import Operator

BEARER = "Bearer "
"""What is before the secret in the metadata `authorization` of a call (RFC 6750 2.1)."""


class People(Protocol):
    """Who operators are."""

    def by_certificate(self, operator: Operator, origin: str, /) -> Actor:
        """The operator of a verified certificate; raises Denied."""

    def by_secret(self, secret: str, origin: str, /) -> Actor:
        """Who has a session or an API token; raises NotKnown."""

    def check(self, operator: Operator, /) -> None:
        """Raise Denied unless a verified certificate is good still."""


class Nobody:
    """Knows no operator."""

    def by_certificate(self, operator: Operator, origin: str) -> Actor:
        """Deny it."""
        raise Denied(f"{operator} is not known here, {origin} or elsewhere")

    def by_secret(self, secret: str, origin: str) -> Actor:
        """Deny it."""
        raise NotKnown("nobody is known here")

    def check(self, operator: Operator) -> None:
        """Deny it."""
        raise Denied(f"{operator} is not known here")


def secret_in(context: grpc.aio.ServicerContext[Any, Any]) -> str:
    """The secret that a call carries; raises NotKnown."""
    for key, value in context.invocation_metadata() or ():
        if key == "authorization" and isinstance(value, str) and value.startswith(BEARER):
            return value.removeprefix(BEARER)
    raise NotKnown(
        "this port needs a session or an API token, and the call carries none: log in (tdc: `tdc "
        "login`)"
    )
