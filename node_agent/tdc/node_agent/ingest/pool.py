"""Connections to the next hop, kept for reuse. One is lent for one transaction.

Errors of connecting (OSError, TimeoutError) end here as NextHopUnavailable.

*One that accepts and stays mute* must not hold originals up while another one works. So while there
is another to try, an address gets `opening_hurried` seconds for connection, banner and EHLO, and
`silence` for a reply before the body (`turns.py`). It is then avoided, the longer the more often it
failed, and tried again by one session at a time. Only when all have failed gets a slow one its full
time. An address is good again once it has answered a whole message: a banner alone proves little.
Avoided too is one that refuses all messages (`hop_state.py`), one that takes long to say that it
takes none, and one for which too many wait (`avoided.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from tdc.node_agent.host_names import addresses_of
from tdc.node_agent.ingest.avoided import Avoided, is_stuck
from tdc.node_agent.ingest.blame import Blame
from tdc.node_agent.ingest.hop_state import NextHopState, Waiting
from tdc.node_agent.ingest.relay import HopConnection, HopLost
from tdc.node_agent.ingest.timeouts import HopTimeouts
from tdc.node_agent.smtp.extensions import Extensions
from tdc.node_agent.smtp.replies import Reply
from tdc.shared.edge.os_words import os_reason


class NextHopUnavailable(Exception):
    """No next hop accepts a connection now; the text says why for each address."""


class _Slow(NextHopUnavailable):
    """It did not fail, but had not answered when its time was over."""


@dataclass(frozen=True, slots=True)
class NextHop:
    """Where originals go."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class NextHopPool:
    """Lends connections to the next hop and keeps them for reuse.

    `addresses` are asked in order; one that has failed lately is asked last, and of several the
    one that was not asked for longest first. `hostname` is what we call ourselves in EHLO.
    """

    def __init__(
        self,
        addresses: Sequence[NextHop],
        hostname: str,
        timeouts: HopTimeouts,
        *,
        max_idle: int = 100,
        state: NextHopState | None = None,
    ) -> None:
        self._addresses = tuple(addresses)
        self._hostname = hostname
        self._timeouts = timeouts
        self._max_idle = max_idle
        self._idle: list[HopConnection] = []
        self.has_several = len(self._addresses) > 1
        self._closed = False
        self._open: dict[HopConnection, NextHop] = {}
        self._avoided = Avoided(timeouts)
        self._latest_ip: dict[NextHop, str] = {}
        self._state = state or NextHopState()
        self._state.waiting = self.waiting
        self._loop = asyncio.get_running_loop()
        self._looked = self._loop.time()
        self.learned: Extensions | None = None
        self._sizes: dict[NextHop, int] = {}  # what each takes at most, 0 for no bound

    async def extensions(self) -> Extensions:
        """What the next hop offers, asked if unknown; raises NextHopUnavailable."""
        if self.learned is None:
            self.release(await self.acquire())
        assert self.learned is not None
        return self.learned

    @property
    def largest(self) -> int:
        """The octets of the largest message that any of them takes; 0 for no bound."""
        sizes = self._sizes.values()
        return max(sizes, default=0) if all(sizes) else 0

    def is_too_small(self, hop: HopConnection, size: int) -> bool:
        """Whether this one refuses a message for its size that another one takes."""
        most = hop.extensions.size or 0
        return 0 < most < size and (not self.largest or size <= self.largest)

    async def acquire(
        self,
        *,
        fresh: bool = False,
        needs: AbstractSet[str] = frozenset(),
        among: Collection[NextHop] = (),
        patient: bool = True,
    ) -> HopConnection:
        """Lend a connection: an idle one that offers what `needs` names, unless `fresh`.

        A new one may offer less. It goes to one of `among`, if given; unless `patient`, one that is
        slow to greet is not waited for. Raises NextHopUnavailable.
        """
        self._drop_stale()
        if self.has_several:
            self._look()
        while not fresh and (hop := self._idle_one()) is not None:
            if hop.usable and hop.extensions.covers(needs):
                hop.reused = True
                hop.proved = hop.accepted = hop.noted = False
                return hop
            # One that offers less, kept, would be met by each message that follows.
            self.discard(hop, politely=True)
        return await self._open_one(among or self._addresses, patient=patient)

    def release(self, hop: HopConnection) -> None:
        """Take a connection back between transactions."""
        address = self._open.get(hop)
        if hop.proved and address is not None:
            if hop.accepted:
                self._state.works(address)
            if self._avoided.known and not self._state.refuses(address):
                self._avoided.remove(address)
        if hop.usable and len(self._idle) < self._max_idle:
            hop.idle_since = self._loop.time()
            self._idle.append(hop)
        else:
            self.discard(hop, politely=True)

    def discard(self, hop: HopConnection, *, politely: bool = False, late: str = "") -> None:
        """Close a connection that was lent.

        Its address is avoided if it fell silent, or was `late` to say this.
        """
        address = self._open.pop(hop, None)
        if address is not None and hop.fell_silent:
            why = "it accepted a connection, and then did not answer"
            self._avoid(address, why, hop.silent_for)
        elif address is not None and late and self.has_several:
            self._avoid(address, f"late: {late}")
        elif address is not None:
            wait = Waiting(address, hop.waited(self._loop.time()), hop.long)
            self._state.given_up(wait, self._addresses)
        hop.close(politely=politely)

    def refused(self, hop: HopConnection, whose: Blame, answer: str) -> None:
        """A message that went there was not accepted; one that refuses them all is avoided."""
        address = self._open.get(hop)
        if address is not None:
            self._state.refused(address, whose, answer, self._addresses)
            if self.has_several and self._state.refuses(address):
                self._avoided.add(address, self._loop.time())

    def close(self) -> None:
        """Close all connections, lent ones too; no other is opened."""
        self._closed = True
        for hop in list(self._open):
            self.discard(hop, politely=hop in self._idle)
        self._idle.clear()

    def _idle_one(self) -> HopConnection | None:
        """Take out the idle connection used last, of the address that is first to be asked.

        One to another address would keep the first from being asked again once it is sound.
        """
        if not self.has_several:
            return self._idle.pop() if self._idle else None
        first = self._in_order(self._addresses)[0]
        for hop in reversed(self._idle):
            if self._open[hop] == first:
                self._idle.remove(hop)
                self._avoided.on_trial(first, self._loop.time())
                return hop
        return None

    def _drop_stale(self) -> None:
        oldest = self._loop.time() - self._timeouts.idle
        while self._idle and (self._idle[0].idle_since < oldest or not self._idle[0].usable):
            self.discard(self._idle.pop(0), politely=True)

    # Which address

    def address(self, hop: HopConnection) -> NextHop | None:
        """Where a connection that is lent goes; None once the pool is closed."""
        return self._open.get(hop)

    def others(self, tried: Collection[NextHop | None]) -> list[NextHop]:
        """The next hops that may be tried instead of these, those that are avoided last."""
        if self._closed or not self.has_several:
            return []
        return self._in_order(one for one in self._addresses if one not in tried)

    def has_sound_other(self, tried: Collection[NextHop | None]) -> bool:
        """True if a next hop other than these is not avoided."""
        return any(not self._is_avoided(one) for one in self.others(tried))

    def is_doubtful(self, address: NextHop | None) -> bool:
        """True if it has failed, and not answered a message since."""
        return address in self._avoided.known

    async def _open_one(self, among: Collection[NextHop], *, patient: bool) -> HopConnection:
        """Connect to the first address that works, a good one before a bad one."""
        reasons: list[str] = []
        slow: list[NextHop] = []
        hurried = len(among) > 1 or not patient
        for address in self._in_order(among):
            try:
                return await self._try(address, reasons, hurried=hurried)
            except _Slow:
                slow.append(address)
            except NextHopUnavailable:
                continue
        if patient and slow:
            return await self._try(slow[0], reasons, hurried=False)
        raise NextHopUnavailable("; ".join(reasons))

    async def _try(self, address: NextHop, reasons: list[str], *, hurried: bool) -> HopConnection:
        """Connect to one address; if that fails, add the reason and avoid it."""
        if self._closed:
            raise NextHopUnavailable("the agent is stopping")
        self._avoided.on_trial(address, self._loop.time())
        try:
            return await self._connect(address, hurried=hurried)
        except NextHopUnavailable as unavailable:
            if not self._closed:  # then it was we who gave it up
                self._avoid(address, str(unavailable))
            reasons.append(f"{address}: {unavailable}")
            if hurried:
                raise
            raise NextHopUnavailable("; ".join(reasons)) from None

    def _avoid(self, address: NextHop, why: str, waited: float = 0.0) -> None:
        self._state.failed(address, why, self._addresses, waited=waited)
        self._avoided.add(address, self._loop.time())

    def _is_avoided(self, address: NextHop) -> bool:
        return self._avoided.now(address, self._loop.time())

    def _in_order(self, some: Iterable[NextHop]) -> list[NextHop]:
        now = self._loop.time()
        return sorted(some, key=lambda one: self._avoided.place(one, now))

    # What waits

    def waiting(self) -> list[Waiting]:
        """Each message that waits for a next hop now."""
        now = self._loop.time()
        waits = ((hop, address, hop.waited(now)) for hop, address in self._open.items())
        return [Waiting(address, waited, hop.long) for hop, address, waited in waits if waited > 0]

    def _look(self) -> None:
        """Avoid a next hop for which too much waits; now and then, and for each if many are lent.

        What waits when it is found is counted once: only others can show that it is still so.
        """
        now, timeouts = self._loop.time(), self._timeouts
        lent = len(self._open) - len(self._idle)
        if now - self._looked < timeouts.late and 2 * lent < self._max_idle:
            return
        self._looked = now
        for address in self._addresses:
            hops = [hop for hop, to in self._open.items() if to == address and not hop.noted]
            hops = [hop for hop in hops if hop.waited(now) > 0]
            waited = [hop.waited(now) for hop in hops]
            if is_stuck(waited, timeouts.long_for_body, self._max_idle):
                self._avoided.add(address, now)
                for hop in hops:
                    hop.noted = True

    # One address

    async def _connect(self, address: NextHop, *, hurried: bool) -> HopConnection:
        timeouts = self._timeouts
        began = self._loop.time()
        allowed = min(timeouts.connect, timeouts.opening_hurried) if hurried else timeouts.connect
        try:
            async with asyncio.timeout(allowed):
                hop = await self._connected(address, began + allowed)
        except TimeoutError:
            raise NextHopUnavailable(f"no connection in {allowed:g} s") from None
        except OSError as error:
            raise NextHopUnavailable(os_reason(error)) from None
        self._open[hop] = address
        within = timeouts.opening_hurried if hurried else timeouts.connect + timeouts.opening
        try:
            hello = await self._greet(hop, began + within)
        except BaseException:
            self._open.pop(hop, None)  # gone already if the pool was closed
            hop.close(politely=True)
            raise
        hop.extensions = self.learned = Extensions.from_reply(hello)
        self._sizes[address] = self.learned.size or 0
        return hop

    async def _connected(self, address: NextHop, until: float) -> HopConnection:
        """Connect to the first of the host's IP addresses that accepts; raises OSError.

        The one that accepted last goes first. Each has an equal part of the time that is left: one
        whose packets vanish hides no other.
        """
        found = await addresses_of(address.host, address.port)
        ips = sorted(found, key=lambda ip: ip != self._latest_ip.get(address))
        refused = OSError(f"{address.host} has no address")
        for tried, ip in enumerate(ips):
            part = (until - self._loop.time()) / (len(ips) - tried)
            try:
                async with asyncio.timeout(part):
                    _, hop = await self._loop.create_connection(
                        lambda: HopConnection(self._timeouts), ip, address.port
                    )
            except OSError as error:
                refused = error
            else:
                self._latest_ip[address] = ip
                return hop
        raise refused

    async def _greet(self, hop: HopConnection, until: float) -> Reply:
        timeouts = self._timeouts
        try:
            greeting = (await hop.replies(1, timeouts.greeting, until=until))[0]
            if greeting.code != 220:
                raise NextHopUnavailable(f"greeted with {greeting.text}")
            lines = [b"EHLO " + self._hostname.encode()]
            hello = (await hop.exchange(lines, timeouts.command, until=until))[0]
        except HopLost as lost:
            raise (_Slow if hop.fell_silent else NextHopUnavailable)(str(lost)) from None
        if not hello.positive:
            raise NextHopUnavailable(f"answered EHLO with {hello.text}")
        return hello
