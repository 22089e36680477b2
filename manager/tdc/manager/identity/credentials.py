"""Secrets of sessions and API tokens, made of the system's randomness."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from tdc.manager.people.secret import DIGITS, RANDOM, Kind, secret_id, secret_text


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A secret to hand out once, and the hash to store."""

    text: str = field(repr=False)
    id: str


def new_secret(kind: Kind) -> NewSecret:
    """Make a secret."""
    text = secret_text(kind, "".join(secrets.choice(DIGITS) for _ in range(RANDOM)))
    return NewSecret(text, secret_id(text))
