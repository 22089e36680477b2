"""PURE. When the spool takes no copy: its bounds, and the latch of a file that is not writable.

The bounds refuse one copy and leave delivery alone: delivery is what makes room. The latch stops
both, because what is delivered and can't be marked would be delivered again.
"""

from __future__ import annotations

from dataclasses import dataclass

STALLED_AFTER = 5.0
"""Seconds without an answer after which a commit counts as failed, besides those for its octets."""

SOUND_RATE = 4.0 * 1024**2
"""Octets a second that a disk writes which is sound, however busy. A slower one is a slow disk."""

NOT_OPEN = "its file is not open yet: check its disk if this lasts"
"""The reason before the first try to open the file has ended."""

SLOW_DISK = "slow disk: a write did not return in time: check what else uses the spool's disk"
"""The reason from a write that came too late until the disk writes as it should again."""

FREE_RESERVE = 64 * 1024**2
"""Bytes left free on the disk: marks of what was delivered must be written even when no more copies
are taken, and the gateway's own queue may be on the same disk. Copies that find room within the
spool's file may use half of it for the log."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The settings `spool.max_messages` and `spool.max_bytes`."""

    max_messages: int
    max_bytes: int

    def refusal(
        self, messages: int, size: int, another: int, free: int, reusable: int = 0
    ) -> str | None:
        """Why one more copy of `another` bytes does not fit beside what is there, or None.

        `free` is what the disk has left, `reusable` what is empty within the spool's file, which
        never shrinks. A copy is written twice, to the log and to the file.
        """
        log_fits = free - another >= FREE_RESERVE // 2
        if not log_fits or free + reusable - 2 * another < FREE_RESERVE:
            return f"its disk has only {free // 1024**2} MiB left"
        if messages + 1 > self.max_messages:
            return f"it holds {messages} copies, spool.max_messages is {self.max_messages}"
        if size + another > self.max_bytes:
            return f"it holds {size} bytes, spool.max_bytes is {self.max_bytes}"
        return None


@dataclass(slots=True)
class Health:
    """The latch: `fault` is set until the file is open, and from a failed write to recovery."""

    fault: str | None = None

    def reason(self, commit_takes: float, size: int = 0) -> str | None:
        """Why nothing may be taken or claimed now.

        The commit under way takes `commit_takes` seconds by now and has `size` octets of content.
        """
        if self.fault is not None:
            return self.fault
        if commit_takes > STALLED_AFTER + size / SOUND_RATE:
            return f"slow disk: a write has not returned for {commit_takes:.0f} s: check the disk"
        return None
