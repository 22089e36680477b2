"""The suspensions that come over one stream: the newest is taken, and the status says so.

In: WantedSuspension messages. Out: what is suspended here (`suspension`), a status soon after.
Promise: a disk that hangs delays neither settings nor pings; nothing is taken from a manager whose
settings are refused, or whose store this machine has left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tdc.node_agent.sync.apply import InForce
from tdc.node_agent.sync.suspension import KeptSuspension
from tdc.shared.sync.suspension import WantedSuspension
from tdc.shared.wire.suspension import wanted_suspension_of
from tdc.v1 import agents_pb2


class Suspending:
    """The suspensions of one stream; `run` takes them. `status_due` has a status sent soon."""

    def __init__(
        self, kept: KeptSuspension, in_force: InForce, status_due: Callable[[], object]
    ) -> None:
        self._kept = kept
        self._in_force = in_force
        self._status_due = status_due
        self._newest: WantedSuspension | None = None
        self._came = asyncio.Event()

    def take(self, message: agents_pb2.WantedSuspension) -> None:
        """Note what a manager wants; raises BadMessage for what can't be read."""
        self._newest = wanted_suspension_of(message)
        self._came.set()

    async def welcome(self) -> None:
        """Note that a manager has welcomed this machine by its enrolment of now."""
        await self._kept.welcome(self._in_force.enrolment)

    async def run(self) -> None:
        """Take what comes until cancelled."""
        while True:
            await self._came.wait()
            self._came.clear()
            wanted, in_force = self._newest, self._in_force
            if wanted is None or in_force.refuses_manager:
                continue
            if wanted.store_id in in_force.running.left:
                continue
            await self._kept.take(wanted, in_force.enrolment)
            self._status_due()
