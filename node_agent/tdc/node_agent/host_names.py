"""Names of hosts that agent.toml has, and this host's own, asked of the system's resolver.

Not by the event loop: it waits for its lookups when it is closed, and with dead nameservers each
takes half a minute. A stop or a restart must not stand still for an answer that nobody wants.
"""

from __future__ import annotations

import socket
from ipaddress import ip_address

from tdc.shared.edge.daemon_thread import in_daemon_thread


async def addresses_of(host: str, port: int) -> tuple[str, ...]:
    """The IP addresses of a host in the resolver's order; raises OSError."""
    try:
        ip_address(host)
    except ValueError:
        found = await in_daemon_thread(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        return tuple(dict.fromkeys(str(address[0]) for *_, address in found))
    return (host,)


async def canonical_name(host: str) -> str:
    """The full name of a host as the system knows it; raises OSError, UnicodeError."""
    found = await in_daemon_thread(
        socket.getaddrinfo, host, None, type=socket.SOCK_STREAM, flags=socket.AI_CANONNAME
    )
    return found[0][3] or host
