"""The loop header: a machine knows its own reports, and nobody else can write its line."""

from __future__ import annotations

import hashlib
import hmac
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tdc.node_agent.journal import loop
from tdc.node_agent.journal.headers import MAX_LOOP_LINES, LoopLine, loop_lines
from tdc.node_agent.journal.loop import Reporter, is_own_report, signed
from tdc.node_agent.spool.values import Copy
from tdc.shared.connector.settings import ConnectorSettings
from tdc.shared.mail.envelope import Envelope

from tests.fakes.reports import build

SETTINGS = ConnectorSettings.defaults()
OURS, OTHER, THIRD = (Reporter(f"mx{n}", bytes([n]) * 32) for n in (1, 2, 3))
MESSAGE = b"From: Ann <ann@example.com>\r\nSubject: Invoice 12\r\n\r\nHello\r\n"
ID = "0123456789abcdef0123456789abcdef"


def report(content: bytes, reporter: Reporter, *, fallback: bool = False) -> bytes:
    envelope = Envelope("ann@example.com", ("bob@example.org",))
    report_id = hashlib.sha256(content + reporter.domain.encode()).hexdigest()[:32]
    copy = Copy(7, report_id, "journal@intake.example", envelope, content, 1_795_425_302.5)
    made = build(copy, SETTINGS, reporter, fallback=fallback)
    return made.head + made.content + made.tail


def line(report_id: str = ID, key: bytes = OURS.loop_key) -> bytes:
    proof = hmac.new(key, report_id.encode(), "sha256").hexdigest()
    return f"X-TDC-Loop: {report_id} {proof}\r\n".encode()


@pytest.mark.parametrize("fallback", [False, True])
def test_a_machine_knows_its_own_report_and_no_other_machines(fallback: bool) -> None:
    raw = report(MESSAGE, OURS, fallback=fallback)
    assert is_own_report(raw, OURS.loop_key)
    assert is_own_report(b"Received: from intake\r\n" + raw, OURS.loop_key)
    assert not is_own_report(raw, OTHER.loop_key)
    assert not is_own_report(MESSAGE, OURS.loop_key)


@pytest.mark.parametrize(
    ("header", "ours"),
    [
        (b"From: a\r\n" + line(), True),
        (line().lower(), True),
        (line().replace(b"\r\n", b"\n"), True),
        (line().replace(b" ", b"\r\n "), True),  # folded by an MTA on the way
        (line(key=OTHER.loop_key) + line(), True),
        (b"X-TDC-Loop: mx1\r\n", False),
        (b"X-TDC-Loop:\r\n", False),
        (b"X-TDC-Loop: " + ID.encode() + b"\r\n", False),
        (line(key=bytes(32)), False),
        (line().replace(b"0123", b"1123"), False),
        (line().replace(b"X-TDC-Loop", b"X-TDC-Looping"), False),
        (line()[:-3] + b"\r\n", False),
        (line()[:-2] + b"0\r\n", False),
        (b"Subject: x\r\n " + line(), False),
        (b"From: a\r\n\r\n" + line(), False),
    ],
)
def test_only_a_line_made_with_the_key_in_the_outermost_header_counts(
    header: bytes, ours: bool
) -> None:
    assert is_own_report(header + b"\r\nbody\r\n", OURS.loop_key) == ours


@given(report_id=st.from_regex("[0-9a-f]{32}", fullmatch=True), key=st.binary(max_size=40))
def test_a_line_is_ours_exactly_if_made_with_our_key(report_id: str, key: bytes) -> None:
    content = line(report_id, key) + b"\r\n"
    assert is_own_report(content, OURS.loop_key) == (key == OURS.loop_key)
    assert signed(report_id, key) == loop_lines(content)[0]


@pytest.mark.parametrize("fallback", [False, True])
def test_a_loop_through_several_machines_comes_to_its_end(fallback: bool) -> None:
    raw = MESSAGE
    for reporter in (OURS, OTHER, THIRD):
        assert not is_own_report(raw, reporter.loop_key)
        raw = b"Received: from intake\r\n" + report(raw, reporter, fallback=fallback)
    for reporter in (OURS, OTHER, THIRD):
        assert is_own_report(raw, reporter.loop_key)


def test_lines_that_a_sender_wrote_do_not_push_ours_out() -> None:
    """Ours stands on top: however many forged ones come with the message, a loop still ends."""
    forged = b"".join(line(f"{number:032x}", OTHER.loop_key) for number in range(10_000))
    raw = report(forged + MESSAGE, OURS)
    assert is_own_report(report(raw, THIRD), OURS.loop_key)
    assert len(loop_lines(raw)) == MAX_LOOP_LINES
    assert raw.split(b"\r\n--", 1)[0].count(b"X-TDC-Loop") == MAX_LOOP_LINES + 1


def test_nothing_but_well_formed_lines_is_repeated() -> None:
    odd = b"X-TDC-Loop: mx1\r\nX-TDC-Loop: " + b"x" * 2_000 + b"\r\n"
    head = report(odd + line() + MESSAGE, OTHER).split(b"\r\n\r\n", 1)[0]
    assert head.count(b"X-TDC-Loop") == 2
    assert line() in head


@pytest.mark.parametrize("lines", [0, 3, 10_000])
def test_work_is_bounded_and_nil_without_the_header(
    lines: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def counted(report_id: str, key: bytes) -> LoopLine:
        made.append(report_id)
        return signed(report_id, key)

    monkeypatch.setattr(loop, "signed", counted)
    forged = b"".join(line(f"{number:032x}", OTHER.loop_key) for number in range(lines))
    assert not is_own_report(forged + b"X-TDC-Loop: mx1\r\n" + MESSAGE, OURS.loop_key)
    assert len(made) == min(lines, MAX_LOOP_LINES)


@pytest.mark.parametrize(
    "odd",
    [
        b"X-TDC-Loop:" + b" " * 1_000_000 + b"\r\n",
        b"X-TDC-Loop: " + ID.encode() + b" " * 1_000_000 + b"\r\n",
        b"X-TDC-Loop: " + ID.encode() + b"\r\n" + b" " * 1_000_000 + b"\r\n",
        line()[:-2] + b" " * 1_000_000 + b"x\r\n",
        b"X-TDC-Loop" + b" " * 1_000_000 + b"\r\n",
        b"X-TDC-Loop:\r\n" * 80_000,
        b"X-TDC-Loop: " + ID.encode() + b"\r\n \r\n" * 200_000,
    ],
    ids=range(7),
)
def test_a_header_made_to_be_slow_is_read_in_one_pass(odd: bytes) -> None:
    """With backtracking each would take from seconds to hours; a second leaves room for load."""
    begun = process_time()
    assert not is_own_report(odd + MESSAGE, OURS.loop_key)
    assert process_time() - begun < 1


def test_the_secret_is_in_no_text_about_the_reporter() -> None:
    assert repr(OURS) == "Reporter(domain='mx1')"
