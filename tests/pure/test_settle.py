"""What follows from an attempt that ended: properties of the rules, against their plain words."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from tdc.node_agent.deliver.effects import (
    BackToQueue,
    CountFailure,
    CountMaybeDuplicate,
    Defer,
    GiveBackWaiting,
    Hold,
    HoldDestination,
    LearnLimit,
    LengthenHold,
    LimitConnections,
    LogFailed,
    LogHeld,
    LogNextHost,
    LogNoFurther,
    MarkDead,
    MarkDelivered,
    MarkHostBad,
    NoteFailure,
    NoteReply,
    ReleaseHold,
    SendAgain,
    UndoRun,
    WarnOfRefusals,
)
from tdc.node_agent.deliver.evidence import (
    DEAD_AFTER,
    DEAD_WITHIN,
    FEW_IN_A_ROW,
    MANY_IN_A_ROW,
    PASSING_FOR,
    Failures,
)
from tdc.node_agent.deliver.retry import RetrySettings, wait_after
from tdc.node_agent.deliver.settle import (
    BUSY_WAIT,
    EndedAttempt,
    Standing,
    cut_off,
    ended,
    returns_to_spool,
    settle,
    settle_unopened,
)
from tdc.node_agent.deliver.trouble import Outcome, Verdict

from tests.pure.attempts import (
    ATTEMPTS,
    COPY,
    FAILURES,
    HOST,
    LATE,
    NOW,
    OUTCOMES,
    SETTINGS,
    STANDINGS,
    of_type,
)


def hosts_fault(attempt: EndedAttempt, outcome: Outcome, standing: Standing) -> bool:
    """The policy in plain words: is the host to blame, and not yet the intake?"""
    here, verdict = attempt.here, outcome.verdict
    content = verdict in (Verdict.DEFER, Verdict.REFUSED)
    if not here.more_hosts or not (content or verdict is Verdict.BLOCKED):
        return False
    enough = MANY_IN_A_ROW if content else FEW_IN_A_ROW
    if standing.hold or here.run >= FEW_IN_A_ROW or standing.refused_in_a_row >= enough:
        return True  # it is not one message
    took_nothing = NOW.monotonic - here.delivered_at > PASSING_FOR
    failed_nowhere_else = attempt.failures.tries == 0
    return took_nothing and (not content or (outcome.silent and failed_nowhere_else))


def fails(attempt: EndedAttempt, outcome: Outcome, standing: Standing) -> bool:
    """The copy's attempt is over, and counted: it does not go to the next host at once."""
    passed_on = hosts_fault(attempt, outcome, standing) and not outcome.silent
    return outcome.verdict in FAILURES and not passed_on


def destinations_fault(attempt: EndedAttempt, outcome: Outcome, standing: Standing) -> bool:
    """The policy in plain words: does this failure put the destination on hold?"""
    if hosts_fault(attempt, outcome, standing):
        return False
    others = standing.refused_in_a_row
    by_reply = outcome.verdict is Verdict.HOLD and outcome.replied
    if outcome.verdict is Verdict.BLOCKED or by_reply:
        just_now = NOW.monotonic - standing.delivered_at <= PASSING_FOR
        passing = just_now or attempt.failures.others_passed
        return standing.hold is not None or not passing or others >= FEW_IN_A_ROW
    if outcome.verdict in (Verdict.DEFER, Verdict.REFUSED):
        return others >= MANY_IN_A_ROW
    return outcome.verdict is Verdict.HOLD


@given(ATTEMPTS, OUTCOMES, STANDINGS)
def test_each_attempt_gives_its_copy_the_fate_that_the_policy_names(
    attempt: EndedAttempt, outcome: Outcome, standing: Standing
) -> None:
    """The dumb twin: verdict, age, what it failed before and what others did, to one fate."""
    fate = settle(attempt, outcome, standing, SETTINGS, NOW).fate
    copy, verdict, before = attempt.copy, outcome.verdict, attempt.failures
    over = copy.taken_at <= LATE
    proven = (
        before.tries >= DEAD_AFTER - 1
        and before.first <= NOW.monotonic - DEAD_WITHIN
        and before.others_passed
    )
    expected: type
    if verdict is Verdict.DELIVERED:
        expected = MarkDelivered
    elif not fails(attempt, outcome, standing):
        expected = SendAgain
    elif destinations_fault(attempt, outcome, standing):
        one_of_many = verdict is Verdict.HOLD and not outcome.suspect
        expected = BackToQueue if one_of_many else Defer
    elif hosts_fault(attempt, outcome, standing):
        expected = Defer
    elif proven and (verdict is Verdict.REFUSED or over):
        expected = MarkDead
    else:
        expected = Defer
    assert type(fate) is expected
    assert fate.mid == copy.mid
    if isinstance(fate, Defer):
        latest = NOW.steady + SETTINGS.retry_maximum
        end = min(copy.taken_at, NOW.steady) + SETTINGS.retry_lifetime
        end = max(end, NOW.steady + outcome.at_least)
        assert fate.next_at >= NOW.steady + outcome.at_least
        assert NOW.steady < fate.next_at <= (latest if over else min(end, latest))


