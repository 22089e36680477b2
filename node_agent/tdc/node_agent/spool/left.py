"""How many copies a spool holds that no agent has open; nothing is written there."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from tdc.node_agent.spool.folder import DATABASE


def copies_left(folder: Path) -> int | None:
    """The copies in the spool of `folder`, waiting or dead; None where that can't be told."""
    database = folder / DATABASE
    try:
        if not database.exists():
            return 0
        # Where there is no log of writes to read, SQLite is not to make one.
        log = Path(f"{database}-wal")
        how = "mode=ro" if log.exists() and log.stat().st_size else "immutable=1"
        uri = f"{database.resolve().as_uri()}?{how}"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=1.0)) as connection:
            asked = "SELECT count(*) FROM copies WHERE state IN ('held', 'queued', 'dead')"
            return int(connection.execute(asked).fetchone()[0])
    except (sqlite3.Error, OSError, ValueError):
        return None
