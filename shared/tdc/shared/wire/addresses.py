"""Addresses of managers in tdc.v1 messages: bounded, and of the form host:port."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tdc.v1 import agents_pb2

MOST_MANAGERS = 16
"""Managers that are named to an agent, and remembered."""

_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253}):([0-9]{1,5})")


def is_address(text: str) -> bool:
    """Whether it is of the form host:port, as a manager's address is."""
    match = _ADDRESS.fullmatch(text)
    return match is not None and 1 <= int(match[2]) <= 65_535


def addresses_to_wire(addresses: Iterable[str]) -> agents_pb2.ManagerAddresses:
    """Where managers are, as a message; no more than an agent takes."""
    return agents_pb2.ManagerAddresses(addresses=list(addresses)[:MOST_MANAGERS])


def addresses_in(message: agents_pb2.ManagerMessage) -> tuple[str, ...]:
    """Where managers are, as a message says; what is not an address is left out."""
    match message.WhichOneof("kind"):
        case "welcome":
            named = message.welcome.managers
        case "ping":
            named = message.ping.managers
        case _:
            return ()
    return tuple(each for each in named.addresses[:MOST_MANAGERS] if is_address(each))
