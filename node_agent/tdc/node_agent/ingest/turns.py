"""Which next hop is asked, and for how long, where one does not answer before the body.

Until the body no byte of a message has been sent, so moving on to another next hop is safe. What
the MTA was told must stay true, though: the commands it was answered are given to the other one as
well, and if that one refuses any of them, the message is refused for now (`relaying.py`).

A next hop that is silent may be mute, or may be asking somebody about a recipient. So:
  1. While a sound one is left, it gets `HopTimeouts.silence`, which any reply renews; and so does
     one that has failed lately, for one that has too may be sound by now.
  2. The last sound one gets its full time.
  3. If that leaves none, the first that was slow gets its full time: it may be sound, and the only
     one. So what is slow everywhere is late, and not refused.
A next hop that closes the connection, or says 421, is not waited for; the next one is asked, too.
Those that have failed lately are asked after the others, and never left out.
"""

from __future__ import annotations

import math

from tdc.node_agent.ingest.pool import NextHop, NextHopPool
from tdc.node_agent.ingest.relay import HopConnection


class Turns:
    """For commands that are settled together. `fresh` and `among` are for `NextHopPool.acquire`."""

    __slots__ = ("_last", "_pool", "_silence", "_slow", "_tried", "among", "fresh")

    def __init__(self, pool: NextHopPool) -> None:
        self.fresh = False
        self.among: tuple[NextHop, ...] = ()
        self._pool = pool
        self._tried: list[NextHop] = []
        self._slow: NextHop | None = None  # the first that was
        self._last = False
        self._silence = math.inf

    @property
    def patient(self) -> bool:
        """True if the one that is asked is not hurried even in its greeting."""
        return self._last or not self._tried

    @property
    def sound_left(self) -> bool:
        """True if one that was not asked has not failed lately."""
        return self._pool.has_sound_other(self._tried)

    def silence(self, hop: HopConnection, hurried: float) -> float:
        """How long this one may be silent: `hurried`, or as long as is usual."""
        self._silence = math.inf
        if self._pool.has_several and not self._last:
            address = self._pool.address(hop)
            doubtful = self._pool.is_doubtful(address)
            if doubtful or self._pool.has_sound_other((*self._tried, address)):
                self._silence = hurried
        return self._silence

    def move_on(self, hop: HopConnection) -> bool:
        """Whether another one can be asked instead of this one, whose connection is lost."""
        if self._last or (hop.fell_silent and self._silence == math.inf):
            return False  # it had its full time
        address = self._pool.address(hop)
        if address is None:
            return False
        self._tried.append(address)
        if hop.fell_silent:
            self._slow = self._slow or address
        self.fresh = True
        self.among = tuple(self._pool.others(self._tried))
        return bool(self.among) or self.fall_back()

    def fall_back(self) -> bool:
        """Whether one that was slow can be asked again, as all others failed."""
        if self._slow is None or self._last:
            return False
        self._last = True
        self.among = (self._slow,)
        return True
