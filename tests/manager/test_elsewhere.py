"""What other managers say of machines counts as what streams here say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tdc.manager.intent.actor import Actor
from tdc.manager.intent.recovery import Recovery, RecoveryOperations
from tdc.manager.levels.fleet import Cluster, Machine, new_cluster
from tdc.manager.peers.peer import Peer
from tdc.manager.peers.peers import Peers
from tdc.manager.peers.streams import AllStreams
from tdc.manager.people.reach import EVERYWHERE, Role
from tdc.manager.push.running import KnownRunning
from tdc.manager.store.announced import Announced
from tdc.manager.view.elsewhere import NobodyElse, SaidListener
from tdc.manager.view.names import MachineKey
from tdc.manager.view.presence import Presence
from tdc.manager.view.seen import Moment, Seen, Stranger, SyncState
from tdc.shared.edge.grpc_tls import client_channel
from tdc.shared.settings.known import KNOWN_HERE
from tdc.shared.settings.schema import default_values
from tdc.shared.sync.queue_work import ListDead, QueueOrder, Selection, Unanswered
from tdc.shared.sync.values import Running
from tdc.shared.wire.report import report_of
from tdc.shared.wire.running_settings import RunsThere
from tdc.v1 import agents_pb2

MX1, MX2 = ("c1", "mx1"), ("c1", "mx2")
LESS = KNOWN_HERE - {"enabled"}


@dataclass
class Fleet:
    """Machines that are enrolled; all should run revision 7 with the hash "ab"."""

    enrolments: dict[MachineKey, str] = field(
        default_factory=lambda: {MX1: "of mx1", MX2: "of mx2"}
    )
    hash: str = "ab"

    def content_hash(
        self, cluster: str, machine: str, known: frozenset[str] = KNOWN_HERE
    ) -> str | None:
        return self.hash if known == KNOWN_HERE else None

    def lacking(self, cluster: str, machine: str, known: frozenset[str]) -> tuple[str, ...]:
        return tuple(sorted(KNOWN_HERE - known))

    def wanted(
        self, cluster: str, machine: str, known: frozenset[str] = KNOWN_HERE
    ) -> agents_pb2.Wanted | None:
        return agents_pb2.Wanted(revision=7, hash="ab", store_id="s")

    def withdrawn(self, cluster: str, machine: str) -> None:
        """Nobody did."""

    def enrolment(self, cluster: str, machine: str) -> str | None:
        return self.enrolments.get((cluster, machine))

    def on_change(self, listener: Callable[[frozenset[MachineKey]], None], /) -> None: ...


class Others(NobodyElse):
    """One other manager, "two"."""

    def __init__(self) -> None:
        self.machines: dict[MachineKey, Seen] = {}
        self.listeners: list[SaidListener] = []

    def seen(self, key: MachineKey) -> Seen | None:
        return self.machines.get(key)

    def on_said(self, listener: SaidListener) -> None:
        self.listeners.append(listener)

    def says(self, *keys: MachineKey, **facts: object) -> None:
        for key in keys:
            found = {"connected": True, "known": KNOWN_HERE, "running": Running(7, "ab", "s")}
            made = Seen(heard=Moment(5.0, 5.0), manager="two", enrolment=f"of {key[1]}")
            for name, value in (found | facts).items():
                setattr(made, name, value)
            self.machines[key] = made
        for listener in self.listeners:
            listener(keys)


def both(
    fleet: Fleet | None = None, clock: Callable[[], float] = lambda: 10.0
) -> tuple[Presence, Others]:
    others = Others()
    presence = Presence(fleet or Fleet(), clock, clock, elsewhere=others, name="one")
    return presence, others


def test_what_an_agent_elsewhere_knows_counts() -> None:
    presence, others = both()
    assert presence.knows(*MX1).known is None
    others.says(MX1, known=LESS, agent_version="1.2")
    facts = presence.facts(*MX1)
    assert (facts.known, facts.lacks) == (LESS, ("enabled",))
    assert (facts.manager, facts.here) == ("two", False)
    assert facts.state is SyncState.OUT_OF_SYNC
    assert "does not know enabled" in facts.reason
    assert presence.knows(*MX1).connected
    all_know_all = [presence.all_know_all]
    others.says(MX1)
    all_know_all.append(presence.all_know_all)
    assert all_know_all == [False, True], "it was upgraded"
    assert presence.facts(*MX1).state == "in sync"


def test_a_machine_elsewhere_that_is_ahead_of_the_store_is_named() -> None:
    presence, others = both()
    others.says(MX1, running=Running(9, "cd", "s"))
    (ahead,) = presence.ahead.in_cluster("c1")
    assert (ahead.machines, ahead.newest, ahead.store, ahead.differ) == (1, 9, 7, True)
    presence.connected(MX1, "1.2")  # it has come here, and what the other said is old
    presence.heard(MX1, Running(7, "ab", "s"), None)
    others.says(MX1, running=Running(9, "cd", "s"), connected=False)
    assert presence.ahead.in_cluster("c1") == ()


def test_what_is_said_of_another_machine_of_the_name_does_not_count() -> None:
    """The other manager may not know yet that the machine was renamed, or removed."""
    fleet = Fleet()
    presence, others = both(fleet)
    others.says(MX1)
    assert presence.facts(*MX1).state is SyncState.IN_SYNC
    fleet.enrolments[MX1] = "of a new one"
    facts = presence.facts(*MX1)
    assert (facts.state, facts.manager, facts.known) == (SyncState.OFFLINE, "", None)


class Time:
    """Seconds that pass when a test says so."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def behind(time: Time, others: Others, in_sync_since: float) -> None:
    """The other manager, which has not heard of the last commit, is asked again at this moment."""
    now, since = Moment(time.now, time.now), Moment(in_sync_since, in_sync_since)
    others.says(MX1, running=Running(6, "cd", "s"), heard=now, state=SyncState.IN_SYNC, since=since)


