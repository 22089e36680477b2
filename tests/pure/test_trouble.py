"""The table of RELIABILITY: what each reply and error means, row by row."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tdc.node_agent.deliver.reply_table import GREYLIST_WAIT
from tdc.node_agent.deliver.trouble import (
    LEAST_LIMIT,
    Outcome,
    Sent,
    SessionFault,
    Trouble,
    Verdict,
    judge,
    too_large,
)
from tdc.node_agent.smtp import replies
from tdc.node_agent.smtp.dialogue import Extension, Stage

WHERE = "mx1.intake.example:25"


def reply(stage: Stage, text: str, **facts: Any) -> Outcome:
    return judge(Trouble(WHERE, stage, reply=replies.reply(text), **facts))


def fault(stage: Stage, kind: SessionFault, **facts: Any) -> Outcome:
    return judge(Trouble(WHERE, stage, fault=kind, text="broke", **facts))


@pytest.mark.parametrize(
    ("stage", "text", "verdict"),
    [
        (Stage.BANNER, "421 4.3.2 no", Verdict.HOLD),
        (Stage.BANNER, "554 5.3.2 no", Verdict.HOLD),
        (Stage.EHLO, "450 no", Verdict.HOLD),
        (Stage.EHLO, "502 no", Verdict.HOLD),
        (Stage.STARTTLS, "454 4.7.0 no", Verdict.HOLD),
        (Stage.STARTTLS, "501 5.5.4 no", Verdict.HOLD),
        (Stage.MAIL, "530 5.7.0 Must issue STARTTLS", Verdict.HOLD),
        (Stage.MAIL, "451 4.3.0 no", Verdict.HOLD),
        (Stage.MAIL, "452 4.3.1 full", Verdict.HOLD),
        (Stage.MAIL, "550 5.7.1 no", Verdict.HOLD),
        (Stage.MAIL, "552 5.3.4 too big", Verdict.BLOCKED),
        (Stage.MAIL, "521 no", Verdict.HOLD),
        (Stage.MAIL, "556 no", Verdict.HOLD),
        (Stage.MAIL, "535 5.7.8 no", Verdict.HOLD),
        (Stage.RCPT, "450 4.2.0 greylisted", Verdict.HOLD),
        (Stage.RCPT, "550 5.1.1 no such user", Verdict.HOLD),
        (Stage.RCPT, "550 5.1.2 no such host", Verdict.HOLD),
        (Stage.RCPT, "551 no", Verdict.HOLD),
        (Stage.RCPT, "553 5.1.3 no", Verdict.HOLD),
        (Stage.RCPT, "554 5.7.1 no", Verdict.HOLD),
        (Stage.DATA, "554 5.5.1 no", Verdict.HOLD),
        (Stage.DOT, "250 2.0.0 taken", Verdict.DELIVERED),
        (Stage.DOT, "450 4.6.0 later", Verdict.DEFER),
        (Stage.DOT, "421 4.3.2 going", Verdict.DEFER),
        (Stage.DOT, "550 no", Verdict.REFUSED),
        (Stage.DOT, "554 5.0.0 no", Verdict.REFUSED),
        (Stage.DOT, "550 5.7.1 relay denied", Verdict.BLOCKED),
        (Stage.DOT, "550 5.1.1 no such user", Verdict.BLOCKED),
        (Stage.DOT, "552 5.2.2 mailbox full", Verdict.BLOCKED),
        (Stage.DOT, "552 5.3.1 system full", Verdict.BLOCKED),
        (Stage.DOT, "554 5.3.0 no", Verdict.BLOCKED),
        (Stage.DOT, "535 no", Verdict.BLOCKED),
        (Stage.DOT, "521 no", Verdict.BLOCKED),
        (Stage.DOT, "556 no", Verdict.BLOCKED),
        (Stage.DOT, "452 4.2.2 mailbox full", Verdict.BLOCKED),
        (Stage.DOT, "552 5.3.4 too big", Verdict.BLOCKED),
        (Stage.DOT, "552 too big", Verdict.BLOCKED),
        (Stage.DOT, "554 5.6.0 broken", Verdict.ENCODED),
    ],
)
@pytest.mark.proves("B63")
def test_replies(stage: Stage, text: str, verdict: Verdict) -> None:
    assert reply(stage, text).verdict is verdict


@pytest.mark.parametrize("stage", [Stage.BANNER, Stage.EHLO, Stage.STARTTLS, Stage.MAIL])
def test_trouble_of_a_host_is_tried_at_the_next(stage: Stage) -> None:
    assert reply(stage, "421 4.3.2 no", more_hosts=True).verdict is Verdict.NEXT_HOST


@pytest.mark.parametrize("stage", [Stage.MAIL, Stage.RCPT, Stage.DATA])
@pytest.mark.parametrize(
    "text",
    ["450 4.2.0 greylisted", "451 4.7.1 no", "452 4.3.1 full", "550 5.1.1 no", "550 no", "556 no",
     "552 5.2.2 full", "502 no"],
)  # fmt: skip
@pytest.mark.proves("P10")
def test_a_refused_envelope_goes_to_the_next_host_at_once(stage: Stage, text: str) -> None:
    """It is the same for all reports: it can't be the message."""
    assert reply(stage, text, more_hosts=True).verdict is Verdict.NEXT_HOST
    assert reply(stage, text).verdict is Verdict.HOLD


