"""The lines operators read: published words kept, foreign text harmless, mail never held up."""

from __future__ import annotations

import inspect
import io
import json
import logging
import os
import re
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tdc.node_agent import queue_work
from tdc.node_agent.deliver.trouble import SessionFault, Trouble, judge
from tdc.node_agent.ingest.take import RESUME, WHAT_TO_CHECK
from tdc.node_agent.log import lines
from tdc.node_agent.log.ids import MessageIds
from tdc.node_agent.log.lines import TdcLog, escape, mail_log_stamp
from tdc.node_agent.log.opening import opened_log
from tdc.node_agent.smtp.dialogue import Stage
from tdc.node_agent.smtp.replies import reply
from tdc.node_agent.spool.health import Bounds
from tdc.shared.connector.selection import NotDue, Rule
from tdc.shared.edge import background_log
from tdc.shared.settings.schema import default_values
from tdc.shared.settings.validate import faults_of
from tdc.shared.sync.queue_work import MoveCopies, Selection
from tdc.shared.sync.suspension import Suspended

from tests.surroundings import in_time

DOCUMENT = (Path(__file__).parents[2] / "docs/log-lines.md").read_text("utf-8")
HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

REFUSED = (
    "Message Refused: mx1.intake.example:25 answered end of data with 554 5.6.0 Not a report;"
    " 9 tries in 4.3 h failed while others were delivered"
)
FULL_MAILBOX = judge(
    Trouble("mx1.intake.example:25", Stage.DOT, reply=reply("552 5.2.2 Mailbox full"))
)
NO_STARTTLS = judge(
    Trouble("mx1.intake.example:25", Stage.STARTTLS, fault=SessionFault.NO_STARTTLS)
)
FULL = Bounds(max_messages=500_000, max_bytes=10**10).refusal(500_000, 0, 0, free=10**12)
[NO_INTAKE] = faults_of({**default_values(), "enabled": True})
IDS = MessageIds("<1@partner.example>", "4F1C2A")

OUT = Suspended("ann", "disk change", 1_795_425_302.0, 1_795_432_502.0)

MOVED = queue_work.described(
    MoveCopies(Selection("old@intake.example", waiting=True, dead=True), "new@intake.example")
)

# What docs/log-lines.md shows, by calling each method with what its callers pass.
EXAMPLES: list[Callable[[TdcLog], None]] = [
    lambda log: log.queued(3),
    lambda log: log.queued(3, IDS),
    lambda log: log.not_due(Rule(NotDue.NO_SCAN, "payroll"), 1, 1, IDS),
    lambda log: log.not_due(Rule(NotDue.NOT_INCOMING), 2, 5, IDS),
    lambda log: log.not_due(Rule(NotDue.TO_INTAKE), 1, 1),
    lambda log: log.not_due(Rule(NotDue.JOURNAL_REPORT), 1, 1),
    lambda log: log.not_due(Rule(NotDue.DISABLED), 1, 1),
    lambda log: log.missed(f"copying is suspended {OUT.sentence}", RESUME),
    lambda log: log.suspended("delivery", OUT.by, OUT.sentence),
    lambda log: log.suspended("copying", OUT.by, OUT.sentence),
    lambda log: log.resumed("delivery", "an operator resumed it"),
    lambda log: log.resumed("copying", "its time is over"),
    lambda log: log.started(0, 3, "user@example.com"),
    lambda log: log.delivered(3, 0, "250 2.0.0 Ok: queued as 4F1", "TLSv1.3"),
    lambda log: log.failed(4, NO_STARTTLS.reason, f"{NO_STARTTLS.check}; held, next try in 60 s"),
    lambda log: log.dead(5, REFUSED),
    lambda log: log.dead(6, "its bytes don't match their checksum"),
    lambda log: log.missed(f"the spool is full: {FULL}", WHAT_TO_CHECK, IDS),
    lambda log: log.not_accepted(f"the spool is full: {FULL}", IDS),
    lambda log: log.connected(1, "mx1.intake.example", "192.0.2.25", "TLSv1.3"),
    lambda log: log.held("intake.example", NO_STARTTLS.reason, NO_STARTTLS.check, 60.4),
    lambda log: log.released("intake.example"),
    lambda log: log.refusing("intake.example", 3, FULL_MAILBOX.check),
    lambda log: log.revived("intake.example", 2),
    lambda log: log.spool_unhealthy("disk I/O error (SQLITE_IOERR_FSYNC)"),
    lambda log: log.spool_healthy(),
    lambda log: log.queue_work("ann", MOVED, 12, 345_678),
    lambda log: log.settings_applied(42, HASH),
    lambda log: log.settings_rejected(43, f"{NO_INTAKE.setting}: {NO_INTAKE.reason}"),
    lambda log: log.info("connected to manager manager.example.org:7443"),
]


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def log(stream: io.StringIO) -> TdcLog:
    return TdcLog(logger=logging.getLogger("tdc-test"), stream=stream)