def test_a_machine_out_of_sync_elsewhere_is_so_since_the_commit_however_often_it_is_asked() -> None:
    time, fleet = Time(), Fleet(hash="cd")
    presence, others = both(fleet, clock=time)
    behind(time, others, 50.0)
    assert presence.facts(*MX1).since == 50.0
    time.now, fleet.hash = 200.0, "ab"
    presence.changed([MX1])
    number, _ = presence.changed_since(0)
    for passed in (0, 1, 30, 120):
        time.now = 200.0 + passed
        behind(time, others, 50.0)
        facts = presence.facts(*MX1)
        assert (facts.state, facts.since, facts.lasts) == (SyncState.OUT_OF_SYNC, 200.0, passed)
    presence.changed([MX1])
    assert presence.facts(*MX1).since == 200.0, "another commit that does not come there either"
    assert presence.changed_since(number) == (number, []), "it is not a machine of ours"


def test_a_manager_that_starts_counts_from_its_start() -> None:
    """It can't know when the commit was of which the other has not heard."""
    time = Time()
    presence, others = both(clock=time)
    for passed in (5, 70):
        time.now = 100.0 + passed
        behind(time, others, 50.0)
        assert presence.facts(*MX1).lasts == passed


def test_a_machine_that_was_in_sync_meanwhile_is_out_of_sync_since_the_next_commit() -> None:
    """Nobody looked between the two; and its manager hears of the second a moment later."""
    time = Time()
    presence, others = both(clock=time)
    behind(time, others, 50.0)
    for time.now in (200.0, 250.0):
        presence.changed([MX1])
    time.now = 250.1
    behind(time, others, in_sync_since=201.0)
    facts = presence.facts(*MX1)
    assert (facts.state, facts.since) == (SyncState.OUT_OF_SYNC, 250.0)


def test_where_both_managers_judge_alike_the_word_of_that_with_the_stream_counts() -> None:
    time = Time()
    presence, others = both(clock=time)
    others.says(MX1, state=SyncState.IN_SYNC, since=Moment(60.0, 60.0))
    facts = presence.facts(*MX1)
    assert (facts.state, facts.since) == (SyncState.IN_SYNC, 60.0)


def test_other_managers_hear_of_a_new_name() -> None:
    presence, _ = both()
    presence.connected(MX1, "1.2")
    number, _ = presence.changed_since(0)
    presence.renamed({MX1: MX2})
    _, ((key, _, enrolment, _),) = presence.changed_since(number)
    assert (key, enrolment) == (MX2, "of mx2")


