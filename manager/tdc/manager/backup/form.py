"""PURE. The form of a backup, format 1: lines of JSON, the last with a digest over all before it.

Lines, so that a file of any size is written and read one value at a time, and that what is left of
a damaged one can still be read with common tools. The first says what the file is, and is the same
in every format, so that an older program can say in words that a file is too new for it.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from tdc.manager.store.encoding import (
    Damaged,
    count_of,
    moment_of,
    object_of,
    text_of,
)
from tdc.manager.store.keys import ROOT

FORMAT = 1
"""Grows when a program of before can't read what this one writes."""
MAX_LINE = 64 * 1024**2
"""Bytes of a line: none that we write comes near, and none longer is read."""

_KIND = "tdc_backup"


class NotABackup(Exception):
    """A file that can't be used as a backup; the text says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where and when a backup was made. `made` is Unix seconds by the clock of its machine.

    `revision` is the revision of etcd that all of it is of. `options` are those of manager.toml
    that hold wherever the manager is; `etcd` says where its etcd was, for people.
    """

    made: float
    program: str
    revision: int
    ca_fingerprint: str
    etcd: str
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sealed:
    """The files of the CA, encrypted: `n`, `r` and `p` are scrypt's, the rest is AES-GCM's."""

    n: int
    r: int
    p: int
    salt: bytes
    nonce: bytes
    content: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """One stored value, by its whole key."""

    key: str
    value: bytes


@dataclass(frozen=True, slots=True)
class End:
    """The last line: how many values there are, and the SHA-256 of all before it, in hex."""

    entries: int
    sha256: str


def first_line(origin: Origin) -> bytes:
    """The first line of a backup."""
    return _line(
        {
            _KIND: FORMAT,
            "made": origin.made,
            "program": origin.program,
            "revision": origin.revision,
            "ca_fingerprint": origin.ca_fingerprint,
            "etcd": origin.etcd,
            "options": dict(origin.options),
        }
    )


def sealed_line(sealed: Sealed) -> bytes:
    """The line of an encrypted CA."""
    scrypt = {"n": sealed.n, "r": sealed.r, "p": sealed.p, "salt": _text(sealed.salt)}
    return _line(
        {"ca": {"scrypt": scrypt, "nonce": _text(sealed.nonce), "content": _text(sealed.content)}}
    )


def entry_line(entry: Entry) -> bytes:
    """The line of a stored value."""
    return _line({"key": entry.key.removeprefix(ROOT), "value": _text(entry.value)})


def last_line(end: End) -> bytes:
    """The last line of a backup."""
    return _line({"entries": end.entries, "sha256": end.sha256})


def read_first(line: bytes) -> Origin:
    """Read the first line; raises NotABackup."""
    try:
        document = _document(line)
        if _KIND not in document:
            raise Damaged("its first line does not say so")
    except Damaged as error:
        raise NotABackup(f"it is not a backup of tdc-manager: {error}") from None
    try:
        if (number := count_of(document, _KIND)) > FORMAT:
            raise NotABackup(
                f"it has format {number}, and this version reads up to {FORMAT}: a newer "
                "tdc-manager made it. Restore it with that version or a later one"
            )
        return Origin(
            made=moment_of(document, "made"),
            program=text_of(document, "program"),
            revision=count_of(document, "revision"),
            ca_fingerprint=text_of(document, "ca_fingerprint"),
            etcd=text_of(document, "etcd"),
            options=object_of(document, "options"),
        )
    except Damaged as error:
        raise NotABackup(f"its first line is damaged: {error}") from None


def read_line(line: bytes, number: int) -> Sealed | Entry | End:
    """Read any other line; `number` counts from 1, for the error. Raises NotABackup."""
    try:
        document = _document(line)
        if "ca" in document:
            return _sealed(object_of(document, "ca"))
        if "sha256" in document:
            return End(count_of(document, "entries"), text_of(document, "sha256"))
        key = document.get("key")  # of a foreign hand it may be no text, and is kept as it is
        if not isinstance(key, str):
            raise Damaged("it has no key")
        return Entry(f"{ROOT}{key}", _bytes(document, "value"))
    except Damaged as error:
        raise NotABackup(f"line {number} is damaged: {error}") from None


def _sealed(document: Mapping[str, object]) -> Sealed:
    scrypt = object_of(document, "scrypt")
    return Sealed(
        n=count_of(scrypt, "n"),
        r=count_of(scrypt, "r"),
        p=count_of(scrypt, "p"),
        salt=_bytes(scrypt, "salt"),
        nonce=_bytes(document, "nonce"),
        content=_bytes(document, "content"),
    )


def _line(document: Mapping[str, object]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"


def _document(line: bytes) -> dict[str, object]:
    if not line.endswith(b"\n"):
        raise Damaged("it is cut off, or far too long")
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        raise Damaged("it is not JSON") from None
    if not isinstance(document, dict):
        raise Damaged("it is not a JSON object")
    return cast("dict[str, object]", document)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _bytes(document: Mapping[str, object], name: str) -> bytes:
    try:
        return base64.b64decode(text_of(document, name), validate=True)
    except (binascii.Error, ValueError):
        raise Damaged(f"{name} is not base64") from None
