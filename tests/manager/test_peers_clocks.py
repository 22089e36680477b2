"""A manager whose clock is another: named, for sessions and tokens end by it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import grpc.aio
import pytest
from tdc.manager.peers.peers import Peers
from tdc.manager.store.announced import Announced
from tdc.manager.view.etcd_link import EtcdLink
from tdc.manager.view.seen import Moment
from tdc.shared.edge.clock import monotonic, wall
from tdc.shared.wire.moments import timestamp
from tdc.v1 import managers_pb2, managers_pb2_grpc

TWO = Announced("two", "two", "", "1", "run", 0.0, 0.0)


@dataclass
class _Known:
    """Managers that are announced."""

    all: dict[str, Announced]
    link: EtcdLink = field(default_factory=lambda: EtcdLink(Moment(0.0, 0.0)))

    def on_change(self, listener: Callable[[], None]) -> None:
        """They stay."""


class _Other(managers_pb2_grpc.PeersServicer):
    """A manager whose clock is `ahead` by some seconds."""

    def __init__(self, ahead: float) -> None:
        self._ahead = ahead

    async def GetPresence(  # noqa: N802
        self, request: managers_pb2.PresenceRequest, context: Any
    ) -> AsyncIterator[managers_pb2.PresenceResponse]:
        time = timestamp(wall() + self._ahead)
        yield managers_pb2.PresenceResponse(instance="run", number=1, time=time)


@pytest.mark.parametrize(
    ("ahead", "said"), [(3600, "3600 s ahead of this"), (-3600, "s behind this"), (2, "")]
)
async def test_a_manager_whose_clock_is_another_is_named(ahead: float, said: str) -> None:
    server = grpc.aio.server()
    other = _Other(ahead)  # type: ignore[abstract]  # it is asked nothing else
    managers_pb2_grpc.add_PeersServicer_to_server(other, server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    known: Any = _Known({"two": replace(TWO, address=address)})
    peers = Peers("one", known, grpc.aio.insecure_channel, wall, monotonic)
    async with peers.running():
        await peers.ask()
        problems = peers.problems
    await server.stop(0)
    assert bool(problems) == bool(said), problems
    assert said in "".join(problems)
