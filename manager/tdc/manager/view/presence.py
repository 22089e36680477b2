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

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from tdc.manager.view.names import MachineKey
from tdc.manager.view.seen import NEVER, TAKEOVER_WINDOW, TAKEOVERS, Moment, Seen, SyncState
from tdc.shared.edge.clock import Clock, monotonic, wall
from tdc.shared.sync.report import MachineReport
from tdc.shared.sync.values import Attempt, Running
from tdc.shared.sync.words import lapse_words
from tdc.v1 import agents_pb2


class Elsewhere(Protocol):
    """What the other managers of this store say; nothing where there are none."""

    async def ask(self) -> None:
        """Ask them, unless that was a moment ago. Bounded; never raises."""

    def seen(self, key: MachineKey, /) -> Seen | None:
        """What they last said of a machine; None if none has seen it."""

    def silent(self, key: MachineKey, /) -> Silent | None:
        """Why it can't be known where a machine is; None while each of them answers."""

    def forget(self, key: MachineKey, /) -> None:
        """Forget a machine that was removed."""

    @property
    def problems(self) -> tuple[str, ...]:
        """Which of them do not answer, in sentences."""


@dataclass(frozen=True, slots=True)
class Silent:
    """A manager that does not answer has a machine's stream, or may have it: why, since when."""

    reason: str
    since: Moment


class NobodyElse:
    """For a manager that is alone."""

    async def ask(self) -> None:
        """Ask nobody."""

    def seen(self, key: MachineKey) -> Seen | None:
        """Nothing."""

    def silent(self, key: MachineKey) -> Silent | None:
        """Nobody."""

    def forget(self, key: MachineKey) -> None:
        """Nothing to forget."""

    @property
    def problems(self) -> tuple[str, ...]:
        """None."""
        return ()


class WantedFleet(Protocol):
    """The fleet, as presence and push need it. Plain calls from the event loop; none waits."""

    def content_hash(self, cluster: str, machine: str) -> str | None:
        """Hash of what is in force on a machine; None where that is not known."""

    def wanted(self, cluster: str, machine: str) -> agents_pb2.Wanted | None:
        """What a machine should run; None where that is not known.

        The message is shared by machines with equal settings: never change it.
        """

    def enrolment(self, cluster: str, machine: str) -> str | None:
        """Id of the machine's valid enrolment; None if it has none, or is gone."""

    def on_change(self, listener: Callable[[frozenset[MachineKey]], None], /) -> None:
        """Call back with the machines whose content hash, enrolment or existence changed, or what
        is to be suspended on them.
        """


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
    manager: str = ""
    """Name of the manager that has its stream; empty while none is known to."""


