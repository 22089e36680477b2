"""What follows from an attempt that ended: properties of the rules, against their plain words."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from hypothesis import given
from hypothesis import strategies as st
from tdc.node_agent.deliver.effects import (
    BackToQueue,
    CountFailure,
    CountMaybeDuplicate,
    Defer,
    Effect,
    GiveBackWaiting,
    Hold,
    HoldDestination,
    LearnLimit,
    LengthenHold,
    LimitConnections,
    LogFailed,
    LogHeld,
    LogNoFurther,
    MarkDead,
    MarkDelivered,
    MarkHostBad,
    ReleaseHold,
    SendAgain,
)
from tdc.node_agent.deliver.mx import Candidate
from tdc.node_agent.deliver.settle import (
    BAD_HOST_WAIT,
    BUSY_WAIT,
    EndedAttempt,
    Moment,
    Standing,
    cut_off,
    ended,
    returns_to_spool,
    settle,
    settle_unopened,
)
from tdc.node_agent.deliver.trouble import MANY_IN_A_ROW, Outcome, Verdict
from tdc.node_agent.spool.values import Copy
from tdc.shared.connector.settings import ConnectorSettings
from tdc.shared.mail.envelope import Envelope

NOW = Moment(monotonic=1_000.0, steady=2e9)
SETTINGS = replace(
    ConnectorSettings.defaults(),
    retry_initial=60,
    retry_maximum=3_600,
    retry_lifetime=86_400,
    delivery_max_connections=5,
)
HOST = Candidate("mx1.intake.example", "192.0.2.1", 25)
LATE, YOUNG = 2e9 - 86_400, 2e9 - 3_600
COPY = Copy(7, "0" * 32, "copies@intake.example", Envelope("", ("a@b.example",)), b"", YOUNG)
FAILURES = (Verdict.HOLD, Verdict.DEFER, Verdict.DEAD)

HOLDS = st.none() | st.builds(
    Hold,
    reason=st.just("TLS Error"),
    check=st.just("before"),
    since=st.just(500.0),
    next_probe=st.sampled_from([900.0, 1_000.0, 1_100.0]),
    failures=st.integers(1, 100),
)
STANDINGS = st.builds(
    Standing,
    hold=HOLDS,
    connections=st.integers(1, 8),
    allowed=st.integers(1, 8),
    refused_in_a_row=st.sampled_from([0, MANY_IN_A_ROW - 1, MANY_IN_A_ROW, 100]),
    stopping=st.booleans(),
)
ATTEMPTS = st.builds(
    EndedAttempt,
    copy=st.builds(
        lambda at, attempts: replace(COPY, taken_at=at, attempts=attempts),
        st.sampled_from([LATE - 1, LATE, LATE + 1, YOUNG, 2e9 + 50]),
        st.integers(0, 50),
    ),
    number=st.just(3),
    candidate=st.just(HOST),
    delivered=st.integers(0, 3),
    was_idle=st.booleans(),
)
OUTCOMES = st.builds(
    Outcome,
    verdict=st.sampled_from(Verdict),
    reason=st.just("Some Reason"),
    check=st.just("what to check"),
    maybe_duplicate=st.booleans(),
    fewer=st.booleans(),
    at_least=st.sampled_from([0.0, 300.0]),
    suspect=st.booleans(),
)


T = TypeVar("T", bound=Effect)


def of_type(effects: tuple[Effect, ...], kind: type[T]) -> list[T]:
    return [one for one in effects if isinstance(one, kind)]


@given(ATTEMPTS, OUTCOMES, STANDINGS)
def test_each_attempt_gives_its_copy_the_fate_that_the_policy_names(
    attempt: EndedAttempt, outcome: Outcome, standing: Standing
) -> None:
    """The dumb twin: verdict, age and run of refusals to one fate."""
    fate = settle(attempt, outcome, standing, SETTINGS, NOW).fate
    copy, verdict = attempt.copy, outcome.verdict
    over = copy.taken_at <= LATE
    run = standing.refused_in_a_row >= MANY_IN_A_ROW and verdict in (Verdict.DEFER, Verdict.DEAD)
    expected: type
    if verdict is Verdict.DELIVERED:
        expected = MarkDelivered
    elif verdict not in FAILURES:
        expected = SendAgain
    elif (verdict is Verdict.DEAD and not run) or over:
        expected = MarkDead
    elif verdict is Verdict.HOLD and not outcome.suspect:
        expected = BackToQueue
    else:
        expected = Defer
    assert type(fate) is expected
    assert fate.mid == copy.mid
    if isinstance(fate, Defer):
        assert NOW.steady < fate.next_at <= min(copy.taken_at, NOW.steady) + SETTINGS.retry_lifetime


@given(ATTEMPTS, OUTCOMES, STANDINGS)
def test_a_hold_raises_its_alarm_once_and_only_its_probe_lengthens_it(
    attempt: EndedAttempt, outcome: Outcome, standing: Standing
) -> None:
    effects = settle(attempt, outcome, standing, SETTINGS, NOW).effects
    run = standing.refused_in_a_row >= MANY_IN_A_ROW and outcome.verdict in FAILURES
    holds = outcome.verdict is Verdict.HOLD or run
    begun = [one.hold for one in of_type(effects, HoldDestination)]
    longer = [one.hold for one in of_type(effects, LengthenHold)]
    before = standing.hold
    probed = before is not None and before.next_probe <= NOW.monotonic
    assert len(begun) == (holds and before is None)
    assert len(longer) == (holds and probed)
    assert len(of_type(effects, GiveBackWaiting)) == holds
    assert len(of_type(effects, LogHeld)) == holds
    for hold in begun + longer:
        assert hold.next_probe >= NOW.monotonic + max(SETTINGS.retry_initial, outcome.at_least)
        assert hold.next_probe <= NOW.monotonic + SETTINGS.retry_maximum
        assert hold.reason == outcome.reason
    for hold in longer:
        assert before is not None
        assert (hold.since, hold.failures) == (before.since, before.failures + 1)


@given(ATTEMPTS, OUTCOMES, STANDINGS)
def test_what_is_counted_adds_up(
    attempt: EndedAttempt, outcome: Outcome, standing: Standing
) -> None:
    """A failure is counted once; a copy that goes again at once, and a delivery, never."""
    settlement = settle(attempt, outcome, standing, SETTINGS, NOW)
    counts = of_type(settlement.effects, CountFailure)
    assert len(counts) == (outcome.verdict in FAILURES)
    for count in counts:
        assert count.refused == (outcome.verdict is not Verdict.HOLD)
        assert count.maybe_duplicate == outcome.maybe_duplicate
        assert count.deferred != isinstance(settlement.fate, MarkDead)


@given(ATTEMPTS, OUTCOMES, STANDINGS)
def test_only_a_delivery_ends_a_hold_and_it_lets_connections_grow(
    attempt: EndedAttempt, outcome: Outcome, standing: Standing
) -> None:
    effects = settle(attempt, outcome, standing, SETTINGS, NOW).effects
    delivered = outcome.verdict is Verdict.DELIVERED
    assert len(of_type(effects, ReleaseHold)) == (delivered and standing.hold is not None)
    for limit in of_type(effects, LimitConnections):
        if delivered:
            most = SETTINGS.delivery_max_connections
            assert limit.connections == standing.allowed + 1 <= most
        else:
            assert 1 <= limit.connections <= max(1, standing.allowed // 2)


def test_the_last_of_a_run_of_refusals_is_deferred_so_that_another_is_the_probe() -> None:
    run = Standing(refused_in_a_row=MANY_IN_A_ROW)
    refused = Outcome(Verdict.DEAD, "Message Refused", "no")
    settlement = settle(EndedAttempt(COPY), refused, run, SETTINGS, NOW)
    assert isinstance(settlement.fate, Defer)
    assert of_type(settlement.effects, HoldDestination)
    assert not of_type(settlement.effects, LogFailed)


def test_a_busy_intake_gets_half_the_connections_and_none_for_a_while() -> None:
    busy = Outcome(Verdict.DEFER, "Message Deferred", "452 full", fewer=True)
    effects = settle(EndedAttempt(COPY), busy, Standing(None, 4, 5), SETTINGS, NOW).effects
    assert of_type(effects, LimitConnections) == [LimitConnections(2, 1_000.0 + BUSY_WAIT)]


def test_a_host_that_failed_is_left_for_the_next() -> None:
    outcome = Outcome(Verdict.NEXT_HOST, "Timeout", "mx1 gave no reply")
    settlement = settle(EndedAttempt(COPY, 3, HOST), outcome, Standing(), SETTINGS, NOW)
    assert settlement.leaves
    assert MarkHostBad(HOST, 1_000.0 + BAD_HOST_WAIT) in settlement.effects


@given(st.integers(0, 5), st.booleans())
def test_an_end_between_two_reports_suggests_a_limit_unless_the_connection_was_idle(
    delivered: int, was_idle: bool
) -> None:
    attempt = EndedAttempt(COPY, 3, HOST, delivered=delivered, was_idle=was_idle)
    again = settle(attempt, Outcome(Verdict.AGAIN), Standing(), SETTINGS, NOW)
    learned = of_type(again.effects, LearnLimit)
    assert learned == ([LearnLimit(3, delivered)] if delivered and not was_idle else [])
    assert of_type(ended(3, delivered), LearnLimit) == [LearnLimit(3, delivered)] * bool(delivered)


# Without a copy


@given(OUTCOMES.filter(lambda one: one.verdict is not Verdict.DELIVERED), STANDINGS)
def test_a_further_connection_that_fails_holds_nothing_while_others_work(
    outcome: Outcome, standing: Standing
) -> None:
    standing = standing._replace(stopping=False)
    outcome = outcome._replace(verdict=Verdict.HOLD)
    enough = settle_unopened(HOST, outcome, standing, 3, SETTINGS, NOW)
    assert LimitConnections(3, 1_000.0 + BUSY_WAIT) in enough
    assert LogNoFurther("what to check") in enough
    assert not of_type(enough, HoldDestination) + of_type(enough, GiveBackWaiting)
    alone = settle_unopened(HOST, outcome, standing, 0, SETTINGS, NOW)
    assert len(of_type(alone, GiveBackWaiting)) == 1
    assert len(of_type(alone, HoldDestination)) == (standing.hold is None)
    assert [one.deferred for one in of_type(alone, CountFailure)] == [True]


@given(OUTCOMES, STANDINGS, st.integers(0, 3))
def test_a_stopping_agent_decides_nothing_about_a_destination(
    outcome: Outcome, standing: Standing, working: int
) -> None:
    standing = standing._replace(stopping=True)
    assert settle_unopened(HOST, outcome, standing, working, SETTINGS, NOW) == ()
    assert returns_to_spool(standing)


@given(STANDINGS)
def test_copies_in_hand_stay_out_of_the_spool_only_while_they_may_go_on(standing: Standing) -> None:
    assert returns_to_spool(standing) == (standing.stopping or standing.hold is not None)


def test_a_reply_that_will_not_be_seen_may_be_a_duplicate() -> None:
    assert cut_off(awaits_reply=True) == (CountMaybeDuplicate(),)
    assert cut_off(awaits_reply=False) == ()
