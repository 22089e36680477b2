"""Opening the spool's file: read what waits, mend or set aside what can't be read.

The same at the start and after each failure while the agent runs. What differs: at the start the
queue is read from the file; later it is in memory, and the file only has to take marks again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from tdc.node_agent.spool.database import (
    NONSENSE,
    Batch,
    Database,
    DatabaseFault,
    DatabaseTooNew,
    DatabaseUnreadable,
)
from tdc.node_agent.spool.errors import SpoolError
from tdc.node_agent.spool.folder import SpoolFolder
from tdc.node_agent.spool.ledger import Ledger
from tdc.node_agent.spool.suspects import Suspects
from tdc.node_agent.spool.values import CopyState
from tdc.shared.edge.clock import Clock

LONGEST_WAIT = 86_400.0
"""Seconds that no copy waits for its next attempt: the most that `retry.maximum` may be."""

DAMAGED_TRIES = 3
"""Failures in a row that met damage, with the indexes made anew in between, after which the file
is set aside while the agent runs: it would take no copy and no mark any more."""

VANISHED = (
    "the spool's file was missing or empty; the copies it held are lost to us, unless it was set "
    "aside just before: look for spool.damaged-* in its folder"
)


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that was opened and read."""

    database: Database
    ledger: Ledger
    highest_mid: int
    were_held: int
    suspects: Suspects
    damaged: Mapping[int, str] = field(default_factory=dict)
    """MID -> reason of each copy that was set aside now."""
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
        warning = _set_aside(folder, now, str(error))
        return replace(_read(folder, now), warning=warning)


def _set_aside(folder: SpoolFolder, now: float, reason: str) -> str:
    """Set the file aside; return the alarm."""
    aside = folder.set_aside(now)
    return (
        f"the spool's file could not be read ({reason}); it is kept as {aside}, the copies in "
        "it were not delivered, and a new one was begun"
    )


def _read(folder: SpoolFolder, now: float, *, reindex: bool = False) -> Opened:
    database = Database(folder.database_path())
    try:
        if reindex:
            database.reindex()
        database.check_that_it_takes_copies()
        damaged = dict.fromkeys(database.set_aside_nonsense(now), NONSENSE)
        damaged |= _set_aside_poison(database, folder.suspects, now)
        were_held = database.release_all_held()
        ledger = Ledger()
        ledger.load_queued(database.load(CopyState.QUEUED), now + LONGEST_WAIT)
        for state in (CopyState.DEAD, CopyState.DAMAGED):
            ledger.load_aside(state, (size for _, _, _, size in database.load(state)))
        if database.is_new and folder.reserved_mid:
            highest_mid = folder.reserved_mid
            folder.suspects.begin(highest_mid)
            return Opened(
                database, ledger, highest_mid, were_held, folder.suspects, warning=VANISHED
            )
        # Without a history, as after a try that made the file and no more, the bound goes on.
        highest_mid = database.highest_mid() or folder.reserved_mid
        folder.suspects.begin(highest_mid)
        return Opened(database, ledger, highest_mid, were_held, folder.suspects, damaged)
    except BaseException:
        database.close()
        raise


def _set_aside_poison(database: Database, suspects: Suspects, now: float) -> dict[int, str]:
    """Set aside each copy that the agent died of again and again."""
    waiting = {mid: why for mid, why in suspects.poison().items() if database.waits(mid)}
    damaged = CopyState.DAMAGED
    if waiting:
        asides = [(mid, now, str(damaged), why, str(damaged)) for mid, why in waiting.items()]
        database.write(Batch(asides=asides))
    suspects.forget()
    return waiting


class SpoolFile:
    """The file as the writer's thread has it. Not open at first: opening is the first recovery.

    `on_opened` is told what was read when the file is open for the first time; `on_lost` is told
    an alarm when a new file was begun while the agent runs. Both are called by that thread.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        on_opened: Callable[[Opened], None],
        on_lost: Callable[[str], None],
    ) -> None:
        self._path = path
        self._clock = clock
        self._on_opened = on_opened
        self._on_lost = on_lost
        self._folder: SpoolFolder | None = None
        self._database: Database | None = None
        self._damaged = 0
        self._reason = ""
        self._aside: str | None = None

    @property
    def folder(self) -> SpoolFolder:
        """The folder, once the file was open."""
        assert self._folder is not None
        return self._folder

    @property
    def database(self) -> Database:
        """The open file."""
        assert self._database is not None
        return self._database

    def open(self, kept: Batch) -> set[str]:
        """Open the file, the first time or anew, and write `kept`.

        Returns the intakes that copies in it wait for, if it is the first time. Raises
        SpoolLocked, SpoolError, DatabaseFault, OSError; then it may be called again.
        """
        if self._folder is None:
            return self._open_first()
        self._open_anew(self._folder, kept)
        self._damaged = 0
        return set()

    def failed(self, error: Exception) -> str:
        """Note that a use of the file, or its opening, failed; return the reason in words."""
        self._damaged = self._damaged + 1 if isinstance(error, DatabaseUnreadable) else 0
        self._reason = _in_words(error)
        return self._reason

    def close(self) -> None:
        """Close the file, let go of the folder."""
        self._close_database()
        if self._folder is not None:
            self._folder.close()

    def _open_first(self) -> set[str]:
        folder = SpoolFolder.open(self._path)
        try:
            opened = open_file(folder, self._clock())
        except (DatabaseFault, OSError) as error:
            folder.close()
            raise SpoolError(
                f"the spool in {self._path} can't be opened: {_in_words(error)}; "
                "check its disk, and whose the files are"
            ) from error
        except BaseException:
            folder.close()
            raise
        self._folder, self._database = folder, opened.database
        self._on_opened(opened)
        return set(opened.ledger.due.waiting())

    def _open_anew(self, folder: SpoolFolder, kept: Batch) -> None:
        self._close_database()
        if self._damaged >= DAMAGED_TRIES:
            self._aside = _set_aside(folder, self._clock(), self._reason)
        self._database = database = Database(folder.database_path())
        if database.is_new:
            self._on_lost(self._aside or VANISHED)
            self._aside = None
        if self._damaged:
            database.reindex()
            database.check_that_it_takes_copies()
        database.write(kept)
        database.probe()  # what was kept may be empty: only a real commit counts

    def _close_database(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None


def _in_words(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    ours = isinstance(error, DatabaseFault | SpoolError)
    return str(error) if ours else repr(error)
