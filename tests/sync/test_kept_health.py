"""What health goes by outlives the process: a restart turns nothing green."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from tdc.node_agent import kept_health
from tdc.node_agent.counters import Counters, MissedReason, MissedRun
from tdc.node_agent.deliver.effects import Hold
from tdc.node_agent.ingest.hop_state import HopTrouble, NextHopState, Waiting
from tdc.node_agent.kept_health import FILE, MOST, HealthBook, Kept, counted, gathered
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.spool.clock import MachineClocks
from tdc.shared.edge import durable_file
from tdc.shared.edge.clock import monotonic

from tests.ingest.test_hop_state import trouble
from tests.stage.settings_stream import until


def facts() -> Kept:
    now = monotonic()
    return Kept(
        {MissedReason.SPOOL_FULL: MissedRun(7, now - 60, now - 5)},
        4_096,
        now - 600,
        {"127.0.0.1:26": "127.0.0.1:26: Connection refused"},
        now - 30,
        {"a@intake.example": Hold("TLS Error", "mx1 offered no STARTTLS", now - 900, now + 60, 4)},
    )


def same(found: Kept, kept: Kept) -> bool:
    """Equal but for the ticks that passed, and for the probe, which is due now."""
    run, was = found.missed[MissedReason.SPOOL_FULL], kept.missed[MissedReason.SPOOL_FULL]
    hold, held = found.holds["a@intake.example"], kept.holds["a@intake.example"]
    assert found.delivered_at is not None
    assert kept.delivered_at is not None
    assert found.hop_since is not None
    assert kept.hop_since is not None
    moments = [
        (run.since, was.since), (run.last, was.last), (hold.since, held.since),
        (found.delivered_at, kept.delivered_at), (found.hop_since, kept.hop_since),
        (hold.next_probe, monotonic()), (hold.planned or 0.0, monotonic()),
    ]  # fmt: skip
    return (
        all(abs(one - other) < 1.0 for one, other in moments)
        and (run.count, found.refused_size, hold.failures) == (7, 4_096, 4)
        and (hold.reason, hold.check) == (held.reason, held.check)
        and found.hop_failures == kept.hop_failures
    )


def test_what_was_saved_is_there_at_the_next_start(tmp_path: Path) -> None:
    kept = facts()
    HealthBook(tmp_path, TdcLog()).save(kept)
    found = HealthBook(tmp_path, TdcLog()).load()
    assert same(found, kept)
    counters = counted(found)
    assert counters.missed[MissedReason.SPOOL_FULL].count == 7
    counters.count_missed(MissedReason.SPOOL_FULL)
    assert counters.missed[MissedReason.SPOOL_FULL].count == 8, "the run goes on"
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_time_off_counts_and_a_clock_that_is_set_makes_nothing_old(tmp_path: Path) -> None:
    kept, book = facts(), HealthBook(tmp_path, TdcLog())
    book.save(kept)
    read = MachineClocks().read()
    for boot, since_boot, wall, lost in (
        (read.boot, read.since_boot + 120, read.wall + 9e8, 120),
        ("another", 5.0, read.wall + 300, 300),
        ("another", 5.0, read.wall + 9e8, 3_600),
        ("another", 5.0, 0.0, 0),
    ):
        clocks = MachineClocks(lambda at=since_boot: at, lambda at=wall: at, boot)  # type: ignore[misc]
        book._clocks = clocks
        last = book.load().missed[MissedReason.SPOOL_FULL].last
        assert abs(monotonic() - last - 5 - lost) < 2.0


@pytest.mark.parametrize(
    "content",
    [
        b"[]", b"{}", b"null", b'{"format": 2}', b"\xff", b"[" * 100_000,
        json.dumps({"format": 1, "reading": ["x", 1, 1], "missed": {"new": [1, 2, 3]}}).encode(),
    ],
)  # fmt: skip
def test_a_file_that_makes_no_sense_is_logged_and_begun_anew(
    tmp_path: Path, content: bytes
) -> None:
    durable_file.write_checked(tmp_path / FILE, content)
    log = Lines()
    assert HealthBook(tmp_path, log).load() == Kept()
    assert "what was missed before this start is not counted" in log.said[0]


class Lines(TdcLog):
    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def warning(self, text: str) -> None:
        self.said.append(text)

    def error(self, text: str) -> None:
        self.said.append(text)


def test_an_age_that_cannot_be_is_damage(tmp_path: Path) -> None:
    book = HealthBook(tmp_path, Lines())
    book.save(facts())
    document = json.loads(durable_file.read_checked(tmp_path / FILE))
    for age in (-1.0, float("inf"), float("nan")):
        document["delivered"] = age
        durable_file.write_checked(tmp_path / FILE, json.dumps(document).encode())
        assert book.load() == Kept()


def test_the_file_is_bounded(tmp_path: Path) -> None:
    hold = Hold("x" * 10_000, "y" * 10_000, 0.0, 0.0)
    many = {f"{n}@intake.example": hold for n in range(MOST * 10)}
    HealthBook(tmp_path, TdcLog()).save(Kept(holds=many))
    assert (tmp_path / FILE).stat().st_size < 200_000


def test_a_folder_that_cannot_be_written_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    log = Lines()
    book = HealthBook(tmp_path / "state", log)
    book.save(facts())
    book.save(facts())
    assert len(log.said) == 1
    assert "would forget what was missed" in log.said[0]


async def test_it_is_kept_soon_after_a_change_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_health, "EVERY", 0.02)
    counters, hops, holds = Counters(), NextHopState(), dict(facts().holds)
    book = HealthBook(tmp_path, TdcLog())
    async with book.keeping(lambda: gathered(counters, hops, holds)):
        counters.count_delivered()
        await asyncio.sleep(0.1)
        counters.count_delivered()
        counters.count_missed(MissedReason.SPOOL_BROKEN)
        await until(lambda: (tmp_path / FILE).exists() and bool(book.load().missed))
        hops.failed("a:1", "refused", ["a:1"])
        await until(lambda: book.load().hop_since is not None)
        written = (tmp_path / FILE).read_bytes()
        counters.count_delivered()
        await asyncio.sleep(0.1)
        assert (tmp_path / FILE).read_bytes() == written, "a delivery alone is no hurry"
        counters.count_missed(MissedReason.TOO_LARGE)
    found = book.load()
    assert found.delivered_at is not None
    assert abs(found.delivered_at - (counters.delivered_at or 0)) < 0.5
    assert set(found.holds) == set(holds)
    assert MissedReason.TOO_LARGE in found.missed, "of the last moment"


async def test_a_write_that_failed_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_health, "EVERY", 0.02)
    folder, counters, hops = tmp_path / "state", Counters(), NextHopState()
    folder.touch()  # no file can be made in there
    book = HealthBook(folder, TdcLog())
    async with book.keeping(lambda: gathered(counters, hops, {})):
        await asyncio.sleep(0.05)
        counters.count_missed(MissedReason.SPOOL_BROKEN)
        await asyncio.sleep(0.1)
        folder.unlink()
        await until((folder / FILE).exists)
        assert book.load().missed[MissedReason.SPOOL_BROKEN].count == 1
        written = (folder / FILE).read_bytes()
        await asyncio.sleep(0.1)
        assert (folder / FILE).read_bytes() == written, "once is enough"


async def test_a_wait_that_goes_on_is_one_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its beginning, by two clocks, is never quite the same."""
    monkeypatch.setattr(kept_health, "EVERY", 0.02)
    counters, hops, waited = Counters(), NextHopState(), [0.0]
    hops.resume({}, None, ["a:1"])
    book = HealthBook(tmp_path, TdcLog())

    def waiting() -> list[Waiting]:
        waited[0] += 0.001
        return [Waiting("a:1", 20.0 + waited[0], 15.0)] if waited[0] > 0.002 else []

    async with book.keeping(lambda: gathered(counters, hops, {})):
        await asyncio.sleep(0.05)
        hops.waiting = waiting
        await until(lambda: (tmp_path / FILE).exists() and book.load().hop_since is not None)
        assert "it does not answer" in book.load().hop_failures["a:1"]
        written = (tmp_path / FILE).read_bytes()
        await asyncio.sleep(0.1)
        assert (tmp_path / FILE).read_bytes() == written


def test_trouble_of_next_hops_goes_on_where_they_are_still_meant() -> None:
    state = NextHopState(lambda: 50.0)
    state.resume({"a:1": "refused", "b:1": "mute"}, 10.0, ["a:1", "b:1"])
    assert trouble(state) == HopTrouble(10.0, "a:1: refused; b:1: mute; mail waits in the MTA")
    state.works("a:1")
    assert trouble(state) is None
    other = NextHopState(lambda: 50.0)
    other.resume({"a:1": "refused"}, 10.0, ["a:1", "c:1"])
    assert trouble(other) is None, "one of them is new and may work"
    other.failed("c:1", "refused", ["a:1", "c:1"])
    assert trouble(other) == HopTrouble(50.0, "a:1: refused; c:1: refused; mail waits in the MTA")
