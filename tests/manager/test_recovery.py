"""Which machines are asked what they run, and what their answers count for."""

from __future__ import annotations

from dataclasses import dataclass, field

from tdc.manager.intent.monitoring import _unknown
from tdc.manager.intent.recovery import _SILENT, _Asked
from tdc.manager.push.running import KnownRunning
from tdc.manager.push.strangers import AGAIN, KEPT, MOST, Strangers
from tdc.manager.view.ahead import AheadOfStore
from tdc.manager.view.names import MachineKey
from tdc.manager.view.seen import Stranger
from tdc.shared.settings.known import KNOWN_HERE
from tdc.shared.settings.schema import default_values
from tdc.shared.sync.identity import MachinePeer
from tdc.shared.sync.queue_work import Unanswered
from tdc.shared.sync.values import Running
from tdc.shared.wire.running_settings import RunsThere
from tdc.v1 import agents_pb2

VALUES = default_values()
GONE = Unanswered("it is not connected to this manager")


def runs(hash_: str, *, proven: bool = True) -> RunsThere:
    return RunsThere(Running(5, hash_, "s"), VALUES, 100, proven)


@dataclass
class FakeAgents:
    """Answers by machine."""

    answers: dict[str, RunsThere | Unanswered]
    running: KnownRunning = field(default_factory=KnownRunning)
    asked: list[str] = field(default_factory=list)

    async def ask_settings(
        self, key: MachineKey, known: frozenset[str], timeout: float, /
    ) -> RunsThere | Unanswered:
        self.asked.append(key[1])
        return self.answers[key[1]]


async def asked(
    answers: dict[str, RunsThere | Unanswered], hash_: str = "h"
) -> tuple[_Asked, list[str]]:
    agents = FakeAgents(answers)
    made = _Asked(agents, "c1")
    made.groups[hash_, KNOWN_HERE] = list(answers)
    await made.ask()
    return made, agents.asked


async def test_one_machine_speaks_for_those_that_run_the_same() -> None:
    made, who = await asked({f"mx{each}": runs("h") for each in range(100)})
    assert who == ["mx0"]
    assert len(made.runs) == 100
    assert made.unknown == {}


async def test_the_next_one_is_asked_where_one_does_not_answer() -> None:
    made, who = await asked({"mx1": GONE, "mx2": runs("h"), "mx3": runs("h")})
    assert who == ["mx1", "mx2"]
    assert made.runs.keys() == {"mx1", "mx2", "mx3"}, "it reported the same hash"
    assert made.unknown == {}


async def test_where_nobody_answers_all_are_named() -> None:
    made, who = await asked(dict.fromkeys(["mx1", "mx2", "mx3", "mx4"], GONE))
    assert who == ["mx1", "mx2", "mx3"]
    assert made.runs == {}
    assert made.unknown == dict.fromkeys(who, GONE.reason) | {"mx4": _SILENT}


async def test_an_answer_without_proof_is_for_its_own_machine_alone() -> None:
    """By a manager of another version the hash was made over other settings, or it is a lie."""
    made, who = await asked(
        {"mx1": runs("h", proven=False), "mx2": GONE, "mx3": runs("h", proven=False)}
    )
    assert sorted(who) == ["mx1", "mx2", "mx3"]
    assert made.runs.keys() == {"mx1", "mx3"}
    assert made.unknown == {"mx2": GONE.reason}


async def test_a_machine_that_runs_something_else_by_now_speaks_for_itself() -> None:
    made, who = await asked({"mx1": runs("newer"), "mx2": GONE})
    assert sorted(who) == ["mx1", "mx2"]
    assert made.runs.keys() == {"mx1"}


@dataclass
class FakeFleet:
    """What every machine of a store should run."""

    revision: int = 55
    hash: str = "old"
    store_id: str = "s"

    def content_hash(self, cluster: str, machine: str, known: frozenset[str]) -> str | None:
        return self.hash

    def wanted(self, cluster: str, machine: str) -> agents_pb2.Wanted | None:
        if machine == "gone":
            return None
        return agents_pb2.Wanted(revision=self.revision, hash=self.hash, store_id=self.store_id)


