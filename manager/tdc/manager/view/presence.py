"""Who is connected, what runs there, and since when: in memory, with no write to the store.

In: what the streams of agents bring here, and what the other managers say of theirs. Out: facts
for operators, of the whole fleet; and for the other managers, of the streams here.
No manager writes presence to etcd: they ask each other (`elsewhere`). Of what several managers saw
of one machine, the stream that is open counts, else what was heard last. While a manager does not
answer, a machine without a stream anywhere else is "unknown", never "offline".
Promise: a machine is "in sync" only while it is connected, takes settings from this manager, and
the hash it *runs* is the wanted one now; it is never concluded from an old acknowledgement.
Ages are by a clock that nobody can set; the clock that people set only says when, to be shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from tdc.manager.levels.unsupported import AgentKnows
from tdc.manager.store.joins import withdrawn_words
from tdc.manager.view import reasons
from tdc.manager.view.ahead import AheadOfStore
from tdc.manager.view.elsewhere import Elsewhere, NobodyElse
from tdc.manager.view.judged import JudgedElsewhere
from tdc.manager.view.names import MachineKey
from tdc.manager.view.seen import (
    NEVER,
    TAKEOVER_WINDOW,
    TAKEOVERS,
    Moment,
    Seen,
    SyncState,
    rename,
)
from tdc.manager.view.wanted import WantedFleet
from tdc.shared.edge.clock import Clock, monotonic, wall
from tdc.shared.settings.known import KNOWN_HERE
from tdc.shared.sync.report import MachineReport
from tdc.shared.sync.values import Attempt, Running
from tdc.shared.sync.words import lapse_words


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """One machine as this manager sees it. Times are Unix seconds.

    `since` is when `state` began as far as this manager knows: a stale machine is stale since
    it was last heard. `lasts` is for how long, `status_age` how old the status is, `refused_for`
    for how long the machine has taken no settings from this manager (None: it takes them), all in
    seconds that really passed. `wanted_revision` is the cluster's revision; `applied_revision` the
    same where the wanted settings run, else the revision that the agent reports, 0 before it has.
    `status` is the machine's last report, of `status_time`; both None if there was none. `reason`
    says why the machine is not in sync, empty if it is. `warning` is set if several machines seem
    to use the name, so that all of this may be true of one now and of another in a moment.
    """

    state: SyncState
    since: float | None
    """None for a machine that never enrolled."""
    wanted_revision: int
    applied_revision: int
    status: MachineReport | None
    status_time: float | None
    reason: str
    agent_version: str
    warning: str
    lasts: float = 0.0
    status_age: float = 0.0
    refused_for: float | None = None
    last_attempt: Attempt | None = None
    """To apply settings, as last reported; its time is by the machine's clock."""
    known: frozenset[str] | None = None
    """Settings of ours that its agent knows, as it last said; None if it never connected."""
    lacks: tuple[str, ...] = ()
    """Of the settings in force there, other than by default, those that its agent does not know."""
    manager: str = ""
    """Name of the manager that has its stream; empty while none is known to."""
    here: bool = False
    """Whether that is this manager."""


class Standing(NamedTuple):
    """Where a machine stands, and nothing of its reports: what is asked of each of thousands."""

    state: SyncState
    wanted_revision: int
    applied_revision: int


_NOT_SEEN = AgentKnows()


