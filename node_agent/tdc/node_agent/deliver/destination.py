"""PURE. What is known of one destination: what waits, its connections, its hold, its hosts.

A destination is one intake address. All times are of the monotonic clock, seconds: a clock that
is set must neither end a hold nor make it last. No method awaits or decides what becomes of a
copy (that is `settle`): every change of state is whole when the event loop goes on.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from tdc.node_agent.deliver.assign import Lane, Limits
from tdc.node_agent.deliver.effects import Hold
from tdc.node_agent.deliver.hosts import Hosts
from tdc.node_agent.deliver.mx import Candidate
from tdc.node_agent.deliver.prepare import Means
from tdc.node_agent.deliver.record import Record
from tdc.node_agent.deliver.settle import Standing
from tdc.node_agent.smtp.dialogue import Extension
from tdc.node_agent.spool.values import Copy
from tdc.shared.connector.intake import Intake
from tdc.shared.connector.settings import ConnectorSettings
from tdc.shared.mail.address import domain_of

LEARNED_FOR = 3_600.0
"""Seconds for which a learned limit of messages per connection is kept."""

LOGGED_AT_MOST = 64
"""Copies of a hold that are read from the spool only to log that they are held."""

_MAX_LOGGED = 10_000  # copies remembered as logged in one hold


class DestinationState:
    """One intake address. `lanes` are its connections, by DCID.

    `probed` is the hold, as it was then, for whose probe a copy was found.
    """

    def __init__(self, intake: str) -> None:
        self.intake = intake
        self.domain = domain_of(intake)
        self.facts: Intake | None = None  # as they were when the scheduler last looked
        self.ready: deque[Copy] = deque()
        self.lanes: dict[int, Lane] = {}
        self.hold: Hold | None = None
        self.probed: Hold | None = None
        self.allowed = 1  # connections
        self.open_after = 0.0
        self.record = Record()
        self.hosts = Hosts()
        self.latest_host = ""
        self.last_reply = ""
        self.replied_at = -math.inf
        self.last_tls_version = ""
        self.delivered = self.deferred = self.dead = 0
        self.look_after = 0.0
        self._learned: tuple[float, int] | None = None
        self._suspected: tuple[float, int, int] | None = None
        self._at: dict[int, Candidate] = {}  # hosts of open connections
        self._without: dict[tuple[str, int], dict[Extension, float]] = {}
        self._sent_again: dict[int, int] = {}
        self._logged_held: set[int] = set()
        self._looked_at = -1

    # What the rules see

    def standing(self, mid: int = 0, *, stopping: bool = False) -> Standing:
        """What `settle` sees; with the failures of copies other than `mid`."""
        return Standing(
            self.hold,
            len(self.lanes),
            self.allowed,
            self.record.in_a_row(mid),
            self.record.delivered_at,
            stopping,
        )

    @property
    def host_status(self) -> str:
        """The word that status shows."""
        if self.hold is not None:
            return "down"
        if self.record.refusing:
            return "refusing"
        return "up" if self.delivered else "unknown"

    def limits(self, settings: ConnectorSettings, idle: float, now: float) -> Limits:
        """What `assign` goes by."""
        messages = settings.delivery_messages_per_connection
        if self._learned is not None and now < self._learned[0]:
            messages = min(messages, self._learned[1])
        connections = min(settings.delivery_max_connections, self.allowed)
        probe_at = None if self.hold is None else self.hold.next_probe
        return Limits(connections, messages, idle, self.open_after, probe_at)

    def learn_messages(self, number: int, count: int, now: float) -> None:
        """Note that the intake ended connection `number` after so many messages.

        It is a limit when a connection opened later ends after the same count. Once says
        nothing: an intake that restarts ends all of its connections, by 421 or without a word.
        """
        until = now + LEARNED_FOR
        if self._suspected is not None and now < self._suspected[0]:
            _, before, newest = self._suspected
            if number <= newest:
                return  # it was open when the other ended: both may have one cause
            if count == before:
                self._learned = (until, max(1, count))
        self._suspected = (until, count, max(self.lanes, default=number))

    # Hosts

    def ordered(self, candidates: Iterable[Candidate], now: float) -> list[Candidate]:
        """Put the candidates in the order to try them for the copy that goes first."""
        mid = self.ready[0].mid if self.ready else 0
        return self.hosts.ordered(candidates, now, mid, on_hold=self.hold is not None)

    def others_left(self, candidate: Candidate, all_of: Iterable[Candidate], now: float) -> bool:
        """Say whether another host is to be tried before this intake is to blame."""
        probe_at = math.inf if self.hold is None else self.hold.next_probe
        return self.hosts.others_left(candidate, all_of, now, probe_at)

    def begin(self, number: int, candidate: Candidate) -> None:
        """Note that a connection is opened to a host."""
        self.latest_host = str(candidate)
        self.hosts.begin(candidate, number)

    def connected(self, number: int, candidate: Candidate, tls_version: str) -> None:
        """Note that a connection is open."""
        self.last_tls_version = tls_version
        self._at[number] = candidate

    def left(self, number: int) -> None:
        """Note that a connection is gone."""
        self.lanes.pop(number, None)
        self._at.pop(number, None)
        self.hosts.end(number)

    def blame(
        self, candidate: Candidate, number: int, at: float, at_least: float, *, leave: bool
    ) -> None:
        """Avoid a host from now on; `leave`: on the connections to it that are open too.

        A probe then goes on at the next host, with a copy that is found for it.
        """
        self.hosts.blame(candidate, number, max(self.lanes, default=number), at, at_least)
        if leave:
            self.probed = None
            for one in [one for one, host in self._at.items() if host == candidate]:
                self.lanes[one] = self.lanes[one]._replace(stale=True)

    def do_without(
        self, candidate: Candidate, extensions: Iterable[Extension], until: float
    ) -> None:
        """Note that a host refused extensions that it had offered."""
        refused = self._without.setdefault((candidate.address, candidate.port), {})
        refused.update(dict.fromkeys(extensions, until))

    def means(self, mid: int, candidate: Candidate, now: float) -> Means:
        """How to send a copy to a host."""
        refused = self._without.get((candidate.address, candidate.port), {})
        without = frozenset(extension for extension, until in refused.items() if now < until)
        return Means(str(candidate), without, self.record.encodes(mid))

    # Copies

    def put_first(self, copies: Iterable[Copy]) -> None:
        """Put copies that were not sent at the front, in their order."""
        self.ready.extendleft(reversed(list(copies)))

    def sent_again(self, mid: int) -> int:
        """How often a copy went again at once since the latest delivery."""
        return self._sent_again.get(mid, 0)

    def count_sent_again(self, mid: int) -> None:
        """Note that a copy goes again at once."""
        self._sent_again[mid] = self.sent_again(mid) + 1

    def note_delivery(self, mid: int, now: float, number: int = 0) -> None:
        """Note that the intake accepted a report on connection `number`."""
        self.delivered += 1
        if number in self._at:
            self.hosts.note_delivery(self._at[number], number, now)
        self.record.note_delivery(mid, now)
        if self._sent_again:
            self._sent_again.clear()

    def note_reply(self, candidate: Candidate, reply: str, now: float) -> None:
        """Note what a host said, for the operator."""
        self.last_reply, self.replied_at = f"{candidate}: {reply}", now

    # The hold

    def release(self) -> None:
        """End the hold."""
        self.hold = None
        self.open_after = 0.0
        self._logged_held.clear()

    def first_logged_held(self, mid: int) -> bool:
        """Say whether this hold is yet to be logged for the copy, and note that it now is."""
        if mid in self._logged_held or len(self._logged_held) >= _MAX_LOGGED:
            return False
        self._logged_held.add(mid)
        return True

    def has_unlogged(self, waiting: int, now: float) -> bool:
        """Say whether to look for copies that came during the hold and were not logged as held."""
        if self.hold is None or now >= self.hold.next_probe or self.lanes:
            return False
        if now < self.look_after or waiting == self._looked_at:
            return False
        self._looked_at = waiting
        return len(self._logged_held) < min(waiting, LOGGED_AT_MOST)

    def start_over(self, now: float) -> None:
        """Forget what was learned: settings changed, or an operator asks to try again now."""
        self.hosts.forget()
        self._learned = self._suspected = None
        self._without.clear()
        self.open_after = 0.0
        if self.hold is not None:
            planned = self.hold.next_probe if self.hold.planned is None else self.hold.planned
            self.hold = replace(self.hold, next_probe=now, planned=planned)
            self._logged_held.clear()

    def replace_connections(self) -> None:
        """Have all connections replaced: they were opened under other settings."""
        self.lanes = {number: one._replace(stale=True) for number, one in self.lanes.items()}
