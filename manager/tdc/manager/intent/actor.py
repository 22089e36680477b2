"""PURE. Who asks for an operation: a value that each operation is called with.

An adapter has it made (`access`) of what the connection or the call has proven: a certificate, a
session or an API token; never of what a request says. Nothing in `intent` looks anywhere else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from tdc.manager.people.reach import Reach, Role
from tdc.manager.people.user import OperatorCertificate


class Means(StrEnum):
    """By what somebody has proven who he is."""

    CERTIFICATE = "certificate"
    SESSION = "session"
    TOKEN = "API token"  # noqa: S105  # a word for people
    SETUP = "set-up address"
    """Nobody yet: who set the manager up makes the first user."""


@dataclass(frozen=True, slots=True)
class Actor:
    """An operator who asks; `origin` is where the call comes from, for logs.

    `proof` names the session, token or certificate itself, never its secret: a hash.
    """

    name: str
    role: Role
    reach: Reach
    origin: str
    means: Means = Means.CERTIFICATE
    proof: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.role}) from {self.origin}"


def held_by(actor: Actor, now: float) -> OperatorCertificate | None:
    """The certificate by which he asks, as one that is good, though its use be not noted yet."""
    if actor.means is not Means.CERTIFICATE:
        return None
    return OperatorCertificate(actor.proof, actor.name, issued=now, ends=math.inf, first=now)
