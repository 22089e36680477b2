"""Delivery: what is due goes to couriers, as `assign` says, until cancelled.

The path of a copy: claimed here -> a `courier` sends it on its `connection` -> `trouble` says what
the end of the attempt means -> `settle` what follows -> `perform` writes that into the spool.

The policy
==========
One cycle reads settings and clock once, claims due copies, lets each destination open, send and
close, and sleeps until something happens or a time is reached.

*Little is claimed ahead.* A claimed copy is in memory and out of the spool's queue. So a
destination gets READY_AT_HAND copies at most, all of them together `bytes_at_hand` octets, and one
on hold gets none until its probe is due: a backlog waits on disk, in its order.

*A spool that can't be written stops delivery*: what is sent then could not be marked as sent,
and would be sent again and again. What waits at hand goes back.

*A stop waits for replies*, at most STOP_WITHIN seconds: a report that was sent whole may have
been accepted, and one that is not marked goes out twice. Everything else is given back.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping
from types import MappingProxyType
from typing import Any

from tdc.node_agent.counters import Counters
from tdc.node_agent.deliver.assign import (
    CloseConnection,
    Lane,
    OpenConnection,
    SendNext,
    assign,
    next_change,
)
from tdc.node_agent.deliver.courier import Courier
from tdc.node_agent.deliver.destination import LOGGED_AT_MOST, DestinationState
from tdc.node_agent.deliver.effects import Hold
from tdc.node_agent.deliver.facts import DestinationFacts, destination_facts, in_use
from tdc.node_agent.deliver.options import DeliveryOptions
from tdc.node_agent.deliver.parts import Parts
from tdc.node_agent.deliver.perform import Mark, Performer
from tdc.node_agent.deliver.resolver import Resolver
from tdc.node_agent.deliver.retry import RetrySettings, put_off
from tdc.node_agent.journal.loop import Reporter
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.spool.pauses import Spans
from tdc.node_agent.spool.spool import Spool
from tdc.shared.connector.intake import intakes_in_force
from tdc.shared.connector.settings import ConnectorSettings
from tdc.shared.edge.clock import chance, monotonic, wall
from tdc.shared.mail.address import domain_of

READY_AT_HAND = 64
"""Copies claimed ahead for one destination; more stay in the spool."""

BYTES_TO_LOG = 1024 * 1024
"""Octets of copies that are read only to log that they are held."""

ARRIVALS_EVERY = 0.005
"""Seconds between two looks at the spool because copies arrived: under load one cycle serves
several of them, and the first one after a pause waits for nothing."""

STOP_WITHIN = 5.0
"""Seconds that reports under way get to finish when delivery is cancelled."""

_LONGEST_SLEEP = 30.0
_LOOK_EVERY = 0.5
_IN_EACH_REPORT = ("report_from", "report_envelope_sender")


class Delivery:
    """Delivers what the spool holds; `run` it as one task of the agent."""

    def __init__(  # noqa: PLR0913  # each room's part
        self,
        spool: Spool,
        settings: Callable[[], ConnectorSettings],
        options: DeliveryOptions,
        counters: Counters,
        log: TdcLog,
        reporter: Reporter,
        holds: Mapping[str, Hold] = MappingProxyType({}),
        *,
        pauses: Callable[[], Spans] = tuple,
    ) -> None:
        """`holds` are those of before a restart, by intake: each goes on, and is probed at once.
        `pauses` are the spans in which delivery was suspended: no copy grows old in them.
        """
        self._spool, self._settings, self._options = spool, settings, options
        self._wake = asyncio.Event()
        self._resolver = Resolver(options.nameservers)
        self._performer = Performer(spool, log, counters, self._write, self._wake.set)
        self._parts = Parts(
            spool, settings, options, self._resolver, reporter, log, self._performer,
            self._wake.set, self._working, pauses,
        )  # fmt: skip
        self._destinations = {
            intake: self._destination(intake, one) for intake, one in holds.items()
        }
        self._couriers: dict[int, Courier] = {}
        self._marks: set[Mark] = set()
        self._group: asyncio.TaskGroup | None = None
        self._stopping = False
        self._kicked = False
        self._recalls = 0
        self._in_each_report: tuple[object, ...] | None = None
        self._dcid = 0

    async def run(self) -> None:
        """Deliver until cancelled.

        Reports under way get STOP_WITHIN seconds to finish; those not finished then are not
        counted, and every claimed copy is given back.
        """
        self._stopping = False
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                group.create_task(self._watch_spool(), name="deliver: spool watch")
                try:
                    await self._cycles()
                finally:
                    self._stopping = True
                    self._give_back_ready()
                    await self._wind_down()
        finally:
            self._group = None
            self._give_back_ready()
            self._couriers.clear()
            self._destinations = {
                intake: self._destination(intake, one.hold) if one.lanes else one
                for intake, one in self._destinations.items()
                if one.hold is not None or not one.lanes
            }

    def holds(self) -> dict[str, Hold]:
        """The holds of destinations in use, by intake."""
        return {one.intake: one.hold for one in self._in_use() if one.hold is not None}

    def settings_changed(self) -> None:
        """Look at the settings; intakes that they change start over."""
        self._wake.set()

    def kick(self) -> None:
        """An operator asks: look again at once, probe what is on hold."""
        self._kicked = True
        self._wake.set()

    def destinations(self) -> list[DestinationFacts]:
        """List each intake domain that is in force or has copies waiting."""
        lead, domains = wall() - monotonic(), {domain_of(each) for each in self._in_force()}
        return destination_facts(self._in_use(), self._spool.destinations(), lead, domains)

    def _in_force(self) -> set[str]:
        settings = self._settings()
        named = intakes_in_force(settings) if settings.enabled else ()
        return {intake.address for intake in named}

    def _in_use(self) -> list[DestinationState]:
        return in_use(self._destinations.values(), self._in_force(), self._spool.backlogs())

    def bytes_at_hand(self) -> dict[str, int]:
        """Octets of claimed copies by intake, those being sent included."""
        sizes = {
            intake: sum(len(copy.content) for copy in one.ready)
            for intake, one in self._destinations.items()
        }
        for courier in self._couriers.values():
            sending = sum(len(copy.content) for copy in courier.in_hand)
            sizes[courier.destination.intake] += sending
        return sizes

    # The cycle

    async def _cycles(self) -> None:
        while True:
            self._wake.clear()
            now = monotonic()
            settings = self._settings()
            self._notice_changes(settings, now)
            if self._spool.facts().unhealthy is not None:
                self._give_back_ready()  # what is sent now could not be marked as sent
            self._give_back_recalled()
            await self._claim(now)
            await self._log_newcomers(now)
            for destination in list(self._destinations.values()):
                self._assign(destination, settings, now)
            await self._sleep(settings, now)

    async def _watch_spool(self) -> None:
        while True:
            await self._spool.arrived.wait()
            self._spool.arrived.clear()
            self._wake.set()
            await asyncio.sleep(ARRIVALS_EVERY)

    def _notice_changes(self, settings: ConnectorSettings, now: float) -> None:
        """Have those start over whom a change may help: all, if it is in each report."""
        reported = tuple(getattr(settings, name) for name in _IN_EACH_REPORT)
        everybody = self._kicked or self._in_each_report not in (None, reported)
        self._in_each_report, self._kicked = reported, False
        changed = [one for one in self._destinations.values() if self._took_other_facts(one)]
        if everybody or changed:
            self._resolver.forget()
        for destination in self._destinations.values() if everybody else changed:
            destination.start_over(now)
        for destination in changed:
            destination.replace_connections()
        if any(one.hold for one in self._destinations.values()):
            used = {one.intake for one in self._in_use()}
            for destination in self._destinations.values():
                if destination.intake not in used:
                    destination.release()  # should it be used again, it is tried at once

    def _took_other_facts(self, destination: DestinationState) -> bool:
        """Look up the intake; says whether its facts are other ones than before."""
        before, destination.facts = destination.facts, self._spool.intakes.find(destination.intake)
        return before is not None and destination.facts != before

    async def _claim(self, now: float) -> None:
        self._find_probes(now)
        at_hand = self.bytes_at_hand()
        room = self._options.bytes_at_hand - sum(at_hand.values())
        full = {one.intake for one in self._destinations.values() if not _wants_copies(one, now)}
        if room <= 0:  # one more, and only for a destination that would else stand still
            full |= {intake for intake, size in at_hand.items() if size}
        copies = await self._spool.claim(
            self._spool.now(),
            READY_AT_HAND if room > 0 else 1,
            max_bytes=max(room, 1),
            exclude_intakes=frozenset(full),
        )
        for copy in copies:
            intake = copy.intake
            if intake not in self._destinations:
                self._destinations[intake] = self._destination(intake)
            self._destinations[intake].ready.append(copy)

    def _find_probes(self, now: float) -> None:
        """Have a copy due for each probe that is due, once: all that wait may be due later.

        A probe may end though the hold goes on as it was, as its copy alone was to blame. The
        copies that are due come next; where none is, the next probe is planned.
        """
        for one in self._destinations.values():
            if one.hold is None or not _wants_copies(one, now):
                continue
            if one.hold != one.probed:
                if one.ready or self._spool.hasten(one.intake):
                    one.probed = one.hold
            elif not one.ready and (wait := self._due_in(one.intake)) > 0:
                retry = RetrySettings.of(self._settings())
                one.hold = put_off(one.hold, now, now + wait, retry, chance())

    def _due_in(self, intake: str) -> float:
        """Seconds until a copy for this intake is due; 0 if one is, or none waits."""
        others, now = frozenset(self._spool.backlogs()) - {intake}, self._spool.now()
        return (self._spool.next_due(now, exclude_intakes=others) or now) - now

    def _destination(self, intake: str, hold: Hold | None = None) -> DestinationState:
        """A destination that is new to this process."""
        one = DestinationState(intake)
        one.facts, one.hold = self._spool.intakes.find(intake), hold
        return one

    async def _log_newcomers(self, now: float) -> None:
        """Log for copies that come while their destination is on hold that they are held."""
        for one in list(self._destinations.values()):
            waiting = self._spool.destinations().get(one.domain)
            if waiting is None or not one.has_unlogged(waiting.waiting, now):
                continue
            one.look_after = now + _LOOK_EVERY
            others = frozenset(self._destinations) - {one.intake}
            copies = await self._spool.claim(
                self._spool.now(), LOGGED_AT_MOST, max_bytes=BYTES_TO_LOG, exclude_intakes=others
            )
            self._spool.unclaim([copy.mid for copy in copies])
            hold = one.hold
            if hold is not None:
                mine = [copy.mid for copy in copies if copy.intake == one.intake]
                wait = hold.next_probe - now
                self._performer.log_held(one, mine, hold.reason, hold.check, wait)

    def _assign(
        self, destination: DestinationState, settings: ConnectorSettings, now: float
    ) -> None:
        """Perform what `assign` decides for one destination."""
        lanes = destination.lanes
        if self._stopping or (not destination.ready and not lanes):
            return
        limits = destination.limits(settings, self._options.timeouts.idle, now)
        for action in assign(len(destination.ready), list(lanes.values()), limits, now):
            match action:
                case SendNext(number):
                    self._couriers[number].give(destination.ready.popleft())
                case CloseConnection(number):
                    self._couriers[number].give(None)
                case OpenConnection():
                    self._open(destination)

    def _open(self, destination: DestinationState) -> None:
        assert self._group is not None
        self._dcid += 1
        courier = Courier(self._dcid, destination, self._parts)
        self._couriers[courier.number] = courier
        destination.lanes[courier.number] = Lane(courier.number)
        self._group.create_task(self._run(courier), name=f"deliver: DCID {courier.number}")

    async def _run(self, courier: Courier) -> None:
        try:
            await courier.run()
        finally:
            self._couriers.pop(courier.number, None)

    def _working(self, destination: DestinationState) -> int:
        return sum(one.works for one in self._couriers.values() if one.destination is destination)

    async def _sleep(self, settings: ConnectorSettings, now: float) -> None:
        until = now + _LONGEST_SLEEP
        full: set[str] = set()
        for one in self._destinations.values():
            if not _wants_copies(one, now):
                full.add(one.intake)
            limits = one.limits(settings, self._options.timeouts.idle, now)
            change = next_change(list(one.lanes.values()), limits, now)
            if one.hold is not None and one.look_after > now:
                until = min(until, one.look_after)
            if change is not None and (one.lanes or one.ready or one.hold):
                until = min(until, change)
        spool_now = self._spool.now()
        due = self._spool.next_due(spool_now, exclude_intakes=frozenset(full))
        if due is not None:
            until = min(until, now + due - spool_now)
        # A tenth of a second at least where a time has come but nothing could be done about it
        # (the spool can't be read, a probe is under way): time alone must never spin the loop.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.1, until - now)):
                await self._wake.wait()

    # Marks

    def _write(self, mark: Mark | Coroutine[Any, Any, None]) -> Mark:
        """Have the stop wait for an outcome that is written while other things go on."""
        if not isinstance(mark, asyncio.Future):
            assert self._group is not None
            mark = self._group.create_task(mark)
        self._marks.add(mark)
        mark.add_done_callback(self._written)
        return mark

    def _written(self, mark: Mark) -> None:
        self._marks.discard(mark)
        if self._stopping:
            self._wake.set()

    # The end

    async def _wind_down(self) -> None:
        for courier in self._couriers.values():
            courier.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_WITHIN):
                while self._marks or any(one.awaits_reply for one in self._couriers.values()):
                    self._wake.clear()
                    await self._wake.wait()

    def _give_back_ready(self) -> None:
        for destination in self._destinations.values():
            if destination.ready:
                self._spool.unclaim([copy.mid for copy in destination.ready])
                destination.ready.clear()

    def _give_back_recalled(self) -> None:
        """Give back copies at hand that an operator moved or dropped."""
        if self._recalls == self._spool.recalls:
            return
        self._recalls = self._spool.recalls
        for destination in self._destinations.values():
            gone = [copy for copy in destination.ready if not self._spool.may_send(copy)]
            for copy in gone:
                destination.ready.remove(copy)
            self._spool.unclaim([copy.mid for copy in gone])


def _wants_copies(one: DestinationState, now: float) -> bool:
    if one.hold is not None and (now < one.hold.next_probe or one.lanes):
        return False
    return len(one.ready) < READY_AT_HAND
