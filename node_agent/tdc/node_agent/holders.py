"""Which process holds a lock or listens at an address, as the kernel lists it (proc(5)).

It reads, and tries a lock only where somebody seems to have it: to try one that is free would take,
for a moment, what an agent that starts needs.
What is not visible (another user's process, another container's) is None or no holder.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
_LISTENS = "0A"
ROOT = 0


@dataclass(frozen=True, slots=True)
class Listening:
    """A socket that listens; `user` opened it, `holders` are those with it that can be seen."""

    user: int
    holders: frozenset[int]


def lock_holder(path: Path) -> int | None:
    """The process that has a lock (flock) on a file.

    The kernel lists a file by its number and that of its device. The first is another file's too,
    the second not always what stat(2) says (btrfs, overlay); so the lock itself is asked.
    """
    try:
        wanted = path.stat()
        lines = (PROC / "locks").read_text("ascii").splitlines()
    except (OSError, ValueError):
        return None
    rows = [words for words in map(str.split, lines) if len(words) >= 6 and words[1] == "FLOCK"]
    certain = [int(row[4]) for row in rows if _locks(row[4], wanted)]
    alike = [int(row[4]) for row in rows if row[5].rpartition(":")[2] == str(wanted.st_ino)]
    found = certain + alike
    return found[0] if found and _is_locked(path) else None


def _locks(pid: str, wanted: os.stat_result) -> bool:
    """Whether a process can be seen to have a lock on this file."""
    with contextlib.suppress(OSError, ValueError):
        for each in (PROC / pid / "fdinfo").iterdir():
            if "FLOCK" in each.read_text("ascii"):
                found = (PROC / pid / "fd" / each.name).stat()
                if os.path.samestat(found, wanted):
                    return True
    return False


def _is_locked(path: Path) -> bool:
    """Whether a lock on it can't be had now; true too if it can't be tried."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(file)


def listening(family: int, address: str, port: int) -> Listening | None:
    """What keeps others from listening at an address: a socket there, or at all addresses."""
    table = "tcp6" if family == socket.AF_INET6 else "tcp"
    everywhere = "::" if family == socket.AF_INET6 else "0.0.0.0"  # noqa: S104
    places = {_as_listed(family, each) for each in (address, everywhere)}
    try:
        lines = (PROC / "net" / table).read_text("ascii").splitlines()[1:]
    except (OSError, ValueError):
        return None
    for line in lines:
        words = line.split()
        at, _, number = words[1].partition(":")
        meets = at in places or len(places) == 1  # all addresses are wanted
        if words[3] == _LISTENS and int(number, 16) == port and meets:
            return Listening(int(words[7]), frozenset(_with_socket(words[9])))
    return None


def arguments(pid: int) -> list[str]:
    """What a process was started with; empty if that can't be seen."""
    try:
        return (PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


def started_in(pid: int) -> Path | None:
    """The folder that a process is in, for paths among its arguments; None if not visible."""
    try:
        return Path(os.readlink(PROC / str(pid) / "cwd"))  # noqa: PTH115  # as the kernel has it
    except OSError:
        return None


def _as_listed(family: int, address: str) -> str:
    """An address as the kernel writes it: each four bytes as a number of this machine."""
    raw = socket.inet_pton(family, address)
    words = [raw[at : at + 4][::-1] for at in range(0, len(raw), 4)]
    return b"".join(words).hex().upper()


def _with_socket(inode: str) -> Iterator[int]:
    wanted = f"socket:[{inode}]"
    for process in PROC.iterdir():
        if process.name.isdecimal():
            with contextlib.suppress(OSError):
                if any(os.readlink(each) == wanted for each in (process / "fd").iterdir()):  # noqa: PTH115
                    yield int(process.name)
