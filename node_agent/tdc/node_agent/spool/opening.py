"""Opening the spool's file: read what waits, repair or set aside what can't be read.

It happens at the start and after each failure while the agent runs. At the start the queue is read
from the file; later it is in memory, and the file only has to accept marks again.

The order of the first opening matters. Nothing is trusted before a trial copy could be written and
rolled back. Then impossible rows and poisonous copies are marked dead, so that the queue can be
read without them; then held copies are queued; then the queue is read. Each step is durable before
the next, and each may be repeated: a crash anywhere leaves a file that opens the same way.

Damage is answered by the least that helps: a damaged row costs one copy, a damaged index is rebuilt
and costs nothing, and only a file that can't be used at all is set aside, whole, for `sqlite3
FILE .recover`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from tdc.node_agent.spool.batch import Batch
from tdc.node_agent.spool.clock import SteadyClock
from tdc.node_agent.spool.database import NONSENSE, Database
from tdc.node_agent.spool.faults import DatabaseFault, DatabaseTooNew, DatabaseUnreadable
from tdc.node_agent.spool.folder import SpoolFolder, no_inodes_left
from tdc.node_agent.spool.ledger import Ledger
from tdc.node_agent.spool.rows import readable
from tdc.node_agent.spool.suspects import Suspects
from tdc.node_agent.spool.values import CopyState, SpoolError
from tdc.shared.edge.os_words import os_reason

LONGEST_WAIT = 86_400.0
"""Seconds that no copy waits for its next attempt: the most that `retry.maximum` may be."""

DAMAGED_TRIES = 3
"""Failures in a row that met damage, with the indexes rebuilt in between, after which the file is
set aside while the agent runs: it would take no copy and no mark any more."""

RESCUE_TRIES = 3
"""Tries to copy what was in a file that was removed, after which an empty one is begun."""

VANISHED = (
    "the spool's file was missing or empty; the copies in it are lost, unless it was set aside "
    "just before: look for spool.damaged-* in its folder"
)


@dataclass(frozen=True, slots=True)
class OpenedSpool:
    """A file that was opened and read."""

    database: Database
    ledger: Ledger
    highest_mid: int
    were_held: int
    suspects: Suspects
    found_dead: Mapping[int, str] = field(default_factory=dict)
    """MID -> reason of each copy that was found damaged, or poisonous, now."""
    intakes: list[tuple[str, str]] = field(default_factory=list)
    """Address and facts of each intake that the file knows."""
    warning: str | None = None


def open_file(folder: SpoolFolder, clock: SteadyClock) -> OpenedSpool:
    """Open and read the file. If it can't be read it is set aside, and the warning says where."""
    try:
        try:
            return _read(folder, clock)
        except DatabaseUnreadable:  # damage in an index alone can be repaired, and loses nothing
            return _read(folder, clock, reindex=True)
    except DatabaseTooNew as error:
        raise SpoolError(
            f"the spool was written by a newer version ({error}); start that version, "
            "or move the file away"
        ) from error
    except DatabaseUnreadable as error:
        warning = _set_aside(folder, clock.wall(), str(error))
        return replace(_read(folder, clock), warning=warning)


def _set_aside(folder: SpoolFolder, now: float, reason: str) -> str:
    """Set the file aside; return the alarm."""
    aside = folder.set_aside(now)
    return (
        f"the spool's file could not be read ({reason}). It is kept as {aside}; the copies in it "
        "were not delivered. A new file is in use"
    )


def _read(folder: SpoolFolder, clock: SteadyClock, *, reindex: bool = False) -> OpenedSpool:
    database = Database(folder.database_path(), clock.wall())
    try:
        if reindex:
            database.reindex()
        clock.resume(database.anchor())
        now = clock()
        database.check_that_it_takes_copies()
        database.rename_damaged()
        found_dead = dict.fromkeys(database.mark_nonsense_dead(now), NONSENSE)
        found_dead |= _mark_poison_dead(database, folder.suspects, now)
        were_held = database.release_all_held()
        ledger = Ledger()
        ledger.load_queued(database.load(CopyState.QUEUED), now + LONGEST_WAIT)
        ledger.load_dead((readable(row[0]), row[3]) for row in database.load(CopyState.DEAD))
        # Without a history, as after a try that made the file and no more, the bound goes on.
        highest_mid = database.highest_mid() or folder.reserved_mid
        folder.suspects.begin(highest_mid)
        vanished = database.is_new and folder.reserved_mid
        return OpenedSpool(
            database,
            ledger,
            highest_mid,
            were_held,
            folder.suspects,
            found_dead,
            database.intakes(),
            VANISHED if vanished else folder.warning,
        )
    except BaseException:
        database.close()
        raise


