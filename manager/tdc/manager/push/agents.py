"""One stream for each connected agent; only machines on which something changed are sent anything.

In: streams from rpc, changes from the view. Out: endings, presence.
Promise: one stream for each machine, the newest; a machine that is removed or enrolled again loses
its stream at once. A change costs what the machines it touches cost, not what the fleet does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from tdc.manager.identity.peer import Denied
from tdc.manager.levels.fleet import RemovedMachine
from tdc.manager.push.outbox import Write
from tdc.manager.push.running import KnownRunning
from tdc.manager.push.session import (
    LEFT,
    ChainAt,
    End,
    Ending,
    Known,
    Read,
    Session,
    SessionFleet,
    unknown_chain,
)
from tdc.manager.push.strangers import Strangers
from tdc.manager.store.joins import withdrawn_words
from tdc.manager.view.names import MachineKey
from tdc.manager.view.presence import Presence
from tdc.manager.view.seen import Stranger
from tdc.shared.edge.clock import Clock, monotonic
from tdc.shared.sync.identity import MachinePeer, Trust
from tdc.shared.sync.queue_work import QueueAnswer, QueueOrder, Unanswered
from tdc.shared.sync.values import DEFAULT_INTERVALS, Intervals, Removed
from tdc.shared.wire.running_settings import RunsThere

log = logging.getLogger(__name__)


SENT_AGAIN = 300.0
"""Seconds for which an agent that was sent away and came back is served."""
RENEWALS_A_SECOND = 10.0
"""By machines connected here that have heard of another CA; half of what a manager signs."""

_COMES_BACK = "enrol the machine with a new join token when it is to come back"

OF_A_CA_OF_BEFORE = (
    "this machine's certificate is by a CA that was replaced, and is not accepted any more; enrol "
    "it with a new join token"
)


class Stopping(Exception):
    """This manager is about to stop; the agent should try again, or try another manager."""


class AgentFleet(SessionFleet, Protocol):
    """The fleet, as the streams of agents need it."""

    def removed(self, peer: MachinePeer) -> RemovedMachine | None:
        """How the machine that has this enrolment was removed; None if it was not."""

    def recognised(self, peer: MachinePeer) -> MachinePeer:
        """The same machine by its present name."""

    def on_renamed(self, listener: Callable[[Mapping[MachineKey, MachineKey]], object], /) -> None:
        """Call back with machines that have another name now, each as it was and as it is."""


class AgentSessions:
    """The streams of the agents connected to this manager."""

    def __init__(
        self,
        view: AgentFleet,
        presence: Presence,
        clock: Clock = monotonic,
        intervals: Intervals = DEFAULT_INTERVALS,
        chain_at: ChainAt = unknown_chain,
        managers: Callable[[], tuple[str, ...]] = tuple,
        trusted: Callable[[], tuple[str, ...]] = tuple,
    ) -> None:
        """`clock` never goes back; `managers` says where the managers of this store are now.

        `trusted` has the SHA-256 of each CA that machines are to trust, the one that signs first.

        Raises BadIntervals.
        """
        self._known = Known(chain_at, managers, trust=lambda: self._trust(trusted()))
        self._strangers = Strangers(clock)
        self._view = view
        self._presence = presence
        self._clock = clock
        self._intervals = intervals.checked()
        self._sessions: dict[MachineKey, Session] = {}
        self._stopping = False
        self._sent: dict[MachineKey, float] = {}
        view.on_renamed(self._renamed)
        view.on_change(self._changed)

    def __len__(self) -> int:
        return len(self._sessions)

    def admit(self, peer: MachinePeer, address: str) -> MachinePeer:
        """The machine by its present name; raises Denied unless the enrolment is the valid one.

        Its certificate may have a name of before: the enrolment says which machine it is.
        """
        peer = self._view.recognised(peer)
        valid = self._view.enrolment(peer.cluster, peer.machine)
        if valid == peer.enrolment:
            return peer
        removed = self._removal(peer)
        if removed is not None:
            raise removed
        withdrawn = self._view.withdrawn(peer.cluster, peer.machine)
        if withdrawn is not None:
            raise Denied(f"{peer}: {withdrawn_words(withdrawn)}; {_COMES_BACK}")
        self._strangers.came(peer, address, replaced=valid is not None)
        if valid is None:
            raise Denied(
                f"{peer} has no valid enrolment: it was removed, or never enrolled; "
                "enrol it with a new join token"
            )
        raise Denied(
            f"{peer} was enrolled again after this certificate was issued; if you did not do "
            "that, someone else used its join token"
        )

    async def serve(
        self, peer: MachinePeer, read: Read, write: Write, address: str = "an unknown address"
    ) -> Ending:
        """Serve a machine's stream to its end; raises Denied, Stopping, and what those raise."""
        if self._stopping:
            raise Stopping("this manager is about to stop")
        peer = self.admit(peer, address)
        key = (peer.cluster, peer.machine)
        session = Session(
            peer,
            self._view,
            self._presence,
            self._clock,
            self._intervals,
            address,
            self._known,
        )
        older = self._sessions.get(key)
        if older is not None:
            log.info(
                "%s reconnected from %s; closed its earlier stream from %s",
                peer, address, older.address,
            )  # fmt: skip
            # A broken stream is silent by the time its agent has noticed; and two streams on one
            # connection are one agent's.
            if older.is_alive and older.address != address:
                self._presence.taken_over(key, older.address, address)
            older.end(End.REPLACED)
        self._sessions[key] = session
        ending = LEFT
        try:
            ending = await session.run(read, write)
        finally:
            if self._sessions.get(session.key) is session:
                del self._sessions[session.key]
                self._presence.disconnected(session.key, ending.reason, dead=ending.end is End.DEAD)
                log.info("%s: stream ended: %s", peer, ending.reason)
        return ending

    def _trust(self, trusted: tuple[str, ...]) -> Trust | None:
        return Trust(trusted, len(self) / RENEWALS_A_SECOND) if trusted else None

    def end_untrusted(self, trusted: Collection[str]) -> None:
        """End the streams of machines whose certificates are by a CA that is trusted no more."""
        for key, session in list(self._sessions.items()):
            report = self._presence.facts(*key).status
            if report is not None and report.ca_issuer and report.ca_issuer not in trusted:
                session.end(End.DENIED, OF_A_CA_OF_BEFORE)

    def is_connected(self, key: MachineKey) -> bool:
        """Whether a stream of this machine is open here."""
        return key in self._sessions

    def strangers(self) -> tuple[Stranger, ...]:
        """Machines that came lately with certificates of ours that the store does not know."""
        return self._strangers.now(self.is_connected)

    async def ask(
        self, key: MachineKey, order: QueueOrder, timeout: float
    ) -> QueueAnswer | Unanswered:
        """Order work on a machine's queue, and wait for its answer for `timeout` seconds."""
        session = self._sessions.get(key)
        if session is None:
            return Unanswered("it is not connected to this manager")
        return await session.orders.ask(order, timeout)

    @property
    def running(self) -> KnownRunning:
        """What agents run that was asked of them."""
        return self._known.running

    async def ask_settings(self, key: MachineKey, timeout: float) -> RunsThere | Unanswered:
        """Ask a machine what it runs, and wait for its answer for `timeout` seconds."""
        session = self._sessions.get(key)
        if session is None:
            return Unanswered("it is not connected to this manager")
        return await session.running.ask(timeout)

    async def settings_said(self, key: MachineKey, timeout: float) -> RunsThere | Unanswered:
        """What a machine runs: as it said here before, though it left; else it is asked."""
        running, known = self._presence.runs(*key), self._presence.knows(*key).known
        if running is not None and known is not None:
            found = self.running.answer(running.hash, known)
            if found is not None:
                return found
        return await self.ask_settings(key, timeout)

    def stop(self) -> None:
        """End every stream, so that agents look for another manager; admit no new one."""
        self._stopping = True
        for session in list(self._sessions.values()):
            session.end(End.STOPPING)

    def send_away(self) -> int:
        """End streams so that agents look for another manager; returns how many.

        Each once in SENT_AGAIN seconds: one that comes back has found no other.
        """
        now, sent = self._clock(), 0
        self._sent = {key: at for key, at in self._sent.items() if now - at < SENT_AGAIN}
        for key, session in list(self._sessions.items()):
            if key not in self._sent:
                self._sent[key] = now
                session.end(End.CUT_OFF)
                sent += 1
        return sent

    def welcome_again(self) -> None:
        """End every stream: only a new Welcome tells an agent by which history it is served."""
        for session in list(self._sessions.values()):
            session.end(End.OTHER_STORE)

    def _removal(self, peer: MachinePeer) -> Denied | None:
        removed = self._view.removed(peer)
        if removed is None:
            return None
        reason = (
            f"machine {peer.machine} was removed by revision {removed.revision} of cluster "
            f"{peer.cluster}"
        )
        told = Removed(removed.stops_copying, self._view.store_id, removed.revision)
        return Denied(reason, told)

    def _renamed(self, names: Mapping[MachineKey, MachineKey]) -> None:
        """Keep what is known of machines by their new names; the next Welcome tells each."""
        self._presence.renamed(names)
        moved = {
            now: self._sessions.pop(was) for was, now in names.items() if was in self._sessions
        }
        self._sessions |= moved
        for key, session in moved.items():
            session.rename(key)

    def _changed(self, machines: frozenset[MachineKey]) -> None:
        for key in machines & self._sessions.keys():
            session = self._sessions[key]
            valid = self._view.enrolment(*key)
            if valid == session.enrolment:
                session.set_target()
                session.suspensions.changed()
                continue
            removed = self._removal(MachinePeer(*key, session.enrolment))
            if removed is not None:
                session.end(End.DENIED, str(removed), removed.removed)
            elif (withdrawn := self._view.withdrawn(*key)) is not None:
                session.end(End.DENIED, f"{withdrawn_words(withdrawn)}; {_COMES_BACK}")
            elif valid is None:
                session.end(End.DENIED, "the machine was removed")
            else:
                session.end(End.DENIED, "the machine was enrolled again")
        self._presence.changed(machines)
