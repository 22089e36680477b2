"""Times on the wire: Unix seconds <-> google.protobuf.Timestamp -> RFC 3339."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from tdc.shared.wire.errors import BadMessage

_FIRST, _LAST = -62_135_596_800, 253_402_300_799  # years 1 to 9999 (timestamp.proto)
_BILLION = 1_000_000_000
_LAST_NANOS = _LAST * _BILLION + _BILLION - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def timestamp(seconds: float) -> Timestamp:
    """Unix seconds as a message; raises ValueError outside of the years 1 to 9999.

    To the nanosecond, so that `unix_seconds` reads back the same number. Whatever `unix_seconds`
    returns is accepted: the last instants of the year 9999 are no float, and round up to its end.
    """
    if not _FIRST <= seconds <= _LAST + 1:
        raise ValueError(f"{seconds} s is outside of the years 1 to 9999")
    whole = math.floor(seconds)
    nanos = min(whole * _BILLION + round((seconds - whole) * _BILLION), _LAST_NANOS)
    return Timestamp(seconds=nanos // _BILLION, nanos=nanos % _BILLION)


def unix_seconds(message: Timestamp) -> float:
    """Unix seconds of a message; raises BadMessage outside of what timestamp.proto allows."""
    _check(message)
    return message.seconds + message.nanos / _BILLION


def rfc3339(message: Timestamp) -> str:
    """``2026-11-23T09:15:02.250Z``, to a millisecond; raises BadMessage."""
    _check(message)
    milliseconds = min(round(message.nanos / 1_000_000), 999)
    moment = _EPOCH + timedelta(seconds=message.seconds, milliseconds=milliseconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def rfc3339_in(message: Message, field: str) -> str | None:
    """The time in a field of a message; None if it is absent. Raises BadMessage."""
    return rfc3339(getattr(message, field)) if message.HasField(field) else None


def _check(message: Timestamp) -> None:
    if not (_FIRST <= message.seconds <= _LAST and 0 <= message.nanos < _BILLION):
        raise BadMessage(f"invalid timestamp: {message.seconds} s and {message.nanos} ns")
