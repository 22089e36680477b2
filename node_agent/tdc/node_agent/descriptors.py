"""File descriptors: as many as the limits of agent.toml need."""

from __future__ import annotations

from tdc.shared.edge.descriptors import raise_limit

BESIDES = 1_000
"""Descriptors for delivery, manager, spool, log and DNS, and connections about to be refused."""


def enough_for(connections: int) -> str | None:
    """Raise the soft limit for so many connections from the MTA; return a warning if it can't be.

    Each of them may need one to the next hop too.
    """
    needed = 2 * connections + BESIDES
    most = raise_limit(needed)
    if most >= needed:
        return None
    return (
        f"ingest.max_connections of {connections} needs {needed} file descriptors, and the limit "
        f"is {most}: raise it (LimitNOFILE in the unit) or lower max_connections"
    )
