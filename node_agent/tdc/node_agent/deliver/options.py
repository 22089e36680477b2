"""What delivery is told by agent.toml, and what it tells status."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tdc.node_agent.deliver.connection import Timeouts

PSEUDO_DOMAIN = "the.tdc.queue"
"""The destination domain under which operators know the queue."""


@dataclass(frozen=True, slots=True)
class DeliveryOptions:
    """Facts of this machine that no level may set.

    `nameservers` are host:port, empty for the system's; `mx_port` is the port of hosts found by
    DNS; `ca_file` replaces the system's trust store; `allow_private_targets` admits loopback
    and link-local intakes; `source_address` is the local address to connect from.
    """

    helo_name: str
    nameservers: tuple[str, ...] = ()
    mx_port: int = 25
    ca_file: Path | None = None
    allow_private_targets: bool = False
    source_address: str | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)


@dataclass(frozen=True, slots=True)
class DestinationFacts:
    """One row of `delivery status`; fields as in tdc.v1.Destination, times Unix seconds."""

    domain: str
    intake_domain: str
    host_status: str
    latest_host: str
    active_recipients: int
    connections_out: int
    delivered: int
    deferred: int
    dead: int
    oldest_queued: float | None
    last_reply: str
    last_tls_version: str
    held_reason: str
