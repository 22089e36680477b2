"""PURE. Which copies wait, in memory: one heap for each intake, one number for each copy.

Half a million copies may wait, so a copy costs one packed integer here (about 45 bytes): its time,
then its MID. Everything else stays in the file until the copy is claimed. A heap for each intake
means that an intake on hold costs nothing to skip, however many copies wait for it.
"""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Container, Iterable, Mapping

_MID_BITS = 44
_MID_MASK = (1 << _MID_BITS) - 1
_TICKS = 1_000  # next_at is kept to the millisecond


class DueQueue:
    """Copies by the time of their next attempt, the oldest first if times are equal."""

    def __init__(self) -> None:
        self._heaps: dict[str, list[int]] = {}

    def push(self, intake: str, mid: int, next_at: float) -> None:
        """Add a copy that is due at `next_at` (steady seconds)."""
        heapq.heappush(self._heaps.setdefault(intake, []), _pack(mid, next_at))

    def fill(self, waiting: Iterable[tuple[str, int, float]]) -> None:
        """Add many copies (intake, mid, next_at) at once."""
        for intake, mid, next_at in waiting:
            self._heaps.setdefault(intake, []).append(_pack(mid, next_at))
        for heap in self._heaps.values():
            heapq.heapify(heap)

    def pop_due(
        self, now: float, limit: int, exclude: frozenset[str] = frozenset()
    ) -> list[tuple[str, int, float]]:
        """Remove up to `limit` copies due at `now`; return (intake, mid, next_at), in order."""
        heaps = {
            intake: heap for intake, heap in self._heaps.items() if heap and intake not in exclude
        }
        last = _pack(_MID_MASK, now)
        taken: list[tuple[str, int, float]] = []
        while heaps and len(taken) < limit:
            intake = min(heaps, key=lambda name: heaps[name][0])
            heap = heaps[intake]
            if heap[0] > last:
                break
            packed = heapq.heappop(heap)
            taken.append((intake, packed & _MID_MASK, (packed >> _MID_BITS) / _TICKS))
            if not heap:
                del heaps[intake]
        return taken

    def hasten(self, intake: str, now: float) -> bool:
        """Have one copy for this intake due at `now`, if none is; False if none waits."""
        heap = self._heaps.get(intake)
        if not heap:
            return False
        heap[0] = min(heap[0], _pack(heap[0] & _MID_MASK, now))
        return True

    def next_at(self, exclude: frozenset[str] = frozenset()) -> float | None:
        """When the first copy is due, or None."""
        first = min(
            (heap[0] for intake, heap in self._heaps.items() if heap and intake not in exclude),
            default=None,
        )
        return None if first is None else (first >> _MID_BITS) / _TICKS

    def find(self, intake: str, mids: Container[int] | None) -> dict[str, array[int]]:
        """Intake -> copies that wait for it; of one intake or of all, these MIDs or all."""
        found: dict[str, array[int]] = {}
        for name in [intake] if intake else self._heaps:
            numbers = (packed & _MID_MASK for packed in self._heaps.get(name, ()))
            chosen = array("q", numbers if mids is None else (n for n in numbers if n in mids))
            if chosen:
                found[name] = chosen
        return found

    def remove(self, found: Mapping[str, array[int]]) -> None:
        """Remove what `find` returned."""
        for intake, mids in found.items():
            heap = self._heaps[intake]
            gone = set(mids) if len(mids) < len(heap) else None
            heap[:] = [p for p in heap if p & _MID_MASK not in gone] if gone is not None else []
            heapq.heapify(heap)

    def add(self, intake: str, mids: Iterable[int], next_at: float) -> None:
        """Add many copies that are due at `next_at`."""
        if heap := self._heaps.setdefault(intake, []):
            heap.extend(_pack(mid, next_at) for mid in mids)
            heapq.heapify(heap)
        else:
            heap.extend(sorted(_pack(mid, next_at) for mid in mids))

    def keep(self, mids: Container[int]) -> None:
        """Drop all copies but these."""
        for heap in self._heaps.values():
            heap[:] = [packed for packed in heap if packed & _MID_MASK in mids]
            heapq.heapify(heap)

    def mids(self) -> list[int]:
        """The copies that wait, in no order."""
        return [packed & _MID_MASK for heap in self._heaps.values() for packed in heap]

    def waiting(self) -> Mapping[str, int]:
        """Intake -> number of copies that wait."""
        return {intake: len(heap) for intake, heap in self._heaps.items()}

    def __len__(self) -> int:
        return sum(map(len, self._heaps.values()))


def _pack(mid: int, next_at: float) -> int:
    return max(0, int(next_at * _TICKS)) << _MID_BITS | mid
