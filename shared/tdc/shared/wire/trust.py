"""Which CAs are trusted, in tdc.v1 messages: bounded, and each by the digits of a SHA-256."""

from __future__ import annotations

import math
import re

from tdc.shared.sync.identity import MOST_AUTHORITIES, Trust
from tdc.v1 import agents_pb2

MOST_SPREAD = 3_600.0
"""Seconds over which a manager may ask machines to spread what they do."""

_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


def is_fingerprint(text: str) -> bool:
    """Whether it is of the form of a SHA-256."""
    return _FINGERPRINT.fullmatch(text) is not None


def trust_to_wire(trust: Trust) -> agents_pb2.TrustedAuthorities:
    """As a message."""
    return agents_pb2.TrustedAuthorities(trusted=trust.trusted, spread=trust.spread)


def trust_in(message: agents_pb2.ManagerMessage) -> Trust | None:
    """What a message says of them; None if it says nothing that can be used."""
    match message.WhichOneof("kind"):
        case "welcome" if message.welcome.HasField("authorities"):
            said = message.welcome.authorities
        case "ping" if message.ping.HasField("authorities"):
            said = message.ping.authorities
        case _:
            return None
    trusted = tuple(each for each in said.trusted[:MOST_AUTHORITIES] if is_fingerprint(each))
    spread = said.spread if math.isfinite(said.spread) else 0.0
    return Trust(trusted, min(max(spread, 0.0), MOST_SPREAD)) if trusted else None
