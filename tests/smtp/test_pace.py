"""The pace of a session: only a message renews a client's claim on its place."""

from __future__ import annotations

import pytest
from tdc.node_agent.smtp.pace import (
    MAX_COMMANDS,
    MAX_WITHIN,
    PATIENCE,
    PATIENCE_WITHIN,
    RECIPIENT,
    WITHIN,
    Pace,
)

MINUTE = 60.0
OTHER_VERBS = (b"NOOP", b"RSET", b"EHLO", b"HELO", b"VRFY", b"QUIT", b"FOO", b"")


def waited(pace: Pace, seconds: float, *, within: bool, times: int = 1) -> None:
    for _ in range(times):
        pace.waits(0.0, MINUTE, within=within)
        pace.waited(seconds)


@pytest.mark.parametrize("within", [False, True])
def test_waits_add_up_until_a_message_has_passed(within: bool) -> None:
    patience = PATIENCE_WITHIN if within else PATIENCE
    pace = Pace(0.0)
    waited(pace, patience / 8, within=within, times=7)
    pace.waits(100.0, MINUTE, within=within)
    assert pace.overdue(100.0 + patience / 16) < 0
    assert pace.overdue(100.0 + patience / 4) > 0
    pace.passed()
    pace.waits(200.0, MINUTE, within=within)
    assert pace.overdue(200.0 + patience / 4) < 0


def test_time_between_messages_is_not_held_against_a_message() -> None:
    """An MTA keeps a connection for its next message; it must not be ended in the midst of that."""
    pace = Pace(0.0)
    pace.passed()
    waited(pace, 2.0, within=False)
    pace.waits(10.0, MINUTE, within=True)
    assert pace.overdue(10.1) < 0
    waited(pace, 0.01, within=True)
    pace.waits(20.0, MINUTE, within=False)
    assert pace.overdue(20.0) > 1


def test_only_the_first_greeting_counts() -> None:
    pace = Pace(0.0)
    waited(pace, PATIENCE * 0.8, within=False)
    pace.greeted()
    waited(pace, PATIENCE * 0.8, within=False)
    pace.greeted()
    pace.waits(9.0, MINUTE, within=False)
    assert pace.overdue(9.0 + PATIENCE * 0.4) > 0


def test_both_clocks_have_a_bound_together() -> None:
    pace = Pace(0.0)
    waited(pace, 100.0, within=False, times=10)
    waited(pace, 100.0, within=True, times=10)
    assert pace.waits(5_000.0, 3_600.0, within=False) == 5_000 + 3_600 - 2_000
    pace.passed()
    assert pace.waits(5_000.0, 3_600.0, within=False) == 5_000 + 3_600


@pytest.mark.parametrize("verb", [*OTHER_VERBS, *sorted(WITHIN)])
def test_each_command_has_a_bound_without_a_message(verb: bytes) -> None:
    pace = Pace(0.0)
    most = MAX_WITHIN if verb in WITHIN else MAX_COMMANDS
    if verb == b"RCPT":
        most = round(most / RECIPIENT)
    assert not any(pace.exhausted(verb) for _ in range(most - 5))
    assert any(pace.exhausted(verb) for _ in range(30))
    pace.passed()
    assert not pace.exhausted(verb)


def test_one_more_is_refused_between_messages_rather_than_within_one() -> None:
    """A 421 to MAIL makes an MTA put the message aside; one to RSET costs it nothing."""
    pace = Pace(0.0)
    verdicts = [pace.exhausted(verb) for _ in range(MAX_COMMANDS) for verb in (b"MAIL", b"RSET")]
    assert verdicts.index(True) % 2 == 1