class Presence:
    """Facts about machines. Streams write, operators' calls read; one event loop."""

    def __init__(
        self,
        fleet: WantedFleet,
        clock: Clock = wall,
        steady: Clock = monotonic,
        *,
        elsewhere: Elsewhere | None = None,
        name: str = "",
    ) -> None:
        """`clock` is Unix time, `steady` never goes back. `name` is this manager's."""
        self._fleet = fleet
        self._elsewhere = elsewhere or NobodyElse()
        self._name = name
        self._number = 0
        self._clock = clock
        self._steady = steady
        self._started = self._now()
        self._judged = JudgedElsewhere(self._started)
        self._seen: dict[MachineKey, Seen] = {}
        self._know_less: set[MachineKey] = set()
        self.ahead = AheadOfStore(fleet)
        self._enrolled: dict[MachineKey, Moment] = {}  # since our start, and not connected since
        self._elsewhere.on_said(self._said_elsewhere)

    async def ask_others(self) -> None:
        """Let the other managers say what their streams say, before facts are read. Bounded."""
        await self._elsewhere.ask()

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with other managers, in sentences: they do not answer, or have no etcd."""
        return self._elsewhere.problems

    @property
    def unheard(self) -> tuple[str, ...]:
        """Which other managers may hear of no commit now, and why."""
        return self._elsewhere.unheard

    def facts(self, cluster: str, machine: str) -> MachineFacts:
        """What is known of a machine; one that never connected is offline since our start.

        Or since it enrolled, if that was later.
        """
        key = (cluster, machine)
        seen, state, reason, since = self._look(key)
        wanted_revision, applied_revision = self._revisions(key, seen)
        never = since is seen.since and seen.heard is NEVER and self._fleet.enrolment(*key) is None
        refused = seen.refused_since if seen.refuses else None
        return MachineFacts(
            state=state,
            since=None if never else since.wall,
            wanted_revision=wanted_revision,
            applied_revision=applied_revision,
            status=seen.status,
            status_time=None if seen.status_time is None else seen.status_time.wall,
            reason=reason,
            agent_version=seen.agent_version,
            warning=seen.clones or self._clones(seen),
            lasts=0.0 if never else self._age(since),
            status_age=0.0 if seen.status_time is None else self._age(seen.status_time),
            refused_for=None if refused is None else self._age(refused),
            last_attempt=seen.last_attempt,
            known=seen.known,
            lacks=() if seen.known is None else self._fleet.lacking(*key, seen.known),
            manager=(seen.manager or self._name) if seen.connected else "",
            here=seen.connected and not seen.manager,
        )

    def standing(self, cluster: str, machine: str) -> Standing:
        """What `facts` says of a machine's state and revisions, at less cost."""
        key = (cluster, machine)
        seen, state, _, _ = self._look(key)
        return Standing(state, *self._revisions(key, seen))

    def knows(self, cluster: str, machine: str) -> AgentKnows:
        """Which settings a machine's agent knows, as it last said to a manager."""
        seen = self._found((cluster, machine))
        if seen is None:
            return _NOT_SEEN
        return AgentKnows(seen.known, seen.agent_version, seen.connected)

    def runs(self, cluster: str, machine: str) -> Running | None:
        """What a machine last said to run; None if it never connected."""
        seen = self._found((cluster, machine))
        return None if seen is None or seen.known is None else seen.running

    @property
    def all_know_all(self) -> bool:
        """Whether every agent that connected to a manager that was asked knows every setting."""
        return not self._know_less

    def changed_since(self, number: int) -> tuple[int, list[tuple[MachineKey, Seen, str, str]]]:
        """For another manager: what changed here after `number`, and the number to go on from.

        With each machine goes its enrolment, which says which machine it is whatever its name, and
        what operators should know of its takeovers.
        """
        found = [
            (key, seen, self._fleet.enrolment(*key) or "", self._clones(seen))
            for key, seen in self._seen.items()
            if seen.number > number
        ]
        return self._number, found

    def steady(self) -> float:
        """Now, by the clock that makes ages."""
        return self._steady()

    def connected(
        self, key: MachineKey, agent_version: str, known: frozenset[str] = KNOWN_HERE
    ) -> None:
        """Note that a machine's stream is open and has said Hello, and what its agent knows."""
        seen = self._seen.setdefault(key, Seen(since=self._now()))
        self._enrolled.pop(key, None)
        seen.connected, seen.dead, seen.gone = True, False, ""
        seen.agent_version, seen.known = agent_version, known
        self._note_known(key, known)
        seen.heard = self._now()
        self._touch(seen)

    def heard(
        self,
        key: MachineKey,
        running: Running,
        last_attempt: Attempt | None,
        status: MachineReport | None = None,
    ) -> None:
        """Note what a connected machine runs and tried, and its status if it sent one."""
        seen = self._seen[key]
        seen.heard = self._now()
        seen.running, seen.last_attempt = running, last_attempt
        self.ahead.heard(key, running, KNOWN_HERE if seen.known is None else seen.known)
        if status is not None:
            seen.status, seen.status_time = status, seen.heard
        state = self._judge(key, seen)[0]
        if seen.refuses:
            seen.refused_since = seen.refused_since or seen.heard
        elif state is SyncState.IN_SYNC:
            seen.refused_since = None
        self._mark(seen, state)
        self._touch(seen)

    def enrolled(self, keys: Iterable[MachineKey]) -> None:
        """Note that these machines have another enrolment now, or none any more."""
        for key in keys:
            self._enrolled.pop(key, None)
            if key not in self._seen and self._fleet.enrolment(*key) is not None:
                self._enrolled[key] = self._now()

    def renamed(self, names: Mapping[MachineKey, MachineKey]) -> None:
        """Note that machines have another name now, each by that of before."""
        rename(self._seen, names)
        rename(self._enrolled, names)
        self._elsewhere.renamed(names)
        self.ahead.renamed(names)
        self._judged.renamed(names)
        for key in names.values():
            if key in self._seen:
                self._touch(self._seen[key])

    def changed(self, keys: Iterable[MachineKey]) -> None:
        """Note that other settings are wanted of these machines, which may begin another state."""
        for key in keys:
            if self._fleet.content_hash(*key) is None:
                self._elsewhere.forget(key)
                self._judged.forget(key)
            elif self._elsewhere.seen(key) is not None:
                self._judged.wanted(key, self._now())
                self._look(key)
            if (seen := self._seen.get(key)) is not None:
                self._mark(seen, self._judge(key, seen)[0])
                self._forget_removed(key, seen)

    def disconnected(self, key: MachineKey, reason: str, *, dead: bool) -> None:
        """Note the end of a machine's stream; `dead` if the agent stopped responding."""
        seen = self._seen.get(key)
        if seen is None or not seen.connected:
            return
        seen.connected, seen.dead, seen.gone = False, dead, reason
        self._mark(seen, self._judge(key, seen)[0])
        if dead:
            seen.since = seen.heard
        self._touch(seen)
        self._forget_removed(key, seen)

    def taken_over(self, key: MachineKey, before: str, now: str) -> None:
        """Note that a live stream, from the address `before`, gave way to one from `now`."""
        seen = self._seen.get(key)
        if seen is not None:
            seen.takeovers = (*seen.takeovers, self._steady())[-TAKEOVERS:]
            seen.rivals = (before, now)
            self._touch(seen)

    def _clones(self, seen: Seen) -> str:
        taken = seen.takeovers
        if len(taken) < TAKEOVERS or self._steady() - taken[0] > TAKEOVER_WINDOW:
            return ""
        return reasons.clones(seen.rivals)

    def _forget_removed(self, key: MachineKey, seen: Seen) -> None:
        """Forget a machine that was removed: another of the same name would be a new machine."""
        if not seen.connected and self._fleet.content_hash(*key) is None:
            del self._seen[key]
            self._know_less.discard(key)

    def _look(self, key: MachineKey) -> tuple[Seen, SyncState, str, Moment]:
        """What counts of a machine, its state, why, and since when."""
        seen = self._seen_of(key)
        if not seen.connected and self._fleet.enrolment(*key) is not None:
            silent = self._elsewhere.silent(key)
            if silent is not None:
                return seen, SyncState.UNKNOWN, silent.reason, silent.since
        state, reason = self._judge(key, seen)
        if seen.manager:
            return seen, state, reason, self._judged.since(key, seen, state)
        self._mark(seen, state)  # our own: another manager's is not ours to pass on
        return seen, state, reason, seen.since

    def _said_elsewhere(self, keys: Iterable[MachineKey]) -> None:
        """Note what another manager said of machines, where that is what counts of them."""
        for key in keys:
            seen = self._found(key)
            if seen is not None and seen.known is not None:
                self._note_known(key, seen.known)
                self.ahead.heard(key, seen.running, seen.known)

    def _note_known(self, key: MachineKey, known: frozenset[str]) -> None:
        (self._know_less.discard if known is KNOWN_HERE else self._know_less.add)(key)

    def _seen_of(self, key: MachineKey) -> Seen:
        return self._found(key) or Seen(since=self._enrolled.get(key, self._started))

    def _found(self, key: MachineKey) -> Seen | None:
        """What counts of a machine, of what was seen here and elsewhere."""
        here, there = self._seen.get(key), self._elsewhere.seen(key)
        if there is not None and there.enrolment != (self._fleet.enrolment(*key) or ""):
            there = None  # of another machine that had, or has, this name
        if here is None or there is None:
            return here or there
        return max(here, there, key=lambda each: each.rank)

    def _touch(self, seen: Seen) -> None:
        """Note that other managers have not heard this yet."""
        self._number += 1
        seen.number = self._number

    def _revisions(self, key: MachineKey, seen: Seen) -> tuple[int, int]:
        """The wanted revision, and the applied one."""
        wanted = self._fleet.wanted(*key)
        wanted_revision = wanted.revision if wanted is not None else 0
        runs_wanted = wanted is not None and self._hash(key, seen) == seen.running.hash
        return wanted_revision, wanted_revision if runs_wanted else seen.running.revision

    def _mark(self, seen: Seen, state: SyncState) -> None:
        if state is not seen.state:
            seen.state, seen.since = state, self._now()
            self._touch(seen)

    def _now(self) -> Moment:
        return Moment(self._steady(), self._clock())

    def _age(self, moment: Moment) -> float:
        return max(0.0, self._steady() - moment.at)

    def _judge(self, key: MachineKey, seen: Seen) -> tuple[SyncState, str]:
        if not seen.connected:
            return self._absent(key, seen)
        if seen.refuses:
            return SyncState.REJECTED, seen.refuses
        wanted_hash = self._hash(key, seen)
        if wanted_hash is None:
            return SyncState.OUT_OF_SYNC, self._not_offered(key, seen)
        if seen.running.hash == wanted_hash:
            return SyncState.IN_SYNC, ""
        attempt = seen.last_attempt
        if attempt and not attempt.applied and attempt.hash == wanted_hash:
            return SyncState.REJECTED, attempt.reason
        cut_off = self._elsewhere.cut_off(key) if seen.manager else ""
        return SyncState.OUT_OF_SYNC, reasons.out_of_sync(seen.running.revision, cut_off)

    def _hash(self, key: MachineKey, seen: Seen) -> str | None:
        known = KNOWN_HERE if seen.known is None else seen.known
        return self._fleet.content_hash(*key, known)

    def _not_offered(self, key: MachineKey, seen: Seen) -> str:
        lacks = () if seen.known is None else self._fleet.lacking(*key, seen.known)
        return reasons.not_offered(lacks, seen.agent_version)

    def _absent(self, key: MachineKey, seen: Seen) -> tuple[SyncState, str]:
        if seen.dead:
            return SyncState.STALE, f"nothing heard for {lapse_words(self._age(seen.heard))}"
        if seen.gone:
            left = f"it refused this manager: {seen.refuses}" if seen.refuses else seen.gone
            return SyncState.OFFLINE, left
        if self._fleet.enrolment(*key) is None:
            gone = self._fleet.withdrawn(*key)
            return SyncState.OFFLINE, "not enrolled yet" if gone is None else withdrawn_words(gone)
        if key in self._enrolled:
            lapse = lapse_words(self._age(self._enrolled[key]))
            return SyncState.OFFLINE, f"has not connected since it was enrolled {lapse} ago"
        lapse = lapse_words(self._age(self._started))
        return SyncState.OFFLINE, f"has not connected to this manager, which started {lapse} ago"
