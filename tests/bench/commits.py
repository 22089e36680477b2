"""What a plan and a commit cost in a small and in a large fleet, asked over gRPC.

Two managers, each with an etcd of its own, are asked in turn, so that a drift of the machine's
speed falls on both. Clocks start before the call and stop at its answer; a commit's answer comes
once the manager itself sees it.
"""

from __future__ import annotations

import contextlib
import itertools
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench.managers import CLUSTER, Managed, fill, machine_names, managed
from tests.stage.manager import put

_SIZES = itertools.count(2_000_000)


@dataclass(frozen=True)
class Costs:
    """Medians of the calls to one manager, in seconds."""

    plan: float
    commit: float
    plan_of_all: float


async def costs(folder: Path, few: int, many: int, rounds: int) -> tuple[Costs, Costs]:
    """Measure a fleet of `few` machines and one of `many`."""
    async with contextlib.AsyncExitStack() as closing:
        managers: list[Managed] = []
        for size in (few, many):
            manager = await closing.enter_async_context(managed(folder / f"of-{size}"))
            await fill(manager, size)
            print(f"a fleet of {size} machines was made", flush=True)
            managers.append(manager)
        names = [machine_names(size)[size // 2] for size in (few, many)]
        rows: list[list[Costs]] = [[], []]
        for _ in range(rounds + 2):
            for manager, name, found in zip(managers, names, rows, strict=True):
                found.append(await _measured(manager, name))
        small, large = (_median(found[2:]) for found in rows)  # the first two warm up
        for size, each in ((few, small), (many, large)):
            print(
                f"{size} machines: one machine's plan {1000 * each.plan:.1f} ms, its commit "
                f"{1000 * each.commit:.1f} ms, a plan of all {1000 * each.plan_of_all:.0f} ms",
                flush=True,
            )
        return small, large


async def _measured(manager: Managed, machine: str) -> Costs:
    api = manager.api
    one = put("machine", machine, max_message_size=next(_SIZES))
    everywhere = put("cluster", CLUSTER, retry__initial=next(_SIZES) % 3_000 + 60)
    planned = await api.plan(one)
    plan = await _seconds(lambda: api.plan(one))
    commit = await _seconds(lambda: api.commit_as_planned(planned, one))
    return Costs(plan, commit, await _seconds(lambda: api.plan(everywhere)))


async def _seconds(call: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await call()
    return time.perf_counter() - began


def _median(rows: list[Costs]) -> Costs:
    return Costs(
        statistics.median(row.plan for row in rows),
        statistics.median(row.commit for row in rows),
        statistics.median(row.plan_of_all for row in rows),
    )
