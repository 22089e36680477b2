"""The name by which this gateway goes in mail: in EHLO, and in the addresses that we make.

It has to be a fully qualified domain name (RFC 5321 2.3.5, 4.1.1.1): many servers refuse the EHLO
or the sender of a host that calls itself `mx1`, and an answer to `tdc@mx1` finds nobody. A machine
may well be called `mx1` at the manager, so the name is taken from where there is one.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass

from tdc.node_agent.host_names import canonical_name
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


def own_name(configured: str, machine: str | None, host: str) -> OwnName:
    """PURE. Choose among `deliver.helo_name`, the machine's name, and the host's full name.

    Before the enrolment, which brings the name, `machine` is None and nothing is amiss.
    """
    if configured:
        return OwnName(configured)
    for name in (machine or "", host):
        if is_full(name):
            return OwnName(name)
    if machine is None:
        return OwnName(host)
    return OwnName(
        machine,
        f"this machine is called {machine}, which is no fully qualified domain name, and the "
        f"system knows none for this host: intakes may refuse its EHLO and its reports. Set "
        f"deliver.helo_name in agent.toml, such as {machine.partition('.')[0]}.example.org",
    )


async def found_name(configured: str, machine: str | None) -> OwnName:
    """As `own_name`; the system is asked for the host's full name only where that matters."""
    needed = not configured and not is_full(machine or "")
    return own_name(configured, machine, await host_name() if needed else "")


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
            return await canonical_name(name)
    except (OSError, UnicodeError):  # TimeoutError is an OSError
        return name