@given(ATTEMPTS, OUTCOMES, STANDINGS)
def test_a_hold_raises_its_alarm_once_and_only_its_probe_lengthens_it(
    attempt: EndedAttempt, outcome: Outcome, standing: Standing
) -> None:
    effects = settle(attempt, outcome, standing, SETTINGS, NOW).effects
    holds = destinations_fault(attempt, outcome, standing)
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


def test_an_attempt_from_before_a_hold_does_not_lengthen_it() -> None:
    """Those that were under way when it began fail as well, and say nothing new."""
    for probe_in, lengthened in ((60.0, 0), (0.0, 1)):
        hold = Hold("TLS Error", "before", 99_500.0, NOW.monotonic + probe_in, 2)
        outcome = Outcome(Verdict.HOLD, "TLS Error", "again")
        effects = settle(EndedAttempt(COPY), outcome, Standing(hold), SETTINGS, NOW).effects
        assert len(of_type(effects, LengthenHold)) == lengthened
        assert of_type(effects, HoldDestination) == []


def test_a_probe_that_was_asked_for_does_not_lengthen_a_hold() -> None:
    """The next one is when it was planned; if that is over, as far off as it was."""
    outcome = Outcome(Verdict.HOLD, "TLS Error", "again")
    now = NOW.monotonic
    for planned in (now + 60.0, now - 1.0):
        hold = Hold("TLS Error", "before", 99_500.0, now, 4, planned)
        effects = settle(EndedAttempt(COPY), outcome, Standing(hold), SETTINGS, NOW).effects
        [longer] = of_type(effects, LengthenHold)
        as_before = now + wait_after(4, RetrySettings.of(SETTINGS), NOW.hold_jitter)
        expected = planned if planned > now else as_before
        assert (longer.hold.next_probe, longer.hold.failures) == (expected, 4)
        assert longer.hold.planned is None


@given(ATTEMPTS, OUTCOMES, STANDINGS)
def test_what_is_counted_adds_up(
    attempt: EndedAttempt, outcome: Outcome, standing: Standing
) -> None:
    """A failure is counted once; a copy that goes again at once, and a delivery, never."""
    settlement = settle(attempt, outcome, standing, SETTINGS, NOW)
    counts = of_type(settlement.effects, CountFailure)
    failed = fails(attempt, outcome, standing)
    assert len(counts) == failed
    holds = destinations_fault(attempt, outcome, standing)
    charged = failed and not (outcome.verdict is Verdict.HOLD and holds)
    died = isinstance(settlement.fate, MarkDead)
    noted = [NoteFailure(attempt.copy.mid, NOW.monotonic, died, HOST)]
    assert of_type(settlement.effects, NoteFailure) == (noted if charged else [])
    for count in counts:
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


def test_a_delivery_ends_a_hold() -> None:
    hold = Hold("TLS Error", "before", 99_500.0, NOW.monotonic, 2)
    outcome = Outcome(Verdict.DELIVERED, "", "250 ok")
    for standing, ended_holds in ((Standing(hold), [ReleaseHold()]), (Standing(), [])):
        effects = settle(EndedAttempt(COPY), outcome, standing, SETTINGS, NOW).effects
        assert of_type(effects, ReleaseHold) == ended_holds


@given(ATTEMPTS, OUTCOMES, STANDINGS)
def test_a_run_that_becomes_a_hold_proves_nothing_about_its_messages(
    attempt: EndedAttempt, outcome: Outcome, standing: Standing
) -> None:
    """And what is refused without a hold is an alarm of its own."""
    effects = settle(attempt, outcome, standing, SETTINGS, NOW).effects
    holds = destinations_fault(attempt, outcome, standing)
    assert len(of_type(effects, UndoRun)) == (holds and standing.refused_in_a_row > 0)
    alone = fails(attempt, outcome, standing) and not holds
    assert len(of_type(effects, WarnOfRefusals)) == alone


