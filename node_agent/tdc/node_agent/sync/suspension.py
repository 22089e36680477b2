"""What is suspended on this machine, kept on disk: it holds across restarts, without a manager.

In: what managers want, the time. Out: what is suspended now, to the rooms that stop for it.
Promise: what is reported is on disk; a part that has an end is over at that end, whether or not a
manager can be reached, and not before it because a clock was set.

The end is kept as seconds that are left, with a reading of the machine's clocks (spool/steady.py):
while the machine is on, its clock since boot decides; across a start of it the wall clock, by at
most an hour for each. So a machine that was off for long resumes late, if no manager tells it.

A removed machine has no suspension: no operator could ever resume it. Nor does it hold for another
enrolment, for that may be another machine of the same name.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.spool.clock import MachineClocks
from tdc.node_agent.spool.pauses import Span, Spans, begun, ended
from tdc.node_agent.spool.steady import Reading, passed
from tdc.shared.edge import durable_file
from tdc.shared.edge.clock import Clock
from tdc.shared.edge.tasks import finished
from tdc.shared.sync.suspension import (
    NOT_SUSPENDED,
    WORKS,
    Suspended,
    Suspension,
    WantedSuspension,
    is_taken,
)

FILE = "suspension"
SAVE_EVERY = 600.0
"""Seconds between two writes while something has an end: so much is lost of the time that passed if
the machine then starts with a clock that is wrong."""
LONGEST_SLEEP = 60.0
"""Seconds between two looks at the clock, which goes on while the machine sleeps."""

_FORMAT = 1

_OVER = "its time is over"
_NEVER = Reading("", 0.0, 0.0)

Listener = Callable[[Suspension], object]


@dataclass(frozen=True, slots=True)
class Kept:
    """All that is on disk. Parts with an end say what was left of it at `reading`."""

    suspension: Suspension = NOT_SUSPENDED
    store_id: str = ""
    enrolment: str = ""
    reading: Reading = _NEVER
    spans: Spans = ()


class KeptSuspension:
    """What is suspended here. One event loop; use `open` to make it."""

    def __init__(
        self, folder: Path, kept: Kept, log: TdcLog, steady: Clock, clocks: MachineClocks
    ) -> None:
        self._folder = folder
        self._kept = kept
        self._log = log
        self._steady = steady
        self._clocks = clocks
        self._listeners: list[Listener] = []
        self._changed = asyncio.Event()
        self._writing = asyncio.Lock()

    @classmethod
    async def open(
        cls, folder: Path, log: TdcLog, steady: Clock, clocks: MachineClocks | None = None
    ) -> KeptSuspension:
        """Go on with what `folder` has; never raises. `steady` is the spool's own time."""
        clocks = clocks or MachineClocks()
        kept, trouble = await asyncio.to_thread(load, folder)
        if trouble:
            log.error(f"{trouble}: nothing is suspended until a manager says so again")
        here = cls(folder, kept, log, steady, clocks)
        for work, part in here.current().parts():
            log.suspended(work, part.by, part.sentence)
        await here._look()
        return here

    def current(self) -> Suspension:
        """What is suspended now."""
        return _left(self._kept, self._clocks.read())

    def suspended(self) -> tuple[str, ...]:
        """The names of what is suspended now."""
        return tuple(work for work, _ in self.current().parts())

    @property
    def spans(self) -> Spans:
        """When delivery was suspended, in the spool's time."""
        return self._kept.spans

    def on_change(self, listener: Listener) -> None:
        """Call `listener` with what is suspended now, and after each change. It must not block."""
        self._listeners.append(listener)
        listener(self.current())

    async def take(self, wanted: WantedSuspension, enrolment: str) -> None:
        """Do as a manager wants, unless a newer manager said otherwise; never raises.

        What can't be written is not done, and so not reported: the manager sends it again.
        """
        kept = self._kept
        same = kept.enrolment in ("", enrolment)
        if not is_taken(wanted, kept.suspension, kept.store_id, same_enrolment=same):
            number, newer = wanted.suspension.number, kept.suspension.number
            self._log.warning(
                f"the manager's suspension {number} is older than {newer}, which holds here; what "
                "is suspended stays"
            )
            return
        await finished(self._change(wanted, enrolment), name="suspension")

    async def end(self, why: str) -> None:
        """End all of it; `why` is for the log."""
        if self._kept.suspension.number:
            none = WantedSuspension(NOT_SUSPENDED)
            await finished(self._change(none, "", why), name="suspension")

    async def welcome(self, enrolment: str) -> None:
        """Note by which enrolment this machine is known; one of another enrolment is over."""
        if self._kept.enrolment not in ("", enrolment):
            await self.end("this machine was enrolled again")

    async def run(self) -> None:
        """End what has an end in time, until cancelled."""
        while True:
            await self._look()
            left = [part.left for _, part in self.current().parts() if part.left is not None]
            self._changed.clear()
            try:
                async with asyncio.timeout(min([*left, LONGEST_SLEEP])):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _as_of_now(self) -> Kept:
        reading = self._clocks.read()
        return replace(self._kept, suspension=_left(self._kept, reading), reading=reading)

    async def _look(self) -> None:
        """End what is over here and now; that it is written too can wait for a disk."""
        before, after = self._kept, self._as_of_now()
        over = [w for w in WORKS if before.suspension.of(w) and not after.suspension.of(w)]
        has_end = any(part.left is not None for _, part in after.suspension.parts())
        late = passed(before.reading, after.reading) >= SAVE_EVERY
        if not over and not (has_end and late):
            return
        if "delivery" in over:
            after = replace(after, spans=ended(after.spans, self._steady()))
        self._kept = after
        for work in over:
            self._log.resumed(work, _OVER)
        if over:
            self._notify()
        await self._save(after)

    async def _change(
        self, wanted: WantedSuspension, enrolment: str, why: str = "an operator resumed it"
    ) -> None:
        async with self._writing:
            before, now = self.current(), self._steady()
            spans = self._kept.spans
            after = wanted.suspension
            spans = begun(spans, now) if after.delivery else ended(spans, now)
            kept = Kept(after, wanted.store_id, enrolment, self._clocks.read(), spans)
            if not await self._write(kept):
                return
            self._kept = kept
        self._log_change(before, after, why)
        self._notify()

    def _log_change(self, before: Suspension, after: Suspension, why: str) -> None:
        if after.number == before.number:  # the same order, of which no time is left
            why = _OVER
        for work in WORKS:
            was, part = before.of(work), after.of(work)
            if part is not None and (was is None or was.same != part.same):
                self._log.suspended(work, part.by, part.sentence)
            elif part is None and was is not None:
                self._log.resumed(work, why)

    def _notify(self) -> None:
        self._changed.set()
        for listener in self._listeners:
            listener(self.current())

    async def _save(self, kept: Kept) -> None:
        async with self._writing:
            if kept.suspension.number == self._kept.suspension.number:
                await self._write(kept)

    async def _write(self, kept: Kept) -> bool:
        try:
            await asyncio.to_thread(save, self._folder, kept)
        except durable_file.NotWritten as error:
            self._log.error(f"can't save what is suspended: {error}; it stays as it was on disk")
            return False
        return True


