"""The agent's rooms, put together in start order; they stop in the reverse order.

Start: settings in force (from disk, no manager needed), spool (a spool that can't be opened is
tried again while mail passes), settings stream, delivery, content filter. A stop drains the filter
first, so that nothing arrives any more, then delivery, stream and spool; each step is bounded.
If a room fails, `serving` ends the others and raises: a supervisor starts the agent again, and the
gateway retries a short refusal, where a part that is silently dead would lose copies.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from tdc.node_agent import descriptors, loop_key, own_name, passed_sockets
from tdc.node_agent.deliver.scheduler import Delivery
from tdc.node_agent.deliver.standstill import unless_suspended
from tdc.node_agent.facts import gather, spool_full
from tdc.node_agent.ingest import hop_watch
from tdc.node_agent.ingest.filter import SmtpFilter
from tdc.node_agent.ingest.hop_state import NextHopState
from tdc.node_agent.ingest.take import Taker
from tdc.node_agent.journal.loop import Reporter
from tdc.node_agent.kept_health import HealthBook, counted, gathered
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.options import AgentOptions
from tdc.node_agent.own_files import OwnFiles
from tdc.node_agent.passed_sockets import NONE_PASSED, Passed
from tdc.node_agent.ports_file import announced
from tdc.node_agent.queue_work import perform
from tdc.node_agent.spool.spool import Spool
from tdc.node_agent.status import status_to_wire
from tdc.node_agent.sync import identity
from tdc.node_agent.sync.apply import InForce
from tdc.node_agent.sync.managers import Managers
from tdc.node_agent.sync.renewal import Renewal
from tdc.node_agent.sync.report_changes import report_changes
from tdc.node_agent.sync.stream import Machine, SettingsStream
from tdc.node_agent.sync.suspension import KeptSuspension
from tdc.node_agent.version import VERSION
from tdc.shared.connector.intake import intakes_in_force
from tdc.shared.edge import collector, memory
from tdc.shared.edge.tasks import running
from tdc.shared.sync.queue_work import QueueAnswer, QueueOrder
from tdc.v1 import agents_pb2


@dataclass(frozen=True, slots=True)
class Rooms:
    """What the agent's end is about."""

    smtp_filter: SmtpFilter
    delivering: asyncio.Task[None]

    async def turn_over(self, also: Sequence[socket.socket], patience: float) -> None:
        """Before a restart: end what was begun, deliveries last, while new sessions are served."""
        await self.smtp_filter.turn_over(also, patience)
        self.delivering.cancel()
        await asyncio.wait((self.delivering,))  # it bounds its own end


