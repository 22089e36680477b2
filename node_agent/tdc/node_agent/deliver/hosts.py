"""PURE. What is known of the hosts of one destination: which to try first, which to avoid.

*Avoided.* A host that is to blame (`evidence` says when) is tried after the others: for
BAD_HOST_WAIT seconds at first, then twice as long each time, up to BAD_HOST_LONGEST. When its time
is over one connection tries it, and it stays avoided for all others until that has left. It is good
again once it has taken a report, on a connection that was opened after the blame: an older one says
no more of it than what is known, and so do several that fail together.

*During a hold* no host is better than another, and preference would lead each probe to the same
one. The host whose failure is the oldest goes first, and those that have not failed since the probe
was due are left: the probe fails only when it has tried them all.

*A copy* that failed at a host, which has taken none since, goes to another one first. That is no
blame: if it fails there too it is the message.

A host is one address and port: several addresses of one name may be several machines.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from tdc.node_agent.deliver.mx import Candidate

BAD_HOST_WAIT = 60.0
"""Seconds for which a host that failed is tried after the others."""

BAD_HOST_LONGEST = 960.0
"""The same at most: it doubles each time that the host fails in a row."""

_MAX_DOUBLINGS = 16
_RUN_KEPT = 64  # failed copies remembered for one host; evidence asks for a few


class Here(NamedTuple):
    """The host of an attempt as the rules see it.

    `more_hosts`: another one was left when the attempt began. `run` counts the other copies
    that failed here since the host's last delivery, which was at `delivered_at` (monotonic).
    """

    more_hosts: bool = False
    run: int = 0
    delivered_at: float = -math.inf


def avoided_for(failures: int) -> float:
    """How long to avoid a host that was to blame so many times in a row."""
    return min(BAD_HOST_WAIT * 2.0 ** min(failures - 1, _MAX_DOUBLINGS), BAD_HOST_LONGEST)


@dataclass(slots=True)
class _Host:
    failures: int = 0  # times to blame since its last delivery
    failed_at: float = -math.inf
    until: float = -math.inf
    newest: int = 0  # connection at the latest blame
    trial: int = 0  # connection that tries it after its time, 0 for none
    delivered_at: float = -math.inf
    run: dict[int, None] = field(default_factory=dict)


class Hosts:
    """The hosts of one destination; times are monotonic, connections are known by DCID."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], _Host] = {}

    def ordered(
        self, candidates: Iterable[Candidate], now: float, mid: int = 0, *, on_hold: bool = False
    ) -> list[Candidate]:
        """Put the candidates in the order to try them for a connection whose first copy is `mid`.

        The avoided ones come last, before them those where this copy failed.
        """

        def key(candidate: Candidate) -> tuple[float, bool]:
            host = self._known.get(_key(candidate))
            if host is None:
                return -math.inf, False
            last = host.failed_at if on_hold or _is_avoided(host, now) else -math.inf
            return last, mid in host.run

        return sorted(candidates, key=key)

    def is_avoided(self, candidate: Candidate, now: float) -> bool:
        """Say whether a host is tried after the others."""
        host = self._known.get(_key(candidate))
        return host is not None and _is_avoided(host, now)

    def others_left(
        self,
        candidate: Candidate,
        all_of: Iterable[Candidate],
        now: float,
        probe_at: float = math.inf,
    ) -> bool:
        """Say whether a host other than this one is not avoided, or not yet tried by the probe.

        The probe of a hold is due at `probe_at`.
        """
        others = [one for one in all_of if one != candidate]
        if now < probe_at:
            return any(not self.is_avoided(one, now) for one in others)
        return any(self._failed_at(one) < probe_at for one in others)

    def _failed_at(self, candidate: Candidate) -> float:
        host = self._known.get(_key(candidate))
        return -math.inf if host is None else host.failed_at

    def here(self, candidate: Candidate, mid: int, *, more_hosts: bool) -> Here:
        """What the rules see of a host when copy `mid` failed there."""
        host = self._known.get(_key(candidate)) or _Host()
        return Here(more_hosts, len(host.run) - (mid in host.run), host.delivered_at)

    # What happens

    def begin(self, candidate: Candidate, number: int) -> None:
        """Note that a connection is opened: to a host that failed it is the trial."""
        host = self._known.get(_key(candidate))
        if host is not None and host.failures:
            host.trial = number

    def end(self, number: int) -> None:
        """Note that a connection has left."""
        for host in self._known.values():
            if host.trial == number:
                host.trial = 0

    def blame(
        self, candidate: Candidate, number: int, newest: int, now: float, at_least: float = 0.0
    ) -> None:
        """Avoid a host that connection `number` found bad; `newest` is the latest one opened."""
        host = self._known.setdefault(_key(candidate), _Host())
        if not host.failures or number > host.newest:
            host.failures += 1
            host.newest = max(newest, number)
        host.failed_at, host.trial = now, 0
        host.until = max(host.until, now + max(avoided_for(host.failures), at_least))

    def note_failure(self, candidate: Candidate, mid: int) -> None:
        """Note that a failure here is charged to a copy."""
        run = self._known.setdefault(_key(candidate), _Host()).run
        run.pop(mid, None)
        run[mid] = None
        if len(run) > _RUN_KEPT:
            del run[next(iter(run))]

    def note_delivery(self, candidate: Candidate, number: int, now: float) -> None:
        """Note that a host took a report on connection `number`."""
        host = self._known.setdefault(_key(candidate), _Host())
        host.delivered_at = now
        host.run.clear()
        if number > host.newest or now >= host.until:
            self._known[_key(candidate)] = _Host(delivered_at=now)

    def forget(self) -> None:
        """Start over."""
        self._known.clear()


def _key(candidate: Candidate) -> tuple[str, int]:
    return candidate.address, candidate.port


def _is_avoided(host: _Host, now: float) -> bool:
    return now < host.until or bool(host.trial)
