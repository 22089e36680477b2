"""PURE. What the spool holds, in memory: which copies are held, queued, claimed or dead.

The file is the truth, and the ledger is read from it at open. After that it leads: a copy that was
released, deferred or delivered is so here at once, and its mark follows into the file. That is safe
in one direction only, so the ledger never shows a copy as held before its commit, and a mark that
is lost in a crash makes a copy wait again, never vanish.

A copy is in exactly one place: held (ingest has it), due (see due.py: one number each), being read,
claimed (delivery has it) or dead. Only copies in somebody's hands have more than a number here. The
bounds count a copy from the moment its hold is asked for, so that many holds at once can't pass
them together.
"""

from __future__ import annotations

import contextlib
from array import array
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from tdc.node_agent.spool.due import DueQueue
from tdc.node_agent.spool.values import (
    Backlog,
    Change,
    Copy,
    Counted,
    Drop,
    IntakeBacklog,
    Move,
    Retry,
)
from tdc.shared.mail.address import domain_of

RECENT_BYTES = 32 * 1024**2
"""Bytes of content kept in memory between hold and claim: a queue that flows is not read back."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A copy that ingest or delivery has in hand. `due_at` is steady seconds.

    `recalled`: an operator moved or dropped it meanwhile; `intake` is then where it goes next, or
    empty if it goes nowhere.
    """

    intake: str
    size: int
    due_at: float
    recalled: bool = False


@dataclass(frozen=True, slots=True)
class Chosen:
    """Copies that an operator chose: by intake those that wait, or are dead; those in hand."""

    waiting: Mapping[str, array[int]] = field(default_factory=dict)
    in_hand: array[int] = field(default_factory=lambda: array("q"))
    dead: Mapping[str, array[int]] = field(default_factory=dict)

    def mids(self) -> set[int]:
        """Those that wait."""
        return {mid for mids in self.waiting.values() for mid in mids}


