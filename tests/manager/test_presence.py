"""Facts that depend on the time when they are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from tdc.manager.store.joins import Withdrawal
from tdc.manager.view.names import MachineKey
from tdc.manager.view.presence import Presence
from tdc.manager.view.seen import TAKEOVER_WINDOW, SyncState
from tdc.shared.edge.awake import LONGEST_STEP, AwakeClock
from tdc.shared.settings.known import KNOWN_HERE
from tdc.shared.sync.health import OFFLINE_CRITICAL, Known, problems_of, worst
from tdc.shared.sync.report import MachineReport
from tdc.shared.sync.values import Running
from tdc.shared.wire.report import report_of
from tdc.v1 import agents_pb2

KEY = ("c1", "mx1")


class OneMachine:
    """A fleet of one machine that is enrolled, or is not, or is gone."""

    enrolled: str | None = "e1"
    hash: str | None = "ab"

    def content_hash(
        self, cluster: str, machine: str, known: frozenset[str] = KNOWN_HERE
    ) -> str | None:
        return self.hash

    def lacking(self, cluster: str, machine: str, known: frozenset[str]) -> tuple[str, ...]:
        return ()

    def wanted(
        self, cluster: str, machine: str, known: frozenset[str] = KNOWN_HERE
    ) -> agents_pb2.Wanted | None:
        return agents_pb2.Wanted(revision=7, hash="ab")

    def withdrawn(self, cluster: str, machine: str) -> None:
        """Nobody did."""

    def enrolment(self, cluster: str, machine: str) -> str | None:
        return self.enrolled

    def on_change(self, listener: Callable[[frozenset[MachineKey]], None], /) -> None: ...


def test_a_silence_grows_while_it_lasts() -> None:
    """However the wall clock is set meanwhile: a day back, a year ahead."""
    now = 1_000.0
    wall = now
    presence = Presence(OneMachine(), lambda: wall, lambda: now)
    presence.connected(KEY, "1.2.3")
    presence.heard(KEY, Running(7, "ab", "s"), None)
    now = wall = 1_015.0
    presence.disconnected(KEY, "nothing heard for 15 s", dead=True)
    for later, words in ((0, "15 s"), (60, "75 s"), (7_200, "2 h"), (10**6, "11 days")):
        now = 1_015.0 + later
        for step in (0, -86_400, 3e7):
            wall = now + step
            facts = presence.facts(*KEY)
            assert facts.state is SyncState.STALE
            assert facts.reason.startswith(f"nothing heard for {words}")
            assert facts.since == 1_000.0
            assert facts.lasts == 15 + later


@dataclass
class Clocks:
    """A wall clock that people set, and time that passes."""

    wall: float = 1_795_425_302.0
    steady: float = 1_000.0

    def passes(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


def _health(presence: Presence) -> str:
    facts = presence.facts(*KEY)
    known = Known(
        facts.state, facts.since, facts.reason, facts.status, facts.status_time,
        lasts=facts.lasts, report_age=facts.status_age, refused_for=facts.refused_for,
    )  # fmt: skip
    return worst(problems_of(known))


def _report(refuses_manager: str = "") -> MachineReport:
    return report_of(agents_pb2.MachineStatus(refuses_manager=refuses_manager))


RUNS, OTHER = Running(7, "ab", "s"), Running(6, "cd", "s")


@pytest.mark.parametrize("step", [-86_400, 0, 86_400, 3e8])
@pytest.mark.parametrize("dead", [True, False])
@pytest.mark.proves("P19")
def test_a_clock_that_is_set_makes_no_machine_older_or_younger(step: float, dead: bool) -> None:
    """Set back it must not hide that a machine is away, set ahead not make it critical at once."""
    clocks = Clocks()
    presence = Presence(OneMachine(), lambda: clocks.wall, lambda: clocks.steady)
    presence.connected(KEY, "1.2.3")
    presence.heard(KEY, RUNS, None, _report())
    clocks.wall += step
    assert _health(presence) == "ok"
    clocks.passes(70)
    assert _health(presence) == "warning", "no report for a minute"
    presence.disconnected(KEY, "the agent disconnected", dead=dead)
    clocks.wall -= step
    assert _health(presence) == "warning"
    clocks.passes(OFFLINE_CRITICAL)
    clocks.wall += step
    assert _health(presence) == "critical"


def test_clones_are_forgotten_after_a_while_by_any_wall_clock() -> None:
    clocks = Clocks()
    presence = Presence(OneMachine(), lambda: clocks.wall, lambda: clocks.steady)
    presence.connected(KEY, "1.2.3")
    for _ in range(3):
        presence.taken_over(KEY, "a", "b")
    clocks.wall -= 86_400
    assert presence.facts(*KEY).warning
    clocks.passes(TAKEOVER_WINDOW + 1)
    assert not presence.facts(*KEY).warning


def test_a_manager_that_was_stopped_does_not_take_its_machines_for_lost() -> None:
    """When it goes on, their reports wait to be read; what was old before is as old as before."""
    clocks = Clocks()
    awake = AwakeClock(lambda: clocks.steady)
    presence = Presence(OneMachine(), lambda: clocks.wall, awake)
    presence.connected(KEY, "1.2.3")
    presence.heard(KEY, RUNS, None, _report())
    clocks.passes(3_600)
    assert _health(presence) == "ok"
    assert presence.facts(*KEY).status_age <= LONGEST_STEP
    presence.disconnected(KEY, "the agent disconnected", dead=False)
    for _ in range(int(OFFLINE_CRITICAL)):
        clocks.passes(1)
        awake()
    assert _health(presence) == "critical"


def test_a_machine_that_refuses_this_manager_is_not_in_sync_and_is_critical_in_the_end() -> None:
    """It leaves, and comes back now and then to look: that does not begin the time again."""
    clocks = Clocks()
    presence = Presence(OneMachine(), lambda: clocks.wall, lambda: clocks.steady)
    for _ in range(3):
        presence.connected(KEY, "1.2.3")
        presence.heard(KEY, OTHER, None, _report())
        assert presence.facts(*KEY).state is SyncState.OUT_OF_SYNC
        presence.heard(KEY, RUNS, None, _report("another history"))
        facts = presence.facts(*KEY)
        assert (facts.state, facts.reason) == (SyncState.REJECTED, "another history")
        clocks.passes(1)
        presence.disconnected(KEY, "the agent disconnected", dead=False)
        facts = presence.facts(*KEY)
        assert facts.state is SyncState.OFFLINE
        assert facts.reason == "it refused this manager: another history"
        clocks.passes(149)
        presence.connected(KEY, "1.2.3")
        presence.heard(KEY, RUNS, None, _report("another history"))
        clocks.wall -= 86_400
    assert _health(presence) == "critical"
    presence.heard(KEY, RUNS, None, _report())
    assert _health(presence) == "ok"
    presence.heard(KEY, RUNS, None, _report("another history"))
    assert _health(presence) == "warning", "it began again"


def test_a_machine_that_has_not_come_since_the_manager_started_becomes_critical_too() -> None:
    """By the rule for one that was seen to leave, from the manager's start on."""
    now = 1_000.0
    presence = Presence(OneMachine(), lambda: now, lambda: now)
    for later, expected in ((0.0, "warning"), (OFFLINE_CRITICAL, "critical")):
        now = 1_000.0 + later
        facts = presence.facts(*KEY)
        known = Known(facts.state, facts.since, facts.reason, None, None, lasts=facts.lasts)
        assert worst(problems_of(known)) == expected
    assert facts.reason == "has not connected to this manager, which started 5 min ago"
    assert facts.applied_revision == 0