def _left(kept: Kept, now: Reading) -> Suspension:
    """What is left of a suspension at a reading of the clocks."""
    gone = passed(kept.reading, now)
    left = kept.suspension
    for work in WORKS:
        part = left.of(work)
        if part is not None and part.left is not None:
            seconds = part.left - gone
            left = left.having(work, replace(part, left=seconds) if seconds > 0 else None)
    return left


def save(folder: Path, kept: Kept) -> None:
    """Keep it; raises durable_file.NotWritten."""
    durable_file.make_folder(folder)
    document: dict[str, object] = {
        "format": _FORMAT,
        "number": kept.suspension.number,
        "store_id": kept.store_id,
        "enrolment": kept.enrolment,
        "reading": list(kept.reading),
        "spans": [list(each) for each in kept.spans],
        **{work: _packed(part) for work in WORKS if (part := kept.suspension.of(work))},
    }
    durable_file.write_checked(folder / FILE, json.dumps(document).encode())


def load(folder: Path) -> tuple[Kept, str]:
    """Read what was kept, and say why that can't be read; never raises."""
    path = folder / FILE
    try:
        document = json.loads(durable_file.read_checked(path))
        if document["format"] != _FORMAT:
            return Kept(), f"{path} has format {document['format']}; this agent reads {_FORMAT}"
        suspension = Suspension(
            int(document["number"]), _part(document, "copying"), _part(document, "delivery")
        )
        return Kept(
            suspension,
            str(document["store_id"]),
            str(document["enrolment"]),
            Reading(*document["reading"]),
            tuple(_spans(document["spans"])),
        ), ""
    except durable_file.Missing:
        return Kept(), ""
    except durable_file.NotReadable as error:
        return Kept(), str(error)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        return Kept(), f"{path} can't be understood: {error!r}"


def _packed(part: Suspended) -> dict[str, object]:
    return {
        "by": part.by,
        "reason": part.reason,
        "since": part.since,
        "until": part.until,
        "left": part.left,
    }


def _part(document: dict[str, Any], name: str) -> Suspended | None:
    if name not in document:
        return None
    part = document[name]
    until, left = part["until"], part["left"]
    return Suspended(
        str(part["by"]),
        str(part["reason"]),
        _number(part["since"]),
        None if until is None else _number(until),
        None if left is None else _number(left),
    )


def _spans(rows: Iterable[Any]) -> Iterable[Span]:
    for begin, end in rows:
        yield Span(_number(begin), None if end is None else _number(end))


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is not a number")
    return float(value)
