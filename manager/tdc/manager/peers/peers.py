"""All other managers of this store: asked together, seldom, and named where they do not answer.

In: who is announced. Out: what machines do elsewhere (`view.elsewhere`), orders passed on.
Promise: many who ask at the same time cause one question to each manager; a manager has 3 s, and
one that did not answer the last time delays nobody for longer than PATIENCE. One that is no longer
announced counts for as long as it answers: etcd, not the manager, may be away. So does one that
said itself that it is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import grpc.aio
from tdc.manager.peers.peer import DEADLINE, Peer
from tdc.manager.peers.wire import announced_of
from tdc.manager.store.announced import Announced
from tdc.manager.view.elsewhere import SaidListener, Silent
from tdc.manager.view.etcd_link import EtcdLink
from tdc.manager.view.managers import KnownManagers, PeerFacts
from tdc.manager.view.names import MachineKey
from tdc.manager.view.seen import Moment, Seen, SyncState, rename
from tdc.shared.edge.clock import Clock
from tdc.shared.sync.queue_work import QueueAnswer, QueueOrder, Unanswered
from tdc.shared.sync.words import lapse_words
from tdc.shared.wire.running_settings import RunsThere
from tdc.v1 import managers_pb2

log = logging.getLogger(__name__)

FRESH = 1.0
"""Seconds for which an answer counts: so many consoles cause no more questions than one."""
PATIENCE = 0.3
"""Seconds to wait for a manager that did not answer the last time."""

_CLOCKS_APART = 10.0
"""Seconds by which clocks may differ; an answer may be 3 s on its way."""
_A_MOMENT = 10.0
"""Seconds for which it counts that a manager said that it is there; one that is cut off says so
every 2 s."""
_MOST_KEPT = 64
"""Managers that are remembered, of those that were announced."""

Dial = Callable[[str], grpc.aio.Channel]
"""Makes a channel to a manager's address, with this manager's certificate."""


class Peers:
    """The other managers; asked while `running`."""

    def __init__(
        self, own_id: str, known: KnownManagers, dial: Dial, wall: Clock, steady: Clock
    ) -> None:
        """`wall` is Unix time, `steady` never goes back."""
        self._own_id = own_id
        self._known = known
        self._dial = dial
        self._wall = wall
        self._steady = steady
        self._peers: dict[str, Peer] = {}
        self._left: dict[MachineKey, Seen] = {}
        self._introduced: dict[str, Announced] = {}
        self._group: asyncio.TaskGroup | None = None
        self._listeners: list[SaidListener] = []
        self._redialling: set[asyncio.Task[None]] = set()
        self._announced: dict[str, Announced] = {}
        self._introduced_at: dict[str, float] = {}
        known.on_change(self._note_announced)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Answer while the body runs; before and after, there are no others."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                yield
            finally:
                self._group = None
                for peer in self._peers.values():
                    if peer.task is not None:
                        peer.task.cancel()
                    await peer.close()
                for task in self._redialling:
                    task.cancel()

    def redial(self) -> None:
        """Reach all of them by new channels: this manager's certificate is another now."""
        if self._group is None:
            return
        for peer in self._peers.values():
            task = self._group.create_task(
                peer.redial(self._dial(peer.announced.address)), name=f"redial {peer.words()}"
            )
            self._redialling.add(task)
            task.add_done_callback(self._redialling.discard)

    # -- presence ------------------------------------------------------------------------------

    async def ask(self) -> None:
        """Ask each what its streams say, unless it said so less than FRESH seconds ago."""
        await self._follow_announced()
        if self._group is None or not self._peers:
            return
        now = self._steady()
        for peer in self._peers.values():
            stale = peer.asked_at is None or now - peer.asked_at > FRESH
            if stale and (peer.task is None or peer.task.done()):
                peer.task = self._group.create_task(
                    peer.pull(self._said), name=f"ask {peer.words()}"
                )
        under_way = {
            peer.task: peer.failed
            for peer in self._peers.values()
            if peer.task is not None and not peer.task.done()
        }
        if good := [task for task, failed in under_way.items() if not failed]:
            await asyncio.wait(good, timeout=DEADLINE + PATIENCE)
        if again := [task for task in under_way if not task.done()]:
            await asyncio.wait(again, timeout=PATIENCE)
        await self._let_go()

    def seen(self, key: MachineKey) -> Seen | None:
        """What they last said of a machine; None if none has seen it.

        What a manager that does not answer said is not true any more of a stream.
        """
        found = [self._left[key]] if key in self._left else []
        for peer in self._peers.values():
            if key in peer.seen:
                seen = peer.seen[key]
                found.append(replace(seen, connected=False) if peer.silent else seen)
        return max(found, key=lambda each: each.rank, default=None)

    def silent(self, key: MachineKey) -> Silent | None:
        """Which manager, that does not answer, has the machine's stream, or may have it.

        Asked of a machine that no manager which answers is connected to.
        """
        silent = [peer for peer in self._peers.values() if peer.silent]
        for peer in silent:
            if key in peer.seen and peer.seen[key].connected:
                why = f"connected to {peer.words()}, which does not answer: {peer.silent}"
                return Silent(why, peer.since)
        if not silent:
            return None
        peer = min(silent, key=lambda each: each.since)
        return Silent(
            f"it may be connected to {peer.words()}, which does not answer: {peer.silent}",
            peer.since,
        )

    def forget(self, key: MachineKey) -> None:
        """Forget a machine that was removed."""
        self._left.pop(key, None)
        for peer in self._peers.values():
            peer.seen.pop(key, None)

    def renamed(self, names: Mapping[MachineKey, MachineKey]) -> None:
        """Note that machines have another name now; of what is known by both, the newer counts."""
        for seen in (self._left, *(peer.seen for peer in self._peers.values())):
            by_new = {now: seen[now] for now in names.values() if now in seen and now not in names}
            rename(seen, names)
            for key, known in by_new.items():
                seen[key] = max(seen[key], known, key=lambda each: each.rank)

    def on_said(self, listener: SaidListener) -> None:
        """Call `listener` when one of them has answered, with the machines it spoke of."""
        self._listeners.append(listener)

    def _said(self, keys: Iterable[MachineKey]) -> None:
        for listener in self._listeners:
            listener(keys)

    def cut_off(self, key: MachineKey) -> str:
        """Why the manager that has a machine's stream hears of no commit; empty if it does."""
        home = self._home(key)
        if home is None or not home.link.problem:
            return ""
        return f"{home.words()}, which has its stream, {self._cut(home)}"

    @property
    def unheard(self) -> tuple[str, ...]:
        """Which of them do not answer, or hear of no commit, and why."""
        return tuple(
            f"{peer.words()} does not answer: {peer.silent}"
            if peer.silent
            else f"{peer.words()} {self._cut(peer)}"
            for peer in self._ranked()
            if peer.silent or peer.link.problem
        )

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with them, in sentences.

        They do not answer, hear of no commit while this one does, or have another time.
        """
        silent = [
            f"{peer.words()} does not answer: {self._late(peer, peer.silent)}. Machines connected "
            "there are shown as unknown; look at that manager, and at the network in between"
            for peer in self._ranked()
            if peer.silent
        ]
        deaf = [
            f"{peer.words()} {self._cut(peer)}. Commits, removals and suspensions do not reach "
            "machines connected there until it has etcd again; look at its way to etcd"
            for peer in self._ranked()
            if peer.link.problem and not peer.silent and not self._known.link.problem
        ]
        clocks = [
            f"the clock of {peer.words()} is {abs(peer.clock_ahead):.0f} s "
            f"{'ahead of' if peer.clock_ahead > 0 else 'behind'} this manager's. Sessions, join "
            "tokens and suspensions end too early or too late at one of them; set both clocks: "
            "chronyc tracking, on both machines"
            for peer in self._ranked()
            if abs(peer.clock_ahead) > _CLOCKS_APART and not peer.silent
        ]
        return (*silent, *deaf, *clocks)

    def _late(self, peer: Peer, silent: str) -> str:
        """Why one does not answer; that it is late for the CA's rotation explains it."""
        own, there = self._known.all.get(self._own_id), peer.announced.ca
        if own is None or there >= own.ca:
            return silent
        return (
            f"{silent}. It followed the rotation of the CA to step {max(there, 0)} only, and step "
            f"{own.ca} was made: if its CA was dropped, it is shut out, and must be set up again "
            "from a package"
        )

    def _cut(self, peer: Peer) -> str:
        lapse = lapse_words(peer.link.cut_for(self._steady()))
        return f"has had no etcd for {lapse}, so it hears of no commit ({peer.link.problem})"

    # -- orders --------------------------------------------------------------------------------

    def has(self, key: MachineKey, enrolment: str) -> bool:
        """Whether a manager that answers has the stream of the machine with this enrolment.

        One that has not yet heard of a rename may know another by that name.
        """
        home = self._home(key)
        return home is not None and home.seen[key].enrolment == enrolment

    async def order(
        self, key: MachineKey, order: QueueOrder, timeout: float
    ) -> QueueAnswer | Unanswered:
        """Pass an order on to the manager that has the machine's stream; once."""
        home = self._home(key)
        if home is None:
            return Unanswered("it is not connected to a manager that answers")
        return await home.order(key, order, timeout)

    async def ask_settings(
        self, key: MachineKey, known: frozenset[str], timeout: float
    ) -> RunsThere | Unanswered:
        """Ask those that saw a machine what it runs; its agent knows these settings of ours."""
        saw = [each for each in self._ranked() if not each.silent and key in each.seen]
        answers = await asyncio.gather(*(each.ask_settings(key, known, timeout) for each in saw))
        for answer in answers:
            if isinstance(answer, RunsThere):
                return answer
        for peer, answer in zip(saw, answers, strict=True):
            if key in peer.seen and peer.seen[key].connected:
                return answer
        return Unanswered("it is not connected to a manager that answers")

    # -- for operators -------------------------------------------------------------------------

    async def facts(
        self, asking: Announced | None = None
    ) -> Sequence[tuple[Announced, PeerFacts | str]]:
        """How each of them does, or why it does not answer.

        `asking` is this manager, where it must say so itself that it is there.
        """
        await self._follow_announced()
        peers = self._ranked()
        answers = await asyncio.gather(*(peer.facts(self._wall, asking) for peer in peers))
        found = list(zip(peers, answers, strict=True))
        for peer, answer in found:
            peer.failed = isinstance(answer, str)
        await self._let_go()
        return [
            (each.announced, self._late(each, answer) if isinstance(answer, str) else answer)
            for each, answer in found
            if self._has(each)
        ]

    @property
    def links(self) -> list[EtcdLink]:
        """How those that answer are linked to etcd, as they said last."""
        return [peer.link for peer in self._peers.values() if not peer.failed]

    @property
    def all(self) -> tuple[tuple[Announced, bool], ...]:
        """The others that are or were announced, or said themselves that they are there.

        With whether each said so a moment ago. One that is cut off is announced no more some time
        before it knows that, and says so here.
        """
        found = {**self._announced, **self._introduced}
        found |= {key: each.announced for key, each in self._peers.items()}
        found |= self._known.all
        found.pop(self._own_id, None)
        since = self._steady() - _A_MOMENT
        return tuple(
            (each, self._introduced_at.get(key, since) > since) for key, each in found.items()
        )

    def _note_announced(self) -> None:
        """Keep who is announced, and of those who are no more as many as there may be managers."""
        gone = {key: each for key, each in self._announced.items() if key not in self._known.all}
        self._announced = dict([*gone.items(), *self._known.all.items()][-_MOST_KEPT:])

    def introduced(self, manager: str, said: managers_pb2.PeerAnnouncement) -> None:
        """Note what the manager with this id says of itself: without etcd it is not announced.

        Raises BadMessage.
        """
        if manager != self._own_id:
            self._introduced[manager] = announced_of(manager, said)
            self._introduced_at[manager] = self._steady()

    def _has(self, peer: Peer) -> bool:
        return self._peers.get(peer.announced.id) is peer

    def _ranked(self) -> list[Peer]:
        return sorted(
            self._peers.values(), key=lambda each: (each.announced.name, each.announced.id)
        )

    def _home(self, key: MachineKey) -> Peer | None:
        for peer in self._peers.values():
            if not peer.silent and key in peer.seen and peer.seen[key].connected:
                return peer
        return None

    async def _follow_announced(self) -> None:
        """Know who is announced now, where, and as which run."""
        for manager, announced in {**self._introduced, **self._known.all}.items():
            if manager == self._own_id:
                continue
            known = self._peers.get(manager)
            if known is not None and known.announced.address == announced.address:
                known.announced = announced
                continue
            if known is not None:
                await self._drop(known)
            self._peers[manager] = Peer(announced, self._dial(announced.address), self._now)

    async def _let_go(self) -> None:
        """Let those go that are neither announced nor answer."""
        announced: Mapping[str, Announced] = self._known.all
        for manager, peer in list(self._peers.items()):
            if manager not in announced and peer.failed:
                self._introduced.pop(manager, None)
                self._introduced_at.pop(manager, None)
                log.warning("%s has stopped, was killed, or is cut off", peer.words())
                await self._drop(peer)

    async def _drop(self, peer: Peer) -> None:
        """Its machines are not connected there any more; what they reported is kept."""
        for key, seen in peer.seen.items():
            if seen.connected:
                seen.connected, seen.state, seen.since = False, SyncState.OFFLINE, self._now()
                seen.gone = f"{peer.words()}, to which it was connected, has stopped or is cut off"
            self._left[key] = seen
        self._peers.pop(peer.announced.id, None)
        await peer.close()

    def _now(self) -> Moment:
        return Moment(self._steady(), self._wall())
