"""grpc.health.v1.Health: whether this manager serves, for load balancers and monitoring.

In: calls of anyone whom a port lets in. Out: the state of the services.
Promise: the streams of `Watch` are bounded, for an address and in all.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2
from tdc.manager.identity.rates import address_of

WATCHES_EACH = 16
"""Streams of `Watch` from one address."""

WATCHES_IN_ALL = 256

Context = grpc.aio.ServicerContext[Any, Any]


class HealthService(health.aio.HealthServicer):  # type: ignore[misc]  # the library has no types
    """The library's service, with `List`, and with a bound on `Watch`."""

    def __init__(self) -> None:
        super().__init__()
        self._watches: Counter[str] = Counter()

    async def List(  # noqa: N802
        self, request: health_pb2.HealthListRequest, context: Context
    ) -> health_pb2.HealthListResponse:
        """List every service with its state."""
        answer = health_pb2.HealthListResponse()
        for name, status in self._server_status.items():
            answer.statuses[name].status = status
        return answer

    async def Watch(  # noqa: N802
        self, request: health_pb2.HealthCheckRequest, context: Context
    ) -> None:
        """Stream the state of a service; RESOURCE_EXHAUSTED where too many are streamed."""
        address = address_of(context.peer())
        if self._watches[address] >= WATCHES_EACH or self._watches.total() >= WATCHES_IN_ALL:
            await context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"{address} may have {WATCHES_EACH} streams of Watch, and all callers "
                f"{WATCHES_IN_ALL}; use Check instead",
            )
        self._watches[address] += 1
        try:
            await super().Watch(request, context)
        finally:
            self._watches[address] -= 1
            if not self._watches[address]:
                del self._watches[address]
