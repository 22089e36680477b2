"""A backup's file read to its end, before anything is made of it.

In: a path. Out: what the file says of itself and what is in it; its values once more, one by one.
Promise: a file that is cut off, altered in any bit, of a newer format or of no known kind is a
`NotABackup`; memory is that of one line, and of what `contents` keeps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tdc.manager.backup.contents import Contents, Examination
from tdc.manager.backup.form import (
    MAX_LINE,
    End,
    Entry,
    NotABackup,
    Origin,
    Sealed,
    read_first,
    read_line,
)
from tdc.shared.edge.os_words import os_reason


@dataclass(frozen=True, slots=True)
class Verified:
    """A file that is whole: what it says of itself, its encrypted CA, what is in it.

    `first` is its first line, to which the CA is bound; `digest` the SHA-256 of the lines.
    """

    origin: Origin
    first: bytes
    sealed: Sealed | None
    contents: Contents
    digest: str


def verified(path: Path) -> Verified:
    """Read all of a file; raises NotABackup, with the file's name."""
    try:
        with path.open("rb") as file:
            return _verified(file)
    except OSError as error:
        raise NotABackup(f"{path} can't be read: {os_reason(error)}") from None
    except NotABackup as error:
        raise NotABackup(f"{path} can't be restored: {error}. Nothing was written") from None


def entries(path: Path) -> Iterator[Entry]:
    """Yield the values of a file that was verified; raises NotABackup if it was changed since."""
    try:
        with path.open("rb") as file:
            for number, line in _lines(file):
                read = read_line(line, number) if number > 1 else None
                if isinstance(read, Entry):
                    yield read
    except OSError as error:
        raise NotABackup(f"{path} can't be read: {os_reason(error)}") from None


def _verified(file: BinaryIO) -> Verified:
    first, digest = file.readline(MAX_LINE), hashlib.sha256()
    origin = read_first(first)
    digest.update(first)
    examined, sealed, last, count = Examination(), None, "", 0
    for number, line in _lines(file, 2):
        read = read_line(line, number)
        match read:
            case End():
                _check_end(read, file, digest.hexdigest(), count)
                return Verified(origin, first, sealed, examined.finish(), read.sha256)
            case Sealed():
                sealed = read
            case Entry():
                if read.key <= last:
                    raise NotABackup(f"line {number} is damaged: its key is not in order")
                last, count = read.key, count + 1
                examined.take(read)
        digest.update(line)
    raise NotABackup("it is cut off: its last line is missing")


def _check_end(end: End, file: BinaryIO, digest: str, count: int) -> None:
    if end.sha256 != digest or end.entries != count:
        raise NotABackup("its checksum does not fit: the file was altered or damaged")
    if file.read(1):
        raise NotABackup("there is more after its last line: the file was altered")


def _lines(file: BinaryIO, first: int = 1) -> Iterator[tuple[int, bytes]]:
    number = first
    while line := file.readline(MAX_LINE):
        yield number, line
        number += 1
