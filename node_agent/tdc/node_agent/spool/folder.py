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

DATABASE = "spool.db"
LOCK = "spool.lock"
MIDS = "spool.mids"
SUSPECTS = "spool.suspects"
MIDS_PER_RESERVE = 100_000


class SpoolFolder:
    """An existing folder whose lock we hold until `close`."""

    def __init__(self, path: Path, lock: int, reserved: int) -> None:
        self._path = path
        self._lock = lock
        self._reserved = reserved
        self.suspects = Suspects.at(path / SUSPECTS)

    @classmethod
    def locked(cls, path: Path) -> Self:
        """Make the folder if it is missing, and lock it; raises SpoolLocked, SpoolError."""
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.chmod(0o700)
            _sync_folder(path.parent)
            lock = _lock(path / LOCK)
        except OSError as error:
            raise SpoolError(
                f"can't use the spool folder {path}: {error.strerror}; "
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
        path = self._path / DATABASE
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            file = os.open(path, flags, 0o600)
        except OSError as error:
            raise SpoolError(f"can't open {path}: {error.strerror}") from error
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise SpoolError(f"{path} is not a regular file; move it away")
        finally:
            os.close(file)
        _sync_folder(self._path)
        return path

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
            os.write(file, f"{reserved}\n".encode())
            os.fsync(file)
        finally:
            os.close(file)
        fresh.replace(path)
        _sync_folder(self._path)
        self._reserved = reserved


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
    with contextlib.suppress(OSError):  # who holds it is a courtesy; a full disk may refuse it
        note = f"{os.getpid()}\n".encode()
        os.pwrite(lock, note, 0)
        os.ftruncate(lock, len(note))
    return lock


def _read_number(path: Path) -> int:
    try:
        return int(path.read_text("ascii"))
    except FileNotFoundError:
        return 0
    except (OSError, ValueError) as error:
        raise SpoolError(
            f"can't read {path} ({error}). It holds the highest message number given out: "
            "write a number above that of the last log line into it"
        ) from error


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
