"""The machines that work on queues is for, and what they answer.

In: which machines, and an order. Out: a row for each machine: its answer, or why there is none.
Promise: each machine is waited for a bounded time, and all of them together too; so many at a time
that answers don't fill the memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from tdc.manager.intent.actor import Actor
from tdc.manager.intent.errors import BadRequest
from tdc.manager.intent.targets import machines_in
from tdc.manager.intent.within import within
from tdc.manager.view.fleet import FleetView
from tdc.manager.view.names import MachineKey
from tdc.manager.view.presence import Presence
from tdc.shared.edge.clock import monotonic
from tdc.shared.sync.queue_work import DeadCopy, QueueAnswer, QueueOrder, Unanswered

ANSWER_WAIT = 10.0
"""Seconds that one machine has to answer."""
ALL_WAIT = 20.0
"""Seconds after which no further machine is asked."""
AT_ONCE = 64
"""Machines that are asked at the same time."""
MOST_MACHINES = 10_000
"""Machines that one request can name."""


class Agents(Protocol):
    """The streams of agents, as work on queues needs them."""

    def is_connected(self, key: MachineKey, /) -> bool:
        """Whether a stream of this machine is open at a manager that answers."""

    async def ask(
        self, key: MachineKey, order: QueueOrder, timeout: float, /
    ) -> QueueAnswer | Unanswered:
        """Send an order and wait for its answer, for `timeout` seconds at most."""


@dataclass(frozen=True, slots=True)
class QueueScope:
    """Which machines. Empty arguments fit all that have ever enrolled; what is named must exist."""

    cluster: str = ""
    group: str = ""
    machines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MachineQueue:
    """What one machine answered. `problem` is empty if it did what was asked.

    `intakes` are those in force there, where the machine refused. `waits` says why what was asked
    has no effect yet.
    """

    machine: str
    cluster: str
    problem: str = ""
    copies: int = 0
    bytes: int = 0
    dead: tuple[DeadCopy, ...] = ()
    intakes: tuple[str, ...] = ()
    waits: str = ""


class QueueMachines:
    """Finds machines and asks them."""

    def __init__(self, view: FleetView, presence: Presence, agents: Agents) -> None:
        self._view = view
        self._presence = presence
        self._agents = agents

    def targets(self, actor: Actor, scope: QueueScope) -> list[MachineKey]:
        """The machines meant; raises UnknownName, AmbiguousName, BadRequest."""
        if len(scope.machines) > MOST_MACHINES:
            raise BadRequest(f"{len(scope.machines)} machines are named; {MOST_MACHINES} can be")
        fleet = within(self._view, actor)
        if not scope.machines:
            chosen = machines_in(fleet, scope.cluster, scope.group)
            keys = [(cluster.name, machine.name) for cluster, machine in chosen]
            return [key for key in keys if self._view.enrolment(*key) is not None]
        found: dict[MachineKey, None] = {}
        for name in scope.machines:
            chosen = machines_in(fleet, scope.cluster, scope.group, name)
            if not chosen:
                raise BadRequest(f"machine {name!r} is not in group {scope.group!r}")
            found |= {(cluster.name, machine.name): None for cluster, machine in chosen}
        return sorted(found, key=lambda key: (key[1], key[0]))

    async def ask(
        self,
        keys: Sequence[MachineKey],
        order: Callable[[], QueueOrder],
        note: Callable[[QueueAnswer], None] = lambda _: None,
    ) -> tuple[MachineQueue, ...]:
        """Ask each machine; `order` is called when its turn comes, `note` with each answer."""
        await self._presence.ask_others()
        turn = asyncio.Semaphore(AT_ONCE)
        give_up = monotonic() + ALL_WAIT

        async def ask_one(key: MachineKey) -> MachineQueue:
            if not self._agents.is_connected(key):
                return self._away(key)
            async with turn:
                left = min(ANSWER_WAIT, give_up - monotonic())
                if left <= 0:
                    words = f"it was not asked within {ALL_WAIT:g} s: ask fewer machines at a time"
                    return _row(key, Unanswered(words))
                answer = await self._agents.ask(key, order(), left)
            if isinstance(answer, QueueAnswer):
                note(answer)
            return _row(key, answer)

        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(ask_one(key), name=f"ask {key[1]}") for key in keys]
        return tuple(each.result() for each in asked)

    def _away(self, key: MachineKey) -> MachineQueue:
        facts = self._presence.facts(*key)
        return _row(key, Unanswered(f"{facts.state}: {facts.reason or 'it is just connecting'}"))


def _row(key: MachineKey, answer: QueueAnswer | Unanswered) -> MachineQueue:
    cluster, machine = key
    if isinstance(answer, Unanswered):
        return MachineQueue(machine, cluster, answer.reason)
    if answer.refused:
        return MachineQueue(machine, cluster, answer.refused, intakes=answer.intakes)
    return MachineQueue(machine, cluster, "", answer.copies, answer.bytes, answer.dead)
