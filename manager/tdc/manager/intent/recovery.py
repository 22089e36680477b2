"""What a store lost that was restored from an older backup, from the agents that run it.

Promise: nothing is changed here. Each wait is bounded; of agents that run the same, one is asked,
by whichever manager has its stream; a machine of which it is not known what it runs is named, and
its settings are not guessed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from tdc.manager.intent.actor import Actor
from tdc.manager.intent.permissions import operation
from tdc.manager.intent.within import require_cluster, within
from tdc.manager.levels.changes import SetValues, UnsetValues
from tdc.manager.levels.recover import Runs, recovered
from tdc.manager.view.fleet import FleetView
from tdc.manager.view.names import MachineKey
from tdc.manager.view.presence import Presence
from tdc.manager.view.seen import Stranger, SyncState
from tdc.shared.edge.clock import monotonic
from tdc.shared.sync.queue_work import Unanswered
from tdc.shared.wire.running_settings import RunsThere

ANSWER_WAIT = 3.0
"""Seconds that one machine has to answer."""
ALL_WAIT = 8.0
"""Seconds after which no further machine is asked: who asks waits 10."""
AT_ONCE = 64
"""Machines that are asked at the same time."""
LEFT_LATELY = 900.0
"""Seconds since a machine left that refused this manager, in which it counts as known: it goes from
one manager of the restored store to another, refuses them all, and keeps what it runs."""

_SPEAKERS = 3
"""Machines that run the same, and are asked one after the other until one answers."""
_LEFT = (
    "it has left the managers that it refuses, and did not say what it runs yet: it comes to each "
    "again within 5 min"
)
_STRANGER = (
    "it comes with a certificate that the store does not know, so it can't be asked: "
    "`tdc machine token`, and enrol it again"
)
_LATE = f"it was not asked within {ALL_WAIT:g} s: ask again"
_SILENT = "others that run the same did not answer: ask again"


class KnownRuns(Protocol):
    """What runs under a hash."""

    def find(self, hash_: str, known: frozenset[str], /) -> Runs | None:
        """What agents run that report this hash and know these settings; None if not known."""


class Agents(Protocol):
    """The streams of agents, as this needs them."""

    @property
    def running(self) -> KnownRuns:
        """What agents run that was asked of them."""

    async def ask_settings(
        self, key: MachineKey, known: frozenset[str], timeout: float, /
    ) -> RunsThere | Unanswered:
        """Ask a machine what it runs whose agent knows these settings, or who heard it say so.

        Waits for `timeout` seconds, and the way to another manager, at most.
        """


@dataclass(frozen=True, slots=True)
class UnknownMachine:
    """A machine of which it is not known what it runs, and why."""

    machine: str
    why: str


@dataclass(frozen=True, slots=True)
class Recovery:
    """The edits by which a cluster has in force what its machines run, in order.

    `known` counts the machines of which that is known. One that never enrolled runs nothing, and is
    neither known nor unknown. `ahead` is the highest revision of this
    store that one of the cluster runs; 0 if that is not above `revision`.
    """

    cluster: str
    revision: int
    edits: Sequence[SetValues | UnsetValues]
    known: int
    unknown: Sequence[UnknownMachine]
    ahead: int


class RecoveryOperations:
    """Asks the agents of a cluster what they run."""

    def __init__(
        self,
        view: FleetView,
        presence: Presence,
        agents: Agents,
        strangers: Callable[[], Sequence[Stranger]] = tuple,
    ) -> None:
        """`strangers` are machines that came with certificates which the store doesn't know."""
        self._view = view
        self._presence = presence
        self._agents = agents
        self._strangers = strangers

    @operation("recovery.find_edits")
    async def find_edits(self, actor: Actor, cluster: str) -> Recovery:
        """Ask what machines run and work out the edits; raises UnknownName, AmbiguousName."""
        found = within(self._view, actor).find_cluster(cluster)
        require_cluster(actor, found.name, "a recovery")
        await self._presence.ask_others()
        asked = _Asked(self._agents, found.name)
        for name in sorted(found.machines):
            self._sort(asked, name)
        await asked.ask()
        ahead = self._presence.ahead.in_cluster(found.name)
        return Recovery(
            cluster=found.name,
            revision=found.revision,
            edits=recovered(found, asked.runs),
            known=len(asked.runs),
            unknown=[UnknownMachine(name, why) for name, why in sorted(asked.unknown.items())],
            ahead=ahead[0].newest if ahead else 0,
        )

    def _sort(self, asked: _Asked, name: str) -> None:
        """Note what a machine runs, why that is not known, or that it is to be asked."""
        key = (asked.cluster, name)
        if self._view.enrolment(*key) is None:
            if any((each.cluster, each.machine) == key for each in self._strangers()):
                asked.unknown[name] = _STRANGER
            return
        facts, running = self._presence.facts(*key), self._presence.runs(*key)
        here = facts.state not in (SyncState.OFFLINE, SyncState.STALE, SyncState.UNKNOWN)
        left = facts.refused_for is not None and facts.status_age < LEFT_LATELY
        if facts.known is None or running is None or not (here or left):
            asked.unknown[name] = facts.reason
            return
        wanted = self._view.in_force(*key)
        if wanted is not None and self._view.content_hash(*key, facts.known) == running.hash:
            asked.runs[name] = wanted
            return
        kept = self._agents.running.find(running.hash, facts.known)
        if kept is not None:
            asked.runs[name] = kept
            return
        if not here:
            asked.left.add(name)
        asked.groups.setdefault((running.hash, facts.known), []).append(name)


