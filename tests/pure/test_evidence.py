"""Lives of copies under a virtual clock: who dies, when, and who never does."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tdc.node_agent.deliver.effects import Defer, MarkDead, NoteFailure
from tdc.node_agent.deliver.evidence import (
    DEAD_AFTER,
    DEAD_WITHIN,
    FEW_IN_A_ROW,
    Failures,
    is_proven,
    weighed,
)
from tdc.node_agent.deliver.record import MOST_COPIES, Record
from tdc.node_agent.deliver.settle import EndedAttempt, Moment, Standing, settle
from tdc.node_agent.deliver.trouble import Outcome, Verdict
from tdc.node_agent.spool.values import Copy
from tdc.shared.connector.settings import ConnectorSettings
from tdc.shared.mail.envelope import Envelope

SETTINGS = ConnectorSettings.defaults()
REFUSED = Outcome(Verdict.REFUSED, "Message Refused", "554 no", "554 no")
WALL = 2e9
COPY = Copy(7, "0" * 32, "copies@intake.example", Envelope("", ("a@b.example",)), b"", WALL)


@dataclass
class Life:
    """One copy that is refused at each attempt, until it is dead or 30 days have passed."""

    outcome: Outcome = REFUSED
    others: int = 1  # delivered between two attempts
    wall_jump: float = 0.0  # after the first attempt
    record: Record = field(default_factory=Record)
    clock: float = 0.0
    copy: Copy = COPY

    def attempts(self) -> Iterator[tuple[float, type]]:
        jumped = 0.0
        other = itertools.count(1_000)
        while self.clock < 30 * 86_400:
            attempt = EndedAttempt(self.copy, failures=self.record.failures(self.copy.mid))
            delivered_at = self.record.delivered_at
            row = self.record.in_a_row(self.copy.mid)
            standing = Standing(refused_in_a_row=row, delivered_at=delivered_at)
            moment = Moment(self.clock, WALL + self.clock + jumped)
            settled = settle(attempt, self.outcome, standing, SETTINGS, moment)
            for effect in settled.effects:
                if isinstance(effect, NoteFailure):
                    self.record.note_failure(effect.mid, effect.at, died=effect.died)
            yield self.clock, type(settled.fate)
            if not isinstance(settled.fate, Defer):
                return
            self.copy = replace(self.copy, attempts=self.copy.attempts + 1)
            self.clock += settled.fate.next_at - moment.steady
            jumped = self.wall_jump
            for _ in range(self.others):
                self.record.note_delivery(next(other), self.clock - 1)


def test_a_message_refused_for_good_dies_of_several_attempts_over_hours() -> None:
    *before, (died_at, fate) = Life().attempts()
    assert fate is MarkDead
    assert len(before) + 1 >= DEAD_AFTER
    assert DEAD_WITHIN <= died_at <= DEAD_WITHIN + SETTINGS.retry_maximum


def test_a_message_that_is_only_deferred_dies_when_its_lifetime_is_over() -> None:
    *_, (died_at, fate) = Life(REFUSED._replace(verdict=Verdict.DEFER)).attempts()
    assert fate is MarkDead
    assert died_at == pytest.approx(SETTINGS.retry_lifetime)


@pytest.mark.parametrize("verdict", [Verdict.REFUSED, Verdict.DEFER, Verdict.BLOCKED])
def test_without_another_delivery_nothing_dies_in_a_month(verdict: Verdict) -> None:
    fates = [fate for _, fate in Life(REFUSED._replace(verdict=verdict), others=0).attempts()]
    assert set(fates) == {Defer}
    assert len(fates) > 30 * 20


@pytest.mark.parametrize("jump", [-365 * 86_400.0, 365 * 86_400.0])
@pytest.mark.parametrize("verdict", [Verdict.REFUSED, Verdict.DEFER, Verdict.BLOCKED])
def test_a_clock_that_is_set_shortens_no_life(jump: float, verdict: Verdict) -> None:
    """Seconds old, and a year by the clock: it still gets its attempts over its hours."""
    *before, (died_at, _) = Life(REFUSED._replace(verdict=verdict), wall_jump=jump).attempts()
    assert len(before) + 1 >= DEAD_AFTER
    assert died_at >= DEAD_WITHIN


def test_a_restart_forgets_and_so_prolongs() -> None:
    life = Life()
    for clock, fate in life.attempts():
        assert fate is Defer
        if clock > DEAD_WITHIN - 3_600:
            break
    again = Life(copy=life.copy, clock=life.clock)
    *before, (died_at, _) = again.attempts()
    assert len(before) + 1 >= DEAD_AFTER
    assert died_at >= life.clock + DEAD_WITHIN


@given(st.integers(0, 50), st.floats(0, 1e6), st.floats(0, 1e6), st.booleans())
def test_proof_needs_all_of_tries_time_and_others(
    tries: int, first: float, lasted: float, others: bool
) -> None:
    proven = is_proven(Failures(tries, first, others), first + lasted)
    assert proven == (tries >= 4 and (first + lasted) - first >= 4 * 3_600 and others)


HELD, ALONE = Verdict.HOLD, Verdict.DEFER


@pytest.mark.parametrize(
    ("verdict", "in_a_row", "others_pass", "on_hold", "becomes"),
    [
        (Verdict.BLOCKED, 1, True, False, ALONE),
        (Verdict.BLOCKED, 2, True, False, HELD),
        (Verdict.BLOCKED, 0, False, False, HELD),
        (Verdict.BLOCKED, 0, True, True, HELD),
        (Verdict.REFUSED, 19, True, False, Verdict.REFUSED),
        (Verdict.REFUSED, 20, True, False, HELD),
        (Verdict.DEFER, 20, True, False, HELD),
        (Verdict.REFUSED, 0, False, True, Verdict.REFUSED),
    ],
)
def test_whose_fault_a_refusal_is(
    verdict: Verdict, in_a_row: int, others_pass: bool, on_hold: bool, becomes: Verdict
) -> None:
    """Three in a row about the intake are its fault though others pass; about the message, 21."""
    outcome = Outcome(verdict, "Intake Full", "452 4.2.2 full")
    judged = weighed(outcome, in_a_row, others_pass=others_pass, on_hold=on_hold)
    assert judged.verdict is becomes
    replied = Outcome(Verdict.HOLD, "Intake Full", "452 4.2.2 full", replied=True)
    if verdict is Verdict.BLOCKED:
        judged = weighed(replied, in_a_row, others_pass=others_pass, on_hold=on_hold)
        assert judged.verdict is becomes


# The record, against a list of what happened

STORY = st.lists(
    st.tuples(st.sampled_from(["failed", "died", "delivered", "undo"]), st.integers(1, 5)),
    max_size=60,
)


@given(STORY)
def test_the_record_is_what_the_story_says(story: list[tuple[str, int]]) -> None:
    record = Record()
    run: list[tuple[str, int]] = []  # since the last delivery
    undone = 0  # events of it that no longer count
    for at, (what, mid) in enumerate(story):
        if what == "delivered":
            record.note_delivery(mid, float(at))
            run, undone = [], 0
            assert record.failures(mid) == Failures()
        elif what == "undo":
            died = [one for event, one in run[undone:] if event == "died"]
            assert record.undo_run() == died
            undone = len(run)
            assert all(record.failures(one) == Failures() for _, one in run)
        else:
            before = record.failures(mid)
            record.note_failure(mid, float(at), died=what == "died")
            run.append((what, mid))
            after = Failures(before.tries + 1, before.first if before.tries else float(at))
            assert record.failures(mid) == (Failures() if what == "died" else after)
        for other in range(1, 6):
            assert record.in_a_row(other) == len({one for _, one in run} - {other})
            failures = record.failures(other)
            if failures.tries:  # its latest failure is in this run, or others passed since
                assert failures.others_passed == (("failed", other) not in run)


def test_the_record_forgets_the_oldest_and_never_invents() -> None:
    record = Record()
    for mid in range(MOST_COPIES + 10):
        record.note_failure(mid, float(mid), died=False)
    assert record.failures(0) == Failures()
    assert record.failures(MOST_COPIES + 9).tries == 1
    assert record.in_a_row() == MOST_COPIES


def test_the_alarm_about_refusals_is_raised_once_until_none_waits() -> None:
    record = Record()
    raised = []
    for mid in range(1, FEW_IN_A_ROW + 4):
        record.note_failure(mid, 0.0, died=False)
        raised.append(record.warns())
    assert raised == [0] * FEW_IN_A_ROW + [FEW_IN_A_ROW + 1, 0, 0]
    for mid in range(1, FEW_IN_A_ROW + 4):
        record.note_delivery(mid, 1.0)
    assert not record.refusing
    for mid in range(1, FEW_IN_A_ROW + 2):
        record.note_failure(mid, 2.0, died=False)
    assert record.warns() == FEW_IN_A_ROW + 1
