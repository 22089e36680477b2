"""PURE. Spans in which delivery was suspended: they do not count as a copy's age.

A copy may be dead only after `retry.lifetime` in which it could have been delivered. While an
operator suspends delivery nothing is tried, so that time is taken off. Spans are in steady seconds
(steady.py), oldest first; the last one has no end while it lasts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

MOST = 100
"""Spans that are kept; of more, the two with the least between them become one. That takes off a
little too much, which keeps a copy."""


class Span(NamedTuple):
    """From when to when delivery was suspended; `end` is None while it is."""

    begin: float
    end: float | None = None


Spans = tuple[Span, ...]


def begun(spans: Spans, now: float) -> Spans:
    """Note that delivery is suspended from now on; nothing if it is already."""
    if spans and spans[-1].end is None:
        return spans
    return _fewer((*spans, Span(now)))


def ended(spans: Spans, now: float) -> Spans:
    """Note that delivery goes on; nothing if it did."""
    if not spans or spans[-1].end is not None:
        return spans
    last = spans[-1]
    return (*spans[:-1], Span(last.begin, max(last.begin, now)))


def suspended_within(spans: Iterable[Span], begin: float, end: float) -> float:
    """Seconds of the time from `begin` to `end` in which delivery was suspended."""
    return sum(
        max(0.0, min(end if each.end is None else each.end, end) - max(each.begin, begin))
        for each in spans
    )


def acting(spans: Iterable[Span], seconds: float, now: float) -> float:
    """So many seconds up to `now`, without those in which delivery was suspended."""
    return seconds - suspended_within(spans, now - seconds, now)


def _fewer(spans: Spans) -> Spans:
    while len(spans) > MOST:
        gaps = [spans[at + 1].begin - (spans[at].end or 0.0) for at in range(len(spans) - 1)]
        at = gaps.index(min(gaps))
        spans = (*spans[:at], Span(spans[at].begin, spans[at + 1].end), *spans[at + 2 :])
    return spans