class _NoManagers:
    all: Mapping[str, Announced] = {}  # never changed

    def on_change(self, told: object) -> None:
        """Tell nobody: nothing changes."""


async def test_of_a_renamed_machine_the_newer_word_counts() -> None:
    """Another manager may know the new name before this one does."""
    peers = Peers("me", _NoManagers(), _dial, lambda: 0.0, lambda: 0.0)  # type: ignore[arg-type]
    announced = Announced("two", "two", "127.0.0.1:1", "1", "run", 0.0, 0.0)
    async with client_channel("127.0.0.1:1", b"", b"", b"") as channel:
        peer = Peer(announced, channel, lambda: Moment(0.0, 0.0))
        peer.silent = ""
        peers._peers["two"] = peer
        for newer in (MX1, MX2):
            peer.seen.clear()
            for key in (MX1, MX2):
                peer.seen[key] = Seen(agent_version=key[1], heard=Moment(float(key == newer), 0))
            peers.renamed({MX1: MX2})
            found = peers.seen(MX2)
            assert found is not None
            assert found.agent_version == newer[1]
            assert peers.seen(MX1) is None


async def test_an_order_goes_to_the_machine_that_has_the_name_here() -> None:
    """A manager that has not heard of a rename yet may have the stream of another by that name."""
    fleet = Fleet()
    peers = Peers("me", _NoManagers(), _dial, lambda: 0.0, lambda: 0.0)  # type: ignore[arg-type]
    announced = Announced("two", "two", "127.0.0.1:1", "1", "run", 0.0, 0.0)
    streams = AllStreams(_Nowhere(), peers, fleet.enrolment)  # type: ignore[arg-type]
    async with client_channel("127.0.0.1:1", b"", b"", b"") as channel:
        peer = peers._peers["two"] = Peer(announced, channel, lambda: Moment(0.0, 0.0))
        peer.silent = ""
        peer.seen[MX1] = Seen(connected=True, enrolment="of mx1")
        assert streams.is_connected(MX1)
        fleet.enrolments[MX1] = "of a new one"
        assert not streams.is_connected(MX1)
        order = QueueOrder("o", "ana", ListDead(Selection()))
        assert isinstance(await streams.ask(MX1, order, 1.0), Unanswered)


class _Nowhere:
    """No stream is here."""

    def is_connected(self, key: MachineKey, /) -> bool:
        return False

    async def ask(self, key: MachineKey, order: QueueOrder, timeout: float, /) -> Unanswered:
        return Unanswered("it is not here")


def test_a_renamed_machine_that_is_ahead_leaves_its_name_free_of_it() -> None:
    presence, _ = both()
    presence.connected(MX1, "1.2")
    presence.heard(MX1, Running(9, "cd", "s"), None)
    presence.renamed({MX1: ("emea", "mx1")})
    assert presence.ahead.in_cluster("c1") == ()
    assert [each.newest for each in presence.ahead.in_cluster("emea")] == [9]


def _dial(address: str) -> None:
    raise AssertionError(address)


@dataclass
class Streams:
    """The agents that are connected here, and what they answer."""

    answers: dict[str, RunsThere | Unanswered]
    running: KnownRunning = field(default_factory=KnownRunning)

    async def ask_settings(
        self, key: MachineKey, known: frozenset[str], timeout: float, /
    ) -> RunsThere | Unanswered:
        answer = self.answers.get(key[1], Unanswered("nobody knows"))
        if isinstance(answer, RunsThere):
            self.running.take(answer, known)
        return answer


class View:
    """A view of cluster c1, of which everything is in reach."""

    def __init__(self, machines: Iterable[str], enrolled: Iterable[str]) -> None:
        made = new_cluster("c1", {})
        group = next(iter(made.groups))
        self._cluster = replace(made, machines={each: Machine(each, group) for each in machines})
        self._enrolled = set(enrolled)

    def find_cluster(self, name: str) -> Cluster:
        return self._cluster

    def enrolment(self, cluster: str, machine: str) -> str | None:
        return f"of {machine}" if machine in self._enrolled else None

    def in_force(self, cluster: str, machine: str) -> None:
        return None

    def content_hash(self, cluster: str, machine: str, known: frozenset[str]) -> str:
        return "ab"