@contextlib.asynccontextmanager
async def serving(
    options: AgentOptions, log: TdcLog, passed: Passed = NONE_PASSED
) -> AsyncIterator[Rooms]:
    """Serve while the body runs, on the `passed` sockets if there are any.

    If a room fails meanwhile, the body is cancelled and the failure is raised from here.
    """
    book = HealthBook(options.state_folder, log)
    kept = await asyncio.to_thread(book.load)
    counters = counted(kept)
    async with contextlib.AsyncExitStack() as stack:
        in_force = await _settings(options, log, stack)
        machine = await asyncio.to_thread(identity.name, options.identity_folder)
        own = await own_name.found_name(options.deliver.helo_name, machine)
        amiss = _amiss(options, own, log)
        reporter = Reporter(own.name, loop_key.load(options.state_folder, log))
        spool = await _spool(options, in_force, log, stack)
        suspension = await _suspension(options, spool, log, stack)

        filter_options = options.filter_options(own.name)
        hop_state = NextHopState()
        hop_state.resume(kept.hop_failures, kept.hop_since, filter_options.next_hops)
        delivery_options = options.delivery_options(own.name)
        delivery = Delivery(
            spool, in_force.current, delivery_options, counters, log, reporter, kept.holds,
            pauses=lambda: suspension.spans,
        )  # fmt: skip
        await stack.enter_async_context(
            book.keeping(lambda: gathered(counters, hop_state, delivery.holds()))
        )
        managers = Managers(
            options.manager.addresses,
            options.manager.retry_maximum,
            folder=options.state_folder,
            log=log,
        )
        renewal = Renewal(
            managers, options.identity_folder, log, connected=lambda: stream.connected
        )
        files = OwnFiles(options.state_folder, options.identity_folder, options.spool_folder, log)

        def status() -> agents_pb2.MachineStatus:
            rows = delivery.destinations()
            warnings = (
                *stream.warnings(), *renewal.warnings(), *amiss, *files.warnings(),
            )  # fmt: skip
            facts, backlogs = spool.facts(), spool.backlogs()
            full = spool_full(spool, counters)
            return status_to_wire(
                gather(
                    in_force, facts, rows, counters, warnings, backlogs,
                    full=full, next_hop=hop_state.trouble, suspension=suspension.current(),
                    held=renewal.held,
                )
            )  # fmt: skip

        async def do_work(order: QueueOrder) -> QueueAnswer:
            return await perform(order, spool, in_force.current(), log, delivery.kick)

        def urgent() -> object:
            holds = {row.intake_domain: bool(row.held_reason) for row in delivery.destinations()}
            full = spool_full(spool, counters) is not None
            troubles = spool.facts().unhealthy, full, hop_state.trouble is None
            return *troubles, holds, files.warnings(), suspension.suspended(), renewal.trust

        stream = SettingsStream(
            managers,
            lambda: identity.load(options.identity_folder),
            in_force,
            Machine(status, do_work, suspension, renewal.called, renewal.told),
            log,
        )
        health = report_changes(urgent, stream.status_due)
        await stack.enter_async_context(running(files.run(), name="own files"))
        await stack.enter_async_context(running(renewal.run(), name="renewal"))
        await stack.enter_async_context(running(stream.run(), name="settings stream"))
        await stack.enter_async_context(running(health, name="health"))
        await stack.enter_async_context(running(hop_watch.watch(hop_state, log), name="next hop"))
        delivering = await stack.enter_async_context(
            running(unless_suspended(delivery, suspension), name="delivery")
        )
        in_force.on_change(lambda _: delivery.settings_changed())

        taker = Taker(spool, in_force.current, counters, log, reporter, suspension.current)
        smtp_filter = await stack.enter_async_context(
            SmtpFilter(filter_options, taker, counters, log, passed.sockets, hop_state)
        )
        stack.enter_context(announced(options.ports_file, smtp_filter.port, log))
        collector.calm()
        await stack.enter_async_context(running(memory.give_back(), name="memory"))
        whose = f"of machine {machine}" if machine else "on a machine without an identity"
        log.info(f"agent {VERSION} {whose} accepts mail on port {smtp_filter.port}")
        if passed.by_system:
            log.info(
                f"the system opened {passed_sockets.addresses(passed.sockets)} for it; "
                "ingest.listen is not used"
            )
        yield Rooms(smtp_filter, delivering)


def _amiss(options: AgentOptions, own: own_name.OwnName, log: TdcLog) -> tuple[str, ...]:
    """What is wrong with the machine for as long as this process runs; logged once."""
    too_few = descriptors.enough_for(options.ingest.max_connections)
    found = tuple(filter(None, (own.warning, too_few)))
    for warning in found:
        log.warning(warning)
    return found


async def _settings(
    options: AgentOptions, log: TdcLog, stack: contextlib.AsyncExitStack
) -> InForce:
    in_force = await InForce.open(options.state_folder, log)
    stack.callback(in_force.close)
    in_force.on_change(lambda new: log.configure(new.log_level, new.log_format))
    return in_force


async def _spool(
    options: AgentOptions, in_force: InForce, log: TdcLog, stack: contextlib.AsyncExitStack
) -> Spool:
    spool = await Spool.open(options.spool_folder, log=log)
    stack.push_async_callback(spool.close)
    in_force.on_change(lambda new: spool.set_limits(new.spool_max_messages, new.spool_max_bytes))
    in_force.on_change(lambda new: spool.intakes.set_in_force(intakes_in_force(new)))
    return spool


async def _suspension(
    options: AgentOptions, spool: Spool, log: TdcLog, stack: contextlib.AsyncExitStack
) -> KeptSuspension:
    """What is suspended, as it was before the start; what has an end is ended in time from now."""
    suspension = await KeptSuspension.open(options.state_folder, log, spool.now)
    await stack.enter_async_context(running(suspension.run(), name="suspension"))
    return suspension