def lines_of(log: TdcLog, stream: io.StringIO) -> list[str]:
    log.close()
    return stream.getvalue().splitlines()


def test_the_published_lines_keep_their_words(log: TdcLog, stream: io.StringIO) -> None:
    log.configure("info", "text")
    log.queued(3)
    log.started(0, 3, "user@example.com")
    log.failed(4, "TLS Error", "mx1.intake.example:25 offered no STARTTLS; held")
    stamp = r"\d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \(GMT [+-]\d\d:\d\d\) "
    words = [
        "TDC: Message 3 queued for delivery.",
        "TDC: (DCID 0) Delivery started for message 3 to user@example.com.",
        "TDC: Message 4 delivery failed to Cisco Secure Email Threat Defense: TLS Error.",
        "TDC: Message 4 TLS Error: mx1.intake.example:25 offered no STARTTLS; held",
    ]
    lines = lines_of(log, stream)
    assert [re.sub(f"^{stamp}", "", line) for line in lines] == words
    assert all(re.match(stamp, line) for line in lines)


def test_the_stamp_is_as_the_mail_log_writes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for zone, stamp in (
        ("UTC", "23 Nov 2026 09:15:02 (GMT +00:00)"),
        ("Asia/Kolkata", "23 Nov 2026 14:45:02 (GMT +05:30)"),
        ("America/St_Johns", "23 Nov 2026 05:45:02 (GMT -03:30)"),
    ):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        assert mail_log_stamp(1_795_425_302) == stamp
    monkeypatch.undo()
    time.tzset()


def test_each_line_is_documented(log: TdcLog, stream: io.StringIO) -> None:
    log.configure("debug", "text")
    for example in EXAMPLES:
        example(log)
    undocumented = [
        line for line in lines_of(log, stream) if line.split(") ", 1)[1] not in DOCUMENT
    ]
    assert undocumented == []


def test_each_documented_example_is_what_a_method_writes(log: TdcLog, stream: io.StringIO) -> None:
    log.configure("debug", "text")
    for example in EXAMPLES:
        example(log)
    written = {line.split(") ", 1)[1] for line in lines_of(log, stream)}
    rows = re.findall(r"^\| `[a-z-]+` \| [a-z, ]+ \| (.*) \|", DOCUMENT, flags=re.M)
    shown = {text for row in rows for text in re.findall(r"`(TDC: [^`]+)`", row)}
    assert len(shown) == len(EXAMPLES) + 1  # a failure is two lines
    assert shown - written == set()


def test_each_method_has_an_example_and_each_event_is_documented() -> None:
    source = Path(lines.__file__).read_text("utf-8")
    events = set(re.findall(r'_write\([\w.]+, "([a-z-]+)"', source))
    assert events == set(re.findall(r"^\| `([a-z-]+)` \|", DOCUMENT, flags=re.M))


def test_the_facts_of_each_event_are_those_documented(log: TdcLog, stream: io.StringIO) -> None:
    """Whoever reads the log as JSON relies on them."""
    log.configure("debug", "json")
    for example in EXAMPLES:
        example(log)
    written: dict[str, set[str]] = {}
    levels: dict[str, str] = {}
    for line in map(json.loads, lines_of(log, stream)):
        written[line["event"]] = line.keys() - {"time", "level", "event", "text"}
        levels[line["event"]] = line["level"]
    rows = re.findall(
        r"^\| `([a-z-]+)` \| ([a-z, ]+) \| .* \| ([a-z_, ]*)\|$", DOCUMENT, flags=re.M
    )
    assert {
        event: set(filter(None, facts.strip().split(", "))) for event, _, facts in rows
    } == written
    for event, said, _ in rows:
        assert levels[event] in said.split(", "), event


def test_json_has_the_same_facts(log: TdcLog, stream: io.StringIO) -> None:
    log.configure("info", "json")
    log.failed(4, "TLS Error", "offered no\r\nSTARTTLS")
    first, second = map(json.loads, lines_of(log, stream))
    assert first["event"] == "failed"
    assert (first["mid"], first["level"]) == (4, "warning")
    assert second["check"] == "offered no\r\nSTARTTLS"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", first["time"])


