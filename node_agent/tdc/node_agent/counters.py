"""Totals since the agent started: ingest and deliver count, `facts` and `status` report."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    """Plain totals, one writer thread (the event loop); meaning as in tdc.v1.Counters."""

    originals_passed: int = 0
    originals_refused: int = 0
    copies_taken: int = 0
    copies_missed: int = 0
    copies_not_due: int = 0
    delivered: int = 0
    deferred: int = 0
    dead: int = 0
    maybe_duplicate: int = 0
