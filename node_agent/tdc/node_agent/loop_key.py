"""The secret by which this machine knows its own reports, in the state folder.

In: the folder. Out: 32 bytes that never leave the machine. Failures: none. A key that can't be read
is replaced, and a key that can't be saved lasts until the agent stops. Both are logged: reports
made with the lost key are no longer recognised and, if they come back, are copied once more.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from tdc.node_agent.journal.loop import KEY_BYTES
from tdc.node_agent.log.lines import TdcLog
from tdc.shared.edge import durable_file

FILE = "loop.key"


def load(folder: Path, log: TdcLog) -> bytes:
    """The key in `folder`, made if it is missing; never raises, because mail must flow."""
    path = folder / FILE
    try:
        key = durable_file.read_checked(path)
        if len(key) == KEY_BYTES:
            return key
        trouble = f"{path} has {len(key)} bytes, not {KEY_BYTES}"
    except durable_file.Missing:
        trouble = None
    except durable_file.NotReadable as error:
        trouble = str(error)
    if trouble is not None:
        log.warning(f"{trouble}: using a new loop key; older reports that come back will be copied")
    return _made(path, log)


def _made(path: Path, log: TdcLog) -> bytes:
    key = secrets.token_bytes(KEY_BYTES)
    try:
        durable_file.make_folder(path.parent)
        durable_file.write_checked(path, key)
    except durable_file.NotWritten as error:
        log.error(f"{error}: the loop key lasts until the agent stops; repair the state folder")
    return key
