"""SQLite's errors, as faults of the spool's file."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

from tdc.node_agent.spool.faults import DatabaseFault, DatabaseUnreadable


@contextlib.contextmanager
def faults() -> Iterator[None]:
    """Turn the driver's errors into ours."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        cut_short = getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_IOERR_SHORT_READ
        if cut_short or code(error) in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            raise DatabaseUnreadable(reason(error)) from error
        raise DatabaseFault(reason(error)) from error
    except sqlite3.Error as error:
        raise DatabaseFault(reason(error)) from error


def code(error: sqlite3.Error) -> int:
    """The primary result code: the low byte of the extended code."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def reason(error: sqlite3.Error) -> str:
    """What went wrong, in SQLite's words and by its name."""
    name = getattr(error, "sqlite_errorname", "SQLite")
    return f"{error} ({name})"
