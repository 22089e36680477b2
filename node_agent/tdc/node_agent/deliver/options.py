"""What agent.toml says about delivery: facts of this machine."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tdc.node_agent.deliver.timeouts import Timeouts


@dataclass(frozen=True, slots=True)
class DeliveryOptions:
    """Facts of this machine that no level may set.

    `nameservers` are host:port, empty for the system's; `mx_port` is the port of hosts found by
    DNS; `ca_file` replaces the system's trust store; `allow_private_targets` admits intakes
    at private addresses; `source_address` is the local address to connect from. Of claimed
    copies, those being sent among them, `bytes_at_hand` octets are in memory; then no more are
    claimed.
    """

    helo_name: str
    nameservers: tuple[str, ...] = ()
    mx_port: int = 25
    ca_file: Path | None = None
    allow_private_targets: bool = False
    source_address: str | None = None
    bytes_at_hand: int = 64 * 1024**2
    timeouts: Timeouts = field(default_factory=Timeouts)
