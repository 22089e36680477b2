"""What the parts of delivery share: the spool, settings, logs, and who is told what happened."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from tdc.node_agent.counters import Counters
from tdc.node_agent.deliver.options import DeliveryOptions
from tdc.node_agent.deliver.resolver import Resolver
from tdc.node_agent.journal.loop import Reporter
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.spool.spool import Spool
from tdc.shared.connector.settings import ConnectorSettings


@dataclass(slots=True, eq=False)
class Context:
    """One for each Delivery. `generation` grows when settings of connections change."""

    spool: Spool
    settings: Callable[[], ConnectorSettings]
    options: DeliveryOptions
    counters: Counters
    log: TdcLog
    reporter: Reporter
    resolver: Resolver
    generation: int = 0
    stopping: bool = False
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    recording: set[asyncio.Future[None]] = field(default_factory=set)
    group: asyncio.TaskGroup | None = None

    def record(self, work: Coroutine[Any, Any, None]) -> asyncio.Future[None]:
        """Write an outcome to the spool beside whatever goes on; the stop waits for it."""
        assert self.group is not None
        return self.recorded(self.group.create_task(work))

    def recorded(self, mark: asyncio.Future[None]) -> asyncio.Future[None]:
        """Have the stop wait for an outcome that is being written already."""
        self.recording.add(mark)
        mark.add_done_callback(self._written)
        return mark

    def _written(self, mark: asyncio.Future[None]) -> None:
        self.recording.discard(mark)
        if self.stopping:
            self.wake.set()