@pytest.mark.parametrize("kind", [SessionFault.NO_STARTTLS, SessionFault.TLS])
def test_tls_trouble_says_tls_error_and_what_to_check(kind: SessionFault) -> None:
    outcome = fault(Stage.TLS, kind)
    assert (outcome.verdict, outcome.reason) == (Verdict.HOLD, "TLS Error")
    assert outcome.check.startswith(f"{WHERE} ")
    assert fault(Stage.TLS, kind, more_hosts=True).verdict is Verdict.NEXT_HOST


def test_no_starttls_reads_as_documented() -> None:
    assert fault(Stage.STARTTLS, SessionFault.NO_STARTTLS).check == f"{WHERE} offered no STARTTLS"


@pytest.mark.proves("F36")
def test_greylisting_is_given_its_time_and_capacity_fewer_connections() -> None:
    assert reply(Stage.RCPT, "451 4.7.1 try later").at_least == GREYLIST_WAIT
    assert reply(Stage.RCPT, "450 Greylisted, sorry").at_least == GREYLIST_WAIT
    assert reply(Stage.RCPT, "450 4.1.1 later").at_least == 0
    assert reply(Stage.RCPT, "452 4.5.3 too many").fewer
    assert reply(Stage.DOT, "452 4.3.1 full").fewer


def test_a_limit_for_a_connection_is_nobodys_fault() -> None:
    assert reply(Stage.MAIL, "421 enough", answered_before=10).verdict is Verdict.AGAIN
    assert fault(Stage.MAIL, SessionFault.DROPPED, answered_before=1).verdict is Verdict.AGAIN
    assert fault(Stage.MAIL, SessionFault.DROPPED).verdict is Verdict.HOLD


@pytest.mark.parametrize("code", [455, 500, 501, 502, 503, 504, 555])
def test_what_is_refused_though_offered_is_left_out_the_likeliest_first(code: int) -> None:
    """Until nothing is left that could be left out: then it is the intake."""
    used, left_out = frozenset(Extension), []
    for stage in (Stage.MAIL, Stage.MAIL, Stage.MAIL, Stage.DOT, Stage.DOT):
        outcome = reply(stage, f"{code} 5.5.4 no", sent=Sent(used))
        left_out.append((outcome.verdict, outcome.without))
        used -= outcome.without
    forms = frozenset({Extension.EIGHT_BIT, Extension.SMTPUTF8})
    assert left_out == [
        (Verdict.WITHOUT, {Extension.SIZE}),
        (Verdict.WITHOUT, forms),
        (Verdict.HOLD, frozenset()),
        (Verdict.WITHOUT, {Extension.CHUNKING}),
        (Verdict.BLOCKED, frozenset()),
    ]


def test_the_other_form_is_tried_once_before_content_is_refused() -> None:
    for stage in (Stage.MAIL, Stage.RCPT, Stage.DOT):
        assert reply(stage, "554 5.6.3 8-bit").verdict is Verdict.ENCODED
        refused = reply(stage, "554 5.6.3 8-bit", sent=Sent(encoded=True))
        assert refused.verdict is Verdict.REFUSED


