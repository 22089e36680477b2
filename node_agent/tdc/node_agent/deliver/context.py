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
from tdc.node_agent.log_lines import TdcLog
from tdc.node_agent.spool.spool import Spool
from tdc.shared.settings.connector import ConnectorSettings


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
    recording: set[asyncio.Task[None]] = field(default_factory=set)
    group: asyncio.TaskGroup | None = None

    def record(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Write an outcome to the spool beside whatever goes on; the stop waits for it."""
        assert self.group is not None
        task = self.group.create_task(work)
        self.recording.add(task)
        task.add_done_callback(self._recorded)
        return task

    def _recorded(self, task: asyncio.Task[None]) -> None:
        self.recording.discard(task)
        if self.stopping:
            self.wake.set()
