"""Small files that survive power loss: whole and old, or whole and new, never torn.

In: a path and bytes. Out: a file that is durable when the call returns.
Promise: write a temporary file, fsync it, rename it, fsync the folder, in this order; what
`write_checked` wrote, `read_checked` returns, or it raises `FileDamaged`. Every OSError leaves here
as `NotWritten`, `NotReadable` or `Missing`.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tdc.shared.edge.os_words import os_reason

PRIVATE = 0o600
READABLE = 0o644

_HEAD = b"sha256:"
_HEAD_LENGTH = len(_HEAD) + 64 + 1


class NotWritten(Exception):
    """The file could not be made durable; what was there before is still there."""


class NotReadable(Exception):
    """The file is there but can't be read; the text says why."""


class Missing(NotReadable):
    """There is no such file."""


class FileDamaged(NotReadable):
    """The content does not match its checksum."""


def write(path: Path, content: bytes, *, mode: int = PRIVATE) -> None:
    """Put `content` at `path`, replacing what was there; raises NotWritten.

    The file never exists with a wider mode than `mode`, not even for a moment.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        try:
            _write_new(temporary, content, mode)
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        _sync_folder(path.parent)
    except OSError as error:
        raise NotWritten(f"{path} can't be written: {os_reason(error)}") from error


class NewFile:
    """A file that is written a part at a time, and is there whole or not at all; see `writing`."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._file = file

    def write(self, part: bytes) -> None:
        """Write the next part; raises NotWritten."""
        try:
            self._file.write(part)
        except OSError as error:
            raise NotWritten(f"{self._path} can't be written: {os_reason(error)}") from error

    def start_again(self) -> None:
        """Forget what was written; raises NotWritten."""
        try:
            self._file.seek(0)
            self._file.truncate()
        except OSError as error:
            raise NotWritten(f"{self._path} can't be written: {os_reason(error)}") from error


@contextlib.contextmanager
def writing(path: Path, *, mode: int = PRIVATE) -> Iterator[NewFile]:
    """Yield what becomes the file at `path` once the body ends well; raises NotWritten.

    As with `write`: durable then, of no wider mode at any moment, and nothing where the body fails.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with open(os.open(temporary, flags, mode), "wb") as file:  # noqa: PTH123
            os.fchmod(file.fileno(), mode)
            yield NewFile(path, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(temporary.parent)
    except OSError as error:
        raise NotWritten(f"{path} can't be written: {os_reason(error)}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def read(path: Path) -> bytes:
    """Return the content of `path`; raises Missing or NotReadable. It never waits for a writer."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise NotReadable(f"{path} can't be read: it is no regular file")
        return path.read_bytes()
    except FileNotFoundError:
        raise Missing(f"{path} does not exist") from None
    except OSError as error:
        raise NotReadable(f"{path} can't be read: {os_reason(error)}") from error


def exists(path: Path) -> bool:
    """Whether there is anything at `path`; raises NotReadable where this user can't see it.

    (Path.exists raises PermissionError there, in some versions of Python.)
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise NotReadable(f"{path} can't be read: {os_reason(error)}") from error
    return True


def write_checked(path: Path, content: bytes, *, mode: int = PRIVATE) -> None:
    """As `write`, with a first line that lets `read_checked` notice damage."""
    write(path, _HEAD + hashlib.sha256(content).hexdigest().encode() + b"\n" + content, mode=mode)


def read_checked(path: Path) -> bytes:
    """Return what `write_checked` wrote; raises Missing, FileDamaged or NotReadable."""
    whole = read(path)
    head, content = whole[:_HEAD_LENGTH], whole[_HEAD_LENGTH:]
    if head != _HEAD + hashlib.sha256(content).hexdigest().encode() + b"\n":
        raise FileDamaged(f"{path} does not match its checksum")
    return content


def make_folder(path: Path) -> None:
    """Make `path` and what is above it, durably; raises NotWritten.

    A new one is private (0700), those made above it are 0755, whatever the umask. One that is
    there keeps its mode: it may be somebody else's.
    """
    try:
        make(path)
    except OSError as error:
        raise NotWritten(f"{path} can't be made: {os_reason(error)}") from error


def make(path: Path, mode: int = 0o700) -> None:
    """As `make_folder`, but raises OSError."""
    if path.is_dir():
        return
    make(path.parent, 0o755)
    try:
        path.mkdir(mode=mode)
    except FileExistsError:
        if not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path) from None
        return  # another process was faster: then it is theirs
    path.chmod(mode)
    _sync_folder(path.parent)


def _write_new(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with open(descriptor, "wb") as file:  # noqa: PTH123  # a descriptor, not a path
        os.fchmod(descriptor, mode)  # whatever the umask
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
