"""Times on the wire: the same number comes back, and what is not a time is refused."""

from __future__ import annotations

import math

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import example, given
from hypothesis import strategies as st
from tdc.shared.wire.errors import BadMessage
from tdc.shared.wire.moments import rfc3339, timestamp, unix_seconds

YEAR_1, YEAR_9999 = -62_135_596_800, 253_402_300_799


@given(st.floats(1e8, 1e10))
def test_a_clocks_time_comes_back_unchanged(seconds: float) -> None:
    """Of the years that our clocks show: two ends that compare times must not differ."""
    assert unix_seconds(timestamp(seconds)) == seconds


@given(st.floats(YEAR_1, YEAR_9999))
def test_any_time_is_a_valid_message(seconds: float) -> None:
    """Also before 1970, where the nanoseconds still count forwards."""
    message = timestamp(seconds)
    assert 0 <= message.nanos < 1_000_000_000
    assert unix_seconds(message) == pytest.approx(seconds, abs=1e-5)
    assert rfc3339(message).endswith("Z")


@given(st.integers(YEAR_1, YEAR_9999), st.integers(0, 999_999_999))
@example(YEAR_9999, 500_000_000)
@example(YEAR_9999, 999_999_999)
def test_a_time_that_was_read_can_be_sent_on(seconds: int, nanos: int) -> None:
    """One agent's odd time must not spoil the answer about the whole fleet."""
    read = unix_seconds(Timestamp(seconds=seconds, nanos=nanos))
    assert unix_seconds(timestamp(read)) == pytest.approx(read, abs=1e-5)


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -math.inf, 1e18, YEAR_1 - 1.0])
def test_what_is_not_a_time_becomes_no_message(seconds: float) -> None:
    with pytest.raises(ValueError, match="outside of the years"):
        timestamp(seconds)


@pytest.mark.parametrize(
    ("seconds", "nanos"),
    [(YEAR_9999 + 1, 0), (YEAR_1 - 1, 0), (2**62, 0), (5, -1), (5, 1_000_000_000)],
)
def test_a_message_that_is_not_a_time_is_refused(seconds: int, nanos: int) -> None:
    message = Timestamp(seconds=seconds, nanos=nanos)
    for read in (unix_seconds, rfc3339):
        with pytest.raises(BadMessage, match="invalid timestamp"):
            read(message)


@pytest.mark.parametrize(
    ("seconds", "nanos", "text"),
    [
        (1_795_425_302, 250_000_000, "2026-11-23T09:15:02.250Z"),
        (1_795_425_302, 122_999_907, "2026-11-23T09:15:02.123Z"),  # .123 as a float has it
        (0, 0, "1970-01-01T00:00:00.000Z"),
        (YEAR_9999, 999_999_999, "9999-12-31T23:59:59.999Z"),
        (YEAR_1, 0, "0001-01-01T00:00:00.000Z"),
    ],
)
def test_a_time_is_shown_to_the_millisecond(seconds: int, nanos: int, text: str) -> None:
    assert rfc3339(Timestamp(seconds=seconds, nanos=nanos)) == text
