"""The schema version of a spool's file, read without SQLite, which would make files beside it."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO

_VERSION = struct.Struct(">60xI")
"""`user_version` in the first page (https://sqlite.org/fileformat2.html, 1.3)."""
_LOG_HEAD = struct.Struct(">8xI4x8s8x")
"""Page size and salt of a write-ahead log (4.1)."""
_FRAME_HEAD = struct.Struct(">I4x8s8x")
"""Page number and salt of one of its frames; the page follows."""


def schema_of(path: Path) -> int:
    """The newest version that file and log have; 0 where there is none. Raises OSError."""
    with _opened(path) as file:
        version = _version(file.read(_VERSION.size))
    log = Path(f"{path}-wal")
    if log.is_file():
        with _opened(log) as file:
            version = max(version, _in_log(file))
    return version


def _in_log(log: BinaryIO) -> int:
    head = log.read(_LOG_HEAD.size)
    if len(head) < _LOG_HEAD.size:
        return 0
    size, salt = _LOG_HEAD.unpack(head)
    version = 0
    while len(frame := log.read(_FRAME_HEAD.size)) == _FRAME_HEAD.size:
        page, its_salt = _FRAME_HEAD.unpack(frame)
        if its_salt != salt:
            break
        end = log.tell() + size
        if page == 1:
            version = _version(log.read(_VERSION.size))
        log.seek(end)
    return version


def _version(start: bytes) -> int:
    return int(_VERSION.unpack(start)[0]) if len(start) == _VERSION.size else 0


def _opened(path: Path) -> BinaryIO:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags), "rb")
