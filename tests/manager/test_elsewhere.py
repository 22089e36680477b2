"""What other managers say of machines counts as what streams here say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
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
from tdc.manager.view.seen import Moment, Seen, SyncState
from tdc.shared.edge.grpc_tls import client_channel
from tdc.shared.settings.known import KNOWN_HERE
from tdc.shared.settings.schema import default_values
from tdc.shared.sync.queue_work import ListDead, QueueOrder, Selection, Unanswered
from tdc.shared.sync.values import Running
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

    def content_hash(
        self, cluster: str, machine: str, known: frozenset[str] = KNOWN_HERE
    ) -> str | None:
        return "ab" if known == KNOWN_HERE else None

    def lacking(self, cluster: str, machine: str, known: frozenset[str]) -> tuple[str, ...]:
        return tuple(sorted(KNOWN_HERE - known))

    def wanted(
        self, cluster: str, machine: str, known: frozenset[str] = KNOWN_HERE
    ) -> agents_pb2.Wanted | None:
        return agents_pb2.Wanted(revision=7, hash="ab", store_id="s")

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


def both(fleet: Fleet | None = None) -> tuple[Presence, Others]:
    others = Others()
    presence = Presence(fleet or Fleet(), lambda: 10.0, lambda: 10.0, elsewhere=others, name="one")
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


def test_other_managers_hear_of_a_new_name() -> None:
    presence, _ = both()
    presence.connected(MX1, "1.2")
    number, _ = presence.changed_since(0)
    presence.renamed({MX1: MX2})
    _, ((key, _, enrolment, _),) = presence.changed_since(number)
    assert (key, enrolment) == (MX2, "of mx2")


class _NoManagers:
    all: Mapping[str, Announced] = {}  # never changed


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
    streams = AllStreams(_Nowhere(), peers, fleet.enrolment)
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

    answers: dict[str, RunsThere]
    running: KnownRunning = field(default_factory=KnownRunning)

    async def ask_settings(self, key: MachineKey, timeout: float, /) -> RunsThere | Unanswered:
        answer = self.answers[key[1]]
        self.running.take(answer, KNOWN_HERE)
        return answer


class View:
    """A view of cluster c1, of which everything is in reach."""

    def __init__(self, machines: Iterable[str]) -> None:
        made = new_cluster("c1", {})
        group = next(iter(made.groups))
        self._cluster = replace(made, machines={each: Machine(each, group) for each in machines})

    def find_cluster(self, name: str) -> Cluster:
        return self._cluster

    def in_force(self, cluster: str, machine: str) -> None:
        return None

    def content_hash(self, cluster: str, machine: str, known: frozenset[str]) -> str:
        return "ab"


async def recovery(presence: Presence, here: str = "") -> Recovery:
    runs = RunsThere(Running(9, "cd", "s"), default_values(), 100, proven=True)
    streams, view = Streams({here: runs}), View(["mx1", "mx2"])
    does = RecoveryOperations(view, presence, streams)  # type: ignore[arg-type]
    return await does.find_edits(Actor("ana", Role.ADMINISTRATOR, EVERYWHERE, "here"), "c1")


async def test_one_here_speaks_for_those_elsewhere_that_run_the_same() -> None:
    presence, others = both()
    presence.connected(MX1, "1.2")
    presence.heard(MX1, Running(9, "cd", "s"), None)
    others.says(MX2, running=Running(9, "cd", "s"))
    found = await recovery(presence, here="mx1")
    assert (found.known, list(found.unknown), found.ahead) == (2, [], 9)


async def test_one_elsewhere_for_which_nobody_speaks_is_named_with_its_manager() -> None:
    presence, others = both()
    presence.connected(MX1, "1.2")
    presence.heard(MX1, Running(9, "cd", "s"), None)
    others.says(MX2, running=Running(9, "ef", "s"))
    found = await recovery(presence, here="mx1")
    (unknown,) = found.unknown
    assert (found.known, unknown.machine) == (1, "mx2")
    assert "connected to manager two" in unknown.why
    assert "tdc recover c1" in unknown.why
