"""The spool's folder: one owner, private files, a damaged file set aside, MIDs never repeated."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from pathlib import Path
from typing import Self

from tdc.node_agent.spool.suspects import Suspects
from tdc.node_agent.spool.values import SpoolError, SpoolLocked
from tdc.shared.edge import durable_file
from tdc.shared.edge.os_words import os_reason

DATABASE = "spool.db"
LOCK = "spool.lock"
MIDS = "spool.mids"
SUSPECTS = "spool.suspects"
RESCUED = "spool.rescued"
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
MIDS_PER_RESERVE = 100_000


class SpoolFolder:
    """An existing folder whose lock we hold until `close`."""

    warning: str | None = None
    """What an operator should change about the folder."""

    def __init__(self, path: Path, lock: int, reserved: int) -> None:
        self._path = path
        self._lock = lock
        self._reserved = reserved
        self._watched: dict[Path, tuple[int, int]] = {}
        self._written: dict[Path, tuple[int, int]] = {}
        self.suspects = Suspects.at(path / SUSPECTS)
        mode = path.stat().st_mode
        if mode & _WRITABLE_BY_OTHERS:
            self.warning = (
                f"other users can change the spool folder {path} (its mode is "
                f"{stat.S_IMODE(mode):o}): run chmod 700 {path}"
            )

    @classmethod
    def locked(cls, path: Path) -> Self:
        """Make the folder if it is missing, and lock it; raises SpoolLocked, SpoolError.

        A folder that is there, or a link to one, keeps its mode: it may be somebody else's.
        """
        try:
            if not path.is_dir():
                durable_file.make(path)
            elif is_foreign(path):
                raise SpoolError(
                    f"can't use the spool folder {path}: it holds files of others and no spool; "
                    "give the spool a folder of its own"
                )
            lock = _lock(path / LOCK)
        except OSError as error:
            raise SpoolError(
                f"can't use the spool folder {path}: {os_reason(error)}; "
                "it must belong to the agent's user, be writable and have room"
            ) from error
        try:
            return cls(path, lock, _read_number(path / MIDS))
        except BaseException:
            os.close(lock)  # or the next try would find it locked
            raise

    def close(self) -> None:
        """Unlock the folder."""
        self.suspects.close()
        os.close(self._lock)

    def database_path(self) -> Path:
        """The path of the file, created empty and private if it is missing.

        Raises SpoolError if something that is not a regular file has its name.
        """
        path, log = self._database, Path(f"{self._database}-wal")
        if log.is_symlink() or (log.exists() and not log.is_file()):
            raise SpoolError(f"{log} is not a regular file; move it away")
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            file = os.open(path, flags, 0o600)
        except OSError as error:
            raise SpoolError(f"can't open {path}: {os_reason(error)}") from error
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise SpoolError(f"{path} is not a regular file; move it away")
            os.fchmod(file, 0o600)  # whatever the umask
        finally:
            os.close(file)
        _sync_folder(self._path)
        return path

    # A file that another program removes, or writes into, while it is open

    @property
    def _database(self) -> Path:
        return self._path / DATABASE

    def watch(self) -> None:
        """Remember which files are in use now."""
        ours = (self._database, Path(f"{self._database}-wal"), self._path / LOCK)
        self._watched = {path: found for path in ours if (found := _identity(path)) is not None}
        self.note_writes()

    def gone(self) -> str | None:
        """The name of a file in use that was removed or replaced since `watch`, or None."""
        changed = (path for path, was in self._watched.items() if _identity(path) != was)
        return next((path.name for path in changed), None)

    def note_writes(self) -> None:
        """Remember how the files in use are now, after writes of ours."""
        ours = (self._database, Path(f"{self._database}-wal"))
        self._written = {path: found for path in ours if (found := _content(path)) is not None}

    def overwritten(self) -> str | None:
        """The name of a file in use that somebody else wrote into since `note_writes`, or None.

        By size and time of the last write, of which the kernel's step is a few milliseconds.
        """
        changed = (path for path, was in self._written.items() if _content(path) != was)
        return next((path.name for path in changed), None)

    def renew(self) -> Path:
        """Make folder and lock again where they are gone; returns a path for a copy of the file.

        Raises SpoolLocked, OSError.
        """
        if not self._path.is_dir():
            durable_file.make(self._path)
        if _identity(self._path / LOCK) != self._watched.get(self._path / LOCK):
            lock = _lock(self._path / LOCK)
            os.close(self._lock)
            self._lock = lock
        self._reserved = 0  # its file may be gone as well
        fresh = self._path / RESCUED
        for each in (fresh, Path(f"{fresh}-journal")):
            each.unlink(missing_ok=True)
        return fresh

    def replace_database(self, fresh: Path, now: float) -> None:
        """Put a whole copy of the file in its place; what stands there instead is set aside."""
        log = Path(f"{self._database}-wal")
        if _identity(log) == self._watched.get(log):
            log.unlink(missing_ok=True)  # ours, and all that is in it is in the copy
        if self._database.exists():
            self.set_aside(now)
        log.unlink(missing_ok=True)
        fresh.rename(self._database)
        _sync_folder(self._path)

    def set_aside(self, now: float) -> Path:
        """Rename a file that can't be read, and its write-ahead log; return the new name.

        Wherever this is cut off, the two are together under one name: the log, without which the
        newest copies are gone, has both names until the file has the new one.
        """
        aside, number = self._path / f"spool.damaged-{int(now)}", 0
        while aside.exists() or Path(f"{aside}-wal").exists():
            number += 1
            aside = self._path / f"spool.damaged-{int(now)}.{number}"
        file, log = self._path / DATABASE, self._path / f"{DATABASE}-wal"
        if log.exists():
            Path(f"{aside}-wal").hardlink_to(log)
            _sync_folder(self._path)
        file.rename(aside)
        _sync_folder(self._path)
        log.unlink(missing_ok=True)
        (self._path / f"{DATABASE}-shm").unlink(missing_ok=True)
        _sync_folder(self._path)
        return aside

    def free_bytes(self) -> int:
        """What is free on the disk for the agent's user; raises OSError."""
        disk = os.statvfs(self._path)
        return disk.f_bavail * disk.f_frsize

    @property
    def reserved_mid(self) -> int:
        """No MID above this was ever given out."""
        return self._reserved

    def reserve(self, mid: int) -> None:
        """Make sure, on disk, that `mid` is below `reserved_mid`; raises OSError.

        Only a new file after a damaged one reads this: it can't know the MIDs of the old one.
        """
        if mid <= self._reserved:
            return
        reserved = mid + MIDS_PER_RESERVE
        path = self._path / MIDS
        fresh = path.with_suffix(".new")
        file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(file, 0o600)  # whatever the umask
            os.write(file, f"{reserved}\n".encode())
            os.fsync(file)
        finally:
            os.close(file)
        fresh.replace(path)
        _sync_folder(self._path)
        self._reserved = reserved


