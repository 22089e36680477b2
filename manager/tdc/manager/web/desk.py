"""What all handlers work with: the operations, who comes in, and what is asked.

`Desk` is of one manager, `Call` of one request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec
from tdc.manager.intent.access import Access
from tdc.manager.intent.actor import Actor
from tdc.manager.intent.first_user import FirstUser
from tdc.manager.intent.login import Login
from tdc.manager.intent.operations import Operations
from tdc.manager.intent.refused import Refused
from tdc.shared.edge.clock import Clock, wall

Struct = TypeVar("Struct", bound=msgspec.Struct)


@dataclass(frozen=True)
class Desk:
    """One manager as the console sees it; `clock` gives Unix seconds."""

    operations: Operations
    login: Login
    access: Access
    refused: Refused
    first_user: FirstUser
    name: Callable[[], str]
    clock: Clock = wall


@dataclass(frozen=True)
class Call:
    """One request whose caller may make it.

    `origin` is the caller's address and port, for logs; `address` whom he is counted as. `path` has
    the names in the address, `query` and `body` are as their types say, None without one.
    """

    desk: Desk
    who: Actor | None
    origin: str
    address: str
    at: str
    path: Mapping[str, str]
    query: msgspec.Struct | None
    body: msgspec.Struct | None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def actor(self) -> Actor:
        """Who asks; only where the route needs a permission."""
        assert self.who is not None, "the route is open to anybody"
        return self.who

    @property
    def to(self) -> Operations:
        """The operations."""
        return self.desk.operations

    def asked(self, kind: type[Struct]) -> Struct:
        """The query, which the route's row says is of this type."""
        assert isinstance(self.query, kind)
        return self.query

    def sent(self, kind: type[Struct]) -> Struct:
        """The body, which the route's row says is of this type."""
        assert isinstance(self.body, kind)
        return self.body
