"""Log lines that any caller can cause, so that none can fill the log.

In: a line, and whom it is about. Out: the line, or a count of those left out with the next one.
Promise: at most LINES_EACH for an address and LINES_IN_ALL for all of them are written.
"""

from __future__ import annotations

import logging

from tdc.manager.identity.rates import Budget, Rate, address_of
from tdc.shared.edge.clock import Clock, monotonic

LINES_EACH = Rate(burst=20, per_second=0.2)
LINES_IN_ALL = Rate(burst=200, per_second=2.0)


class CallerLog:
    """Warnings about callers; `peer` is gRPC's text for where a call comes from."""

    def __init__(self, log: logging.Logger, clock: Clock = monotonic) -> None:
        self._log = log
        self._budget = Budget(LINES_EACH, LINES_IN_ALL, clock)
        self._left_out = 0

    def warning(self, peer: str, text: str, *facts: object) -> None:
        """Log it, or count it."""
        if not self._budget.take(address_of(peer)):
            self._left_out += 1
            return
        self.tell_left_out()
        self._log.warning(text, *facts)

    def tell_left_out(self) -> None:
        """Log how many lines were left out since this was last logged, if any were."""
        if self._left_out:
            lines = "1 line" if self._left_out == 1 else f"{self._left_out} lines"
            self._log.warning("left out %s about refused callers: they came too fast", lines)
        self._left_out = 0
