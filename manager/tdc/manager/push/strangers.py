"""Machines that came with certificates of our CA that the store does not know.

After an older backup was restored these are the machines that were enrolled since: their enrolments
are gone with the rest. Bounded, and forgotten when they come no more.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from tdc.manager.view.names import MachineKey
from tdc.shared.edge.clock import Clock
from tdc.shared.sync.identity import MachinePeer

log = logging.getLogger(__name__)

KEPT = 900.0
"""Seconds that a machine is shown after it came last: agents come back within minutes."""
MOST = 1_000
"""Machines that are remembered."""


class Strangers:
    """Who came, by cluster and name; `steady` never goes back."""

    def __init__(self, steady: Clock) -> None:
        self._steady = steady
        self._came: dict[MachineKey, tuple[float, str]] = {}

    def came(self, peer: MachinePeer) -> None:
        """Note that a machine was denied, for the store does not know its enrolment."""
        key = (peer.cluster, peer.machine)
        before = self._came.pop(key, None)
        if before is None or before[1] != peer.enrolment:
            log.warning(
                "%s came with a certificate of this CA that the store does not know: it was "
                "enrolled after the backup that was restored, or again since", peer,
            )  # fmt: skip
        self._came[key] = self._steady(), peer.enrolment
        if len(self._came) > MOST:
            del self._came[next(iter(self._came))]

    def now(self, is_known: Callable[[MachineKey], bool]) -> tuple[MachineKey, ...]:
        """Who came lately, and is not known now by another certificate."""
        since = self._steady() - KEPT
        self._came = {key: each for key, each in self._came.items() if each[0] >= since}
        return tuple(sorted(key for key in self._came if not is_known(key)))