class Ledger:
    """Counts and sets. One thread changes them, and no method waits."""

    def __init__(self) -> None:
        self.messages = 0
        self.bytes = 0
        self.newest: float | None = None
        self.due = DueQueue()
        self._dead: Counter[str] = Counter()
        self._held: dict[int, Entry] = {}
        self._claimed: dict[int, Entry] = {}
        self._reading: Counter[str] = Counter()
        self._recent: dict[int, Copy] = {}
        self._recent_bytes = 0
        self.recalls = 0
        """How often an operator may have moved or dropped copies that were in hand."""

    # At open

    def load_queued(self, rows: Iterable[tuple[str, int, float, int]], latest: float) -> None:
        """Add what waits: intake, mid, next_at, size.

        A time after `latest` was written while the clock was wrong: such a copy is due at once.
        """

        def waiting() -> Iterable[tuple[str, int, float]]:
            for intake, mid, next_at, size in rows:
                self.add(size)
                yield intake, mid, next_at if next_at <= latest else 0.0

        self.due.fill(waiting())

    def load_dead(self, rows: Iterable[tuple[str, int]]) -> None:
        """Add dead copies (intake, size): they count against the bounds."""
        for intake, size in rows:
            self.add(size)
            self._dead[intake] += 1

    # Bounds count from the moment a hold is asked for

    def add(self, size: int) -> None:
        """Count one more copy."""
        self.messages += 1
        self.bytes += size

    def remove(self, size: int) -> None:
        """Count one copy less."""
        self.messages -= 1
        self.bytes -= size

    # The life of a copy

    def add_held(self, copy: Copy) -> None:
        """A copy (already counted) is durable."""
        self._held[copy.mid] = Entry(copy.intake, len(copy.content), copy.taken_at)
        self.newest = copy.taken_at
        if self._recent_bytes + len(copy.content) <= RECENT_BYTES:
            self._recent[copy.mid] = copy
            self._recent_bytes += len(copy.content)

    def release(self, mid: int) -> None:
        """A held copy becomes due."""
        entry = self._held.pop(mid)
        self.due.push(entry.intake, mid, entry.due_at)

    def discard(self, mid: int) -> None:
        """A held copy leaves the spool."""
        self.remove(self._held.pop(mid).size)
        self.recall(mid)

    @contextlib.contextmanager
    def reading(self, intakes: Iterable[str]) -> Iterator[None]:
        """Count copies (one intake for each) that were taken from `due` and are being read."""
        being_read = Counter(intakes)
        self._reading += being_read
        try:
            yield
        finally:
            self._reading -= being_read

    def may_send(self, copy: Copy) -> bool:
        """Whether a claimed copy is still to be sent to its intake."""
        entry = self._claimed.get(copy.mid)
        return entry is not None and not entry.recalled

    def claim(self, copy: Copy, due_at: float) -> None:
        """A copy taken from `due` is in delivery's hands."""
        self._claimed[copy.mid] = Entry(copy.intake, len(copy.content), due_at)

    def unclaim(self, mid: int) -> None:
        """A claimed copy waits again, due as before, or where an operator sent it meanwhile."""
        entry = self._claimed.pop(mid)
        if entry.intake:
            self.due.push(entry.intake, mid, entry.due_at)
        else:
            self.remove(entry.size)

    def is_recalled(self, mid: int) -> bool:
        """Whether an operator moved or dropped a claimed copy."""
        return self._claimed[mid].recalled

    def deliver(self, mid: int) -> None:
        """A claimed copy is delivered, and gone."""
        self.remove(self._claimed.pop(mid).size)

    def defer(self, mid: int, next_at: float) -> None:
        """A claimed copy waits until `next_at`."""
        self.due.push(self._claimed.pop(mid).intake, mid, next_at)

    def mark_dead(self, mid: int) -> None:
        """A claimed copy is dead; it still counts against the bounds."""
        self.add_dead(self._claimed.pop(mid).intake)

    def add_dead(self, intake: str) -> None:
        """A copy taken from `due` is dead."""
        self._dead[intake] += 1

    def is_recent(self, mid: int) -> bool:
        """Whether `recall` would return the copy."""
        return mid in self._recent

    def recall(self, mid: int) -> Copy | None:
        """Return the copy if it is still in memory, and forget it."""
        copy = self._recent.pop(mid, None)
        if copy is not None:
            self._recent_bytes -= len(copy.content)
        return copy

    # What operators order

    def choose(self, intake: str, mids: Container[int] | None) -> Chosen:
        """Which copies wait, or are in delivery's hands; of one intake or all, these MIDs or all.

        None may be in the middle of being read from the file.
        """
        in_hand = (
            mid
            for mid, entry in self._claimed.items()
            if entry.intake and intake in ("", entry.intake) and (mids is None or mid in mids)
        )
        return Chosen(self.due.find(intake, mids), array("q", in_hand))

    def apply(self, change: Change, chosen: Chosen, now: float) -> None:
        """Change what was chosen just now. What is dropped counts until `remove_many`."""
        self.due.remove(chosen.waiting)
        for intake, mids in chosen.dead.items():
            self._dead[intake] -= len(mids)
        for intake, mids in (*chosen.waiting.items(), *chosen.dead.items()):
            match change:
                case Retry():
                    self.due.add(intake, mids, now)
                case Move(_, to):
                    self.due.add(to, mids, now)
        for mid in chosen.in_hand:
            self._claimed[mid] = _changed(self._claimed[mid], change, now)
        if isinstance(change, Move | Drop):
            self.recalls += bool(chosen.in_hand)
            gone = chosen.mids()
            for mid in [mid for mid in self._recent if mid in gone]:
                self.recall(mid)  # what is in memory is as it was before

    def remove_many(self, dropped: Counted) -> None:
        """Dropped copies are in the file no more."""
        self.messages -= dropped.copies
        self.bytes -= dropped.bytes

    def intakes(self) -> set[str]:
        """The intakes that copies here are for."""
        in_hand = (entry.intake for entry in (*self._held.values(), *self._claimed.values()))
        dead = (intake for intake, copies in self._dead.items() if copies)
        waiting = (intake for intake, copies in self.due.waiting().items() if copies)
        return {*in_hand, *dead, *waiting, *self._reading} - {""}

    def lose_file(self) -> tuple[list[Copy], list[int]]:
        """Forget what only the lost file knew; return what the new file can be given.

        That is the copies whose content is still in memory, and which of them are queued. A copy
        that somebody has in hand stays there.
        """
        copies = list(self._recent.values())
        self.due.keep(self._recent)
        self._dead.clear()
        in_hand = [*self._held.values(), *self._claimed.values()]
        self.messages = len(self._held) + self.queued
        self.bytes = sum(entry.size for entry in in_hand)
        self.bytes += sum(len(copy.content) for copy in copies if copy.mid not in self._held)
        return copies, self.due.mids()

    # Facts

    @property
    def held(self) -> int:
        """Copies whose original the next hop has not answered."""
        return len(self._held)

    @property
    def queued(self) -> int:
        """Copies that wait, are being read, or are in delivery's hands."""
        return len(self.due) + len(self._claimed) + self._reading.total()

    @property
    def dead(self) -> int:
        """Copies that are not tried any more."""
        return self._dead.total()

    def backlogs(self, oldest: Mapping[str, float | None]) -> dict[str, IntakeBacklog]:
        """Intake -> what waits for it and what is dead; `oldest` is by intake."""
        waiting = self._waiting()
        return {
            intake: IntakeBacklog(
                waiting[intake], self._dead[intake], oldest.get(intake) if waiting[intake] else None
            )
            for intake in sorted(waiting.keys() | self._dead.keys())
            if waiting[intake] or self._dead[intake]
        }

    def _waiting(self) -> Counter[str]:
        waiting = Counter(self.due.waiting()) + self._reading
        waiting.update(entry.intake for entry in self._claimed.values() if entry.intake)
        return waiting

    def destinations(self, oldest: Mapping[str, float | None]) -> dict[str, Backlog]:
        """Intake domain -> what waits; `oldest` is by intake."""
        found: dict[str, Backlog] = {}
        for intake, copies in self._waiting().items():
            domain = domain_of(intake)
            before = found.get(domain, Backlog(0, None))
            ages = [before.oldest, oldest.get(intake) if copies else None]
            known = [age for age in ages if age is not None]
            found[domain] = Backlog(before.waiting + copies, min(known, default=None))
        return found


def _changed(entry: Entry, change: Change, now: float) -> Entry:
    """A copy in hand after a change: one that is moved or dropped is not sent any more."""
    match change:
        case Retry():
            return replace(entry, due_at=now)
        case Move(_, to):
            return replace(entry, due_at=now, intake=to, recalled=True)
        case Drop():
            return replace(entry, intake="", recalled=True)