@given(ATTEMPTS, OUTCOMES, STANDINGS)
def test_what_a_host_said_is_noted_and_nothing_else(
    attempt: EndedAttempt, outcome: Outcome, standing: Standing
) -> None:
    effects = settle(attempt, outcome, standing, SETTINGS, NOW).effects
    said = [NoteReply(HOST, outcome.reply)] if outcome.reply else []
    assert of_type(effects, NoteReply) == said


def test_the_last_of_a_run_of_refusals_is_deferred_so_that_another_is_the_probe() -> None:
    run = Standing(refused_in_a_row=MANY_IN_A_ROW)
    refused = Outcome(Verdict.REFUSED, "Message Refused", "no")
    settlement = settle(EndedAttempt(COPY), refused, run, SETTINGS, NOW)
    assert isinstance(settlement.fate, Defer)
    assert of_type(settlement.effects, HoldDestination)
    assert not of_type(settlement.effects, LogFailed)


@given(ATTEMPTS, STANDINGS, st.sampled_from([Verdict.HOLD, Verdict.BLOCKED]))
def test_an_intake_in_trouble_kills_nothing_however_long_it_lasts(
    attempt: EndedAttempt, standing: Standing, verdict: Verdict
) -> None:
    """Not even what is older than its lifetime: others must have passed it by."""
    failures = attempt.failures._replace(others_passed=False)
    attempt = attempt._replace(failures=failures)
    outcome = Outcome(verdict, "Intake Full", "552 5.2.2 full")
    assert not isinstance(settle(attempt, outcome, standing, SETTINGS, NOW).fate, MarkDead)


def test_last_words_say_how_often_and_how_long() -> None:
    failed = Failures(DEAD_AFTER - 1, NOW.monotonic - 2 * DEAD_WITHIN, others_passed=True)
    refused = Outcome(Verdict.REFUSED, "Message Refused", "mx1 answered end of data with 554 no")
    fate = settle(EndedAttempt(COPY, failures=failed), refused, Standing(), SETTINGS, NOW).fate
    assert fate == MarkDead(
        COPY.mid,
        "Message Refused: mx1 answered end of data with 554 no;"
        " 5 tries in 8.0 h failed while others were delivered",
    )
    late = EndedAttempt(replace(COPY, taken_at=LATE), failures=failed)
    fate = settle(late, refused._replace(verdict=Verdict.DEFER), Standing(), SETTINGS, NOW).fate
    assert isinstance(fate, MarkDead)
    assert fate.reason.startswith(
        "Message Refused: not delivered within 86400 s (retry.lifetime); 5 tries in 8.0 h failed"
    )


def test_a_busy_intake_gets_half_the_connections_and_none_for_a_while() -> None:
    busy = Outcome(Verdict.DEFER, "Message Deferred", "452 full", fewer=True)
    effects = settle(EndedAttempt(COPY), busy, Standing(None, 4, 5), SETTINGS, NOW).effects
    assert of_type(effects, LimitConnections) == [LimitConnections(2, 100_000.0 + BUSY_WAIT)]


def test_a_host_that_failed_is_left_for_the_next() -> None:
    outcome = Outcome(Verdict.NEXT_HOST, "Timeout", "mx1 gave no reply")
    settlement = settle(EndedAttempt(COPY, 3, HOST), outcome, Standing(), SETTINGS, NOW)
    assert settlement.leaves
    assert MarkHostBad(HOST, 3, 100_000.0) in settlement.effects


@given(ATTEMPTS, OUTCOMES, STANDINGS)
def test_the_message_is_blamed_first_then_the_host_and_the_intake_last(
    attempt: EndedAttempt, outcome: Outcome, standing: Standing
) -> None:
    """What is about the content never ends in a hold while another host is left."""
    latest = max(standing.delivered_at, attempt.here.delivered_at)  # the host is one of its hosts
    standing = standing._replace(delivered_at=latest)
    settlement = settle(attempt, outcome, standing, SETTINGS, NOW)
    blamed = hosts_fault(attempt, outcome, standing)
    holds = destinations_fault(attempt, outcome, standing)
    next_host = outcome.verdict is Verdict.NEXT_HOST
    marks = [
        MarkHostBad(HOST, 3, NOW.monotonic, outcome.at_least, leave=blamed)
        for _ in range(blamed or holds or next_host)
    ]
    assert of_type(settlement.effects, MarkHostBad) == marks
    assert len(of_type(settlement.effects, LogNextHost)) == (blamed or next_host)
    if blamed or holds:
        assert settlement.leaves
    if attempt.here.more_hosts:
        assert not holds or outcome.verdict is Verdict.HOLD  # DNS, or a fault of our own


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
    assert LimitConnections(3, 100_000.0 + BUSY_WAIT) in enough
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
