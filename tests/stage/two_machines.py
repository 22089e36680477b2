"""A cluster with two machines over the API, and what operators hear of its store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from tdc.v1 import operators_pb2

from tests.stage.manager import Api, add_group, add_machine, put


async def two_machines(api: Api) -> None:
    """Cluster c1 with group g1; mx1 and mx2 in it differ in `retry.initial` (5 and 6 s)."""
    await api.create_cluster("c1")
    await api.commit(
        add_group("g1"),
        add_machine("mx1", "g1"),
        add_machine("mx2", "g1"),
        put("machine", "mx1", retry__initial=5),
        put("machine", "mx2", retry__initial=6),
    )


async def warnings_of(api: Api) -> str:
    """The warnings of a status, in one line."""
    status = await api.monitoring.GetStatus(operators_pb2.StatusRequest())
    return "; ".join(status.warnings)


async def seconds_until(condition: Callable[[], Awaitable[bool]], limit: float = 10.0) -> float:
    """Wait until the condition holds; how long that took. Raises TimeoutError."""
    began = time.monotonic()
    async with asyncio.timeout(limit):
        while not await condition():
            await asyncio.sleep(0.02)
    return time.monotonic() - began
