"""Texts of an agent: the holder of its key decides what is in them, and operators read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tdc.shared.sync.stream_state import OutcomeSaid
from tdc.shared.wire.printable import MOST_TEXT, MOST_WORD, cut
from tdc.shared.wire.report import MOST_WARNINGS, report_of
from tdc.shared.wire.stream import agent_event
from tdc.v1 import agents_pb2


@pytest.mark.proves("S10")
@given(st.text(max_size=2_000), st.integers(1, 300))
def test_a_cut_text_is_printable_on_one_line_and_bounded(text: str, most: int) -> None:
    seen = cut(text, most)
    assert seen.isprintable()
    assert len(seen) <= most + len("… (2000 more characters)")
    if text.isprintable() and len(text) <= most:
        assert seen == text


def test_what_is_left_out_is_counted() -> None:
    assert cut("x" * 25_000) == "x" * MOST_TEXT + "… (24500 more characters)"
    assert cut("ab\x1b[31mc", 6) == "ab\\x1b… (5 more characters)"


@pytest.mark.proves("S10")
def test_every_text_of_a_status_is_cut_and_printable() -> None:
    bad = "\x1b]0;x\x07\n" * 5_000
    status = agents_pb2.MachineStatus(
        spool_unhealthy=bad,
        spool_full=bad,
        warnings=[bad] * 25,
        missed=[agents_pb2.Missed(reason=bad)] * 50,
        destinations=[
            agents_pb2.Destination(
                domain=bad,
                intake_domain=bad,
                host_status=bad,
                latest_host=bad,
                last_reply=bad,
                last_tls_version=bad,
                held_reason=bad,
            )
        ],
        running=agents_pb2.Running(hash=bad, store_id=bad),
    )
    report = report_of(status)
    [row] = report.destinations
    words = [row.domain, row.intake_domain, row.host_status, row.latest_host]
    words += [row.last_tls_version, report.running.hash, report.running.store_id]
    words += [each.reason for each in report.missed]
    texts = (report.spool_unhealthy, report.spool_full, row.last_reply, row.held_reason)
    for some, most in ((words, MOST_WORD), ([*texts, *report.warnings], MOST_TEXT)):
        assert all(text.isprintable() and 0 < len(text) < most + 30 for text in some)
    assert len(report.warnings) == MOST_WARNINGS + 1
    assert report.warnings[-1] == "5 more warnings of this machine are not shown"
    assert len(report.missed) == 8


def test_a_reason_of_25_000_characters_is_cut() -> None:
    """It was 256 lines of `tdc status`."""
    outcome = agents_pb2.Outcome(hash="ab", reason="no\n" * 8_000)
    event = agent_event(agents_pb2.AgentMessage(outcome=outcome))
    assert isinstance(event, OutcomeSaid)
    assert len(event.attempt.reason) < MOST_TEXT + 30
    assert event.attempt.reason.startswith("no\\x0ano\\x0a")
