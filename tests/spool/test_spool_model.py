"""What the spool shows is what a model says, after each of many random operations (P20)."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st
from tdc.node_agent.spool.spool import Spool
from tdc.node_agent.spool.values import Change, Drop, Move, Retry
from tdc.shared.sync.queue_work import Selection

from tests.spool.conftest import FakeClock
from tests.spool.test_spool import ENVELOPE
from tests.stage.delivery import dead_letters

INTAKES = ["a@a.example", "b@a.example", "c@c.example"]

operations = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from(INTAKES), st.integers(0, 50)),
        st.tuples(st.just("hold"), st.sampled_from(INTAKES), st.integers(0, 50)),
        st.tuples(
            st.sampled_from(["release", "discard", "delivered", "dead", "unclaim", "defer"]),
            st.integers(0, 9),
        ),
        st.tuples(st.just("claim"), st.integers(1, 4)),
        st.tuples(
            st.sampled_from(["retry", "move", "drop"]),
            st.sampled_from(["", *INTAKES]),
            st.booleans(),
            st.booleans(),
        ),
        st.tuples(st.sampled_from(["reopen", "wait"])),
    ),
    max_size=40,
)


@dataclass
class Known:
    """What the model knows of a copy; copies in hand show as queued."""

    intake: str
    size: int
    state: str
    recalled: bool = False


@dataclass
class Model:
    copies: dict[int, Known] = field(default_factory=dict)

    def of(self, *states: str) -> list[int]:
        return [mid for mid, copy in self.copies.items() if copy.state in states]

    def order(self, change: Change, intake: str, *, waiting: bool, dead: bool) -> int:
        chosen = [
            mid
            for mid, copy in self.copies.items()
            if intake in ("", copy.intake)
            and (
                (waiting and copy.state in ("queued", "claimed")) or (dead and copy.state == "dead")
            )
        ]
        for mid in chosen:
            copy = self.copies[mid]
            if isinstance(change, Drop):
                if copy.state == "claimed":
                    copy.state = "dropped in hand"
                else:
                    del self.copies[mid]
                continue
            if isinstance(change, Move):
                copy.intake, copy.recalled = change.to, copy.state == "claimed"
            copy.state = "claimed" if copy.state == "claimed" else "queued"
        return len(chosen)

    def back(self, mid: int) -> bool:
        """A copy comes back from delivery; says whether its fate there counts."""
        copy = self.copies[mid]
        if copy.state == "dropped in hand":
            del self.copies[mid]
            return False
        counts, copy.recalled, copy.state = not copy.recalled, False, "queued"
        return counts

    def backlogs(self) -> dict[str, tuple[int, int]]:
        found: dict[str, tuple[int, int]] = {}
        for copy in self.copies.values():
            waiting, dead = found.get(copy.intake, (0, 0))
            waiting += copy.state in ("queued", "claimed")
            dead += copy.state == "dead"
            if waiting or dead:
                found[copy.intake] = (waiting, dead)
        return found


class Run:
    """The spool and the model, side by side."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock, self.model, self.orders = folder, FakeClock(), Model(), 0
        self.spool: Spool

    async def run(self, moves: list[tuple[object, ...]]) -> None:
        self.spool = await Spool.open(self.folder, clocks=self.clock.machine)
        try:
            for name, *given in moves:
                await getattr(self, str(name))(*given)
                await self.check()
        finally:
            await self.spool.close()

    async def check(self) -> None:
        spool, model = self.spool, self.model
        facts = spool.facts()
        assert facts.unhealthy is None
        assert facts.held == len(model.of("held"))
        assert facts.queued == len(model.of("queued", "claimed", "dropped in hand"))
        assert facts.dead == len(model.of("dead"))
        assert facts.bytes == sum(copy.size for copy in model.copies.values())
        shown = {intake: (one.waiting, one.dead) for intake, one in spool.backlogs().items()}
        assert shown == model.backlogs()
        assert {(one.mid, one.intake) for one in await dead_letters(spool)} == {
            (mid, model.copies[mid].intake) for mid in model.of("dead")
        }

    # Operations

    async def hold(self, intake: str, size: int) -> int:
        mid = await self.spool.hold(ENVELOPE, b"x" * size, intake, f"{size:032x}")
        self.model.copies[mid] = Known(intake, size, "held")
        return mid

    async def put(self, intake: str, size: int) -> None:
        mid = await self.hold(intake, size)
        self.spool.release(mid)
        self.model.copies[mid].state = "queued"

    def one_of(self, number: int, *states: str) -> int | None:
        mids = self.model.of(*states)
        return mids[number % len(mids)] if mids else None

    async def release(self, number: int) -> None:
        if (mid := self.one_of(number, "held")) is not None:
            self.spool.release(mid)
            self.model.copies[mid].state = "queued"

    async def discard(self, number: int) -> None:
        if (mid := self.one_of(number, "held")) is not None:
            await self.spool.discard(mid)
            del self.model.copies[mid]

    async def claim(self, limit: int) -> None:
        for copy in await self.spool.claim(self.spool.now(), limit):
            known = self.model.copies[copy.mid]
            assert (known.state, known.intake, known.size) == (
                "queued", copy.intake, len(copy.content),
            )  # fmt: skip
            known.state = "claimed"

    async def delivered(self, number: int) -> None:
        if (mid := self.one_of(number, "claimed", "dropped in hand")) is not None:
            await self.spool.delivered(mid, reply="250 ok")
            del self.model.copies[mid]

    async def dead(self, number: int) -> None:
        if (mid := self.one_of(number, "claimed", "dropped in hand")) is not None:
            await self.spool.dead(mid, reason="554 no")
            if self.model.back(mid):
                self.model.copies[mid].state = "dead"

    async def defer(self, number: int) -> None:
        if (mid := self.one_of(number, "claimed", "dropped in hand")) is not None:
            await self.spool.defer(mid, next_at=self.spool.now() + 60, reason="451 later")
            self.model.back(mid)

    async def unclaim(self, number: int) -> None:
        if (mid := self.one_of(number, "claimed", "dropped in hand")) is not None:
            self.spool.unclaim([mid])
            self.model.back(mid)

    async def _order(self, change: Change, intake: str, waiting: bool, dead: bool) -> None:
        self.orders += 1
        selection = Selection(intake, (), waiting, dead)
        before = await self.spool.orders.count(selection)
        done = await self.spool.orders.change(change, selection, f"order {self.orders}")
        assert done == before
        assert done.copies == self.model.order(change, intake, waiting=waiting, dead=dead)

    async def retry(self, intake: str, waiting: bool, dead: bool) -> None:
        await self._order(Retry("by ann"), intake, waiting, dead)

    async def move(self, intake: str, waiting: bool, dead: bool) -> None:
        await self._order(Move("by ann", INTAKES[0]), intake, waiting, dead)

    async def drop(self, intake: str, waiting: bool, dead: bool) -> None:
        await self._order(Drop("by ann"), intake, waiting, dead)

    async def wait(self) -> None:
        self.clock.now += 61

    async def reopen(self) -> None:
        await self.spool.close()
        for mid in self.model.of("dropped in hand"):
            del self.model.copies[mid]
        for copy in self.model.copies.values():
            copy.recalled = False
            copy.state = "dead" if copy.state == "dead" else "queued"
        self.spool = await Spool.open(self.folder, clocks=self.clock.machine)


@pytest.mark.proves("P20")
@given(operations)
def test_the_listing_is_the_model_after_each_operation(moves: list[tuple[object, ...]]) -> None:
    folder = Path(tempfile.mkdtemp(prefix="spool-model-"))
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(Run(folder / "spool").run(moves))
    finally:
        shutil.rmtree(folder)
