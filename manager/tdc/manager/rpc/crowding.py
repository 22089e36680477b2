"""So that no address uses up a port: while a port is crowded, who holds most of it loses some.

gRPC owns the sockets: it bounds the connections of a port and the time of a handshake, but knows
no addresses. So this looks at the process's own descriptors. A *stranger* is a connection on which
nobody was identified yet: at the main port a handshake under way, at the enrolment port any. While
more than CROWDED of a port's connections are in use, or more than MOST_STRANGERS have come, each
address keeps SHARE of them for strangers, its newest; the others are shut down, which gRPC takes
for the peer's own end.
In: the ports with their bounds, and who was identified. Out: connections that end.
Promise: a connection on which a machine or an operator called is never cut; nothing is cut while
there is room; descriptors for etcd and files are never used up by connections.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from tdc.manager.identity.rates import Endpoint, counted_as, endpoint_of
from tdc.manager.rpc.caller_log import CallerLog
from tdc.manager.rpc.sockets import Connection, connections, descriptors, shut_down
from tdc.shared.edge.clock import monotonic

log = logging.getLogger(__name__)

SPARE = 128
"""Descriptors kept for etcd, files and what else the process opens."""

MOST_AT_MAIN = 50_000
"""Connections of operators and agents, where the descriptors allow it."""

MOST_STRANGERS = 4_000
"""Strangers with whom a port is crowded, whatever room it has: each costs some 20 kB of memory."""

MOST_AT_ENROL = 1_000
"""Connections at the enrolment port; each is there for a second."""

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


def bounds_for(open_files: int) -> Bounds:
    """PURE. How a limit of open files is divided: a quarter, at most, for enrolment."""
    room = max(open_files - SPARE, 8)
    enrol = min(room // 4, MOST_AT_ENROL)
    return Bounds(min(room - enrol, MOST_AT_MAIN), enrol)


def surplus(
    oldest_first: Iterable[Connection], most: Mapping[int, int], known: Collection[Endpoint]
) -> list[Connection]:
    """PURE. Whom to cut; `most` has the bound of each port, `known` who was identified."""
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


class Crowding:
    """Looks after the ports of one manager; `run` beside the servers."""

    def __init__(self) -> None:
        self._most: dict[int, int] = {}
        self._known: set[Endpoint] = set()
        self._order: dict[Endpoint, int] = {}
        self._seen = 0
        self._lines = CallerLog(log)

    def bound(self, most: Mapping[int, int]) -> None:
        """Look after these ports, of which each may have so many connections."""
        self._most = dict(most)

    def identified(self, peer: str) -> None:
        """Note that somebody was identified on the connection that gRPC calls `peer`."""
        endpoint = endpoint_of(peer)
        if endpoint is not None:
            self._known.add(endpoint)

    async def run(self) -> None:
        """Look for ever: soon again while somebody is cut."""
        while True:
            began = monotonic()
            await asyncio.to_thread(self.look)
            await asyncio.sleep(max(LOOK_EVERY, _REST * (monotonic() - began)))

    def look(self) -> int:
        """Cut whom the bounds leave no room; return how many."""
        in_use = descriptors()
        few = CROWDED * min(self._most.values(), default=0)
        if len(in_use) <= few and len(self._known) <= len(in_use) + MOST_AT_ENROL:
            return 0
        known = frozenset(self._known)  # before the look: who comes during it stays known
        found = {each.peer: each for each in connections(in_use, self._most)}
        self._known -= known - found.keys()
        self._in_order(found)
        oldest_first = sorted(found.values(), key=lambda each: self._order[each.peer])
        cut = [each for each in surplus(oldest_first, self._most, known) if shut_down(each)]
        self._tell(cut)
        return len(cut)

    def _in_order(self, found: Collection[Endpoint]) -> None:
        """Number those found, in the order in which they were first seen."""
        self._order = {each: self._order[each] for each in found if each in self._order}
        for each in found:
            if each not in self._order:
                self._seen += 1
                self._order[each] = self._seen

    def _tell(self, cut: list[Connection]) -> None:
        count: dict[tuple[str, int], int] = defaultdict(int)
        for each in cut:
            count[counted_as(each.peer[0]), each.port] += 1
        for (address, port), number in count.items():
            self._lines.warning(
                f"ipv4:{address}:0",
                "port %d is crowded: cut %s from %s on which nobody called",
                *(port, "1 connection" if number == 1 else f"{number} connections", address),
            )
