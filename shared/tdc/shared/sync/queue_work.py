"""PURE. Work on a machine's queue that an operator asks for, and the machine's answer.

The manager sends an order over the settings stream of a connected machine; the agent does it in one
transaction of its spool and answers. An order is sent again only with its id, by which the agent
knows that it has been done. With `count_only` nothing is changed: that is the question before the
work.
"""

from __future__ import annotations

from dataclasses import dataclass

MOST_LISTED = 1_000
"""Dead copies in one answer; the count tells of all."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which copies. An empty `intake` means every intake, no `mids` every copy.

    `waiting` chooses copies that are queued or deferred, `dead` dead ones; with neither, none.
    Copies that are held for the next hop's answer are never chosen.
    """

    intake: str = ""
    mids: tuple[int, ...] = ()
    waiting: bool = False
    dead: bool = False


@dataclass(frozen=True, slots=True)
class ListDead:
    """List dead copies, newest first."""

    selection: Selection


@dataclass(frozen=True, slots=True)
class RetryCopies:
    """Try copies at once: dead ones are queued again, deferred ones are due."""

    selection: Selection


@dataclass(frozen=True, slots=True)
class MoveCopies:
    """Send copies to another intake, which must be in force on the machine."""

    selection: Selection
    to_intake: str


@dataclass(frozen=True, slots=True)
class DropCopies:
    """Delete copies for good."""

    selection: Selection


QueueChange = RetryCopies | MoveCopies | DropCopies
"""Work that changes what is in the queue."""

Work = ListDead | QueueChange


def kind_of(work: QueueChange) -> str:
    """The word for it: retry, move or drop."""
    return {RetryCopies: "retry", MoveCopies: "move", DropCopies: "drop"}[type(work)]


@dataclass(frozen=True, slots=True)
class QueueOrder:
    """One piece of work. `operator` is who asked, for the agent's log."""

    id: str
    operator: str
    work: Work
    count_only: bool = False


@dataclass(frozen=True, slots=True)
class DeadCopy:
    """A copy that is not tried any more; `dead_at` and `taken_at` are Unix seconds."""

    mid: int
    report_id: str
    message_id: str
    intake: str
    sender: str
    recipients: tuple[str, ...]
    size: int
    taken_at: float
    dead_at: float
    attempts: int
    reason: str


@dataclass(frozen=True, slots=True)
class QueueAnswer:
    """What an order came to: `copies` chosen, and their bytes; `refused` says why it was not done.

    `intakes` are the intakes in force on the machine, for the operator who named another.
    """

    id: str
    copies: int = 0
    bytes: int = 0
    dead: tuple[DeadCopy, ...] = ()
    refused: str = ""
    intakes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Why a machine has not answered an order, in words.

    `sent` is True if the order may have reached it: then it is not known whether it was done.
    """

    reason: str
    sent: bool = False


@dataclass(frozen=True, slots=True)
class CountedCopies:
    """Copies that were counted on one machine before work was ordered there."""

    machine: str
    copies: int
    bytes: int


@dataclass(frozen=True, slots=True)
class OrderedWork:
    """Work as a cluster's history keeps it: written down before it was sent to these machines."""

    work: QueueChange
    machines: tuple[CountedCopies, ...]

    @property
    def copies(self) -> int:
        """Copies counted on all machines."""
        return sum(each.copies for each in self.machines)
