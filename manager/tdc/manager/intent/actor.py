"""PURE. Who asks for an operation: a value that each operation is called with.

An adapter makes it of what the connection has proven (a certificate; later a session or an API
token), never of what a request says. Nothing in `intent` looks anywhere else for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Role(IntEnum):
    """What an operator is trusted with; each role includes those below it."""

    HELP_DESK = 1
    """Status and delivery: how machines do, and nothing of how they are set."""
    READ_ONLY = 2
    """Every read, and plans, which change nothing."""
    OPERATOR = 3
    """Commits."""
    ADMINISTRATOR = 4
    """Clusters, and the identities of machines."""

    def __str__(self) -> str:
        return self.name.lower().replace("_", " ")


class Scope(IntEnum):
    """How far a role reaches. An actor with a narrower scope than an operation needs is refused."""

    CLUSTERS = 1
    """Some clusters or groups only. No operation is content with it until it narrows its work."""
    INSTALLATION = 2
    """Everything this manager serves."""

    def __str__(self) -> str:
        return {Scope.CLUSTERS: "some clusters", Scope.INSTALLATION: "the whole installation"}[self]


@dataclass(frozen=True, slots=True)
class Actor:
    """An operator who asks; `origin` is where the call comes from, for logs.

    Today every operator's certificate is an administrator of the whole installation.
    """

    name: str
    role: Role
    scope: Scope
    origin: str

    def __str__(self) -> str:
        return f"{self.name} ({self.role}) from {self.origin}"
