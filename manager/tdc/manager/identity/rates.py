"""How often a caller may do something: token buckets.

A bucket holds up to `burst` tokens and gains `per_second`; what is done costs tokens. `Budget` has
a bucket for each caller and one for all of them.
In: rates, and a clock as a value. Out: may it, or not.
Promise: memory is bounded, however many callers there are.
"""

from __future__ import annotations

import ipaddress
import urllib.parse
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, replace

from tdc.shared.edge.clock import Clock, monotonic

MOST_CALLERS = 4_096
"""Buckets that a budget keeps; the one unused for longest is forgotten first."""


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `burst` at once, and `per_second` in the long run."""

    burst: float
    per_second: float


@dataclass(frozen=True, slots=True)
class Bucket:
    """The tokens that were left at a moment (monotonic seconds)."""

    tokens: float
    at: float


def full(rate: Rate, now: float) -> Bucket:
    """PURE. A bucket that nothing was taken from."""
    return Bucket(rate.burst, now)


def filled(bucket: Bucket, rate: Rate, now: float) -> Bucket:
    """PURE. The bucket with what it has gained until `now`."""
    gained = max(now - bucket.at, 0.0) * rate.per_second
    return Bucket(min(bucket.tokens + gained, rate.burst), now)


def taken(bucket: Bucket, rate: Rate, now: float, cost: float = 1.0) -> Bucket | None:
    """PURE. The bucket after `cost` was taken; None if it does not hold as much."""
    bucket = filled(bucket, rate, now)
    return replace(bucket, tokens=bucket.tokens - cost) if bucket.tokens >= cost else None


class Budget:
    """A rate for each caller, and one for all of them together."""

    def __init__(self, each: Rate, in_all: Rate, clock: Clock = monotonic) -> None:
        """`clock` is monotonic."""
        self._each = each
        self._in_all = in_all
        self._clock = clock
        self._total = full(in_all, clock())
        self._buckets: OrderedDict[Hashable, Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, caller: Hashable) -> bool:
        """Whether `caller` may do it once more; if so, it is counted."""
        now = self._clock()
        mine = taken(self._buckets.get(caller, full(self._each, now)), self._each, now)
        if mine is None:
            return False  # who is over his own budget takes nothing from the others
        total = taken(self._total, self._in_all, now)
        if total is None:
            return False
        self._total = total
        self._keep(caller, mine)
        return True

    def give_back(self, caller: Hashable) -> None:
        """Undo one `take` of `caller`."""
        bucket = self._buckets.get(caller)
        if bucket is not None:
            self._keep(caller, replace(bucket, tokens=bucket.tokens + 1))
        self._total = replace(self._total, tokens=self._total.tokens + 1)

    def _keep(self, caller: Hashable, bucket: Bucket) -> None:
        self._buckets[caller] = bucket
        self._buckets.move_to_end(caller)
        if len(self._buckets) > MOST_CALLERS:
            self._buckets.popitem(last=False)


Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Endpoint = tuple[Address, int]
"""Address and port."""


def plain(address: Address) -> Address:
    """PURE. The IPv4 address that an IPv4-mapped one stands for; others as they are."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def endpoint_of(peer: str) -> Endpoint | None:
    """PURE. What a gRPC peer (``ipv4:192.0.2.7:4312``) names; None for a Unix socket and such."""
    host, _, port = urllib.parse.unquote(peer).partition(":")[2].rpartition(":")
    try:
        address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
        return plain(address), int(port)
    except ValueError:
        return None


def counted_as(address: Address) -> str:
    """PURE. Whom an address is counted as: an IPv4 address, an IPv6 /64."""
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(ipaddress.ip_network((address, 64), strict=False))


def address_of(peer: str) -> str:
    """PURE. Whom a gRPC peer (``ipv4:192.0.2.7:4312``) is counted as; see `counted_as`."""
    endpoint = endpoint_of(peer)
    if endpoint is None:
        return peer.partition(":")[0]  # a Unix socket and the like: one caller
    return counted_as(endpoint[0])
