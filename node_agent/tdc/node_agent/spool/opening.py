"""Opening the spool's file: read what waits, mend or set aside what can't be read."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tdc.node_agent.spool.database import Database, DatabaseTooNew, DatabaseUnreadable
from tdc.node_agent.spool.errors import SpoolError
from tdc.node_agent.spool.folder import SpoolFolder
from tdc.node_agent.spool.ledger import Ledger
from tdc.node_agent.spool.values import CopyState

LONGEST_WAIT = 86_400.0
"""Seconds that no copy waits for its next attempt: the most that `retry.maximum` may be."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that was opened and read."""

    database: Database
    ledger: Ledger
    highest_mid: int
    were_held: int
    nonsense: tuple[int, ...] = ()
    warning: str | None = None


def open_file(folder: SpoolFolder, now: float) -> Opened:
    """Open and read the file; one that can't be read is set aside, and the warning says where."""
    try:
        try:
            return _read(folder, now)
        except DatabaseUnreadable:  # damage in an index alone is mended, and loses nothing
            return _read(folder, now, reindex=True)
    except DatabaseTooNew as error:
        raise SpoolError(
            f"the spool was written by a newer version ({error}); start that version, "
            "or move the file away"
        ) from error
    except DatabaseUnreadable as error:
        aside = folder.set_aside(now)
        warning = (
            f"the spool's file could not be read ({error}); it is kept as {aside}, the copies in "
            "it were not delivered, and a new one was begun"
        )
        return replace(_read(folder, now), warning=warning)


def _read(folder: SpoolFolder, now: float, *, reindex: bool = False) -> Opened:
    database = Database(folder.database_path())
    try:
        if reindex:
            database.reindex()
        database.check_that_it_takes_copies()
        nonsense = tuple(database.set_aside_nonsense(now))
        were_held = database.release_all_held()
        ledger = Ledger()
        ledger.load_queued(database.load(CopyState.QUEUED), now + LONGEST_WAIT)
        for state in (CopyState.DEAD, CopyState.DAMAGED):
            ledger.load_aside(state, (size for _, _, _, size in database.load(state)))
        if database.is_new and folder.reserved_mid:
            warning = "the spool's file was missing or empty; the copies it held are lost to us"
            return Opened(database, ledger, folder.reserved_mid, were_held, warning=warning)
        return Opened(database, ledger, database.highest_mid(), were_held, nonsense)
    except BaseException:
        database.close()
        raise
