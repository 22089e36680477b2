"""The spool's SQLite file: the only importer of sqlite3, whose errors end here.

One connection, used by one thread at a time. Promises: `write` returns after the commit is
fsync'd (WAL, synchronous=FULL), or raises DatabaseFault and nothing of it is visible.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import cast

from tdc.node_agent.spool import order_rows
from tdc.node_agent.spool.batch import KEEP_INTAKES, Batch
from tdc.node_agent.spool.faults import (
    DamagedCopy,
    DatabaseFault,
    DatabaseTooNew,
    DatabaseUnreadable,
)
from tdc.node_agent.spool.queries import queries, repeated, schema, upgrade_from
from tdc.node_agent.spool.rows import (
    LATEST,
    CopyRow,
    copy_row,
    move_check,
)
from tdc.node_agent.spool.sqlite_errors import code, faults, reason
from tdc.node_agent.spool.steady import Anchor, Reading
from tdc.node_agent.spool.suspects import Hazard, Suspects
from tdc.node_agent.spool.values import Copy, CopyState
from tdc.shared.mail.envelope import Envelope

APPLICATION_ID = 0x54444353
SCHEMA_VERSION = 2
PAGE_SIZE = 8_192  # measured best for contents of 10 KiB (docs/decisions/0003-spool.md)
# Small enough that a checkpoint delays a commit by milliseconds only (measured in the same place).
CHECKPOINT_PAGES = 4 * 1024**2 // PAGE_SIZE
KEEP_FINISHED = 100_000  # copies
KEEP_EVENTS = 200_000
PRUNE_EVERY = 1_000  # finished copies
SWEEP_COPIES, SWEEP_BYTES = 500, 16 * 1024**2
"""How much of what was dropped is deleted at a time, so that new copies need not wait for it."""
# SQLITE_MAX_LENGTH is 10**9 bytes for a value together with its row.
MAX_CONTENT = 999_000_000
LARGE = 1024**2
"""Bytes above which content is streamed in and out of the file. Otherwise SQLite would hold it
twice more; one of the two, bound to a cached statement, until the next such insert."""
MAX_MID = 2**44 - 1  # what the queue in memory has room for (due.py)

NONSENSE = "its row holds impossible values"

_ROWS_PER_STATEMENT = (64, *range(16, 0, -1))
Parameter = str | int | float | bytes


class Database:
    """An open spool file."""

    is_new = False
    """The file was empty, and its schema was made now."""

    def __init__(self, path: Path, wall: float = 0.0) -> None:
        """Open `path`, make the schema if it is empty; raises DatabaseFault and its kinds.

        `wall` is the time now, from which a file of an earlier version is read.
        """
        self._finished_since_prune = 0
        with faults():
            self._connection = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, cached_statements=64
            )
        # A damaged text must not keep its row, or its neighbours, from being read.
        self._connection.text_factory = _text
        try:
            with faults():
                self._set_up(wall)
        except BaseException:
            self.close()
            raise

    def _set_up(self, wall: float) -> None:
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
        self._connection.create_function("move_check", 2, move_check, deterministic=True)
        (application_id,) = execute("PRAGMA application_id").fetchone()
        (version,) = execute("PRAGMA user_version").fetchone()
        (tables,) = execute("SELECT count(*) FROM sqlite_master").fetchone()
        if (application_id, version, tables) == (0, 0, 0):
            self._connection.executescript(f"BEGIN IMMEDIATE;\n{schema()}\nCOMMIT;")
            self.is_new = True
        elif application_id != APPLICATION_ID:
            raise DatabaseUnreadable("it is a database, but not a spool")
        elif version > SCHEMA_VERSION:
            raise DatabaseTooNew(
                f"its schema version is {version}, this agent knows {SCHEMA_VERSION}"
            )
        elif version < 1:
            raise DatabaseUnreadable("it has no schema version")
        elif version < SCHEMA_VERSION:
            self._upgrade(version, wall)

    def _upgrade(self, version: int, wall: float) -> None:
        """Bring a file of an earlier version to ours, whole or not at all."""
        with self._transaction():
            for earlier in range(version, SCHEMA_VERSION):
                for statement in upgrade_from(earlier):
                    self._connection.execute(statement, {"wall": wall})

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Close the file; an error here changes nothing that was committed."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()

    # Writing

    def write(self, batch: Batch) -> None:
        """Commit `batch` durably; raises DatabaseFault and then nothing of it is there.

        Then those who ordered something are answered.
        """
        with faults(), self._transaction():
            self._apply(batch)
            counted = [(mark, order_rows.carry_out(self, mark)) for mark in batch.orders]
        for mark, found in counted:
            mark.written(*found)

    def _apply(self, batch: Batch) -> None:
        if batch.clock is not None:
            steady, reading = batch.clock
            self.ask("save_clock", steady, *reading)
        if batch.intakes:
            self.run("save_intakes", batch.intakes)
            self.ask("forget_intakes", KEEP_INTAKES)
        if batch.held:
            self._insert("insert_copies", [copy_row(copy) for copy in batch.held])
            small = [copy for copy in batch.held if len(copy.content) <= LARGE]
            self._insert("insert_contents", [(copy.mid, copy.content) for copy in small])
            if len(small) < len(batch.held):
                self._insert_large(copy for copy in batch.held if len(copy.content) > LARGE)
        if batch.released:
            self.run("mark_released", batch.released)
        if batch.deferred:
            self.run("mark_deferred", batch.deferred)
            self.run("insert_events", batch.deferred, "deferred")
        if batch.dead:
            self.run("mark_dead", batch.dead)
            self.run("insert_events", batch.dead, CopyState.DEAD)
        if batch.finished:
            for name in ("insert_finished", "delete_copies", "delete_contents"):
                self.run(name, batch.finished)
            self._prune(len(batch.finished))

    def _insert(self, name: str, rows: list[tuple[Parameter, ...]]) -> None:
        # Many rows in one statement: each step into SQLite gives up the GIL, and getting it
        # back from a busy event loop can take milliseconds.
        start = 0
        for size in _ROWS_PER_STATEMENT:
            while len(rows) - start >= size:
                flat = [value for row in rows[start : start + size] for value in row]
                self._connection.execute(repeated(name, size), flat)
                start += size

    def _insert_large(self, copies: Iterable[Copy]) -> None:
        for copy in copies:
            self._connection.execute(queries()["insert_large"], (copy.mid, len(copy.content)))
            with self._connection.blobopen("contents", "content", copy.mid) as blob:
                blob.write(copy.content)

    def run(self, name: str, items: Sequence[object], *more: Parameter) -> sqlite3.Cursor:
        """Execute a query whose first parameter is a list, within `faults`."""
        return self._connection.execute(queries()[name], (json.dumps(items), *more))

    def _prune(self, finished: int) -> None:
        self._finished_since_prune += finished
        if self._finished_since_prune >= PRUNE_EVERY:
            self._finished_since_prune = 0
            self._connection.execute(queries()["prune_finished"], (KEEP_FINISHED,))
            self._connection.execute(queries()["prune_events"], (KEEP_EVENTS,))

    def sweep(self) -> bool:
        """Delete some of the copies that were dropped; says whether there were any."""
        with faults(), self._transaction():
            mids, size = [], 0
            for mid, its_size in self.ask("some_dropped", SWEEP_COPIES):
                mids.append(mid)
                size += its_size
                if size >= SWEEP_BYTES:
                    break
            if mids:
                self.run("finish_dropped", mids)
                for name in ("delete_copies", "delete_contents"):
                    self.run(name, [(mid,) for mid in mids])
        return bool(mids)

    def copy_to(self, path: Path) -> None:
        """Write all that is in the file to a new one at `path`, durably; raises DatabaseFault."""
        with faults(), contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("PRAGMA synchronous = FULL")
            self._connection.backup(other)

    def check(self) -> None:
        """See that every page is whole; raises DatabaseFault."""
        with faults():
            (found,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise DatabaseUnreadable(found)

    def probe(self) -> None:
        """Commit, durably, without changing anything; raises DatabaseFault."""
        with faults():
            self._connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def reindex(self) -> None:
        """Rebuild the indexes from their tables; raises DatabaseFault.

        A damaged entry in an index alone would refuse each mark of its copy, and of all copies in
        the same group, for good.
        """
        with faults():
            self._connection.execute("REINDEX")

    def check_that_it_takes_copies(self) -> None:
        """Write a copy and roll it back; raises DatabaseUnreadable where damage forbids it."""
        trial = Copy(MAX_MID, "", "", Envelope("", ()), b"trial", 0.0)
        with faults():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._apply(Batch(held=[trial]))
            finally:
                self._connection.execute("ROLLBACK")

    def rename_damaged(self) -> None:
        """Call damaged copies of earlier agents dead; raises DatabaseFault."""
        with faults():
            self._connection.execute(queries()["rename_damaged"])

    def mark_nonsense_dead(self, now: float) -> list[int]:
        """Mark each row with an impossible type, time or size dead, durably; return the MIDs."""
        with faults():
            bounds = (MAX_CONTENT, MAX_MID, LATEST, LATEST)
            rows = self._connection.execute(queries()["nonsense"], bounds).fetchall()
        mids = [mid for (mid,) in rows]
        if mids:
            self.write(Batch(dead=[(mid, now, NONSENSE) for mid in mids]))
            with faults():
                self.run("correct_sizes", mids)
        return mids

    def release_all_held(self) -> int:
        """Queue every held copy (after a restart); return how many there were."""
        with faults():
            return self._connection.execute(queries()["release_all_held"]).rowcount

    # Reading

    def ask(self, name: str, *parameters: Parameter | None) -> sqlite3.Cursor:
        """Execute a query, within `faults`."""
        return self._connection.execute(queries()[name], parameters)

    def anchor(self) -> Anchor | None:
        """Where the spool's time stood when it was last written."""
        with faults():
            row = self.ask("read_clock").fetchone()
        try:
            steady, boot, *clocks = row
            return Anchor(float(steady), Reading(str(boot), *map(float, clocks)))
        except (TypeError, ValueError):  # none yet, or damaged
            return None

    def intakes(self) -> list[tuple[str, str]]:
        """Address and facts of each intake that is known."""
        with faults():
            return self.ask("read_intakes").fetchall()

    def load(self, state: CopyState) -> Iterator[tuple[str, int, float, int]]:
        """Yield intake, mid, next_at and size of each copy in `state`."""
        with faults():
            yield from self._connection.execute(queries()["load_state"], (state,))

    def waits(self, mid: int) -> bool:
        """Whether a copy is there and not dead."""
        with faults():
            (count,) = self._connection.execute(queries()["waits"], (mid,)).fetchone()
        return bool(count)

    def highest_mid(self) -> int:
        """The highest MID that the file knows, 0 if there is none."""
        with faults():
            row = self._connection.execute(queries()["highest_mid"], (MAX_MID,) * 2).fetchone()
        return cast("int", row[0])

    def reusable_bytes(self) -> int:
        """What is empty within the file."""
        with faults():
            (pages,) = self._connection.execute("PRAGMA freelist_count").fetchone()
        return cast("int", pages) * PAGE_SIZE

    def oldest(self, intake: str) -> float | None:
        """When the oldest copy that waits for `intake` was taken."""
        with faults():
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
            if code(error) == sqlite3.SQLITE_CORRUPT:
                return DamagedCopy(mid, "its pages in the spool's file are damaged")
            raise DatabaseFault(reason(error)) from error
        if row is None:
            return DamagedCopy(mid, "its row is missing")
        stored = CopyRow(*row)
        content = stored.content if streamed is None else streamed
        if not isinstance(content, bytes):
            return DamagedCopy(mid, "its content is missing")
        if not stored.is_same(content):
            return DamagedCopy(mid, "its bytes don't match their checksum")
        if not stored.is_possible():
            return DamagedCopy(mid, NONSENSE)
        return stored.copy(mid, content)

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

    def start_of(self, mid: int, length: int) -> bytes:
        """The first bytes of a copy's content; empty if it can't be read."""
        try:
            with self._connection.blobopen("contents", "content", mid, readonly=True) as blob:
                return blob.read(length)
        except (sqlite3.Error, ValueError):
            return b""


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
