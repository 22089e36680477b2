"""State of one destination: what waits, its connections, its hold. No method awaits.

A destination is one intake address. All times are of the monotonic clock, seconds: a clock that
is set must neither end a hold nor make it last. Because nothing here awaits, every change of
state is whole when the event loop goes on.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain

from tdc.node_agent.deliver.assign import (
    ConnectionState,
    ConnectionView,
    HoldView,
    Limits,
)
from tdc.node_agent.deliver.connection import Connection
from tdc.node_agent.deliver.mx import Candidate
from tdc.node_agent.smtp.dialogue import Transaction
from tdc.node_agent.spool.values import Copy
from tdc.shared.connector.settings import ConnectorSettings
from tdc.shared.mail.address import domain_of

BAD_HOST_WAIT = 60.0
"""Seconds for which a host that failed is tried after the others."""

LEARNED_FOR = 3_600.0
"""Seconds for which a learned limit of messages for each connection is kept."""

MAX_AGAIN = 3
"""Times a copy may be sent again at once before its failure counts as one."""

MAX_TOLD = 10_000

TELL_AT_MOST = 64
"""Copies of a hold that are read from the spool only to log that they are held."""


@dataclass(slots=True)
class Hold:
    """Why everything waits, since when, and when the next probe is due."""

    reason: str
    check: str
    since: float
    next_probe: float
    failures: int = 1


@dataclass(slots=True, eq=False)
class Courier:
    """One connection's task as the destination sees it.

    `inbox` is set while it waits: a copy to send, or None to say goodbye.
    """

    number: int
    generation: int
    state: ConnectionState = ConnectionState.OPENING
    sent: int = 0
    idle_since: float = 0.0
    inbox: asyncio.Future[Copy | None] | None = None
    connection: Connection | None = None
    in_hand: list[Copy] = field(default_factory=list)
    current: Transaction | None = None

    @property
    def awaits_verdict(self) -> bool:
        """True while a whole report is sent and its reply is due: to go now may repeat it."""
        current, connection = self.current, self.connection
        return current is not None and connection is not None and connection.may_be_taken(current)

    def view(self, generation: int) -> ConnectionView:
        """Return what the pure rules see."""
        stale = self.generation != generation
        return ConnectionView(self.number, self.state, self.sent, self.idle_since, stale)

    def give(self, copy: Copy | None) -> None:
        """Wake the waiting courier with a copy, or with None to end."""
        if self.inbox is not None and not self.inbox.done():
            self.inbox.set_result(copy)
        self.state = ConnectionState.BUSY
        if copy is not None:
            self.in_hand.append(copy)


class DestinationState:
    """One intake address; `generation` grows when settings that matter to connections change."""

    def __init__(self, intake: str) -> None:
        self.intake = intake
        self.domain = domain_of(intake)
        self.ready: deque[Copy] = deque()
        self.couriers: dict[int, Courier] = {}
        self.hold: Hold | None = None
        self.concurrency = 1
        self.open_after = 0.0
        self.declare_size = True
        self.failures_in_a_row = 0
        self.host_status = "unknown"
        self.latest_host = ""
        self.last_reply = ""
        self.last_tls_version = ""
        self.delivered = self.deferred = self.dead = 0
        self._learned: tuple[float, int] | None = None
        self._suspected: tuple[float, int, int] | None = None
        self._bad: dict[tuple[str, int], float] = {}
        self._again: dict[int, int] = {}
        self._told: set[int] = set()
        self._looked_at = -1
        self.tell_after = 0.0

    # Limits

    def limits(self, settings: ConnectorSettings, idle: float, now: float) -> Limits:
        """Return what the pure rules may use now."""
        messages = settings.delivery_messages_per_connection
        if self._learned is not None and now < self._learned[0]:
            messages = min(messages, self._learned[1])
        connections = min(settings.delivery_max_connections, self.concurrency)
        return Limits(connections, messages, idle, self.open_after)

    def hold_view(self) -> HoldView | None:
        """Return the hold as the pure rules see it."""
        return None if self.hold is None else HoldView(self.hold.next_probe)

    def learn_messages(self, number: int, count: int, now: float) -> None:
        """Note that the intake ended connection `number` after so many messages.

        It is a limit when a connection opened later ends behind the same count. Once says
        nothing: an intake that restarts ends all of its connections, by 421 or without a word.
        """
        until = now + LEARNED_FOR
        if self._suspected is not None and now < self._suspected[0]:
            _, before, newest = self._suspected
            if number <= newest:
                return  # it was open when the other ended: both may have one cause
            if count == before:
                self._learned = (until, max(1, count))
        self._suspected = (until, count, max(self.couriers, default=number))

    def fewer_connections(self, now: float, wait: float) -> None:
        """Halve the connections, and open none for a while."""
        self.concurrency = max(1, min(self.concurrency, len(self.couriers)) // 2)
        self.open_after = now + wait

    # Hosts

    def ordered(self, candidates: Iterable[Candidate], now: float) -> list[Candidate]:
        """Return the candidates with those that failed lately behind the others."""
        return sorted(candidates, key=lambda one: self._bad_until(one, now))

    def mark_bad(self, candidate: Candidate, now: float) -> None:
        """Note that a host failed."""
        self._bad[candidate.address, candidate.port] = now + BAD_HOST_WAIT

    def others_left(self, candidate: Candidate, all_of: Iterable[Candidate], now: float) -> bool:
        """Say whether a host other than this one has not failed lately."""
        return any(one != candidate and not self._bad_until(one, now) for one in all_of)

    def _bad_until(self, candidate: Candidate, now: float) -> float:
        until = self._bad.get((candidate.address, candidate.port), 0.0)
        return until if until > now else 0.0

    # Copies

    @property
    def bytes_at_hand(self) -> int:
        """Octets of the copies that wait here or are being sent."""
        sending = (copy for courier in self.couriers.values() for copy in courier.in_hand)
        return sum(len(copy.content) for copy in chain(self.ready, sending))

    def put_back(self, copies: Iterable[Copy]) -> None:
        """Put copies at the front, in their order: they were not sent."""
        self.ready.extendleft(reversed(list(copies)))

    def may_go_again(self, copy: Copy) -> bool:
        """Say whether a copy may be sent again at once, and count it."""
        times = self._again.get(copy.mid, 0) + 1
        self._again[copy.mid] = times
        return times <= MAX_AGAIN

    def first_told(self, copy: Copy) -> bool:
        """Say whether this hold has not been logged for the copy yet, and note that it is."""
        if copy.mid in self._told or len(self._told) >= MAX_TOLD:
            return False
        self._told.add(copy.mid)
        return True

    def has_untold(self, waiting: int, now: float) -> bool:
        """Say whether to look for copies that came while on hold and were not told of it."""
        if self.hold is None or now >= self.hold.next_probe or self.couriers:
            return False
        if now < self.tell_after or waiting == self._looked_at:
            return False
        self._looked_at = waiting
        return len(self._told) < min(waiting, TELL_AT_MOST)

    def succeeded(self, most_connections: int) -> bool:
        """Note a delivery; True if it ends a hold."""
        self.delivered += 1
        self.failures_in_a_row = 0
        self.host_status = "up"
        if self.concurrency < most_connections:
            self.concurrency += 1
        if self._again:
            self._again.clear()
        held, self.hold = self.hold is not None, None
        if held:
            self._told.clear()
            self.open_after = 0.0
        return held

    def start_over(self, now: float) -> None:
        """Forget what was learned: settings changed, an operator asks to try again now."""
        self._bad.clear()
        self._learned = self._suspected = None
        self.declare_size = True
        self.open_after = 0.0
        if self.hold is not None:
            self.hold.next_probe = now
            self._told.clear()
