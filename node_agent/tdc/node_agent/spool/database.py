"""The spool's SQLite file: the only importer of sqlite3, whose errors end here.

One connection, used by one thread at a time. Promises: `write` returns after the commit is
fsync'd (WAL, synchronous=FULL), or raises DatabaseFault and nothing of it is visible.
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from tdc.node_agent.spool.rows import (
    LATEST,
    copy_row,
    dead_letter,
    decode_envelope,
    is_possible,
    is_same,
)
from tdc.node_agent.spool.suspects import Hazard, Suspects
from tdc.node_agent.spool.values import Copy, CopyEvent, CopyState, DeadLetter
from tdc.shared.mail.envelope import Envelope

APPLICATION_ID = 0x54444353
SCHEMA_VERSION = 1
PAGE_SIZE = 8_192  # measured best for contents of 10 KiB (docs/decisions/0003-spool.md)
# Small enough that a checkpoint delays a commit by milliseconds only (measured in the same place).
CHECKPOINT_PAGES = 4 * 1024**2 // PAGE_SIZE
KEEP_FINISHED = 100_000  # copies
KEEP_EVENTS = 200_000
PRUNE_EVERY = 1_000  # finished copies
# SQLITE_MAX_LENGTH is 10**9 bytes for a value together with its row.
MAX_CONTENT = 999_000_000
LARGE = 1024**2
"""Bytes above which content is streamed in and out of the file. Otherwise SQLite would hold it
twice more; one of the two, bound to a cached statement, until the next such insert."""
MAX_MID = 2**44 - 1  # what the queue in memory has room for (due.py)

NONSENSE = "its row holds impossible values"

_ROWS_PER_STATEMENT = (64, *range(16, 0, -1))
_FOLDER = Path(__file__).parent
_Parameter = str | int | float | bytes


class DatabaseFault(Exception):
    """The file could not be read or written; the text is the reason in operator's words."""


class DatabaseUnreadable(DatabaseFault):
    """The file is not a spool of ours, or is damaged: nothing can be trusted in it."""


class DatabaseTooNew(DatabaseFault):
    """The file was written by a newer version of the agent."""


@dataclass(frozen=True, slots=True)
class DamagedCopy:
    """A copy whose row can't be trusted, in place of the copy."""

    mid: int
    reason: str


@dataclass(slots=True)
class Batch:
    """What one transaction writes, in this order. Times are Unix seconds."""

    held: list[Copy] = field(default_factory=list)
    released: list[int] = field(default_factory=list)
    deferred: list[tuple[int, float, str, float]] = field(default_factory=list)
    """mid, now, reason, next_at"""
    dead: list[tuple[int, float, str]] = field(default_factory=list)
    """mid, now, reason"""
    finished: list[tuple[int, float, str, str]] = field(default_factory=list)
    """mid, now, outcome, text"""

    def __bool__(self) -> bool:
        return bool(self.held or self.released or self.deferred or self.dead or self.finished)


@functools.cache
def queries() -> dict[str, str]:
    """Name -> text, of queries.sql."""
    parts = re.split(r"^-- name: (\w+)$", (_FOLDER / "queries.sql").read_text("utf-8"), flags=re.M)
    return {name: text.strip() for name, text in zip(parts[1::2], parts[2::2], strict=True)}


@functools.cache
def _repeated(name: str, rows: int) -> str:
    head, row = queries()[name].split("\nVALUES ")
    return f"{head}\nVALUES {', '.join([row] * rows)}"


