"""Who was identified on which connection, and which connections are to end for it.

In: what calls say, by gRPC's text for a connection. Out: the connections of an identity beyond its
share, and those whose certificate is denied.
Promise: a connection that was denied is forgotten at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping

from tdc.manager.identity.rates import Endpoint, endpoint_of
from tdc.shared.edge.clock import Clock, monotonic
from tdc.shared.sync.identity import MachinePeer, Operator, Peer

MACHINE_SHARE = 4
"""Connections of a machine, whatever its certificates: an agent needs two for a moment."""

OPERATOR_SHARE = 64
"""Connections of an operator, who may have several terminals and programs; or of a manager."""

GRACE = 1.0
"""Seconds in which who is denied may read why."""

Machine = tuple[str, str]
"""By cluster and name."""

Identity = Machine | str
"""Whose connections are counted together: a machine's, an operator's by name, a manager's."""


def identity_of(peer: Peer) -> Identity:
    """PURE. As whom `peer` is counted."""
    if isinstance(peer, MachinePeer):
        return peer.cluster, peer.machine
    return peer.name if isinstance(peer, Operator) else str(peer)


def share_of(identity: Identity) -> int:
    """PURE. How many connections it may have."""
    return OPERATOR_SHARE if isinstance(identity, str) else MACHINE_SHARE


class Known:
    """The connections on which somebody was identified, oldest first, and those that are denied."""

    def __init__(self, clock: Clock = monotonic) -> None:
        self._clock = clock
        self._peers: dict[Endpoint, Peer] = {}
        self._of: defaultdict[Identity, dict[Endpoint, None]] = defaultdict(dict)
        self._denied: dict[Endpoint, float] = {}
        self._many: set[Identity] = set()

    def __len__(self) -> int:
        return len(self._peers)

    def __iter__(self) -> Iterator[Endpoint]:
        return iter(self._peers)

    def __contains__(self, endpoint: object) -> bool:
        return endpoint in self._peers

    def identified(self, connection: str, peer: Peer) -> None:
        """Note that `peer` was let in."""
        endpoint = endpoint_of(connection)
        if endpoint is None:
            return
        self._denied.pop(endpoint, None)
        if self._peers.get(endpoint) == peer:
            return
        self.forget([endpoint])  # the system gave the number of one that has ended to another
        identity = identity_of(peer)
        self._peers[endpoint] = peer
        self._of[identity][endpoint] = None
        if len(self._of[identity]) > share_of(identity):
            self._many.add(identity)

    def denied(self, connection: str) -> None:
        """Note that its certificate is not valid any more: it ends soon, and is forgotten now."""
        endpoint = endpoint_of(connection)
        if endpoint is not None:
            self._deny(endpoint)

    def of(self, machine: Machine) -> list[tuple[Endpoint, MachinePeer]]:
        """The connections of a machine."""
        mine = ((each, self._peers[each]) for each in self._of.get(machine, ()))
        return [(each, peer) for each, peer in mine if isinstance(peer, MachinePeer)]

    def operators(self) -> list[tuple[Endpoint, Operator]]:
        """The connections of operators who showed a certificate."""
        found = self._peers.items()
        return [(each, p) for each, p in found if isinstance(p, Operator) and p.fingerprint]

    def deny(self, endpoints: Iterable[Endpoint]) -> None:
        """As `denied`, for those that no call reported."""
        for each in endpoints:
            self._deny(each)

    def _deny(self, endpoint: Endpoint) -> None:
        self.forget([endpoint])
        self._denied.setdefault(endpoint, self._clock() + GRACE)

    def forget(self, endpoints: Iterable[Endpoint]) -> None:
        """Forget those that have ended."""
        for each in endpoints:
            peer = self._peers.pop(each, None)
            if peer is None:
                continue
            identity = identity_of(peer)
            del self._of[identity][each]
            if not self._of[identity]:
                del self._of[identity]
                self._many.discard(identity)

    def is_due(self) -> bool:
        """Whether `ending` may name any, once it is known which are still open."""
        now = self._clock()
        return bool(self._many) or any(at <= now for at in self._denied.values())

    def ending(self, still_open: Collection[Endpoint]) -> Mapping[Endpoint, str]:
        """Name those that are to end, each with the reason; say it once."""
        now = self._clock()
        due = [each for each, at in self._denied.items() if at <= now]
        for each in due:
            del self._denied[each]
        end = {each: "its certificate is denied" for each in due if each in still_open}
        for identity in self._many:
            mine = [each for each in self._of[identity] if each in still_open]
            share = share_of(identity)
            surplus = mine[:-share]
            reason = f"{self._peers[mine[0]]} may have {share}" if surplus else ""
            end.update(dict.fromkeys(surplus, reason))
        self._many.clear()
        return end
