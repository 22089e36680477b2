"""Python's cycle collector, tuned for a program that makes many objects and few cycles."""

from __future__ import annotations

import gc

THRESHOLD = 10_000
"""Objects made and not yet freed after which the collector looks for cycles among them."""


def calm() -> None:
    """Let the collector ignore what lives as long as the agent, and run less often.

    Call it once everything is set up. A message makes hundreds of objects that are freed by their
    reference counts; the few cycles (closed connections) wait for the collector a little longer.
    Measured: 5 % of a message's CPU.
    """
    gc.freeze()
    gc.set_threshold(THRESHOLD)
