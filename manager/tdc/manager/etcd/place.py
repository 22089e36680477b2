"""Where an embedded etcd's data lives, so that a copy of it does not start as a second store.

A folder is known by what no copy has in common with it: its inode and the moment it was made, and
the machine (machine-id(5)). Not by host name, address, device number or boot, which change in
ordinary life; nor by its path alone, so a folder that was renamed, or is reached by a bind mount,
is still itself. It is noted twice: in a file beside the data, and in the data under a key that the
caller names, so that data that came without its file is known as well. A block-level clone of a
whole disk with its machine-id can't be told from the original: a cloned machine must get a
machine-id of its own.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import struct
from dataclasses import asdict, dataclass
from pathlib import Path

from tdc.manager.etcd.errors import EmbeddedError
from tdc.shared.edge import durable_file

FILE = "place"
_MACHINE_IDS = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))


@dataclass(frozen=True, slots=True)
class Place:
    """Facts about a folder. `machine` and `born` are empty where they can't be known."""

    path: str
    machine: str
    inode: int
    born: str


def here(folder: Path) -> Place:
    """The facts about a folder that exists, as they are now."""
    return Place(str(folder.resolve()), _machine(), folder.stat().st_ino, _born(folder))


def check(folder: Path) -> None:
    """Raise EmbeddedError if the file beside the data says that it was last used elsewhere."""
    try:
        note = durable_file.read(folder / FILE)
    except durable_file.Missing:
        return  # new, or of before places were kept; the mark in the data may know
    except durable_file.NotReadable:
        note = b""
    _check_note(folder, note)


def check_mark(folder: Path, mark: bytes | None) -> None:
    """Raise EmbeddedError if the data itself says so; None is data of before it was kept there.

    Data with a mark and no file beside it came here alone.
    """
    if mark is not None:
        _check_note(folder, mark, alone=not (folder / FILE).exists())


def _check_note(folder: Path, note: bytes, *, alone: bool = False) -> None:
    now = here(folder)
    try:
        before = Place(**json.loads(note))
        moved = alone or _is_another(before, now)
        where = f"{before.path}, " + ("here" if before.machine == now.machine else "elsewhere")
    except (ValueError, TypeError, RecursionError):
        moved, where = True, "a place that can't be read any more"
    if moved:
        raise EmbeddedError(
            f"the data in {folder} is not where it was last used ({where}): it was copied, moved "
            "to another disk or machine, or restored from a backup. If another manager runs on the "
            "original, the two would make revisions of their own under one id, so nothing was "
            "started. Make sure that no other manager uses this data; then say that it is the only "
            f"one: tdc-manager adopt --folder {folder.parent} (with --keep-id if it is of an older "
            "backup: machines then keep what they run until `tdc recover` has asked for it)"
        )


def settle(folder: Path) -> bytes:
    """Note that the data in `folder` belongs here; returns the note. Raises EmbeddedError."""
    content = json.dumps(asdict(here(folder))).encode() + b"\n"
    try:
        if durable_file.read(folder / FILE) == content:
            return content
    except durable_file.NotReadable:
        pass  # there is none yet, or none that says anything
    try:
        durable_file.write(folder / FILE, content)
    except durable_file.NotWritten as error:
        raise EmbeddedError(f"can't note where the embedded etcd's data is: {error}") from None
    return content


def _is_another(before: Place, now: Place) -> bool:
    if before.machine and now.machine and before.machine != now.machine:
        return True
    same = before.born == now.born if before.born and now.born else before.inode == now.inode
    return not same or _original_is_there(before, now)


def _original_is_there(before: Place, now: Place) -> bool:
    """Whether both exist: a snapshot of a file system has the same inodes at another path."""
    if before.path == now.path:
        return False
    try:
        return not Path(before.path, FILE).samefile(Path(now.path, FILE))
    except OSError:
        return False


def _machine() -> str:
    for path in _MACHINE_IDS:
        try:
            found = path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            continue
        if found and found != "uninitialized":
            # The id itself is not to be shown to others (machine-id(5)).
            return hashlib.sha256(f"tdc {found}".encode()).hexdigest()[:32]
    return ""


_AT_FDCWD, _STATX_BTIME, _STATX_SIZE, _BTIME_AT = -100, 0x800, 256, 80


def _born(folder: Path) -> str:
    """When the folder was made, by statx(2); empty where the file system does not keep it."""
    buffer = ctypes.create_string_buffer(_STATX_SIZE)
    try:
        failed = ctypes.CDLL(None).statx(
            _AT_FDCWD, os.fsencode(folder), 0, _STATX_BTIME, ctypes.byref(buffer)
        )
    except AttributeError:  # a C library without it
        return ""
    (mask,) = struct.unpack_from("=I", buffer)
    if failed or not mask & _STATX_BTIME:
        return ""
    seconds, nanoseconds = struct.unpack_from("=qI", buffer, _BTIME_AT)
    return f"{seconds}.{nanoseconds:09d}"