async def recovery(presence: Presence, *answer: str, **more: Sequence[str]) -> Recovery:
    """What is found where these machines answer; `enrolled` are, and `strangers` knock."""
    runs = RunsThere(Running(9, "cd", "s"), default_values(), 100, proven=True)
    streams = Streams(dict.fromkeys(answer, runs))
    view = View(["mx1", "mx2"], more.get("enrolled", ["mx1", "mx2"]))
    knock = more.get("strangers", ())
    strangers = [Stranger("c1", each, "10.0.0.9", replaced=False) for each in knock]
    does = RecoveryOperations(view, presence, streams, lambda: strangers)  # type: ignore[arg-type]
    return await does.find_edits(Actor("ana", Role.ADMINISTRATOR, EVERYWHERE, "here"), "c1")


async def test_one_here_speaks_for_those_elsewhere_that_run_the_same() -> None:
    presence, others = both()
    presence.connected(MX1, "1.2")
    presence.heard(MX1, Running(9, "cd", "s"), None)
    others.says(MX2, running=Running(9, "cd", "s"))
    found = await recovery(presence, "mx1")
    assert (found.known, list(found.unknown), found.ahead) == (2, [], 9)


async def test_one_elsewhere_is_asked_there_and_named_if_nobody_knows() -> None:
    presence, others = both()
    presence.connected(MX1, "1.2")
    presence.heard(MX1, Running(9, "cd", "s"), None)
    others.says(MX2, running=Running(9, "ef", "s"))
    found = await recovery(presence, "mx1", "mx2")
    assert (found.known, list(found.unknown)) == (2, [])
    found = await recovery(presence, "mx1")
    (unknown,) = found.unknown
    assert (found.known, unknown.machine, unknown.why) == (1, "mx2", "nobody knows")


async def test_one_that_left_the_managers_that_it_refuses_counts_with_what_it_said() -> None:
    presence, others = both()
    refused = report_of(agents_pb2.MachineStatus(refuses_manager="older"))
    since = Moment(5.0, 5.0)
    left = {"connected": False, "gone": "it left", "status": refused, "status_time": since}
    for key in (MX1, MX2):
        others.says(key, running=Running(9, "cd", "s"), refused_since=since, **left)
    found = await recovery(presence, "mx2")
    assert (found.known, list(found.unknown), found.ahead) == (2, [], 9)
    found = await recovery(presence)
    assert found.known == 0
    assert [each.machine for each in found.unknown] == ["mx1", "mx2"]
    assert all("it comes to each again within 5 min" in each.why for each in found.unknown)


async def test_what_never_enrolled_runs_nothing_unless_it_knocks() -> None:
    """Enrolled since the backup, it comes with a certificate that the restored store has not."""
    presence, _ = both()
    presence.connected(MX1, "1.2")
    presence.heard(MX1, Running(9, "cd", "s"), None)
    found = await recovery(presence, "mx1", enrolled=["mx1"])
    assert (found.known, list(found.unknown)) == (1, [])
    found = await recovery(presence, "mx1", enrolled=["mx1"], strangers=["mx2"])
    (unknown,) = found.unknown
    assert "enrol it again" in unknown.why


class _Own:
    """No stream is here."""

    def __init__(self) -> None:
        self.running = KnownRunning()

    def is_connected(self, key: MachineKey) -> bool:
        return False

    async def ask_settings(self, key: MachineKey, timeout: float) -> Unanswered:
        return Unanswered("it is not connected to this manager")


class _There:
    """The other managers, one of which has mx2's stream."""

    async def ask_settings(
        self, key: MachineKey, known: frozenset[str], timeout: float
    ) -> RunsThere | Unanswered:
        assert (key, known) == (MX2, LESS)
        return RunsThere(Running(9, "cd", "s"), default_values(), 100, proven=True)


async def test_what_a_machine_elsewhere_runs_is_asked_there_and_kept() -> None:
    streams = AllStreams(_Own(), _There(), Fleet().enrolment)  # type: ignore[arg-type]
    found = await streams.ask_settings(MX2, LESS, 1.0)
    assert isinstance(found, RunsThere)
    assert streams.running.find("cd", LESS) == default_values()
