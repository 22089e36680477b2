"""One connection's task: opens it on the first host that works, sends reports, leaves."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, replace

from tdc.node_agent.deliver import outcomes
from tdc.node_agent.deliver.assign import ConnectionState, takes_another
from tdc.node_agent.deliver.connection import Connection, Failed
from tdc.node_agent.deliver.context import Context
from tdc.node_agent.deliver.destination import Courier, DestinationState
from tdc.node_agent.deliver.mx import Candidate, NoRoute
from tdc.node_agent.deliver.prepare import prepare
from tdc.node_agent.deliver.trouble import Outcome, Trouble, Verdict, judge
from tdc.node_agent.deliver.verify import TlsPolicy
from tdc.node_agent.smtp.dialogue import Finished, Stage, Transaction
from tdc.node_agent.spool.values import Copy
from tdc.shared.edge.clock import monotonic

MAX_SESSIONS = 2
"""Hosts that answered and were no good, after which this attempt ends."""


UNRECORDED = 4
"""Outcomes of a connection that may wait for the spool while it goes on: what a crash repeats
is bounded by this, and the disk's latency does not bound the rate."""


@dataclass(frozen=True, slots=True)
class _Job:
    copy: Copy
    transaction: Transaction


async def run_courier(context: Context, destination: DestinationState, courier: Courier) -> None:
    """Open, serve, close. What was not settled goes back where it came from."""
    task = _CourierTask(context, destination, courier)
    try:
        if await task.open():
            await task.serve()
    except Exception as error:  # what an intake or its DNS may cause must not end the agent
        task.failed(error)
    finally:
        task.leave()


