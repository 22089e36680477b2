"""The name by which this gateway goes in mail: in EHLO, and in the addresses that we make.

It has to be a fully qualified domain name (RFC 5321 2.3.5, 4.1.1.1): many servers refuse the EHLO
or the sender of a host that calls itself `mx1`, and an answer to `tdc@mx1` finds nobody. A machine
may well be called `mx1` at the manager, so the name is taken from where there is one.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass

from tdc.shared.mail.address import AddressError, parse_domain

LOOK_UP_WITHIN = 2.0
"""Seconds that the system's resolver gets: a start must not wait for a dead nameserver."""

_NAMES_NOBODY = (".localhost", ".localdomain")
"""Ends of names that every host has, and that say nothing of this one."""


@dataclass(frozen=True, slots=True)
class OwnName:
    """The name, and a sentence for the operator if it is none that others can use."""

    name: str
    warning: str = ""


def own_name(configured: str, machine: str, host: str) -> OwnName:
    """PURE. Choose among `deliver.helo_name`, the machine's name, and the host's full name."""
    if configured:
        return OwnName(configured)
    for name in (machine, host):
        if is_full(name):
            return OwnName(name)
    return OwnName(
        machine,
        f"this machine is called {machine}, which is no fully qualified domain name, and its host "
        "has none: intakes may refuse its EHLO and its reports. Set deliver.helo_name in "
        f"agent.toml, such as {machine.partition('.')[0]}.example.org",
    )


def is_full(name: str) -> bool:
    """PURE. Whether a name is fully qualified, and not one that every host has."""
    try:
        return not f".{parse_domain(name)}".endswith(_NAMES_NOBODY)
    except AddressError:
        return False


async def host_name() -> str:
    """The host's full name as the system knows it (as `hostname --fqdn`), or its short one."""
    name = socket.gethostname()
    if is_full(name):
        return name
    try:
        async with asyncio.timeout(LOOK_UP_WITHIN):
            found = await asyncio.get_running_loop().getaddrinfo(
                name, None, type=socket.SOCK_STREAM, flags=socket.AI_CANONNAME
            )
    except (OSError, UnicodeError):  # TimeoutError is an OSError
        return name
    return found[0][3] or name
