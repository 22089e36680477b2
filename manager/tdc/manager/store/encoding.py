"""PURE. Stored values as bytes: JSON, compressed above a size, with the schema version inside.

`unpack` never raises anything but `Damaged`, whatever the bytes are.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping

SCHEMA = 1
"""Grows when a value written by this version can't be read by the one before."""

COMPRESS_ABOVE = 512
"""Bytes of JSON above which a value is stored compressed."""
MAX_TRANSACTION = 1_500_000
"""Bytes of values in one transaction; etcd's default limit of a request is 1.5 MiB."""
MAX_UNPACKED = 16 * MAX_TRANSACTION
"""Bytes of JSON in a value: five settings on each of 10 000 machines, in a commit record, are a
third of it and fold to a tenth. None is written, and none read, that is longer."""
MAX_PARTS = 1_500_000
"""Commas and opening brackets in a value: what they stand for takes time and memory."""

MAX_COUNT = 2**53
"""Largest whole number that we store: JSON readers agree on numbers up to here."""
MAX_MOMENT = 253_402_300_800
"""Unix seconds at the end of the year 9999; no message can carry a later time."""

_ZLIB = b"\x01"  # a JSON text never begins with it


class Damaged(Exception):
    """Bytes that are not a value of ours, or a value of a newer schema; says which."""


class TooLong(Exception):
    """A document is longer than a value may be."""


class NewerSchema(Damaged):
    """A value that a newer version wrote."""


def pack(document: Mapping[str, object]) -> bytes:
    """The bytes of a document; its schema version is added. Raises TooLong."""
    # Entries that can't be read are written back as they are, half a surrogate pair included.
    text = json.dumps(
        {"schema": SCHEMA, **document}, separators=(",", ":"), ensure_ascii=False
    ).encode("utf-8", "surrogatepass")
    if len(text) > MAX_UNPACKED or _parts(text) > MAX_PARTS:
        raise TooLong(f"a value of {len(text)} bytes is longer than can be read again")
    return _ZLIB + zlib.compress(text) if len(text) > COMPRESS_ABOVE else text


def unpack(raw: bytes) -> dict[str, object]:
    """The document of some bytes; raises Damaged, NewerSchema."""
    document = unpack_any(raw)
    check_schema(document)
    return document


def unpack_any(raw: bytes) -> dict[str, object]:
    """The document of some bytes, whatever its schema; raises Damaged."""
    try:
        text = _unfolded(raw)
        if len(text) > MAX_UNPACKED or _parts(text) > MAX_PARTS:
            raise Damaged("it holds more than any value of ours")
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Damaged(f"it is not JSON ({error})") from None
    if not isinstance(document, dict):
        raise Damaged("it is not a JSON object")
    return document


def check_schema(document: Mapping[str, object]) -> None:
    """Raise NewerSchema, or Damaged where there is no schema version."""
    schema = document.get("schema")
    if isinstance(schema, bool) or not isinstance(schema, int):
        raise Damaged("it carries no schema version")
    if schema > SCHEMA:
        raise NewerSchema(
            f"it has schema {_shown(schema)}, but this version reads up to {SCHEMA}; upgrade it"
        )


def _parts(text: bytes) -> int:
    return text.count(b",") + text.count(b"[") + text.count(b"{")


def _unfolded(raw: bytes) -> bytes:
    if not raw.startswith(_ZLIB):
        return raw
    try:
        unfolding = zlib.decompressobj()
        text = unfolding.decompress(raw[1:], MAX_UNPACKED)
    except zlib.error as error:
        raise Damaged(f"its compression is damaged ({error})") from None
    if not unfolding.eof:
        raise Damaged("it is cut off, or unfolds to more than any value of ours")
    return text


def text_of(document: Mapping[str, object], name: str) -> str:
    """A field that must be text, fit for a message; raises Damaged."""
    value = document.get(name)
    if not isinstance(value, str) or not is_text(value):
        raise Damaged(f"{name} is {_shown(value)}, not text")
    return value


def is_text(value: str) -> bool:
    """Whether a string is text: JSON and foreign keys can hold halves of surrogate pairs."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def count_of(document: Mapping[str, object], name: str) -> int:
    """A field that must be a whole number from 0 to MAX_COUNT; raises Damaged."""
    value = document.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_COUNT:
        raise Damaged(f"{name} is {_shown(value)}, not a whole number")
    return value


def moment_of(document: Mapping[str, object], name: str) -> float:
    """A field that must be a Unix time in seconds; raises Damaged."""
    value = document.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Damaged(f"{name} is {_shown(value)}, not a time")
    if not 0 <= value < MAX_MOMENT:  # nor is a NaN: it would make a token that never expires
        raise Damaged(f"{name} is {_shown(value)}, not a time")
    return float(value)


def object_of(document: Mapping[str, object], name: str) -> dict[str, object]:
    """A field that must be a JSON object; raises Damaged."""
    value = document.get(name)
    if not isinstance(value, dict):
        raise Damaged(f"{name} is {_shown(value)}, not an object")
    return value


def list_of(document: Mapping[str, object], name: str) -> list[object]:
    """A field that must be a JSON list; raises Damaged."""
    value = document.get(name)
    if not isinstance(value, list):
        raise Damaged(f"{name} is {_shown(value)}, not a list")
    return value


def _shown(value: object) -> str:
    return "missing" if value is None else repr(value)[:60]
