"""What couriers work with, handed to each of them by the scheduler."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tdc.node_agent.deliver.destination import DestinationState
from tdc.node_agent.deliver.options import DeliveryOptions
from tdc.node_agent.deliver.perform import Performer
from tdc.node_agent.deliver.resolver import Resolver
from tdc.node_agent.journal.loop import Reporter
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.spool.pauses import Spans
from tdc.node_agent.spool.spool import Spool
from tdc.shared.connector.settings import ConnectorSettings


@dataclass(frozen=True, slots=True)
class Parts:
    """What every courier works with. `working` counts a destination's good connections; `pauses`
    are the spans in which delivery was suspended.
    """

    spool: Spool
    settings: Callable[[], ConnectorSettings]
    options: DeliveryOptions
    resolver: Resolver
    reporter: Reporter
    log: TdcLog
    performer: Performer
    wake: Callable[[], None]
    working: Callable[[DestinationState], int]
    pauses: Callable[[], Spans] = tuple
