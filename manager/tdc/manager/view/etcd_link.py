"""PURE. A manager's link to etcd: while it is cut, the manager serves on and hears of no commit."""

from __future__ import annotations

from dataclasses import dataclass

from tdc.manager.view.seen import Moment
from tdc.shared.sync.words import lapse_words

SURELY_CUT = 20.0
"""Seconds after which a manager without etcd sends its agents to those that have it.

They must have had it for as long: an etcd that comes back is seen by one manager before another.
"""


@dataclass(frozen=True, slots=True)
class EtcdLink:
    """Whether a manager has etcd, since when by our clock, and why it has not (`problem`)."""

    since: Moment
    problem: str = ""

    def cut_for(self, now: float) -> float:
        """Seconds for which it has had no etcd; 0 while it has."""
        return max(0.0, now - self.since.at) if self.problem else 0.0

    def reached_for(self, now: float) -> float:
        """Seconds for which it has had etcd; 0 while it has not."""
        return 0.0 if self.problem else max(0.0, now - self.since.at)

    def words(self, now: float) -> str:
        """What is wrong; empty if nothing is."""
        if not self.problem:
            return ""
        return f"it has had no etcd for {lapse_words(self.cut_for(now))}: {self.problem}"


def others_are_better(own: EtcdLink, others: list[EtcdLink], now: float) -> bool:
    """Whether agents here should go to another manager: this one is surely cut off, one is not."""
    return own.cut_for(now) >= SURELY_CUT and any(
        each.reached_for(now) >= SURELY_CUT for each in others
    )