def test_level_and_format_change_while_running(log: TdcLog, stream: io.StringIO) -> None:
    log.configure("error", "text")
    log.queued(1)
    log.configure("info", "json")
    log.queued(2)
    log.configure("info", "text")
    log.queued(3)
    lines = lines_of(log, stream)
    assert json.loads(lines[0])["mid"] == 2
    assert lines[1].endswith("Message 3 queued for delivery.")
    assert len(lines) == 2


@given(text=st.text(max_size=80))
def test_foreign_text_stays_on_its_line_and_does_not_speak_to_the_terminal(text: str) -> None:
    shown = escape(text)
    assert shown.isprintable()
    assert shown.splitlines() in ([shown], [])


HOSTILE = "a\r\n23 Nov 2026 TDC: forged \x1b[2J \u202e \x9b b"
METHODS = sorted(
    {name for name, method in inspect.getmembers(TdcLog, inspect.isfunction) if name[0] != "_"}
    - {"configure", "reopen", "close"}
)


@pytest.mark.proves("S10")
@pytest.mark.parametrize("method", METHODS)
def test_whatever_text_a_line_is_given_it_stays_one_line(method: str, stream: io.StringIO) -> None:
    """Each text of each method comes from mail, from a peer or from the manager, or may one day."""
    log = TdcLog(HOSTILE, logger=logging.getLogger("tdc-test"), stream=stream)
    log.configure("debug", "text")
    call = getattr(log, method)
    call(*(_hostile(each) for each in inspect.signature(call).parameters.values()))
    lines = lines_of(log, stream)
    assert len(lines) == (2 if method == "failed" else 1)
    assert all(line.isprintable() and re.match(r"\d\d \w{3} \d{4} ", line) for line in lines)


def _hostile(parameter: inspect.Parameter) -> object:
    kinds: dict[str, object] = {
        "str": HOSTILE,
        "int": 1,
        "float": 1.0,
        "MessageIds": MessageIds(HOSTILE, HOSTILE),
        "Rule": Rule(NotDue.NO_SCAN, HOSTILE),
    }
    return kinds[parameter.annotation]


@given(one=st.text(max_size=20), other=st.text(max_size=20))
def test_two_texts_never_look_the_same(one: str, other: str) -> None:
    assert (escape(one) == escape(other)) == (one == other)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é ü", "plain é ü"),
        ("a\r\nb", "a\\x0d\\x0ab"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x9b31m", "\\x9b31m"),
        ("left\u202eright", "left\\u202eright"),
        ("\u2028", "\\u2028"),
        ("\udcff", "\\udcff"),
        ("back\\slash", "back\\\\slash"),
        ("x" * 600, "x" * 500 + "…"),
    ],
)
@pytest.mark.proves("S10")
def test_escapes(text: str, shown: str) -> None:
    assert escape(text) == shown


def test_a_percent_sign_is_only_a_percent_sign(log: TdcLog, stream: io.StringIO) -> None:
    log.configure("info", "text")
    log.delivered(1, 2, "250 100%s done %d", "TLSv1.3")
    assert lines_of(log, stream)[0].endswith("250 100%s done %d")


class StuckStream(io.StringIO):
    """A pipe that nobody reads, until `go`."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def write(self, text: str) -> int:
        self.go.wait(10)
        return super().write(text)


def test_a_stuck_reader_does_not_hold_up_mail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_log, "MAX_WAITING_LINES", 50)
    stream = StuckStream()
    log = TdcLog(logger=logging.getLogger("tdc-test"), stream=stream)
    log.configure("info", "text")
    started = time.monotonic()
    for mid in range(500):
        log.queued(mid)
    assert in_time(time.monotonic() - started, 1)
    stream.go.set()
    deadline = time.monotonic() + 5
    while not stream.getvalue() and time.monotonic() < deadline:
        time.sleep(0.01)
    log.queued(500)
    lines = lines_of(log, stream)
    assert 50 <= len(lines) < 200
    assert any(re.search(r"TDC: \d+ log lines dropped", line) for line in lines)
    assert "Message 500 queued" in lines[-1]


def test_a_closed_stream_ends_nothing(log: TdcLog, stream: io.StringIO) -> None:
    log.configure("info", "text")
    stream.close()
    log.queued(1)
    log.close()


@pytest.mark.parametrize("mask", [0o000, 0o077])
def test_a_log_file_is_not_for_every_user_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    path, theirs = tmp_path / "log", tmp_path / "theirs"
    theirs.touch(mode=0o644)
    before = os.umask(mask)
    try:
        with opened_log("intake", path), opened_log("intake", theirs):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert stat.S_IMODE(theirs.stat().st_mode) == 0o644  # one that is there is the owner's matter
