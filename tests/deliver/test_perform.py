"""Settlements performed on a spool that keeps a book: no claim is lost, none is used twice."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st
from tdc.node_agent.counters import Counters
from tdc.node_agent.deliver.destination import DestinationState
from tdc.node_agent.deliver.effects import SendAgain
from tdc.node_agent.deliver.mx import Candidate
from tdc.node_agent.deliver.perform import Performer
from tdc.node_agent.deliver.settle import (
    EndedAttempt,
    Moment,
    returns_to_spool,
    settle,
    settle_unopened,
)
from tdc.node_agent.deliver.trouble import Outcome, Verdict
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.spool.spool import Spool
from tdc.node_agent.spool.values import Copy
from tdc.shared.connector.settings import ConnectorSettings
from tdc.shared.mail.envelope import Envelope

INTAKE = "copies@intake.example"
HOST = Candidate("mx1.intake.example", "192.0.2.1", 25)
SETTINGS = replace(ConnectorSettings.defaults(), retry_lifetime=86_400)
COPY = Copy(1, "0" * 32, INTAKE, Envelope("", ("a@b.example",)), b"", taken_at=0.0)


class Book:
    """A spool by its book: each claim ends exactly once."""

    def __init__(self) -> None:
        self.queued = deque(range(1, 200))
        self.claimed: set[int] = set()
        self.gone: set[int] = set()

    def claim(self, limit: int) -> list[Copy]:
        mids = [self.queued.popleft() for _ in range(min(limit, len(self.queued)))]
        self.claimed |= set(mids)
        return [replace(COPY, mid=mid) for mid in mids]

    def unclaim(self, mids: list[int]) -> None:
        for mid in mids:
            self.claimed.remove(mid)
            self.queued.append(mid)

    def delivered(self, mid: int, **_: str) -> None:
        self._end(mid)

    def defer(self, mid: int, **_: Any) -> None:
        self._end(mid)

    def dead(self, mid: int, **_: str) -> None:
        self._end(mid)

    def _end(self, mid: int) -> None:
        self.claimed.remove(mid)
        self.gone.add(mid)


class Lines(TdcLog):
    """Counts alarms."""

    def __init__(self) -> None:
        super().__init__()
        self.alarms = 0
        self.released_ = 0

    def held(self, destination: str, reason: str, check: str, retry_in: float) -> None:
        self.alarms += 1

    def released(self, destination: str) -> None:
        self.released_ += 1


STEPS = st.lists(
    st.tuples(st.sampled_from(["claim", "unopened", "probe", *Verdict]), st.booleans()),
    max_size=60,
)


@given(STEPS, st.integers(0, 90_000))
def test_no_story_of_outcomes_loses_a_claim(steps: list[tuple[str, bool]], age: int) -> None:
    book, log, destination = Book(), Lines(), DestinationState(INTAKE)
    write = cast("Callable[[Any], asyncio.Future[None]]", lambda mark: mark)
    performer = Performer(cast(Spool, book), log, Counters(), write, lambda: None)
    clock = 0.0
    for step, stopping in steps:
        clock += 10.0
        moment = Moment(clock, age + clock)
        standing = destination.standing(stopping=stopping)
        if step == "claim":
            destination.ready.extend(book.claim(3))
        elif step == "unopened":
            outcome = Outcome(Verdict.HOLD, "Connection Error", "x")
            effects = settle_unopened(HOST, outcome, standing, 0, SETTINGS, moment)
            performer.perform(effects, destination)
        elif step == "probe" and destination.hold is not None:
            clock = max(clock, destination.hold.next_probe)
        elif destination.ready and step in list(Verdict):
            copy = destination.ready.popleft()
            outcome = Outcome(Verdict(step), "Some Reason", "check")
            attempt = EndedAttempt(copy, 1, HOST, "TLSv1.3")
            settlement = settle(attempt, outcome, standing, SETTINGS, moment)
            performer.settle(settlement, destination)
            if isinstance(settlement.fate, SendAgain):
                if returns_to_spool(destination.standing(stopping=stopping)):
                    book.unclaim([copy.mid])
                else:
                    destination.put_first([copy])
        assert book.claimed == {copy.mid for copy in destination.ready}
        assert log.alarms - log.released_ == (destination.hold is not None)
    assert len(book.queued) + len(book.claimed) + len(book.gone) == 199
