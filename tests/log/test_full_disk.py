"""A log that can't be written: nothing waits or fails for it, and what was lost is said later."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tdc.node_agent.log.opening import opened_log
from tdc.shared.edge.background_log import STUCK_AFTER, BackgroundHandler, Unbuffered, appending

from tests.surroundings import in_time


@contextlib.contextmanager
def logging_to(sink: Unbuffered) -> Iterator[logging.Logger]:
    handler = BackgroundHandler(sink)
    logger = logging.getLogger("tdc-full-disk")
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield logger
    finally:
        logger.removeHandler(handler)
        handler.close()
        sink.close()


def _until(holds: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.01)


class Disk:
    """`os.write` on a disk with so many bytes left."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room = 10**9
        self.refused = 0
        self._write = os.write
        monkeypatch.setattr(os, "write", self.write)

    def write(self, descriptor: int, data: bytes) -> int:
        if self.room == 0:
            self.refused += 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        count = self._write(descriptor, data[: self.room])
        self.room -= count
        return count


@pytest.mark.proves("F57")
def test_what_a_full_disk_lost_is_counted_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line that was cut off stays cut off, and the next begins on a line of its own."""
    path, disk = tmp_path / "log", Disk(monkeypatch)
    with logging_to(appending(path)) as logger:
        logger.warning("first")
        _until(lambda: path.exists() and path.read_text() == "first\n")
        disk.room = 5
        for number in range(3):
            before = disk.refused
            logger.warning("lost %d", number)
            _until(lambda before=before: disk.refused > before)  # type: ignore[misc]
        disk.room = 10**9
        logger.warning("last")
    lines = path.read_text().splitlines()
    assert lines == ["first", "lost ", "3 log lines dropped: No space left on device.", "last"]


@pytest.mark.proves("F57")
def test_a_log_file_on_a_full_disk_neither_fails_nor_ends_anything(tmp_path: Path) -> None:
    link = tmp_path / "log"
    link.symlink_to("/dev/full")
    with opened_log("the scanner", link) as log:
        for mid in range(10_000):
            log.queued(mid)
        time.sleep(0.1)
    # it has ended without an error: nothing was left in a buffer


def test_a_log_file_is_appended_to_and_takes_what_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("before\n")
    with contextlib.closing(appending(path)) as sink:
        sink.write("\udcff after\n")
    assert path.read_text() == "before\n\\udcff after\n"


def test_a_pipe_that_nobody_reads_holds_up_no_end() -> None:
    """A restart in place ends the log first: all mail would wait for lines that nobody reads."""
    reader, writer = os.pipe()
    handler = BackgroundHandler(Unbuffered(writer))
    for _ in range(100):
        handler.emit(logging.makeLogRecord({"msg": "x" * 2_000}))
    began = time.monotonic()
    handler.close()
    assert in_time(time.monotonic() - began, 2 * STUCK_AFTER + 0.5)
    os.close(reader)  # which ends the thread


def test_lines_that_get_on_are_all_written_before_the_end() -> None:
    """A reader that is slow, but reads, is waited for."""
    reader, writer = os.pipe()
    handler = BackgroundHandler(Unbuffered(writer))
    for number in range(4_000):
        handler.emit(logging.makeLogRecord({"msg": f"{number} " + "x" * 100}))
    read = bytearray()

    def slowly() -> None:
        while block := os.read(reader, 65_536):
            read.extend(block)
            time.sleep(0.35)

    thread = threading.Thread(target=slowly)
    thread.start()
    handler.close()
    os.close(writer)
    thread.join()
    os.close(reader)
    assert read.count(b"\n") == 4_000
