"""What is suspended on the machine of one stream: sent when it differs, believed when reported.

In: what the view wants, statuses of the agent. Out: messages for the stream.
Promise: an agent that doesn't know suspensions is sent none; one that took what is wanted is sent
it no more. `shared/sync/suspension.py` decides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tdc.manager.view.names import MachineKey
from tdc.shared.edge.clock import Clock, wall
from tdc.shared.sync.suspension import Suspension, WantedSuspension, to_send
from tdc.shared.wire.stream import SUSPENSIONS
from tdc.shared.wire.suspension import suspension_of, wanted_suspension_to_wire
from tdc.v1 import agents_pb2


class SuspendedFleet(Protocol):
    """The fleet, as far as suspensions need it."""

    @property
    def store_id(self) -> str:
        """Identity of the store that numbers count in."""

    def suspension(self, cluster: str, machine: str) -> Suspension:
        """What operators want suspended on a machine, as stored: its end may have come."""


class Suspensions:
    """The suspensions of one stream. `send` puts a message on its way and does not wait."""

    def __init__(
        self,
        key: MachineKey,
        fleet: SuspendedFleet,
        send: Callable[[agents_pb2.ManagerMessage], None],
        clock: Clock = wall,
    ) -> None:
        """`clock` gives Unix seconds: an end is a moment that people named."""
        self.key = key
        self._fleet = fleet
        self._send = send
        self._clock = clock
        self._takes = False
        self._reported: Suspension | None = None

    def greeted(self, hello: agents_pb2.Hello) -> None:
        """Note what the agent says of itself; before that it is sent nothing."""
        self._takes = hello.protocol >= SUSPENSIONS

    def reported(self, status: agents_pb2.MachineStatus) -> None:
        """Compare with what the agent reports, and send what is due; raises BadMessage."""
        first = self._reported is None
        known = status.HasField("suspension")
        self._reported = suspension_of(status.suspension) if known else None
        self._compare(first=first)

    def changed(self) -> None:
        """Compare with what the view wants now."""
        self._compare(first=False)

    def _compare(self, *, first: bool) -> None:
        wanted = self._fleet.suspension(*self.key).at(self._clock())
        if self._takes and to_send(wanted, self._reported, first=first):
            message = wanted_suspension_to_wire(WantedSuspension(wanted, self._fleet.store_id))
            self._send(agents_pb2.ManagerMessage(suspension=message))
