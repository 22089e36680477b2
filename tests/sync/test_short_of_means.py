"""An agent without a descriptor or a thread to spare: what only looks now and then ends nothing."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tdc.node_agent import kept_health, own_files
from tdc.node_agent.counters import Counters, MissedReason
from tdc.node_agent.ingest.hop_state import NextHopState
from tdc.node_agent.kept_health import FILE, HealthBook, gathered
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.own_files import OwnFiles
from tdc.shared.edge import memory
from tdc.shared.edge.tasks import running

from tests.fakes.smtp_sink import SmtpSink
from tests.stage.settings_stream import until
from tests.sync.test_program import ports_of, program
from tests.sync.test_restart import logging_config, send


@contextlib.contextmanager
def no_threads() -> Iterator[None]:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with pytest.MonkeyPatch.context() as system:
        system.setattr(threading.Thread, "start", start)
        yield


@pytest.mark.slow
async def test_an_agent_out_of_descriptors_serves_on(tmp_path: Path) -> None:
    """Those who are connected pass their mail; others get in when there is room again."""
    async with SmtpSink() as sink:
        path = logging_config(tmp_path, sink.port)
        async with program(path) as process:
            port = (await ports_of(path))["smtp"]
            await send(port, 1)
            soft, hard = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (3, hard))
            await asyncio.sleep(memory.LOOK_EVERY + own_files.LOOK_EVERY + kept_health.EVERY)
            assert process.returncode is None
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (soft, hard))
            await send(port, 2)


async def test_memory_is_given_back_once_it_can_be(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[int] = []
    statm = tmp_path / "statm"
    monkeypatch.setattr(memory, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(memory, "_trim", lambda: asked.append)
    monkeypatch.setattr(memory, "_STATM", statm)
    async with running(memory.give_back(), name="memory"):
        await asyncio.sleep(0.05)  # the size can't be read
        statm.write_text("1 0 1")
        await asyncio.sleep(0.05)
        with no_threads():
            statm.write_text("1 1000000 1")
            await asyncio.sleep(0.05)
            assert not asked
        await until(lambda: bool(asked))


async def test_what_health_goes_by_is_kept_once_there_is_a_thread(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(kept_health, "EVERY", 0.02)
    said: list[str] = []

    class Log(TdcLog):
        def error(self, text: str) -> None:
            said.append(text)

    counters, book = Counters(), HealthBook(tmp_path, Log())
    async with book.keeping(lambda: gathered(counters, NextHopState(), {})):
        await asyncio.sleep(0.05)
        with no_threads():
            counters.count_missed(MissedReason.SPOOL_BROKEN)
            await until(lambda: bool(said))
            await asyncio.sleep(0.1)
        await until(lambda: (tmp_path / FILE).exists() and bool(book.load().missed))
    assert len(said) == 1
    assert "Resource temporarily unavailable: a restart now would forget" in said[0]


async def test_own_files_are_looked_at_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(own_files, "LOOK_EVERY", 0.02)
    files = OwnFiles(tmp_path, tmp_path / "identity", tmp_path / "spool", TdcLog())
    with no_threads():
        async with running(files.run(), name="own files"):
            await asyncio.sleep(0.1)
            assert not files._seen
    async with running(files.run(), name="own files"):
        await until(lambda: bool(files._seen))