def test_the_fleet_is_ahead_until_the_store_is_adopted_or_catches_up() -> None:
    fleet = FakeFleet()
    ahead = AheadOfStore(fleet)
    for each, revision in (("mx1", 58), ("mx2", 57), ("mx3", 55), ("mx4", 9)):
        ahead.heard(("c1", each), Running(revision, f"of {revision}", "s"), KNOWN_HERE)
    ahead.heard(("c2", "mx1"), Running(58, "x", "another store"), KNOWN_HERE)
    ahead.heard(("c2", "gone"), Running(58, "x", "s"), KNOWN_HERE)
    (found,) = ahead.in_cluster("c1")
    assert (found.machines, found.newest, found.store, found.differ) == (2, 58, 55, True)
    assert str(found).startswith(
        "the fleet is ahead of the store: 2 machines run revisions up to 58 of cluster c1, the "
        "store is at 55. "
    )
    assert "They keep what runs. `tdc recover c1`" in str(found)
    assert ahead.in_cluster("c2") == ()
    (one,) = ahead.of({("c1", "mx1")})
    assert "1 machine runs revision 58" in str(one)
    fleet.hash, fleet.revision = "of 58", 56
    (found,) = ahead.of({("c1", "mx1")})
    assert not found.differ
    assert "tdc-manager adopt" in str(found)
    assert str(found).index("tdc recover c1") < str(found).index("tdc-manager adopt")
    fleet.store_id = "adopted"
    assert ahead.in_cluster("c1") == ()
    fleet.store_id = "s"
    assert ahead.in_cluster("c1") == (), "forgotten until they say so again"


def test_who_came_with_an_unknown_certificate_is_named_for_a_while() -> None:
    now = 0.0
    strangers = Strangers(lambda: now)

    def came(name: str, enrolment: str, *, replaced: bool = False) -> None:
        strangers.came(MachinePeer("c1", name, enrolment), "10.0.0.9", replaced=replaced)

    mx2 = Stranger("c1", "mx2", "10.0.0.9", replaced=False)
    came("mx1", "e1")
    came("mx2", "e2")
    assert strangers.now(lambda key: key == ("c1", "mx1")) == (mx2,)
    now = KEPT - 1
    came("mx2", "e2")
    now = KEPT + 1
    assert strangers.now(lambda _: False) == (mx2,)
    for each in range(MOST + 5):
        came(f"my{each}", "e")
    assert len(strangers.now(lambda _: False)) == MOST


def test_one_whose_name_another_machine_has_is_another_machine() -> None:
    """Not the one that was enrolled again a moment ago: its earlier certificate is soon gone."""
    now = 0.0
    strangers = Strangers(lambda: now)
    old = MachinePeer("c1", "mx1", "of before")
    strangers.came(old, "10.0.0.9", replaced=False)
    now = 1.0
    strangers.came(old, "10.0.0.9", replaced=True)
    now = 2.0
    strangers.came(old, "10.0.0.9", replaced=True)
    assert strangers.now(lambda _: True) == ()
    now = 1.0 + AGAIN
    strangers.came(old, "10.0.0.8", replaced=True)
    (found,) = strangers.now(lambda _: True)
    assert found == Stranger("c1", "mx1", "10.0.0.8", replaced=True)


def test_an_earlier_certificate_is_no_reason_to_touch_the_machine_of_that_name() -> None:
    unknown = Stranger("corp", "mx3", "10.0.0.3", replaced=False)
    (said,) = _unknown([unknown])
    assert said.startswith("1 machine comes with a certificate that the store does not know: ")
    assert "corp/mx3 (from 10.0.0.3)" in said
    (said,) = _unknown([Stranger("corp", "mx1", "10.0.0.9", replaced=True)])
    assert "the store does not know" not in said
    assert "corp/mx1 (from 10.0.0.9). It is not the machine that is listed by that name" in said
    assert "stop its agent, or give it a name of its own" in said
