"""The content filter's settings that belong to this machine (agent.toml)."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from tdc.node_agent.ingest.pool import NextHop
from tdc.node_agent.ingest.timeouts import HopTimeouts
from tdc.node_agent.smtp.server_options import ServerOptions

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


@dataclass(frozen=True, slots=True)
class FilterOptions:
    """Options of the SMTP content filter. Times are seconds, sizes bytes.

    `next_hops`: where originals go, tried in order. `port` 0 lets the system choose.
    `trusted_networks`: who may connect. For the limits of a session see ServerOptions.
    `max_message_size` bounds what one message may hold of our memory; a smaller SIZE of the next
    hop takes precedence. `bytes_in_hand` bounds what all may hold together, by reading no further.
    `stop_timeout` is what a next hop is given at a stop to answer a whole message.
    """

    next_hops: tuple[NextHop, ...]
    host: str = "127.0.0.1"
    port: int = 10025
    hostname: str = "localhost"
    trusted_networks: tuple[IPv4Network | IPv6Network, ...] = LOOPBACK
    max_connections: int = 100
    max_recipients: int = 1_000  # RFC 5321 4.5.3.1.10 asks for at least 100
    max_message_size: int = 1024**3
    command_timeout: float = 300.0
    block_timeout: float = 180.0
    message_timeout: float = 3_600.0
    minimum_rate: float = 500.0
    bytes_in_hand: int = 448 * 1024**2
    stop_timeout: float = 10.0
    hop_timeouts: HopTimeouts = field(default_factory=HopTimeouts)

    def server(self) -> ServerOptions:
        """The limits of a session."""
        return ServerOptions(
            self.hostname,
            self.max_recipients,
            self.command_timeout,
            self.block_timeout,
            self.message_timeout,
            self.minimum_rate,
        )

    def trusts(self, address: str) -> bool:
        """True if a client address may connect."""
        client = _client(address)
        return client is not None and any(client in network for network in self.trusted_networks)


@functools.lru_cache(maxsize=256)  # few clients, a connection for each message
def _client(address: str) -> IPv4Address | IPv6Address | None:
    """Parse an address; an IPv4 address mapped into IPv6 counts as IPv4. None if invalid."""
    try:
        client = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return getattr(client, "ipv4_mapped", None) or client
