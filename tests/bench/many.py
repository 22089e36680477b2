"""A whole fleet on one manager: its memory, its etcd writes at rest, its return after a restart.

The machines are those of `agents`, with a status in the manager's interval each. Writes are counted
by etcd's revision, which grows by one with each. Memory is the manager's resident memory with all
machines in sync, everything included.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from tdc.manager.etcd.client import EtcdClient
from tdc.manager.intent.last_uses import LOOK_EVERY
from tdc.manager.store.keys import STORE

from tests.bench.agents import machines
from tests.bench.managers import Managed, all_in_sync, enrol, fill, managed, memory

_SELDOM = ("--status-interval", "60", "--ping-interval", "30", "--deadline", "90")
"""Of a manager of so many: docs/performance.md says what for."""
_CONNECTING = 900.0
"""Seconds for all of them to connect; each handshake costs both sides."""


@dataclass(frozen=True)
class Fleet:
    """What was measured: MiB, writes of one agent in an hour, seconds until all were back."""

    memory: float
    writes: float
    back: float


_NOTED = 2 * LOOK_EVERY
"""Seconds after which it is stored when the operator who filled the fleet was last here."""


async def whole_fleet(folder: Path, agents: int, processes: int, rest: float) -> Fleet:
    """Measure a fleet of so many agents; at rest for `rest` seconds."""
    async with managed(folder / "manager", *_SELDOM) as manager:
        await fill(manager, agents)
        await enrol(manager, agents)
        alone = memory(manager.program.pid)
        print(f"{agents} machines created and enrolled: {alone:.0f} MiB", flush=True)
        began = time.monotonic()
        async with machines(
            manager.port, manager.ca_folder, folder / "own", agents, processes
        ) as m:
            await m.settled(timeout=_CONNECTING)
            await all_in_sync(manager, agents, _CONNECTING)
            took = time.monotonic() - began
            print(f"connected and in sync after {took:.1f} s", flush=True)
            await asyncio.sleep(_NOTED)
            cpu, before = _cpu(manager.program.pid), await _etcd_revision(manager)
            await asyncio.sleep(rest)
            written = await _etcd_revision(manager) - before
            used = (_cpu(manager.program.pid) - cpu) / rest
            held = memory(manager.program.pid)
            print(
                f"at rest for {rest:.0f} s: {100 * used:.0f} % of a core, {written} etcd writes, "
                f"{held:.0f} MiB",
                flush=True,
            )
            await manager.program.kill()
            began = time.monotonic()
            await manager.program.start()
            await all_in_sync(manager, agents, _CONNECTING)
            back = time.monotonic() - began
            print(f"manager killed and started: all in sync after {back:.1f} s", flush=True)
        return Fleet(held, written / agents / (rest / 3_600), back)


async def _etcd_revision(manager: Managed) -> int:
    async with EtcdClient(manager.etcd.options) as client:
        return (await client.range(STORE)).revision


def _cpu(pid: int) -> float:
    """Seconds of processor that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / 100
