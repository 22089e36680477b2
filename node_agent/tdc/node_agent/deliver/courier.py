"""One connection's task: opens it on the first host that works, sends reports, leaves.

It connects, sends, waits for the disk and has settlements performed. What a failure means is
decided in `trouble`, what follows from it in `settle`, who gets the next report in `assign`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from tdc.node_agent.deliver.assign import LaneState, takes_another
from tdc.node_agent.deliver.connection import Connection
from tdc.node_agent.deliver.destination import DestinationState
from tdc.node_agent.deliver.effects import BackToQueue, Effect, MarkDelivered, SendAgain
from tdc.node_agent.deliver.mx import Candidate, NoRoute
from tdc.node_agent.deliver.parts import Parts
from tdc.node_agent.deliver.perform import Mark
from tdc.node_agent.deliver.prepare import prepare, sent_as
from tdc.node_agent.deliver.settle import (
    EndedAttempt,
    Moment,
    cut_off,
    ended,
    returns_to_spool,
    settle,
    settle_unopened,
)
from tdc.node_agent.deliver.trouble import (
    Failed,
    Outcome,
    Trouble,
    Verdict,
    accepted,
    internal_error,
    judge,
    no_route,
    report_not_built,
    worth_next_host,
)
from tdc.node_agent.deliver.verify import TlsPolicy
from tdc.node_agent.smtp.dialogue import Finished, Outgoing, Stage
from tdc.node_agent.spool.values import Copy
from tdc.shared.edge.clock import chance, monotonic

UNRECORDED = 4
"""Outcomes of a connection that may wait for the spool while it goes on: what a crash repeats
is bounded by this, and the disk's latency does not bound the rate."""


class _Job(NamedTuple):
    copy: Copy
    transaction: Outgoing


