"""Machines that came with certificates of our CA that the store does not know.

After an older backup was restored these are the machines that were enrolled since: their enrolments
are gone with the rest. Or a gateway was replaced under its name, and the old one still runs: that
is another machine than the one that has the name now. Bounded, and forgotten when they come no
more.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from tdc.manager.view.names import MachineKey
from tdc.manager.view.seen import Stranger
from tdc.shared.edge.clock import Clock
from tdc.shared.sync.identity import MachinePeer

log = logging.getLogger(__name__)

KEPT = 900.0
"""Seconds that a machine is shown after it came last: agents come back within minutes."""
AGAIN = 5.0
"""Seconds after which one that comes again is not the machine that was just enrolled again: that
one may come once more with its earlier certificate, until the new one is on its disk."""
MOST = 1_000
"""Machines that are remembered."""


@dataclass(frozen=True, slots=True)
class _Came:
    """A machine that came with this enrolment; `replaced_since`: since another has its name."""

    enrolment: str
    address: str
    last: float
    replaced_since: float | None

    def shown(self, key: MachineKey, *, known: bool) -> Stranger | None:
        """As it is shown to operators; None if the machine of this name is known by now."""
        if self.replaced_since is None:
            return None if known else Stranger(*key, self.address, replaced=False)
        if self.last - self.replaced_since < AGAIN:
            return None
        return Stranger(*key, self.address, replaced=True)


class Strangers:
    """Who came, by cluster and name; `steady` never goes back."""

    def __init__(self, steady: Clock) -> None:
        self._steady = steady
        self._came: dict[MachineKey, _Came] = {}

    def came(self, peer: MachinePeer, address: str, *, replaced: bool) -> None:
        """Note that a machine was denied, for the store does not know its enrolment.

        `replaced`: it knows another one by that name.
        """
        key, now = (peer.cluster, peer.machine), self._steady()
        before = self._came.pop(key, None)
        if before is None or before.enrolment != peer.enrolment:
            log.warning(
                "%s came from %s with a certificate of this CA that the store does not know: it "
                "was enrolled after the backup that was restored, or its name was given again",
                peer, address,
            )  # fmt: skip
            before = _Came(peer.enrolment, address, now, None)
        since = (before.replaced_since or now) if replaced else None
        self._came[key] = replace(before, address=address, last=now, replaced_since=since)
        if len(self._came) > MOST:
            del self._came[next(iter(self._came))]

    def now(self, is_known: Callable[[MachineKey], bool]) -> tuple[Stranger, ...]:
        """Who came lately, and is not the machine of that name that is known now."""
        since = self._steady() - KEPT
        self._came = {key: each for key, each in self._came.items() if each.last >= since}
        shown = (
            each.shown(key, known=is_known(key))
            for key, each in sorted(self._came.items(), key=lambda each: each[0])
        )
        return tuple(each for each in shown if each is not None)
