"""The ports file: how a program that started the agent learns the port that the system chose."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from tdc.node_agent.log.lines import TdcLog
from tdc.shared.edge import durable_file


@contextlib.contextmanager
def announced(path: Path | None, port: int, log: TdcLog) -> Iterator[None]:
    """Keep `{"smtp": PORT, "pid": PID}` at `path` while the body runs; nothing if it is None.

    A file that can't be written is logged: mail never waits for it.
    """
    if path is None:
        yield
        return
    content = json.dumps({"smtp": port, "pid": os.getpid()}).encode() + b"\n"
    try:
        durable_file.write(path, content, mode=durable_file.READABLE)
    except durable_file.NotWritten as error:
        log.error(f"ports_file: {error}")
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