class Courier:
    """Carries reports to one destination; `run` is its task.

    `in_hand` are the copies that it was given and that are not settled, in their order.
    """

    def __init__(self, number: int, destination: DestinationState, parts: Parts) -> None:
        self.number, self.destination = number, destination
        self.in_hand: list[Copy] = []
        self._parts = parts
        self._opened: Connection | None = None
        self._candidates: tuple[Candidate, ...] = ()
        self._inbox: asyncio.Future[Copy | None] | None = None  # set while it waits for a copy
        self._current: _Job | None = None
        self._marks: deque[Mark] = deque()
        self._leaving = False
        self._stopping = False
        self._more_hosts = False  # when the report under way began

    # What the scheduler asks and says

    @property
    def works(self) -> bool:
        """True if the connection has delivered and is still good."""
        connection = self._opened
        return connection is not None and connection.usable and connection.delivered > 0

    @property
    def awaits_reply(self) -> bool:
        """True while a whole report is sent and its reply not settled: to go now may repeat it."""
        current, connection = self._current, self._opened
        if current is None or connection is None:
            return False
        return connection.may_be_taken(current.transaction)

    def give(self, copy: Copy | None) -> None:
        """Wake the waiting courier with a copy, or with None to say goodbye."""
        if self._inbox is not None and not self._inbox.done():
            self._inbox.set_result(copy)
        lanes = self.destination.lanes
        lanes[self.number] = lanes[self.number].busy()
        if copy is not None:
            self.in_hand.append(copy)

    def stop(self) -> None:
        """Take no further report; a report under way may finish."""
        self._stopping = True
        if self.destination.lanes[self.number].state is LaneState.IDLE:
            self.give(None)

    async def run(self) -> None:
        """Open, serve, close. What was not settled goes back where it came from."""
        try:
            if await self._open():
                await self._serve()
        except Exception as error:  # what an intake or its DNS may cause must not end the agent
            self._parts.log.error(f"Delivery to {self.destination.domain} failed: {error!r}")
            self._settle_our_fault(internal_error(repr(error)))
        finally:
            self._leave()

    # Opening

    async def _open(self) -> bool:
        """Connect to the first host that works; False if none does, which is then settled."""
        parts, destination = self._parts, self.destination
        intake, options = parts.spool.intakes.find(destination.intake), parts.options
        try:
            self._candidates = await parts.resolver.find(
                destination.domain,
                intake.route,
                options.mx_port,
                allow_private=options.allow_private_targets or intake.private,
            )
        except NoRoute as error:
            self._settle_unopened(None, no_route(error.reason, error.check))
            return False
        policy = TlsPolicy.of(intake, destination.domain, options.ca_file)
        hosts = deque(destination.ordered(self._candidates, monotonic()))
        sessions = 0
        while hosts:
            candidate = hosts.popleft()
            destination.begin(self.number, candidate)
            # The last one to be tried gets all the time there is.
            fresh = self._others_left(candidate)
            hurried = worth_next_host(len(hosts), sessions + 1, fresh=fresh)
            try:
                connection = await self._connect(candidate, policy, hurried=hurried)
            except Failed as error:
                sessions += error.trouble.stage is not Stage.CONNECT
                more = worth_next_host(len(hosts), sessions, fresh=fresh)
                outcome = judge(replace(error.trouble, more_hosts=more))
                self._settle_unopened(candidate, outcome)
                if outcome.verdict is not Verdict.NEXT_HOST:
                    return False
            else:
                self._connected(connection)
                return True
        return False

    async def _connect(
        self, candidate: Candidate, policy: TlsPolicy, *, hurried: bool
    ) -> Connection:
        options = self._parts.options
        source = (options.source_address, 0) if options.source_address else None
        return await Connection.open(
            candidate, options.helo_name, policy, options.timeouts, source, hurried=hurried
        )

    def _connected(self, connection: Connection) -> None:
        candidate, version = connection.candidate, connection.tls_version
        self._opened = connection
        self.destination.connected(self.number, candidate, version)
        self._more_hosts = self._others_left(candidate)
        self._parts.log.connected(self.number, candidate.host, candidate.address, version)

    def _settle_unopened(self, candidate: Candidate | None, outcome: Outcome) -> None:
        destination = self.destination
        self._perform(
            settle_unopened(
                candidate,
                outcome,
                destination.standing(stopping=self._stopping),
                self._parts.working(destination) - self.works,
                self._parts.settings(),
                self._now(),
                self.number,
            )
        )

    def _settle_our_fault(self, outcome: Outcome) -> None:
        job = self._current
        if job is None:
            self._settle_unopened(None, outcome)
        else:
            self._settle(self._attempt(job.copy), outcome)

    # Serving

    @property
    def _connection(self) -> Connection:
        assert self._opened is not None
        return self._opened

    async def _serve(self) -> None:
        """Send reports until there is reason to leave, or the connection is of no more use."""
        connection = self._connection
        job, was_idle = self._reserve(), False
        while True:
            if self._leaving:
                break
            if job is None:
                copy = await self._wait_for_copy()
                was_idle = True
                if copy is None or not connection.usable:  # ended while idle: no attempt at all
                    break
                job = self._job(copy) or self._reserve()
                del copy  # an idle connection holds no content
                if job is None:
                    continue
            job = await self._send(job, was_idle=was_idle)
            was_idle = False
            if not connection.usable and not self._leaving:
                # It ended after a reply: perhaps a limit of messages per connection.
                self._perform(ended(self.number, connection.delivered))
            if not connection.usable:
                break
            job = job or self._reserve()
        self._give_back()
        await self._recorded()
        await connection.say_goodbye()

    async def _wait_for_copy(self) -> Copy | None:
        await self._recorded()
        if self._stopping:
            return None
        self._inbox = asyncio.get_running_loop().create_future()
        lanes = self.destination.lanes
        lanes[self.number] = lanes[self.number].idle(monotonic())
        self._parts.wake()
        try:
            return await self._inbox
        finally:
            self._inbox = None

    def _reserve(self) -> _Job | None:
        """Take the next report without waiting, if the rules allow this connection another."""
        destination, parts = self.destination, self._parts
        while destination.ready and not self._stopping and not self._leaving:
            limits = destination.limits(parts.settings(), parts.options.timeouts.idle, monotonic())
            lane = destination.lanes[self.number]
            first = not lane.sent and not lane.stale
            if not first and not takes_another(lane, limits, len(destination.lanes)):
                return None
            copy = destination.ready.popleft()
            self.in_hand.append(copy)
            job = self._job(copy)
            if job is not None:
                return job
        return None

    def _job(self, copy: Copy) -> _Job | None:
        """Make the report; what this intake can't have is settled here."""
        destination, parts, connection = self.destination, self._parts, self._connection
        if not self._may_send(copy):
            self._return_recalled(copy)
            return None
        try:
            with parts.spool.building(copy.mid):
                means = destination.means(copy.mid, connection.candidate, monotonic())
                prepared = prepare(copy, parts.settings(), parts.reporter, connection.offers, means)
        except Exception as error:  # one message that can't be built must not stop the others
            parts.log.error(f"Message {copy.mid}: no report could be built: {error!r}")
            failures = destination.record.failures(copy.mid)
            outcome = report_not_built(repr(error))
            self._settle(EndedAttempt(copy, failures=failures), outcome)
            return None
        if isinstance(prepared, Outcome):
            self._settle(self._attempt(copy), prepared)
            return None
        destination.lanes[self.number] = destination.lanes[self.number].busy(reports=1)
        return _Job(copy, prepared)

    def _may_send(self, copy: Copy) -> bool:
        return self._parts.spool.may_send(copy)

    def _return_recalled(self, copy: Copy) -> None:
        """Give back a copy that an operator moved or dropped."""
        self.in_hand.remove(copy)
        self._parts.spool.unclaim([copy.mid])

    async def _send(self, job: _Job, *, was_idle: bool) -> _Job | None:
        """Send one report, settle it, and return the one that was announced after it."""
        following: _Job | None = None

        def announce_next() -> Outgoing | None:
            nonlocal following
            following = self._reserve()
            return following.transaction if following is not None else None

        connection = self._connection
        self._parts.log.started(self.number, job.copy.mid, job.transaction.recipient)
        self._current = job
        self._more_hosts = hurried = self._others_left(connection.candidate)
        try:
            finished = await connection.deliver(job.transaction, announce_next, hurried=hurried)
        except Failed as error:
            outcome = self._judge(job, error.trouble)
        else:
            outcome = self._judge_answer(job, finished)
        self._current = None
        # Nothing waits between the reply and its mark: a stop in between would send it again.
        self._settle(self._attempt(job.copy, was_idle=was_idle), outcome)
        await self._recorded(UNRECORDED)
        return following

    def _judge_answer(self, job: _Job, finished: Finished) -> Outcome:
        if finished.succeeded:
            return accepted(finished.reply)
        trouble = Trouble(
            where=str(self._connection.candidate),
            stage=finished.stage,
            reply=finished.reply,
            answered_before=self._connection.answered - 1,
        )
        return self._judge(job, trouble)

    def _judge(self, job: _Job, trouble: Trouble) -> Outcome:
        again = self.destination.sent_again(job.copy.mid)
        sent = sent_as(job.transaction, self._connection.offers)
        return judge(replace(trouble, more_hosts=self._more_hosts, sent_again=again, sent=sent))

    def _others_left(self, candidate: Candidate) -> bool:
        return self.destination.others_left(candidate, self._candidates, monotonic())

    def _attempt(self, copy: Copy, *, was_idle: bool = False) -> EndedAttempt:
        connection, destination = self._connection, self.destination
        return EndedAttempt(
            copy,
            self.number,
            connection.candidate,
            connection.tls_version,
            connection.delivered,
            was_idle,
            destination.record.failures(copy.mid),
            destination.hosts.here(connection.candidate, copy.mid, more_hosts=self._more_hosts),
        )

    def _settle(self, attempt: EndedAttempt, outcome: Outcome) -> None:
        destination = self.destination
        standing = destination.standing(attempt.copy.mid, stopping=self._stopping)
        settlement = settle(attempt, outcome, standing, self._parts.settings(), self._now())
        if not isinstance(settlement.fate, MarkDelivered) and not self._may_send(attempt.copy):
            settlement = settlement._replace(fate=BackToQueue(attempt.copy.mid))
        self._leaving = self._leaving or settlement.leaves
        stays = isinstance(settlement.fate, SendAgain)
        if not stays:
            self.in_hand.remove(attempt.copy)
        mark = self._parts.performer.settle(settlement, destination)
        if mark is not None:
            self._marks.append(mark)
        if stays and not settlement.leaves:  # it goes first on this very connection
            self.in_hand.remove(attempt.copy)
            self._return([attempt.copy])

    def _perform(self, effects: Iterable[Effect]) -> None:
        self._parts.performer.perform(effects, self.destination)

    async def _recorded(self, at_most: int = 0) -> None:
        """Wait until at most so many outcomes of this connection are not durable yet."""
        while len(self._marks) > at_most:
            mark = self._marks.popleft()
            if not mark.done():
                await asyncio.shield(mark)

    # Leaving

    def _give_back(self) -> None:
        """Give back what is in hand and not settled: no attempt is counted."""
        copies, self.in_hand = self.in_hand, []
        if copies:
            self._return(copies)

    def _return(self, copies: list[Copy]) -> None:
        if returns_to_spool(self.destination.standing(stopping=self._stopping)):
            self._parts.spool.unclaim([copy.mid for copy in copies])
        else:
            self.destination.put_first(copies)

    def _leave(self) -> None:
        """Cut the connection, whatever happened, and leave the destination."""
        if self._opened is not None:
            self._perform(cut_off(self.awaits_reply))
            self._opened.close()
        self._give_back()
        self.destination.left(self.number)
        self._parts.wake()

    def _now(self) -> Moment:
        return Moment(
            monotonic(), self._parts.spool.now(), chance(), chance(), self._parts.pauses()
        )