class _CourierTask:
    def __init__(self, context: Context, destination: DestinationState, courier: Courier) -> None:
        self._context, self._destination, self._courier = context, destination, courier
        self._candidates: tuple[Candidate, ...] = ()
        self._records: deque[asyncio.Future[None]] = deque()

    # Opening

    async def open(self) -> bool:
        """Connect to the first host that works; False if none does, which is then settled."""
        context, destination = self._context, self._destination
        settings, options = context.settings(), context.options
        try:
            self._candidates = await context.resolver.find(
                destination.domain,
                settings.smtp_route,
                options.mx_port,
                allow_local=options.allow_private_targets,
            )
        except NoRoute as error:
            outcome = Outcome(Verdict.HOLD, error.reason, error.check)
            self._no_connection(outcome)
            return False
        policy = TlsPolicy.of(settings, destination.domain, options.ca_file)
        sessions = 0
        ordered = destination.ordered(self._candidates, monotonic())
        for number, candidate in enumerate(ordered, start=1):
            destination.latest_host = str(candidate)
            try:
                connection = await self._connect(candidate, policy)
            except Failed as error:
                destination.mark_bad(candidate, monotonic())
                sessions += error.trouble.stage is not Stage.CONNECT
                more = number < len(ordered) and sessions < MAX_SESSIONS
                outcome = judge(replace(error.trouble, more_hosts=more))
                if outcome.verdict is Verdict.NEXT_HOST:
                    context.log.warning(f"{outcome.reason}: {outcome.check}; trying the next host")
                    continue
                self._no_connection(outcome)
                return False
            self._opened(connection, candidate)
            return True
        return False

    async def _connect(self, candidate: Candidate, policy: TlsPolicy) -> Connection:
        options = self._context.options
        source = (options.source_address, 0) if options.source_address else None
        return await Connection.open(candidate, options.helo_name, policy, options.timeouts, source)

    def _opened(self, connection: Connection, candidate: Candidate) -> None:
        self._courier.connection = connection
        self._destination.last_tls_version = connection.tls_version
        self._context.log.connected(
            self._courier.number, candidate.host, candidate.address, connection.tls_version
        )

    def failed(self, error: Exception) -> None:
        """Hold the destination after a fault of ours, so that it is not met again at once."""
        self._context.log.error(f"Delivery to {self._destination.domain} failed: {error!r}")
        self._no_connection(Outcome(Verdict.HOLD, "Internal Error", repr(error)))

    def _no_connection(self, outcome: Outcome) -> None:
        if not self._context.stopping:
            outcomes.no_connection(self._context, self._destination, outcome)

    # Serving

    async def serve(self) -> None:
        """Send reports until told to go, or until the connection is no good any more."""
        connection = self._connection
        job, was_idle = self._reserve(), False
        while True:
            if job is None:
                copy = await self._wait_for_copy()
                was_idle = True
                if copy is None:
                    break
                job = self._job(copy) or self._reserve()
                if job is None:
                    continue
            job = await self._send(job, was_idle=was_idle)
            was_idle = False
            if not connection.usable and not self._leaving and connection.delivered:
                self._learn_messages()  # ended behind a reply: perhaps a limit for a connection
            if not connection.usable or self._leaving:
                break
            job = job or self._reserve()
        self._give_back()
        await self._recorded()
        await connection.say_goodbye()

    _leaving = False

    @property
    def _connection(self) -> Connection:
        connection = self._courier.connection
        assert connection is not None
        return connection

    async def _wait_for_copy(self) -> Copy | None:
        courier = self._courier
        await self._recorded()
        if self._context.stopping:
            return None
        courier.inbox = asyncio.get_running_loop().create_future()
        courier.state, courier.idle_since = ConnectionState.IDLE, monotonic()
        self._context.wake.set()
        try:
            return await courier.inbox
        finally:
            courier.inbox = None

    def _reserve(self) -> _Job | None:
        """Take the next report without waiting, if the rules allow this connection another."""
        context, destination, courier = self._context, self._destination, self._courier
        while destination.ready and not context.stopping:
            limits = destination.limits(
                context.settings(), context.options.timeouts.idle, monotonic()
            )
            view = courier.view(context.generation)
            if courier.sent and not takes_another(
                view, limits, destination.hold_view(), len(destination.couriers)
            ):
                return None
            copy = destination.ready.popleft()
            courier.in_hand.append(copy)
            job = self._job(copy)
            if job is not None:
                return job
        return None

    def _job(self, copy: Copy) -> _Job | None:
        """Make the report; what this intake can't have is settled here."""
        context, destination = self._context, self._destination
        try:
            with context.spool.building(copy.mid):
                prepared = prepare(
                    copy,
                    context.settings(),
                    context.reporter,
                    self._connection.offers,
                    declare_size=destination.declare_size,
                )
        except Exception as error:  # one message that can't be built must not stop the others
            context.log.error(f"Message {copy.mid}: no report could be built: {error!r}")
            prepared = Outcome(Verdict.DEFER, "Report Error", repr(error))
        if isinstance(prepared, Outcome):
            self._settle(copy, prepared)
            return None
        self._courier.sent += 1
        self._courier.state = ConnectionState.BUSY
        return _Job(copy, prepared)

    async def _send(self, job: _Job, *, was_idle: bool) -> _Job | None:
        """Send one report, settle it, and return the one that was announced behind it."""
        following: _Job | None = None

        def announce_next() -> Transaction | None:
            nonlocal following
            following = self._reserve()
            return following.transaction if following is not None else None

        context, connection = self._context, self._connection
        context.log.started(self._courier.number, job.copy.mid, job.transaction.recipient)
        self._courier.current = job.transaction
        try:
            finished = await connection.deliver(job.transaction, announce_next)
        except Failed as error:
            trouble: Trouble | None = error.trouble
        else:
            trouble = None if finished.succeeded else self._answered(job, finished)
        self._courier.current = None
        # Nothing waits between the reply and its mark: a stop in between would send it again.
        if trouble is None:
            self._delivered(job, finished.reply.text)
        else:
            self._act_on(job, trouble, was_idle=was_idle)
        await self._recorded(UNRECORDED)
        return following

    def _delivered(self, job: _Job, reply: str) -> None:
        self._courier.in_hand.remove(job.copy)
        self._note(
            outcomes.delivered(
                self._context, self._destination, job.copy, self._courier.number, reply
            )
        )

    def _answered(self, job: _Job, finished: Finished) -> Trouble:
        return Trouble(
            where=str(self._connection.candidate),
            stage=finished.stage,
            reply=finished.reply,
            answered_before=self._connection.answered - 1,
            declared_size=job.transaction.declare_size,
        )

    def _act_on(self, job: _Job, trouble: Trouble, *, was_idle: bool) -> None:
        context, destination, now = self._context, self._destination, monotonic()
        candidate = self._connection.candidate
        more = destination.others_left(candidate, self._candidates, now)
        outcome = judge(replace(trouble, more_hosts=more))
        if outcome.verdict is Verdict.AGAIN and not destination.may_go_again(job.copy):
            outcome = judge(replace(trouble, more_hosts=more, answered_before=0))
        match outcome.verdict:
            case Verdict.AGAIN:
                self._leaving = True
                if not was_idle and self._connection.delivered:
                    self._learn_messages()
            case Verdict.WITHOUT_SIZE:
                destination.declare_size = False
                self._leaving = True
            case Verdict.NEXT_HOST:
                self._leaving = True
                destination.mark_bad(candidate, now)
                context.log.warning(f"{outcome.reason}: {outcome.check}; trying the next host")
            case Verdict.HOLD | Verdict.DEFER | Verdict.DEAD:
                self._leaving = outcome.verdict is Verdict.HOLD
                self._settle(job.copy, outcome)

    def _learn_messages(self) -> None:
        self._destination.learn_messages(
            self._courier.number, self._connection.delivered, monotonic()
        )

    def _settle(self, copy: Copy, outcome: Outcome) -> None:
        self._courier.in_hand.remove(copy)
        self._note(outcomes.failed(self._context, self._destination, copy, outcome))

    def _note(self, record: outcomes.Record) -> None:
        if record is not None:
            self._records.append(record)

    async def _recorded(self, at_most: int = 0) -> None:
        """Wait until at most so many outcomes of this connection are not durable yet."""
        while len(self._records) > at_most:
            record = self._records.popleft()
            if not record.done():
                await asyncio.shield(record)

    # Leaving

    def _give_back(self) -> None:
        """Give back what is in hand and not settled: no attempt is counted."""
        courier, destination = self._courier, self._destination
        copies, courier.in_hand = courier.in_hand, []
        if self._context.stopping or destination.hold is not None:
            self._context.spool.unclaim([copy.mid for copy in copies])
        else:
            destination.put_back(copies)

    def leave(self) -> None:
        """Cut the connection and forget the courier, whatever happened."""
        connection = self._courier.connection
        if connection is not None:
            if self._courier.awaits_verdict:
                self._context.counters.maybe_duplicate += 1
            connection.close()
        self._give_back()
        self._destination.couriers.pop(self._courier.number, None)
        self._context.wake.set()
