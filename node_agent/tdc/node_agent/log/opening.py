"""Opening the agent's log: the file that agent.toml names, or standard error."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tdc.node_agent.log.lines import TdcLog
from tdc.shared.connector.settings import ConnectorSettings
from tdc.shared.edge.background_log import Sink, Unbuffered, appending
from tdc.shared.edge.os_words import os_reason


class _LogFile:
    """The file that lines go to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: Unbuffered | None = None

    def open(self) -> Sink:
        """Open it, and close the one before; raises OSError, and then that one stays."""
        opened = appending(self._path)
        self.close()
        self._file = opened
        return opened

    def close(self) -> None:
        """Close it."""
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
        stream: Sink | None = None
        file = None if path is None else _LogFile(path)
        if file is not None:
            stack.callback(file.close)
            try:
                stream = file.open()
            except OSError as error:
                problem = f"can't write [log] file {path}: {os_reason(error)}; "
                problem += "logging to standard error"
        log = TdcLog(intake_name, stream=stream, open_again=None if file is None else file.open)
        stack.callback(log.close)
        defaults = ConnectorSettings.defaults()
        log.configure(defaults.log_level, defaults.log_format)
        if problem:
            log.error(problem)
        yield log
