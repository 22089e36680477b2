"""Delivery: asks `assign` what to do for each destination, performs it, records outcomes.

One cycle: read settings and clock once, claim due copies, let each destination open, send and
close, sleep until something happens or a time is reached. Each connection is a task (courier);
what it finds out is settled in one place, `outcomes`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace

from tdc.node_agent.counters import Counters
from tdc.node_agent.deliver.assign import Close, ConnectionState, Open, Send, assign, next_change
from tdc.node_agent.deliver.context import Context
from tdc.node_agent.deliver.courier import run_courier
from tdc.node_agent.deliver.destination import TELL_AT_MOST, Courier, DestinationState
from tdc.node_agent.deliver.options import PSEUDO_DOMAIN, DeliveryOptions, DestinationFacts
from tdc.node_agent.deliver.outcomes import tell
from tdc.node_agent.deliver.resolver import Resolver
from tdc.node_agent.deliver.trouble import Outcome, Verdict
from tdc.node_agent.journal.loop import Reporter
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.spool.spool import Spool
from tdc.shared.connector.settings import ConnectorSettings
from tdc.shared.edge.clock import monotonic, wall

READY_AT_HAND = 64
"""Copies claimed ahead for one destination; more stay in the spool."""

BYTES_AT_HAND = 64 * 1024 * 1024
"""Octets of claimed copies, those being sent among them, after which no more are claimed."""

BYTES_TO_TELL = 1024 * 1024
"""Octets of copies that are read only to log that they are held."""

ARRIVALS_EVERY = 0.005
"""Seconds between two looks at the spool because copies arrived: under load one cycle serves
several of them, and the first one after a pause waits for nothing."""

STOP_WITHIN = 5.0
"""Seconds that reports under way get to finish when delivery is cancelled."""

_LONGEST_SLEEP = 30.0
_TELL_EVERY = 0.5
_RELEVANT = ("smtp_route", "tls_minimum_version", "tls_verification", "tls_names", "tls_pins")


class Delivery:
    """Delivers what the spool holds; `run` it as one task of the agent."""

    def __init__(
        self,
        spool: Spool,
        settings: Callable[[], ConnectorSettings],
        options: DeliveryOptions,
        counters: Counters,
        log: TdcLog,
        reporter: Reporter,
    ) -> None:
        self._context = Context(
            spool, settings, options, counters, log, reporter, Resolver(options.nameservers)
        )
        self._destinations: dict[str, DestinationState] = {}
        self._kicked = False
        self._relevant: tuple[object, ...] | None = None
        self._dcid = 0

    async def run(self) -> None:
        """Deliver until cancelled.

        Reports under way get STOP_WITHIN seconds to finish; those not finished then are not
        counted, and every claimed copy is given back.
        """
        self._context.stopping = False
        try:
            async with asyncio.TaskGroup() as group:
                self._context.group = group
                group.create_task(self._watch_spool(), name="deliver: spool watch")
                try:
                    await self._cycles()
                finally:
                    self._context.stopping = True
                    self._give_back_ready()
                    await self._wind_down()
        finally:
            self._context.group = None
            self._give_back_ready()
            self._destinations = {
                intake: one for intake, one in self._destinations.items() if not one.couriers
            }

    def kick(self) -> None:
        """Settings changed, or an operator asks: look again at once, probe what is on hold."""
        self._kicked = True
        self._context.wake.set()

    def destinations(self) -> list[DestinationFacts]:
        """Return one row for each intake domain that was delivered to or has copies waiting."""
        waiting = self._context.spool.destinations()
        rows = {domain: _empty_row(domain) for domain in waiting}
        for one in self._destinations.values():
            rows[one.domain] = _merged(rows.get(one.domain) or _empty_row(one.domain), one)
        return [
            replace(row, active_recipients=item.waiting, oldest_queued=item.oldest)
            if (item := waiting.get(domain)) is not None
            else row
            for domain, row in sorted(rows.items())
        ]

    # The cycle

    async def _cycles(self) -> None:
        while True:
            self._context.wake.clear()
            now = monotonic()
            settings = self._context.settings()
            self._notice_changes(settings, now)
            if self._context.spool.facts().unhealthy is not None:
                self._give_back_ready()  # what is sent now could not be marked as sent
            await self._claim(now)
            await self._tell_newcomers(now)
            for destination in list(self._destinations.values()):
                self.perform(destination, settings, now)
            await self._sleep(settings, now)

    async def _watch_spool(self) -> None:
        while True:
            await self._context.spool.arrived.wait()
            self._context.spool.arrived.clear()
            self._context.wake.set()
            await asyncio.sleep(ARRIVALS_EVERY)

    def _notice_changes(self, settings: ConnectorSettings, now: float) -> None:
        relevant = tuple(getattr(settings, name) for name in _RELEVANT)
        changed = self._relevant is not None and relevant != self._relevant
        self._relevant = relevant
        if changed:
            self._context.generation += 1
        if changed or self._kicked:
            self._kicked = False
            self._context.resolver.forget()
            for destination in self._destinations.values():
                destination.start_over(now)

    async def _claim(self, now: float) -> None:
        destinations = self._destinations.values()
        at_hand = {one.intake: one.bytes_at_hand for one in destinations}
        room = BYTES_AT_HAND - sum(at_hand.values())
        full = {one.intake for one in destinations if not _wants_copies(one, now)}
        if room <= 0:  # one more, and only for a destination that would else stand still
            full |= {intake for intake, size in at_hand.items() if size}
        copies = await self._context.spool.claim(
            wall(),
            READY_AT_HAND if room > 0 else 1,
            max_bytes=max(room, 1),
            exclude_intakes=frozenset(full),
        )
        for copy in copies:
            intake = copy.intake
            if intake not in self._destinations:
                self._destinations[intake] = DestinationState(intake)
            self._destinations[intake].ready.append(copy)

    async def _tell_newcomers(self, now: float) -> None:
        """Log for copies that come while their destination is on hold that they are held."""
        for one in list(self._destinations.values()):
            waiting = self._context.spool.destinations().get(one.domain)
            if waiting is None or not one.has_untold(waiting.waiting, now):
                continue
            one.tell_after = now + _TELL_EVERY
            others = frozenset(self._destinations) - {one.intake}
            spool = self._context.spool
            copies = await spool.claim(
                wall(), TELL_AT_MOST, max_bytes=BYTES_TO_TELL, exclude_intakes=others
            )
            spool.unclaim([copy.mid for copy in copies])
            hold = one.hold
            if hold is not None:
                outcome = Outcome(Verdict.HOLD, hold.reason, hold.check)
                mine = [copy for copy in copies if copy.intake == one.intake]
                tell(self._context, one, mine, outcome, hold.next_probe - now)

    def perform(
        self, destination: DestinationState, settings: ConnectorSettings, now: float
    ) -> None:
        """Do what `assign` says for one destination."""
        if self._context.stopping or (not destination.ready and not destination.couriers):
            return
        couriers = destination.couriers
        actions = assign(
            len(destination.ready),
            [courier.view(self._context.generation) for courier in couriers.values()],
            destination.limits(settings, self._context.options.timeouts.idle, now),
            destination.hold_view(),
            now,
        )
        for action in actions:
            match action:
                case Send(number):
                    couriers[number].give(destination.ready.popleft())
                case Close(number):
                    couriers[number].give(None)
                case Open():
                    self._open(destination)

    def _open(self, destination: DestinationState) -> None:
        group = self._context.group
        assert group is not None
        self._dcid += 1
        courier = Courier(self._dcid, self._context.generation)
        destination.couriers[courier.number] = courier
        group.create_task(
            run_courier(self._context, destination, courier),
            name=f"deliver: DCID {courier.number}",
        )

    async def _sleep(self, settings: ConnectorSettings, now: float) -> None:
        until = now + _LONGEST_SLEEP
        full: set[str] = set()
        for one in self._destinations.values():
            if not _wants_copies(one, now):
                full.add(one.intake)
            change = next_change(
                [courier.view(self._context.generation) for courier in one.couriers.values()],
                one.limits(settings, self._context.options.timeouts.idle, now),
                one.hold_view(),
                now,
            )
            if one.hold is not None and one.tell_after > now:
                until = min(until, one.tell_after)
            if change is not None and (one.couriers or one.ready or one.hold):
                until = min(until, change)
        today = wall()
        due = self._context.spool.next_due(today, exclude_intakes=frozenset(full))
        if due is not None:
            until = min(until, now + due - today)
        # A tenth of a second at least where a time has come but nothing could be done about it
        # (the spool can't be read, a probe is under way): time alone must never spin the loop.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.1, until - now)):
                await self._context.wake.wait()

    # The end

    async def _wind_down(self) -> None:
        for destination in self._destinations.values():
            for courier in destination.couriers.values():
                if courier.state is ConnectionState.IDLE:
                    courier.give(None)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_WITHIN):
                while self._context.recording or self._under_way():
                    self._context.wake.clear()
                    await self._context.wake.wait()

    def _under_way(self) -> bool:
        return any(
            courier.awaits_verdict
            for one in self._destinations.values()
            for courier in one.couriers.values()
        )

    def _give_back_ready(self) -> None:
        for destination in self._destinations.values():
            if destination.ready:
                self._context.spool.unclaim([copy.mid for copy in destination.ready])
                destination.ready.clear()


def _wants_copies(one: DestinationState, now: float) -> bool:
    if one.hold is not None and (now < one.hold.next_probe or one.couriers):
        return False
    return len(one.ready) < READY_AT_HAND


def _empty_row(domain: str) -> DestinationFacts:
    return DestinationFacts(PSEUDO_DOMAIN, domain, "unknown", "", 0, 0, 0, 0, 0, None, "", "", "")


def _merged(row: DestinationFacts, one: DestinationState) -> DestinationFacts:
    held = f"{one.hold.reason}: {one.hold.check}" if one.hold is not None else ""
    connected = sum(
        courier.state is not ConnectionState.OPENING for courier in one.couriers.values()
    )
    return replace(
        row,
        host_status="down" if one.hold is not None else one.host_status,
        latest_host=one.latest_host or row.latest_host,
        connections_out=row.connections_out + connected,
        delivered=row.delivered + one.delivered,
        deferred=row.deferred + one.deferred,
        dead=row.dead + one.dead,
        last_reply=one.last_reply or row.last_reply,
        last_tls_version=one.last_tls_version or row.last_tls_version,
        held_reason=held or row.held_reason,
    )
