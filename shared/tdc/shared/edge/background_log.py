"""The thread that writes log lines, so that a full pipe or a slow disk never delays anything else.

In: lines. Out: the same on a file or on standard error, or a count of those that could not be.
Promise: to log never waits and never fails; what is lost is counted, and the count is a line of its
own once there is room; a line that was cut off by a full disk does not swallow the next.
"""

from __future__ import annotations

import errno
import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from tdc.shared.edge.clock import monotonic
from tdc.shared.edge.os_words import os_reason

MAX_WAITING_LINES = 20_000
MODE = 0o640
"""Of a log file that we make: addresses and Message-IDs are not for every user of the machine."""
LINGER = 0.02
"""Seconds for which lines gather. Each time the thread wakes up it takes the interpreter lock from
the event loop, so it should write many lines at once."""


CLOSE_WITHIN = 5.0
"""Seconds that the end of a program waits for its last lines to be written."""
STUCK_AFTER = 1.0
"""Seconds after which a write that has not returned is not waited for any more at the end: it is a
pipe that nobody reads, and a restart must not stand still for it."""


class Sink(Protocol):
    """Where lines go; may raise OSError or ValueError."""

    def write(self, text: str, /) -> object:
        """Write whole lines."""

    def flush(self) -> object:
        """Pass on what is buffered."""


class Unbuffered:
    """A descriptor as a Sink. It holds nothing back, so what failed is not tried again unasked:
    a buffer that can't be written would fail each write after it, and the program's end too.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._cut_off = False

    def write(self, text: str, /) -> None:
        """Write it, or raise OSError; part of it may have been written then."""
        left = (b"\n" if self._cut_off else b"") + text.encode("utf-8", "backslashreplace")
        written = 0
        try:
            while left:
                count = os.write(self._descriptor, left)
                written, left = written + count, left[count:]
        except OSError:
            self._cut_off = self._cut_off or written > 0
            raise
        self._cut_off = False

    def flush(self) -> None:
        """Do nothing: there is no buffer."""

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._descriptor)


def appending(path: Path) -> Unbuffered:
    """A log file; raises OSError, also for a pipe that nobody reads: to open it never waits.

    One that is made has MODE, whatever the umask.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        file = os.open(path, flags | os.O_EXCL, MODE)
    except FileExistsError:
        try:
            file = os.open(path, flags, MODE)
        except OSError as error:
            if error.errno == errno.ENXIO:
                raise OSError("a pipe that nobody reads") from None
            raise
        os.set_blocking(file, True)
        return Unbuffered(file)
    os.fchmod(file, MODE)
    return Unbuffered(file)


def standard_error() -> Sink:
    """Standard error without Python's buffer, where it has a descriptor."""
    try:
        return Unbuffered(sys.stderr.fileno())
    except (OSError, ValueError):
        return sys.stderr


class BackgroundHandler(logging.Handler):
    """Hands lines to a thread.

    At most MAX_WAITING_LINES wait; more are dropped and counted, and so are those that can't be
    written.
    """

    def __init__(
        self, sink: Sink, prefix: str = "", open_again: Callable[[], Sink] | None = None
    ) -> None:
        """`prefix` begins lines of its own. `open_again` reopens the sink and closes the one
        before, or raises OSError; it may block.
        """
        super().__init__()
        self._out = sink
        self._prefix = prefix
        self._open_again = open_again
        self._lines: deque[str] = deque()
        self._crowded_out = 0  # counted by who logs; the next two by the thread
        self._failed = 0
        self._blocks = 0  # written
        self._told = 0
        self._why = ""
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._reopening = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tdc-log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Format the line here (the facts may change later), write it there."""
        if len(self._lines) >= MAX_WAITING_LINES:
            self._crowded_out += 1
            return
        try:
            self._lines.append(self.format(record))
        except Exception:  # a mistake in a call that logs must not end what it logs about
            self.handleError(record)
        if not self._wake.is_set():
            self._wake.set()

    def reopen(self) -> None:
        """Open the sink again, soon and in the thread: a file may have been moved away."""
        self._reopening.set()
        self._wake.set()

    def close(self) -> None:
        """Write what is waiting, as long as it gets on; once, though logging closes it again."""
        if not self._closing.is_set():
            self._closing.set()
            self._wake.set()
            self._wait_for_thread()
        super().close()

    def _wait_for_thread(self) -> None:
        """Wait until all is written: CLOSE_WITHIN at most, STUCK_AFTER for one block of lines."""
        until = monotonic() + CLOSE_WITHIN
        blocks = -1
        while blocks != self._blocks and monotonic() < until:
            blocks = self._blocks
            self._thread.join(STUCK_AFTER)
            if not self._thread.is_alive():
                return

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._closing.wait(LINGER)
            self._wake.clear()
            if self._reopening.is_set():
                self._reopening.clear()
                self._reopen()
            self._write_waiting()
            if self._closing.is_set() and not self._lines:
                return

    def _reopen(self) -> None:
        if self._open_again is None:
            return
        try:
            self._out = self._open_again()
        except OSError as error:
            text = f"can't open [log] file again: {os_reason(error)}; lines go where they went"
            self._lines.append(self._own(logging.ERROR, text))

    def _write_waiting(self) -> None:
        lines = self._lines
        while lines:
            block = [lines.popleft() for _ in range(min(len(lines), 1_000))]
            dropped = self._crowded_out + self._failed
            notice = [self._notice(dropped - self._told)] if dropped > self._told else []
            try:
                self._out.write("\n".join([*notice, *block]) + "\n")
                self._out.flush()
            except (OSError, ValueError) as error:  # a full disk, or the reader is gone
                self._failed += len(block)
                self._why = os_reason(error) if isinstance(error, OSError) else str(error)
            else:
                self._blocks += 1
                self._told, self._why = dropped, ""

    def _notice(self, count: int) -> str:
        why = f": {self._why}" if self._why else ": they could not be written fast enough"
        return self._own(logging.WARNING, f"{count} log lines dropped{why}.")

    def _own(self, level: int, text: str) -> str:
        """A line of the handler's own."""
        record = logging.LogRecord("tdc", level, "", 0, f"{self._prefix}{text}", None, None)
        self.acquire()  # a formatter may be anybody's
        try:
            return self.format(record)
        finally:
            self.release()
