"""What the spool's thread does besides writing: looks at the file, and sweeps it."""

from __future__ import annotations

from tdc.node_agent.spool.group import CommitGroup
from tdc.node_agent.spool.opening import SpoolFile
from tdc.shared.edge.clock import monotonic

REFRESH = 0.5
"""Seconds by which the age of the oldest copy and the free space may lag, and within which a file
that was removed is noticed. It is looked at without a write too: where nothing may be written any
more we would never see that there is room again."""
SWEEP_PAUSE = 0.01
"""Seconds between two parts of what was dropped."""
SAVE_CLOCK = 60.0
"""Seconds by which the spool's time in the file may lag."""


class Upkeep:
    """Work of the thread that nobody waits for. What it sees is replaced whole, read anywhere."""

    oldest: dict[str, float | None]
    """Intake -> `taken_at` of its oldest copy, steady."""

    free_bytes = 0
    """Free space on the spool's disk."""

    reusable_bytes = 0
    """Empty space within the file."""

    def __init__(self, file: SpoolFile) -> None:
        self.oldest = {}
        self.intakes: set[str] = set()
        self.sweeping = True
        self._file = file
        self._refreshed_at = 0.0
        self._swept_at = 0.0

    def after(self, group: CommitGroup, now: float) -> None:
        """Do what is due after a group was written; raises DatabaseFault."""
        self._sweep(group)
        if group.operations <= 1 or now - self._refreshed_at >= REFRESH:
            self.refresh()

    def refresh(self) -> None:
        """Look at the file and its disk; raises DatabaseFault."""
        self._refreshed_at = monotonic()
        self.free_bytes = self._file.folder.free_bytes()
        self.reusable_bytes = self._file.database.reusable_bytes()
        self.oldest = {intake: self._file.database.oldest(intake) for intake in self.intakes}

    def _sweep(self, group: CommitGroup) -> None:
        """Delete a part of what was dropped, when there is nothing else to do, or seldom."""
        self.sweeping |= bool(group.batch.orders)
        if self.sweeping and (not group.operations or monotonic() - self._swept_at >= REFRESH):
            self.sweeping = self._file.database.sweep()
            self._swept_at = monotonic()
