"""PURE. What is remembered of the copies that one destination refused: the evidence, in memory.

It is bounded, and what it forgets makes a copy live longer, never shorter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tdc.node_agent.deliver.evidence import FEW_IN_A_ROW, Failures

MOST_COPIES = 10_000
"""Copies whose failures are remembered; beyond, the oldest are forgotten."""


@dataclass(slots=True)
class _Failed:
    count: int
    first: float
    delivered: int  # reports that the destination had taken before the latest failure


class Record:
    """Failures by copy, and the run of them since the last delivery. Times are monotonic."""

    def __init__(self) -> None:
        self.delivered_at = -math.inf
        self._delivered = 0
        self._failed: dict[int, _Failed] = {}
        self._run: dict[int, None] = {}
        self._died: list[int] = []
        self._encoded: dict[int, None] = {}
        self._warned = False

    def failures(self, mid: int) -> Failures:
        """What is charged to a copy."""
        one = self._failed.get(mid)
        if one is None:
            return Failures()
        return Failures(one.count, one.first, others_passed=self._delivered > one.delivered)

    def in_a_row(self, mid: int = 0) -> int:
        """Copies other than `mid` that were refused since the last delivery."""
        return len(self._run) - (mid in self._run)

    @property
    def refusing(self) -> bool:
        """True while several copies wait that were refused."""
        return len(self._failed) > FEW_IN_A_ROW

    def warns(self) -> int:
        """Give the number of refused copies that wait, once when they are several; else 0."""
        if self._warned or not self.refusing:
            return 0
        self._warned = True
        return len(self._failed)

    def note_failure(self, mid: int, at: float, *, died: bool) -> None:
        """Note a failure that is charged to a copy."""
        self._run[mid] = None
        _bound(self._run)
        before = self._failed.pop(mid, None) or _Failed(0, at, 0)
        if died:
            self._died.append(mid)
            self._forget(mid)
            return
        self._failed[mid] = _Failed(before.count + 1, before.first, self._delivered)
        _bound(self._failed)

    def note_delivery(self, mid: int, at: float) -> None:
        """Note a delivery: the run ends, and its deaths stand."""
        self._delivered += 1
        self.delivered_at = at
        self._run.clear()
        self._died.clear()
        self._forget(mid)

    def undo_run(self) -> list[int]:
        """Forget what the run seemed to prove; return its copies that died."""
        for mid in self._run:
            self._failed.pop(mid, None)
        died, self._died = self._died, []
        return died

    def send_encoded(self, mid: int) -> None:
        """Note that a copy was refused in the plain form."""
        self._encoded[mid] = None
        _bound(self._encoded)

    def encodes(self, mid: int) -> bool:
        """Say whether to send a copy with the original in base64."""
        return mid in self._encoded

    def _forget(self, mid: int) -> None:
        self._failed.pop(mid, None)
        self._encoded.pop(mid, None)
        self._warned = self._warned and bool(self._failed)


def _bound(copies: dict[int, object] | dict[int, None] | dict[int, _Failed]) -> None:
    if len(copies) > MOST_COPIES:
        del copies[next(iter(copies))]