class Database:
    """An open spool file."""

    is_new = False
    """The file was empty, and its schema was made now."""

    def __init__(self, path: Path) -> None:
        """Open `path`, make the schema if it is empty; raises DatabaseFault and its kinds."""
        self._finished_since_prune = 0
        with _faults():
            self._connection = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, cached_statements=64
            )
        # A damaged text must not keep its row, or its neighbours, from being read.
        self._connection.text_factory = _text
        try:
            with _faults():
                self._set_up()
        except BaseException:
            self.close()
            raise

    def _set_up(self) -> None:
        execute = self._connection.execute
        for pragma in (
            f"page_size = {PAGE_SIZE}",
            "locking_mode = EXCLUSIVE",
            "journal_mode = WAL",
            "synchronous = FULL",
            f"wal_autocheckpoint = {CHECKPOINT_PAGES}",
            f"journal_size_limit = {64 * 1024**2}",
            "cache_size = -16384",
            "temp_store = MEMORY",
            "cell_size_check = ON",
            "trusted_schema = OFF",
        ):
            execute(f"PRAGMA {pragma}")
        (application_id,) = execute("PRAGMA application_id").fetchone()
        (version,) = execute("PRAGMA user_version").fetchone()
        (tables,) = execute("SELECT count(*) FROM sqlite_master").fetchone()
        if (application_id, version, tables) == (0, 0, 0):
            script = (_FOLDER / "schema.sql").read_text("utf-8")
            self._connection.executescript(f"BEGIN IMMEDIATE;\n{script}\nCOMMIT;")
            self.is_new = True
        elif application_id != APPLICATION_ID:
            raise DatabaseUnreadable("it is a database, but not a spool")
        elif version > SCHEMA_VERSION:
            raise DatabaseTooNew(
                f"its schema version is {version}, this agent knows {SCHEMA_VERSION}"
            )

    def close(self) -> None:
        """Close the file; an error here changes nothing that was committed."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()

    # Writing

    def write(self, batch: Batch) -> None:
        """Commit `batch` durably; raises DatabaseFault and then nothing of it is there."""
        with _faults():
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                self._apply(batch)
                self._connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise

    def _apply(self, batch: Batch) -> None:
        if batch.held:
            self._insert("insert_copies", [copy_row(copy) for copy in batch.held])
            small = [copy for copy in batch.held if len(copy.content) <= LARGE]
            self._insert("insert_contents", [(copy.mid, copy.content) for copy in small])
            if len(small) < len(batch.held):
                self._insert_large(copy for copy in batch.held if len(copy.content) > LARGE)
        if batch.released:
            self._run("mark_released", batch.released)
        if batch.deferred:
            self._run("mark_deferred", batch.deferred)
            self._run("insert_events", batch.deferred, "deferred")
        if batch.dead:
            self._run("mark_dead", batch.dead)
            self._run("insert_events", batch.dead, CopyState.DEAD)
        if batch.finished:
            for name in ("insert_finished", "delete_copies", "delete_contents"):
                self._run(name, batch.finished)
            self._prune(len(batch.finished))

    def _insert(self, name: str, rows: list[tuple[_Parameter, ...]]) -> None:
        # Many rows in one statement: each step into SQLite gives up the GIL, and getting it
        # back from a busy event loop can take milliseconds.
        start = 0
        for size in _ROWS_PER_STATEMENT:
            while len(rows) - start >= size:
                flat = [value for row in rows[start : start + size] for value in row]
                self._connection.execute(_repeated(name, size), flat)
                start += size

    def _insert_large(self, copies: Iterable[Copy]) -> None:
        for copy in copies:
            self._connection.execute(queries()["insert_large"], (copy.mid, len(copy.content)))
            with self._connection.blobopen("contents", "content", copy.mid) as blob:
                blob.write(copy.content)

    def _run(self, name: str, items: Sequence[object], *more: str) -> None:
        self._connection.execute(queries()[name], (json.dumps(items), *more))

    def _prune(self, finished: int) -> None:
        self._finished_since_prune += finished
        if self._finished_since_prune >= PRUNE_EVERY:
            self._finished_since_prune = 0
            self._connection.execute(queries()["prune_finished"], (KEEP_FINISHED,))
            self._connection.execute(queries()["prune_events"], (KEEP_EVENTS,))

    def probe(self) -> None:
        """Commit, durably, without changing anything; raises DatabaseFault."""
        with _faults():
            self._connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def reindex(self) -> None:
        """Rebuild the indexes from their tables; raises DatabaseFault.

        A damaged entry in an index alone would refuse each mark of its copy, and of all copies in
        the same group, for good.
        """
        with _faults():
            self._connection.execute("REINDEX")

    def check_that_it_takes_copies(self) -> None:
        """Write a copy and roll it back; raises DatabaseUnreadable where damage forbids it."""
        trial = Copy(MAX_MID, "", "", Envelope("", ()), b"trial", 0.0)
        with _faults():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._apply(Batch(held=[trial]))
            finally:
                self._connection.execute("ROLLBACK")

    def rename_damaged(self) -> None:
        """Call damaged copies of earlier agents dead; raises DatabaseFault."""
        with _faults():
            self._connection.execute(queries()["rename_damaged"])

    def mark_nonsense_dead(self, now: float) -> list[int]:
        """Mark each row with an impossible type, time or size dead, durably; return the MIDs."""
        with _faults():
            bounds = (MAX_CONTENT, MAX_MID, LATEST, LATEST)
            rows = self._connection.execute(queries()["nonsense"], bounds).fetchall()
        mids = [mid for (mid,) in rows]
        if mids:
            self.write(Batch(dead=[(mid, now, NONSENSE) for mid in mids]))
            with _faults():
                self._run("correct_sizes", mids)
        return mids

    def revive(self, mids: Iterable[int]) -> list[tuple[str, int]]:
        """Queue dead copies again, durably; return intake and MID of each; raises DatabaseFault."""
        with _faults():
            listed = (json.dumps(list(mids)),)
            return self._connection.execute(queries()["revive"], listed).fetchall()

    def release_all_held(self) -> int:
        """Queue every held copy (after a restart); return how many there were."""
        with _faults():
            return self._connection.execute(queries()["release_all_held"]).rowcount

    # Reading

    def load(self, state: CopyState) -> Iterator[tuple[str, int, float, int]]:
        """Yield intake, mid, next_at and size of each copy in `state`."""
        with _faults():
            yield from self._connection.execute(queries()["load_state"], (state,))

    def waits(self, mid: int) -> bool:
        """Whether a copy is there and not dead."""
        with _faults():
            (count,) = self._connection.execute(queries()["waits"], (mid,)).fetchone()
        return bool(count)

    def highest_mid(self) -> int:
        """The highest MID that the file knows, 0 if there is none."""
        with _faults():
            row = self._connection.execute(queries()["highest_mid"], (MAX_MID,) * 2).fetchone()
        return cast("int", row[0])

    def oldest(self, intake: str) -> float | None:
        """When the oldest copy that waits for `intake` was taken."""
        with _faults():
            ages = [
                self._connection.execute(queries()["oldest_of_state"], (state, intake)).fetchone()
                for state in (CopyState.HELD, CopyState.QUEUED)
            ]
        return min((age[0] for age in ages if age is not None), default=None)

    def read(self, mid: int) -> Copy | DamagedCopy:
        """A copy with its content, checked; raises DatabaseFault when the disk fails."""
        try:
            row = self._connection.execute(queries()["read_copy"], (LARGE, LARGE, mid)).fetchone()
            streamed = self._read_large(mid) if row is not None and row[-1] else None
        except sqlite3.DatabaseError as error:
            if _code(error) == sqlite3.SQLITE_CORRUPT:
                return DamagedCopy(mid, "its pages in the spool's file are damaged")
            raise DatabaseFault(_reason(error)) from error
        if row is None:
            return DamagedCopy(mid, "its row is missing")
        report_id, intake, envelope, size, taken_at, attempts, checksum, content, _ = row
        content = content if streamed is None else streamed
        if not isinstance(content, bytes):
            return DamagedCopy(mid, "its content is missing")
        if len(content) != size or not is_same(checksum, content, report_id, intake, envelope):
            return DamagedCopy(mid, "its bytes don't match their checksum")
        if not is_possible(taken_at, attempts):
            return DamagedCopy(mid, NONSENSE)
        return Copy(mid, report_id, intake, decode_envelope(envelope), content, taken_at, attempts)

    def read_up_to(
        self, max_bytes: int, mids: Iterable[int], suspects: Suspects
    ) -> dict[int, Copy | DamagedCopy]:
        """The copies up to that which reaches `max_bytes`; at least the first."""
        found: dict[int, Copy | DamagedCopy] = {}
        room = max_bytes
        for mid in mids:
            with suspects.marked(Hazard.READING, mid):
                copy = found[mid] = self.read(mid)
            room -= len(copy.content) if isinstance(copy, Copy) else 0
            if room <= 0:
                break
        return found

    def _read_large(self, mid: int) -> bytes:
        with self._connection.blobopen("contents", "content", mid, readonly=True) as blob:
            return blob.read()

    def dead_letters(self, limit: int) -> list[DeadLetter]:
        """The dead copies, oldest first for each intake."""
        with _faults():
            rows = self._connection.execute(queries()["list_dead"], (limit,)).fetchall()
        return [dead_letter(row) for row in rows]

    def history(self, mid: int) -> list[CopyEvent]:
        """What happened to a copy, oldest first."""
        with _faults():
            ask = self._connection.execute
            taken = ask(queries()["taken_of"], (mid,)).fetchone()
            finished = ask(queries()["finished_of"], (mid,)).fetchone()
            events = [CopyEvent(*row) for row in ask(queries()["events_of"], (mid,))]
        if finished is not None:
            taken_at, finished_at, outcome, text = finished
            return [CopyEvent(taken_at, "taken"), *events, CopyEvent(finished_at, outcome, text)]
        return [CopyEvent(taken[0], "taken"), *events] if taken is not None else events


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


@contextlib.contextmanager
def _faults() -> Iterator[None]:
    """Turn the driver's errors into ours."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if _code(error) in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            raise DatabaseUnreadable(_reason(error)) from error
        raise DatabaseFault(_reason(error)) from error
    except sqlite3.Error as error:
        raise DatabaseFault(_reason(error)) from error


def _code(error: sqlite3.Error) -> int:
    """The primary result code: the low byte of the extended code."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _reason(error: sqlite3.Error) -> str:
    name = getattr(error, "sqlite_errorname", "SQLite")
    return f"{error} ({name})"


Read = Callable[[Database], object]
"""A question that the writer's thread asks between two transactions."""