def _mark_poison_dead(database: Database, suspects: Suspects, now: float) -> dict[int, str]:
    """Mark dead each copy that the agent died of again and again."""
    waiting = {mid: why for mid, why in suspects.poison().items() if database.waits(mid)}
    if waiting:
        database.write(Batch(dead=[(mid, now, why) for mid, why in waiting.items()]))
    suspects.forget()
    return waiting


class SpoolFile:
    """The file as the writer's thread has it. Not open at first: opening is the first recovery.

    Called by that thread: `on_opened` with what was read, when the file is open for the first time;
    `on_lost` with an alarm, when a new file had to be begun while the agent runs; `on_rescued`
    with one, when all that was in a file that was removed is in a new one.
    """

    def __init__(
        self,
        path: Path,
        clock: SteadyClock,
        on_opened: Callable[[OpenedSpool], object],
        on_lost: Callable[[str], object],
        on_rescued: Callable[[str], object],
    ) -> None:
        self._path = path
        self._clock = clock
        self._on_opened = on_opened
        self._on_lost = on_lost
        self._on_rescued = on_rescued
        self._folder: SpoolFolder | None = None
        self._database: Database | None = None
        self._damaged = 0
        self._foreign = False  # another program wrote into it: what is there is not what we wrote
        self._rescues = 0
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

    def open_or_reopen(self, kept: Batch) -> set[str]:
        """Open the file, or open it again, and write `kept`.

        Returns, the first time, the intakes that copies in it are for. Raises
        SpoolLocked, SpoolError, DatabaseFault, OSError; then it may be called again.
        """
        if self._folder is None:
            return self._open_first()
        try:
            self._reopen(self._folder, kept)
        finally:
            self._folder.note_writes()
        self._damaged = 0
        return set()

    def failed(self, error: Exception) -> str:
        """Note that opening or using the file failed; return the reason in words."""
        self._damaged = self._damaged + 1 if isinstance(error, DatabaseUnreadable) else 0
        self._reason = _in_words(error)
        if no_inodes_left(self._path):
            self._reason += "; the disk has no inodes left: remove files from it"
        return self._reason

    def close(self) -> None:
        """Close the file, unlock the folder."""
        self._close_database()
        if self._folder is not None:
            self._folder.close()

    def _open_first(self) -> set[str]:
        folder = SpoolFolder.locked(self._path)
        try:
            opened = open_file(folder, self._clock)
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
        folder.watch()
        self._on_opened(opened)
        return opened.ledger.intakes()

    def _reopen(self, folder: SpoolFolder, kept: Batch) -> None:
        if folder.gone() is not None:
            if self._database is not None and self._rescues < RESCUE_TRIES:
                self.rescue()
            else:
                folder.renew()
        self._foreign |= folder.overwritten() is not None
        self._close_database()
        if self._foreign or self._damaged >= DAMAGED_TRIES:
            self._aside = _set_aside(folder, self._clock.wall(), self._reason)
            self._foreign = False
        self._database = database = Database(folder.database_path(), self._clock.wall())
        if database.is_new:
            self._on_lost(self._aside or VANISHED)
            self._aside = None
        if self._damaged:
            database.reindex()
            database.check_that_it_takes_copies()
        database.write(kept)
        database.probe()  # what was kept may be empty: only a real commit counts
        folder.watch()

    def rescue(self) -> None:
        """If another program removed the file or wrote into it, make a new one of what was in it.

        Raises SpoolError, DatabaseFault, OSError; DatabaseUnreadable if what was in it is lost.
        """
        gone = self.folder.gone()
        overwritten = None if gone else self.folder.overwritten()
        if gone is None and overwritten is None:
            return
        self._rescues += 1
        fresh = self.folder.renew()
        what = f"{gone} was removed or replaced in {self._path} while the agent runs"
        if overwritten is not None:
            what = f"another program wrote into {overwritten} in {self._path} while the agent runs"
            self._foreign = True
        try:
            self.database.copy_to(fresh)
            _check(fresh)
        except DatabaseUnreadable as error:
            raise DatabaseUnreadable(f"{what}: {error}") from error
        self._close_database()
        self.folder.replace_database(fresh, self._clock.wall())
        self._database = Database(self.folder.database_path(), self._clock.wall())
        self.folder.watch()
        self._rescues, self._foreign = 0, False
        self._on_rescued(f"{what}. All copies were still at hand and are in a new file")

    def _close_database(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None


def _check(fresh: Path) -> None:
    """See that a copy of the file is whole; raises DatabaseFault."""
    copy = Database(fresh)
    try:
        copy.check()
    finally:
        copy.close()


def _in_words(error: Exception) -> str:
    if isinstance(error, OSError):
        return os_reason(error)
    ours = isinstance(error, DatabaseFault | SpoolError)
    return str(error) if ours else repr(error)