class _Asked:
    """The questions to the machines of a cluster, by what they report to run, and the answers."""

    def __init__(self, agents: Agents, cluster: str) -> None:
        self.cluster = cluster
        self.runs: dict[str, Runs] = {}
        self.unknown: dict[str, str] = {}
        self.groups: dict[tuple[str, frozenset[str]], list[str]] = {}
        self.left: set[str] = set()
        self._agents = agents
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def ask(self) -> None:
        """Ask one machine of each group, and the others where its answer is not also theirs."""
        give_up = monotonic() + ALL_WAIT
        async with asyncio.TaskGroup() as tasks:
            for (hash_, known), names in self.groups.items():
                # Who left may have said it, and who is there can say it: those are asked first.
                names.sort(key=lambda name: name in self.left)
                asking = self._ask_group(hash_, known, names, give_up)
                tasks.create_task(asking, name="ask what runs")

    async def _ask_group(
        self, hash_: str, known: frozenset[str], names: Sequence[str], give_up: float
    ) -> None:
        for at, name in enumerate(names[:_SPEAKERS]):
            answer = await self._ask_one(name, known, give_up)
            if answer is None:
                continue
            if answer.proven and answer.running.hash == hash_:
                # Those before it too: what they did not answer is known by their hash.
                self.runs |= dict.fromkeys(names, answer.values)
                for each in names:
                    self.unknown.pop(each, None)
                return
            async with asyncio.TaskGroup() as tasks:
                for each in names[at + 1 :]:
                    tasks.create_task(self._ask_one(each, known, give_up), name="ask what runs")
            return
        self.unknown |= dict.fromkeys(names[_SPEAKERS:], _SILENT)

    async def _ask_one(self, name: str, known: frozenset[str], give_up: float) -> RunsThere | None:
        """Ask a machine, and note its answer or why there is none."""
        async with self._turn:
            left = min(ANSWER_WAIT, give_up - monotonic())
            if left <= 0:
                self.unknown[name] = _LATE
                return None
            answer = await self._agents.ask_settings((self.cluster, name), known, left)
        if isinstance(answer, Unanswered):
            self.unknown[name] = _LEFT if name in self.left else answer.reason
            return None
        self.runs[name] = answer.values
        return answer