def test_a_withdrawn_certificate_says_more_than_how_the_stream_ended() -> None:
    class Withdrawn(OneMachine):
        enrolled = None

        def withdrawn(self, cluster: str, machine: str) -> Withdrawal:  # type: ignore[override]  # here somebody did
            return Withdrawal("ana", "disk was stolen")

    presence = Presence(Withdrawn())
    presence.connected(KEY, "1.2.3")
    presence.disconnected(KEY, "its certificate is by a CA that was replaced", dead=False)
    assert "withdrawn by ana: disk was stolen" in presence.facts(*KEY).reason


@pytest.mark.parametrize("removed", [False, True])
def test_a_machine_has_its_time_from_its_enrolment_on_however_long_the_manager_ran(
    removed: bool,
) -> None:
    """Also one that takes the name of a machine which was connected and was removed."""
    clocks, fleet = Clocks(), OneMachine()
    presence = Presence(fleet, lambda: clocks.wall, lambda: clocks.steady)
    fleet.enrolled = None
    if removed:
        fleet.enrolled = "e0"
        presence.connected(KEY, "1.2.3")
        presence.disconnected(KEY, "the machine was removed", dead=False)
        fleet.enrolled = fleet.hash = None
        presence.enrolled([KEY])
        presence.changed([KEY])
        fleet.hash = "ab"
    clocks.passes(86_400)
    assert presence.facts(*KEY).reason == "not enrolled yet"
    fleet.enrolled = "e1"
    presence.enrolled([KEY])
    enrolled_at = clocks.wall
    clocks.passes(4)
    facts = presence.facts(*KEY)
    assert (facts.since, facts.lasts) == (enrolled_at, 4.0)
    assert facts.reason == "has not connected since it was enrolled 4 s ago"
    assert _health(presence) == "warning"
    clocks.passes(OFFLINE_CRITICAL)
    assert _health(presence) == "critical"
    presence.connected(KEY, "1.2.3")
    presence.heard(KEY, RUNS, None, _report())
    assert presence.facts(*KEY).state is SyncState.IN_SYNC
