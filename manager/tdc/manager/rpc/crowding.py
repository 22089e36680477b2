"""So that nobody uses up a port: an identity has its share, an address while a port is crowded.

gRPC owns the sockets: it bounds the connections of a port and the time of a handshake, but knows
no addresses. So this looks at the process's own descriptors. A *stranger* is a connection on which
nobody was identified yet: at the main port a handshake under way, at the enrolment port any. While
more than CROWDED of a port's connections are in use, or more than MOST_STRANGERS have come, each
address keeps SHARE of them for strangers, its newest; the others are shut down, which gRPC takes
for the peer's own end. Of an identity (`known`) the oldest beyond its share end, crowded or not,
and so does a connection soon after its certificate was denied.
In: the ports with their bounds, and who was identified or denied. Out: connections that end.
Promise: a connection of an identity that keeps its share is never cut, nor a stranger's while there
is room; descriptors for etcd and files are never used up by connections.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Container, Iterable, Mapping
from dataclasses import dataclass

from tdc.manager.identity.peer import Denied
from tdc.manager.identity.rates import Endpoint, counted_as
from tdc.manager.rpc.caller_log import CallerLog
from tdc.manager.rpc.entry import Admit, Connections
from tdc.manager.rpc.known import Known, Machine
from tdc.manager.rpc.sockets import Connection, connections, descriptors, shut_down
from tdc.shared.edge.clock import Clock, monotonic
from tdc.shared.sync.identity import Operator, Peer

log = logging.getLogger(__name__)

SPARE = 128
"""Descriptors kept for etcd, files and what else the process opens."""

MOST_AT_MAIN = 50_000
"""Connections of operators and agents, where the descriptors allow it."""

MOST_STRANGERS = 4_000
"""Strangers with whom a port is crowded, whatever room it has: each costs some 20 kB of memory."""

MOST_AT_ENROL = 1_000
"""Connections at the enrolment port, and at the operator port: both are open to anyone."""

CROWDED = 0.5
"""Share of a port's connections above which it is crowded."""

SHARE = 0.125
"""Share of a crowded port, or of twice MOST_STRANGERS, that one address may have for strangers."""

LOOK_EVERY = 0.5
"""Seconds between two looks."""

_REST = 20.0
"""A look takes at most one part in so many of the time."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Most connections at each port."""

    main: int
    enrol: int
    operators: int


def bounds_for(open_files: int) -> Bounds:
    """PURE. How a limit of open files is divided: a quarter, at most, to each port of strangers."""
    room = max(open_files - SPARE, 8)
    enrol = operators = min(room // 4, MOST_AT_ENROL)
    return Bounds(min(room - enrol - operators, MOST_AT_MAIN), enrol, operators)


def surplus(
    oldest_first: Iterable[Connection], most: Mapping[int, int], known: Container[Endpoint]
) -> list[Connection]:
    """PURE. Which strangers to cut; `most` has the bound of each port, `known` who is none."""
    at: dict[int, list[Connection]] = defaultdict(list)
    for each in oldest_first:
        at[each.port].append(each)
    cut: list[Connection] = []
    for port, bound in most.items():
        strangers = [each for each in at[port] if each.peer not in known]
        if len(at[port]) <= CROWDED * bound and len(strangers) <= MOST_STRANGERS:
            continue
        by_address: dict[str, list[Connection]] = defaultdict(list)
        for each in strangers:
            by_address[counted_as(each.peer[0])].append(each)
        share = max(int(SHARE * min(bound, 2 * MOST_STRANGERS)), 1)
        for theirs in by_address.values():
            cut += theirs[:-share]
    return cut


class Crowding(Connections):
    """Looks after the ports of one manager; `run` beside the servers."""

    def __init__(self, clock: Clock = monotonic) -> None:
        self._most: dict[int, int] = {}
        self._known = Known(clock)
        self._order: dict[Endpoint, int] = {}
        self._seen = 0
        self._lines = CallerLog(log)

    def bound(self, most: Mapping[int, int]) -> None:
        """Look after these ports, of which each may have so many connections."""
        self._most = dict(most)

    def identified(self, connection: str, peer: Peer) -> None:
        """Note that `peer` was let in on what gRPC calls `connection`."""
        self._known.identified(connection, peer)

    def denied(self, connection: str) -> None:
        """Note that its certificate is not valid any more."""
        self._known.denied(connection)

    def check_again(self, machines: Iterable[Machine], admit: Admit) -> None:
        """Note which connections of these machines are no longer of a valid enrolment."""
        for machine in machines:
            for endpoint, peer in self._known.of(machine):
                try:
                    admit(peer, ":".join(map(str, endpoint)))
                except Denied:
                    self._known.deny([endpoint])

    def check_operators(self, check: Callable[[Operator], None]) -> None:
        """Note which connections of operators have a certificate that is not good any more."""
        for endpoint, operator in self._known.operators():
            try:
                check(operator)
            except Denied:
                self._known.deny([endpoint])

    async def run(self) -> None:
        """Look for ever: soon again while somebody is cut."""
        while True:
            began = monotonic()
            await self.look()
            await asyncio.sleep(max(LOOK_EVERY, _REST * (monotonic() - began)))

    async def look(self) -> int:
        """Cut whom the bounds leave no room; return how many."""
        before = list(self._known)  # who comes during the look stays known
        found = await asyncio.to_thread(self._find, len(before), self._known.is_due())
        if found is None:
            return 0
        self._known.forget(each for each in before if each not in found)
        cut = self._chosen(found)
        ended = await asyncio.to_thread(lambda: [each for each in cut if shut_down(each)])
        self._tell({each: cut[each] for each in ended})
        return len(ended)

    def _find(self, known: int, is_due: bool) -> dict[Endpoint, Connection] | None:
        """Find the connections; None if there is no need to look at them."""
        in_use = descriptors()
        few = CROWDED * min(self._most.values(), default=0)
        if not is_due and len(in_use) <= few and known <= len(in_use) + MOST_AT_ENROL:
            return None
        return {each.peer: each for each in connections(in_use, self._most)}

    def _chosen(self, found: Mapping[Endpoint, Connection]) -> dict[Connection, str]:
        """Choose whom to cut, each with the reason."""
        self._in_order(found)
        cut = {found[each]: why for each, why in self._known.ending(found).items()}
        oldest_first = sorted(found.values(), key=lambda each: self._order[each.peer])
        for each in surplus(oldest_first, self._most, self._known):
            cut.setdefault(each, f"port {each.port} is crowded, and on these nobody called")
        return cut

    def _in_order(self, found: Collection[Endpoint]) -> None:
        """Number those found, in the order in which they were first seen."""
        self._order = {each: self._order[each] for each in found if each in self._order}
        for each in found:
            if each not in self._order:
                self._seen += 1
                self._order[each] = self._seen

    def _tell(self, cut: Mapping[Connection, str]) -> None:
        count: dict[tuple[str, str], int] = defaultdict(int)
        for each, why in cut.items():
            count[counted_as(each.peer[0]), why] += 1
        for (address, why), number in count.items():
            connections = "1 connection" if number == 1 else f"{number} connections"
            self._lines.warning(
                f"ipv4:{address}:0", "cut %s from %s: %s", connections, address, why
            )