def is_foreign(path: Path) -> bool:
    """Whether a folder holds anything, and none of it is ours."""
    names = [each.name for each in path.iterdir() if each.name != "lost+found"]
    return bool(names) and not any(name.startswith("spool.") for name in names)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _content(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _lock(path: Path) -> int:
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(lock, 20, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(lock)
        raise SpoolLocked(
            f"the spool {path.parent} is in use by the process with pid {owner}; "
            "two agents can't share one spool"
        ) from None
    except OSError:
        os.close(lock)
        raise
    os.fchmod(lock, 0o600)  # whatever the umask
    with contextlib.suppress(OSError):  # who holds it is a courtesy; a full disk may refuse it
        note = f"{os.getpid()}\n".encode()
        os.pwrite(lock, note, 0)
        os.ftruncate(lock, len(note))
    return lock


def no_inodes_left(path: Path) -> bool:
    """Whether the disk of `path`, or of the folder that it is to be made in, has none left."""
    try:
        disk = os.statvfs(path if path.exists() else path.parent)
    except OSError:
        return False
    return disk.f_files > 0 and disk.f_favail == 0


def _read_number(path: Path) -> int:
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        file = os.open(path, flags)
        try:
            return int(os.read(file, 100))
        finally:
            os.close(file)
    except FileNotFoundError:
        return 0
    except (OSError, ValueError) as error:
        why = os_reason(error) if isinstance(error, OSError) else "it is not a number"
        raise SpoolError(
            f"can't read {path} ({why}). It holds the highest message number given out: "
            "write a number above that of the last log line into it"
        ) from error


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
