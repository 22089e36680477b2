"""File descriptors: as many as the limits of agent.toml need.

The soft limit is 1 024 almost everywhere, for programs that use select(2); what is meant for us is
the hard one.
"""

from __future__ import annotations

import resource

BESIDES = 1_000
"""Descriptors for delivery, manager, spool, log and DNS, and connections about to be refused."""


def enough_for(connections: int) -> str | None:
    """Raise the soft limit for so many connections from the MTA; return a warning if it can't be.

    Each of them may need one to the next hop too.
    """
    needed = 2 * connections + BESIDES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft == unlimited or soft >= needed:
        return None
    most = needed if hard == unlimited else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if most >= needed:
        return None
    return (
        f"ingest.max_connections of {connections} needs {needed} file descriptors, and the hard "
        f"limit is {hard}: raise it (LimitNOFILE in the unit) or lower max_connections"
    )
