"""Opening the agent's log: the file that agent.toml names, or standard error."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from tdc.node_agent.log.lines import TdcLog
from tdc.shared.connector.settings import ConnectorSettings


@contextlib.contextmanager
def opened_log(intake_name: str, path: Path | None) -> Iterator[TdcLog]:
    """Log while the body runs; level and format are the defaults until settings are in force.

    A file that can't be opened is itself logged, to standard error: mail must not wait for a log.
    """
    with contextlib.ExitStack() as stack:
        problem = ""
        stream: TextIO = sys.stderr
        if path is not None:
            try:
                stream = stack.enter_context(
                    path.open("a", encoding="utf-8", errors="backslashreplace")
                )
            except OSError as error:
                problem = f"can't write [log] file: {error}; logging to standard error"
        log = TdcLog(intake_name, stream=stream)
        stack.callback(log.close)
        defaults = ConnectorSettings.defaults()
        log.configure(defaults.log_level, defaults.log_format)
        if problem:
            log.error(problem)
        yield log
