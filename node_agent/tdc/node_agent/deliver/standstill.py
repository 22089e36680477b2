"""Delivery, unless an operator suspends it: then nothing is sent, and all copies stay in the spool.

Reports under way when it is suspended get a few seconds to finish, as at a stop: one that was sent
whole may have been accepted, and would go out twice. Holds go on as they were.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Protocol

from tdc.node_agent.deliver.scheduler import Delivery
from tdc.shared.edge.tasks import running
from tdc.shared.sync.suspension import Suspension


class Suspensions(Protocol):
    """Tells what is suspended."""

    def current(self) -> Suspension:
        """What is suspended now."""

    def on_change(self, listener: Callable[[Suspension], object], /) -> None:
        """Call `listener`, which must not block, with what is suspended now and then."""


async def unless_suspended(delivery: Delivery, suspensions: Suspensions) -> None:
    """Deliver until cancelled, but while delivery is suspended."""
    changed = asyncio.Event()
    suspensions.on_change(lambda _: changed.set())
    while True:
        stands = suspensions.current().delivery is not None
        async with contextlib.AsyncExitStack() as stack:
            if not stands:
                await stack.enter_async_context(running(delivery.run(), name="delivering"))
            while (suspensions.current().delivery is not None) is stands:
                changed.clear()
                await changed.wait()
