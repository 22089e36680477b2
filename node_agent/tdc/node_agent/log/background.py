"""The thread that writes log lines, so that a full pipe or a slow disk never delays mail."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import TextIO

MAX_WAITING_LINES = 20_000
LINGER = 0.02
"""Seconds for which lines gather. Each time the thread wakes up it takes the interpreter lock from
the event loop, so it should write many lines at once."""


class BackgroundHandler(logging.Handler):
    """Hands lines to a thread.

    At most MAX_WAITING_LINES wait; more are dropped and counted, and the count is a line of its
    own once there is room. `open_again` opens the file anew and closes the one before; it may
    block.
    """

    def __init__(self, stream: TextIO, open_again: Callable[[], TextIO] | None = None) -> None:
        super().__init__()
        self._out = stream
        self._open_again = open_again
        self._lines: deque[str] = deque()
        self._dropped = 0
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._reopening = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tdc-log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Format the line here (the facts may change later), write it there."""
        if len(self._lines) >= MAX_WAITING_LINES:
            self._dropped += 1
            return
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            text = f"{dropped} log lines dropped: they could not be written fast enough."
            self._say(logging.WARNING, text)
        self._lines.append(self.format(record))
        if not self._wake.is_set():
            self._wake.set()

    def reopen(self) -> None:
        """Open the file again, soon and in the thread: it may have been moved away."""
        self._reopening.set()
        self._wake.set()

    def close(self) -> None:
        """Write what is waiting, within 5 seconds."""
        self._closing.set()
        self._wake.set()
        self._thread.join(5)
        super().close()

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
            self._say(
                logging.ERROR, f"can't open [log] file again: {error}; lines go where they went"
            )

    def _say(self, level: int, text: str) -> None:
        """A line of the log's own."""
        record = logging.LogRecord("tdc", level, "", 0, f"TDC: {text}", None, None)
        self._lines.append(self.format(record))

    def _write_waiting(self) -> None:
        lines = self._lines
        while lines:
            block = [lines.popleft() for _ in range(min(len(lines), 1_000))]
            try:
                self._out.write("\n".join(block) + "\n")
                self._out.flush()
            except (OSError, ValueError):  # the reader is gone or the stream is closed
                self._dropped += len(block)
