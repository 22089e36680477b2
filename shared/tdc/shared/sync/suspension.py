"""PURE. What of one machine's work an operator has suspended, and whether that is in force there.

A suspension is an operation, no setting: it has no level, makes no revision and reaches nothing but
its machine. Copying and delivery are suspended each by itself, because two operators may do it at
different times, for different reasons and until different ends.

The manager sends all of it, with a number that grows with each change; the agent reports in each
status what it suspends and the number that it took last. So nothing is believed from old
acknowledgements: an agent that was restored, or that lost its state, is simply sent it again. Each
part says how many seconds are *left*, and an agent goes by those: a clock that is set neither ends
a suspension nor makes it last.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from tdc.shared.sync.words import moment_words

Work = Literal["copying", "delivery"]
WORKS: tuple[Work, Work] = ("copying", "delivery")


@dataclass(frozen=True, slots=True)
class Suspended:
    """Who suspended one part of a machine's work, why, and until when.

    `since` and `until` are Unix seconds by the manager's clock; `until` is None without an end.
    `left` are the seconds until that end, as of the moment when this was said; None without one.
    """

    by: str
    reason: str
    since: float
    until: float | None = None
    left: float | None = None

    @property
    def same(self) -> Suspended:
        """The same for all readers: without what changes by itself."""
        return replace(self, left=None)

    @property
    def sentence(self) -> str:
        """Since when, by whom, until when and why; without a full stop."""
        until = "with no end" if self.until is None else f"until {moment_words(self.until)}"
        return f"by {self.by} since {moment_words(self.since)}, {until}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Suspension:
    """What is suspended on a machine; None where it works. `number` grows with each change."""

    number: int = 0
    copying: Suspended | None = None
    delivery: Suspended | None = None

    def __bool__(self) -> bool:
        return self.copying is not None or self.delivery is not None

    def of(self, work: Work) -> Suspended | None:
        """The suspension of one part of the work."""
        return self.copying if work == "copying" else self.delivery

    def having(self, work: Work, now: Suspended | None) -> Suspension:
        """The same with this part suspended, or not."""
        return replace(self, copying=now) if work == "copying" else replace(self, delivery=now)

    def at(self, moment: float) -> Suspension:
        """What is left of it at a moment, Unix seconds: parts whose end has come are gone.

        Each part that has an end says what is left until then.
        """
        left = self
        for work in WORKS:
            part = self.of(work)
            if part is not None and part.until is not None:
                seconds = part.until - moment
                left = left.having(work, replace(part, left=seconds) if seconds > 0 else None)
        return left

    def parts(self) -> Iterator[tuple[str, Suspended]]:
        """Each part with its name; both as one if they were suspended together."""
        if self.copying and self.delivery and self.copying.same == self.delivery.same:
            yield "copying and delivery", self.copying
            return
        for work in WORKS:
            if part := self.of(work):
                yield work, part


NOT_SUSPENDED = Suspension()


@dataclass(frozen=True, slots=True)
class WantedSuspension:
    """What a manager wants suspended; numbers of different stores can't be compared."""

    suspension: Suspension
    store_id: str = ""


def to_send(wanted: Suspension, reported: Suspension | None, *, first: bool) -> bool:
    """Whether a manager sends what it wants, as of now, after a status that reported this.

    `reported` is None for an agent that doesn't know suspensions. By its number an agent says what
    it took. It ends a part by its own time, so one that it ended a little early is not suspended
    again; one that lasts though it should be over, as the machine was off for long, is ended at the
    `first` status of a stream.
    """
    if reported is None:
        return False
    if reported.number != wanted.number:
        return True
    return first and any(reported.of(work) and not wanted.of(work) for work in WORKS)


def is_taken(
    wanted: WantedSuspension, known: Suspension, store_id: str, *, same_enrolment: bool
) -> bool:
    """Whether an agent takes what a manager wants; `known`, of `store_id`, is what it took last.

    A manager that lags, or whose store is older, must not undo what a newer one said. Another
    enrolment is of another machine, even if it has the same name.
    """
    if not same_enrolment or wanted.store_id != store_id:
        return True
    return wanted.suspension.number >= known.number


def is_as_wanted(wanted: Suspension, reported: Suspension | None) -> bool:
    """Whether what is suspended on a machine is what should be."""
    there = reported or NOT_SUSPENDED
    return all((wanted.of(work) is None) == (there.of(work) is None) for work in WORKS)
