"""Opening the agent's log: the file that agent.toml names, or standard error."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from tdc.node_agent.log.lines import TdcLog
from tdc.shared.connector.settings import ConnectorSettings

MODE = 0o640
"""Of a log file that we make: addresses and Message-IDs are not for every user of the machine."""

_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC


class _LogFile:
    """The file that lines go to; standard error while it can't be opened."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO | None = None

    def open(self) -> TextIO:
        """Open it, and close the one before; raises OSError, and then that one stays."""
        file = _append_to(self._path)
        opened = os.fdopen(file, "a", encoding="utf-8", errors="backslashreplace")
        self.close()
        self._file = opened
        return opened

    def close(self) -> None:
        """Close it; what could not be written is lost by now."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()


@contextlib.contextmanager
def opened_log(intake_name: str, path: Path | None) -> Iterator[TdcLog]:
    """Log while the body runs; level and format are the defaults until settings are in force.

    A file that can't be opened is itself logged, to standard error: mail must not wait for a log.
    """
    with contextlib.ExitStack() as stack:
        problem = ""
        stream: TextIO = sys.stderr
        file = None if path is None else _LogFile(path)
        if file is not None:
            stack.callback(file.close)
            try:
                stream = file.open()
            except OSError as error:
                problem = f"can't write [log] file: {error}; logging to standard error"
        log = TdcLog(intake_name, stream=stream, open_again=None if file is None else file.open)
        stack.callback(log.close)
        defaults = ConnectorSettings.defaults()
        log.configure(defaults.log_level, defaults.log_format)
        if problem:
            log.error(problem)
        yield log


def _append_to(path: Path) -> int:
    """Open it, or make it with MODE, whatever the umask; one that is there keeps its mode."""
    try:
        file = os.open(path, _APPEND | os.O_CREAT | os.O_EXCL, MODE)
    except FileExistsError:
        return os.open(path, _APPEND | os.O_CREAT, MODE)
    os.fchmod(file, MODE)
    return file