class Standing(NamedTuple):
    """Where a machine stands, and nothing of its reports: what is asked of each of thousands."""

    state: SyncState
    wanted_revision: int
    applied_revision: int


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
        self._seen: dict[MachineKey, Seen] = {}
        self._enrolled: dict[MachineKey, Moment] = {}  # since our start, and not connected since

    async def ask_others(self) -> None:
        """Let the other managers say what their streams say, before facts are read. Bounded."""
        await self._elsewhere.ask()

    @property
    def problems(self) -> tuple[str, ...]:
        """What can't be known of machines now, in sentences: managers that do not answer."""
        return self._elsewhere.problems

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
            manager=(seen.manager or self._name) if seen.connected else "",
        )

    def standing(self, cluster: str, machine: str) -> Standing:
        """What `facts` says of a machine's state and revisions, at less cost."""
        key = (cluster, machine)
        seen, state, _, _ = self._look(key)
        return Standing(state, *self._revisions(key, seen))

    def changed_since(self, number: int) -> tuple[int, list[tuple[MachineKey, Seen, str]]]:
        """For another manager: what changed here after `number`, and the number to go on from.

        With each machine goes what operators should know of its takeovers.
        """
        found = [
            (key, seen, self._clones(seen))
            for key, seen in self._seen.items()
            if seen.number > number
        ]
        return self._number, found

    def steady(self) -> float:
        """Now, by the clock that makes ages."""
        return self._steady()

    def connected(self, key: MachineKey, agent_version: str) -> None:
        """Note that a machine's stream is open and has said Hello."""
        seen = self._seen.setdefault(key, Seen(since=self._now()))
        self._enrolled.pop(key, None)
        seen.connected, seen.dead, seen.gone = True, False, ""
        seen.agent_version = agent_version
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

    def changed(self, keys: Iterable[MachineKey]) -> None:
        """Note that other settings are wanted of these machines, which may begin another state."""
        for key in keys:
            if self._fleet.content_hash(*key) is None:
                self._elsewhere.forget(key)
            seen = self._seen.get(key)
            if seen is None:
                continue
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
            seen.takeovers.append(self._steady())
            seen.rivals = (before, now)
            self._touch(seen)

    def _clones(self, seen: Seen) -> str:
        taken = seen.takeovers
        if len(taken) < TAKEOVERS or self._steady() - taken[0] > TAKEOVER_WINDOW:
            return ""
        before, now = seen.rivals
        return (
            "two machines seem to share this certificate and keep closing each other's streams, "
            f"connecting from {before} and {now}. A machine was probably cloned, or its key "
            "copied. Enrol the right one again with a new join token; that shuts the other out"
        )

    def _forget_removed(self, key: MachineKey, seen: Seen) -> None:
        """Forget a machine that was removed: another of the same name would be a new machine."""
        if not seen.connected and self._fleet.content_hash(*key) is None:
            del self._seen[key]

    def _look(self, key: MachineKey) -> tuple[Seen, SyncState, str, Moment]:
        """What counts of a machine, its state, why, and since when."""
        seen = self._seen_of(key)
        if not seen.connected and self._fleet.enrolment(*key) is not None:
            silent = self._elsewhere.silent(key)
            if silent is not None:
                return seen, SyncState.UNKNOWN, silent.reason, silent.since
        state, reason = self._judge(key, seen)
        self._mark(seen, state)
        return seen, state, reason, seen.since

    def _seen_of(self, key: MachineKey) -> Seen:
        here, there = self._seen.get(key), self._elsewhere.seen(key)
        if here is None and there is None:
            return Seen(since=self._enrolled.get(key, self._started))
        found = [each for each in (here, there) if each is not None]
        return max(found, key=lambda each: each.rank)

    def _touch(self, seen: Seen) -> None:
        """Note that other managers have not been told of this yet."""
        self._number += 1
        seen.number = self._number

    def _revisions(self, key: MachineKey, seen: Seen) -> tuple[int, int]:
        """The wanted revision, and the applied one."""
        wanted = self._fleet.wanted(*key)
        wanted_revision = wanted.revision if wanted is not None else 0
        runs_wanted = wanted is not None and wanted.hash == seen.running.hash
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
        wanted_hash = self._fleet.content_hash(*key)
        if wanted_hash is None:
            return SyncState.OUT_OF_SYNC, "its settings can't be read from the store"
        if seen.running.hash == wanted_hash:
            return SyncState.IN_SYNC, ""
        attempt = seen.last_attempt
        if attempt and not attempt.applied and attempt.hash == wanted_hash:
            return SyncState.REJECTED, attempt.reason
        runs = seen.running.revision
        what = f"revision {runs}" if runs else "the built-in defaults"
        return SyncState.OUT_OF_SYNC, f"running {what}; update in progress"

    def _absent(self, key: MachineKey, seen: Seen) -> tuple[SyncState, str]:
        if seen.dead:
            return SyncState.STALE, f"nothing heard for {lapse_words(self._age(seen.heard))}"
        if seen.gone:
            left = f"it refused this manager: {seen.refuses}" if seen.refuses else seen.gone
            return SyncState.OFFLINE, left
        if self._fleet.enrolment(*key) is None:
            return SyncState.OFFLINE, "not enrolled yet"
        if key in self._enrolled:
            lapse = lapse_words(self._age(self._enrolled[key]))
            return SyncState.OFFLINE, f"has not connected since it was enrolled {lapse} ago"
        lapse = lapse_words(self._age(self._started))
        return SyncState.OFFLINE, f"has not connected to this manager, which started {lapse} ago"