@pytest.mark.parametrize(
    ("size", "limit", "plausible"),
    [
        (100_001, 100_000, True),
        (LEAST_LIMIT + 1, LEAST_LIMIT, True),
        (100_000, 100_000, False),
        (LEAST_LIMIT + 1, LEAST_LIMIT - 1, False),
        (10**9, 100, False),
        (10**9, 0, False),
        (10**9, None, False),
    ],
)
def test_too_large_is_believed_only_above_a_limit_that_can_be_meant(
    size: int, limit: int | None, plausible: bool
) -> None:
    believed = Verdict.REFUSED if plausible else Verdict.BLOCKED
    for text in ("552 5.3.4 no", "552 no", "552 5.0.0 no", "552 5.2.3 no", "554 5.3.4 no"):
        for stage in (Stage.MAIL, Stage.DOT):
            assert reply(stage, text, sent=Sent(size=size, limit=limit)).verdict is believed
    if limit and size > limit:
        assert too_large(WHERE, size, limit).verdict is believed
    deferred = reply(Stage.DOT, "452 4.3.4 no", sent=Sent(size=size, limit=limit))
    assert deferred.verdict is (Verdict.DEFER if plausible else Verdict.BLOCKED)


@pytest.mark.parametrize("kind", [SessionFault.DROPPED, SessionFault.TIMEOUT, SessionFault.GARBAGE])
def test_no_reply_to_the_dot_may_repeat_the_message(kind: SessionFault) -> None:
    outcome = fault(Stage.DOT, kind, may_be_taken=True, more_hosts=True)
    assert (outcome.verdict, outcome.maybe_duplicate) == (Verdict.DEFER, True)
    assert not fault(Stage.CONTENT, kind).maybe_duplicate


@pytest.mark.parametrize("kind", [SessionFault.DROPPED, SessionFault.TIMEOUT, SessionFault.GARBAGE])
def test_a_fault_in_the_content_is_that_message_alone(kind: SessionFault) -> None:
    """If it kills each connection that carries it, it must not stop all the others."""
    for facts in ({}, {"more_hosts": True}, {"answered_before": 3}):
        assert fault(Stage.CONTENT, kind, **facts).verdict is Verdict.DEFER


def test_an_intake_that_always_hangs_up_is_asked_a_few_times_at_once() -> None:
    for times in range(6):
        outcome = fault(Stage.MAIL, SessionFault.DROPPED, answered_before=1, sent_again=times)
        assert outcome.verdict is (Verdict.AGAIN if times < 3 else Verdict.HOLD)
        outcome = reply(Stage.MAIL, "421 4.3.2 enough", answered_before=1, sent_again=times)
        assert outcome.verdict is (Verdict.AGAIN if times < 3 else Verdict.HOLD)


TROUBLES = st.builds(
    Trouble,
    where=st.just(WHERE),
    stage=st.sampled_from(Stage),
    reply=st.none()
    | st.builds(
        lambda code, words: replies.Reply(code, f"{code} {words}\r\n".encode()),
        st.integers(200, 559),
        st.text(max_size=30),
    ),
    fault=st.sampled_from(SessionFault),
    text=st.text(max_size=10),
    more_hosts=st.booleans(),
    answered_before=st.integers(0, 3),
    may_be_taken=st.booleans(),
    sent=st.builds(
        Sent,
        extensions=st.frozensets(st.sampled_from(Extension)),
        encoded=st.booleans(),
        size=st.sampled_from([10_000, 10**9]),
        limit=st.sampled_from([None, 0, 100, 10**6]),
    ),
)


@given(TROUBLES)
@pytest.mark.proves("P8")
def test_only_a_2yz_reply_is_a_delivery_and_only_a_5yz_can_kill(trouble: Trouble) -> None:
    outcome = judge(trouble)
    positive = trouble.reply is not None and trouble.reply.positive
    assert (outcome.verdict is Verdict.DELIVERED) == positive
    assert outcome.reply == (trouble.reply.text if trouble.reply is not None else "")
    if outcome.verdict is Verdict.REFUSED:
        assert trouble.reply is not None
        assert trouble.reply.permanent
    if outcome.verdict is Verdict.NEXT_HOST:
        assert trouble.more_hosts
    if outcome.verdict is Verdict.HOLD:
        assert not trouble.more_hosts
    if outcome.silent:
        assert outcome.verdict is Verdict.DEFER
        assert trouble.reply is None
    if outcome.verdict is Verdict.WITHOUT:
        assert outcome.without
        assert outcome.without <= trouble.sent.extensions
    if not positive:
        assert outcome.reason
