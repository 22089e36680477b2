"""Renewal of the machine's certificate, by itself, at half life, or when it has another name.

A certificate that expires never stops mail: the agent continues with the settings in force, logs
an error, and keeps trying, slowly and with jitter, so that a fleet does not try all at once.

The dates in a certificate come from the manager; this machine's clock may be hours or years off.
So a certificate is also renewed at half life by the seconds counted since it was first seen here,
and by that count alone if the clock did not fit the dates of a certificate that had just been made.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable
from pathlib import Path

import grpc.aio
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.sync import identity
from tdc.node_agent.sync.identity import Identity, IdentityUnusable, NotEnrolled
from tdc.node_agent.sync.managers import Managers
from tdc.shared.edge import durable_file, grpc_tls
from tdc.shared.edge.clock import Chance, Clock, chance, monotonic, wall
from tdc.shared.edge.grpc_words import reason
from tdc.shared.sync.identity import Trust
from tdc.v1 import agents_pb2, agents_pb2_grpc

TIMEOUT = 15.0
RETRY_FIRST = 1.0
RETRY_MAXIMUM = 600.0
LOOK_AGAIN = 60.0
"""Seconds after which the clock is read again: an administrator may have set it."""
LOOK_WHILE_DUE = 5.0
"""Seconds between two looks while a renewal has failed: at the identity, which may be another by
now (`tdc-agent enrol`), and at whether a manager is there again."""
TRUST_AGAIN = 600.0
"""Seconds after a renewal until another one is tried that is to bring other CAs."""
CLOCK_SLACK = 3_600.0
"""Seconds that a certificate may be old, by this machine's clock, when it has just been made."""


class RenewalFailed(Exception):
    """No new certificate; the text says why."""


class Renewal:
    """Keeps the certificate in `folder` fresh; `run` once.

    `clock` is Unix time, which may be wrong; `steady` counts seconds; `connected` says whether a
    manager serves this machine: after a failure that is when to try again.
    """

    def __init__(
        self,
        managers: Managers,
        folder: Path,
        log: TdcLog,
        *,
        clock: Clock = wall,
        steady: Clock = monotonic,
        chance: Chance = chance,
        connected: Callable[[], bool] = lambda: False,
    ) -> None:
        self._managers = managers
        self._folder = folder
        self._log = log
        self._clock = clock
        self._steady = steady
        self._chance = chance
        self._connected = connected
        self._jitter = chance()
        self._next = 0
        self._seen = (b"", 0.0)  # the certificate held, and when it was first seen: steady seconds
        self._clock_trouble = ""
        self._ended = b""  # the certificate whose end was logged
        self._failed = b""  # the certificate that could not be renewed
        self._called = ("", "")  # cluster and machine, by a manager, not yet by the certificate
        self._trust: Trust | None = None
        self._trust_due = 0.0  # steady seconds
        self._last: Identity | None = None
        self._woken = asyncio.Event()
        self.ends: float | None = None
        self.trouble = ""

    def warnings(self) -> tuple[str, ...]:
        """What an operator should know of the certificate; empty if all is well."""
        clock = (self._clock_trouble,) if self._clock_trouble else ()
        if not self.trouble:
            return clock
        when = f"; it expires {identity.day(self.ends)}" if self.ends is not None else ""
        return (f"the certificate could not be renewed: {self.trouble}{when}", *clock)

    async def run(self) -> None:
        """Renew whenever it is due, until cancelled."""
        while True:
            try:
                held = await self._held()
            except (NotEnrolled, IdentityUnusable):
                await asyncio.sleep(LOOK_AGAIN)  # the stream logs it
                continue
            wait = self._due_in(held)
            if wait > 0:
                await self._sleep(min(wait, LOOK_AGAIN))
            else:
                await self._until_renewed()

    def called(self, cluster: str, machine: str) -> None:
        """Note what a manager calls this machine: its certificate is to have these names too."""
        self._called = (cluster, machine)
        self._woken.set()

    def told(self, trust: Trust) -> None:
        """Note by which CAs managers are trusted now: this machine is to trust the same."""
        self._trust = trust
        self._trust_due = self._steady() + self._chance() * trust.spread
        self._woken.set()

    @property
    def held(self) -> Identity | None:
        """The identity as it was read last; None while there is none."""
        return self._last

    @property
    def trust(self) -> tuple[str, ...]:
        """By which CA the certificate is, and by which managers are trusted."""
        return () if self._last is None else (self._last.issuer, *self._last.trusted)

    def _trust_due_in(self, held: Identity) -> float:
        """Seconds until the certificate is renewed for the sake of what it trusts, and is by."""
        trust = self._trust
        same = trust is None or (
            held.issuer == trust.trusted[0] and set(held.trusted) == set(trust.trusted)
        )
        return math.inf if same else self._trust_due - self._steady()

    async def _sleep(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        self._woken.clear()

    def _due_in(self, held: Identity) -> float:
        """Seconds until `held` is to be renewed; 0 or less if it is due."""
        if held.certificate_pem != self._seen[0]:
            self._seen = (held.certificate_pem, self._steady())
            self._clock_trouble = ""
        if all(self._called) and self._called != (held.cluster, held.machine):
            return 0.0
        return min(self._trust_due_in(held), self._by_time(held))

    def _by_time(self, held: Identity) -> float:
        """Seconds until half of the life of `held` is over."""
        age = self._steady() - self._seen[1]
        if self._clock_trouble and self._fits(held, age):
            self._clock_trouble = ""  # it was set right
        by_count = held.renew_at(self._jitter) - held.begins - age
        if self._clock_trouble:
            return by_count
        if self._clock() < held.begins:
            return 0.0  # the clock is slow, nobody knows how much: half life may be over
        return min(by_count, held.renew_at(self._jitter) - self._clock())

    def _fits(self, held: Identity, age: float) -> bool:
        """Whether the clock fits a certificate that was made `age` seconds ago."""
        return 0.0 <= self._clock() - held.begins - age <= CLOCK_SLACK

    def _note_clock(self, made: Identity) -> None:
        """Compare the clock with the dates of a certificate that has just been made."""
        self._seen = (made.certificate_pem, self._steady())
        self._clock_trouble = ""
        if not self._fits(made, 0.0):
            self._clock_trouble = (
                f"this machine's clock reads {identity.day(self._clock())}, but the manager has "
                f"just issued a certificate valid from {identity.day(made.begins)}: one of the two "
                "clocks is wrong. Until it is set, times in the log and of retries may be wrong too"
            )
            self._log.warning(self._clock_trouble)

    async def _until_renewed(self) -> None:
        """Try each manager in turn, with full jitter under a doubling bound.

        Ends too if the machine is enrolled again meanwhile: what failed for the identity of before
        says nothing of the new one.
        """
        failures = 0
        while not await self._renewed(failures):
            bound = min(RETRY_MAXIMUM, RETRY_FIRST * 2.0 ** min(failures, 16))
            failures += 1
            if await self._replaced_within(self._chance() * bound):
                self.trouble = ""
                break
        self._jitter = self._chance()

    async def _replaced_within(self, seconds: float) -> bool:
        """Wait until the next try is due; True if the identity that failed is replaced by then."""
        was_connected = self._connected()
        while seconds > 0:
            await asyncio.sleep(min(seconds, LOOK_WHILE_DUE))
            seconds -= LOOK_WHILE_DUE
            try:
                held = await self._held()
            except (NotEnrolled, IdentityUnusable):
                continue  # the stream logs it
            if held.certificate_pem != self._failed:
                return True
            if self._connected() and not was_connected:
                return False
            was_connected = self._connected()
        return False

    async def _renewed(self, failures: int) -> bool:
        """Renew what is on disk now: the machine may have been enrolled again meanwhile."""
        address = self._managers.addresses[self._next % len(self._managers.addresses)]
        self._next += 1
        try:
            held = await self._held()
        except (NotEnrolled, IdentityUnusable):
            return False  # the stream logs it
        try:
            renewed = await _renew(address, held)
            saved = await asyncio.to_thread(identity.save_renewed, self._folder, held, renewed)
        except (RenewalFailed, IdentityUnusable, durable_file.NotWritten) as error:
            self.trouble, self._failed = str(error), held.certificate_pem
            self._complain(held, failures)
            return False
        self.trouble = ""
        if not saved:
            return True  # enrolled again meanwhile: that identity counts, not what was renewed
        self.ends, self._last = renewed.ends, renewed
        self._note_clock(renewed)
        # A manager that has not followed yet may have answered: not at once again.
        self._trust_due = self._steady() + TRUST_AGAIN
        self._log.info(f"certificate renewed; it expires {identity.day(renewed.ends)}")
        if renewed.trusted != held.trusted or renewed.issuer != held.issuer:
            self._log.info(
                f"the managers' CA is being replaced: this machine trusts "
                f"{' and '.join(each[:16] for each in renewed.trusted)} now, and its certificate "
                f"is by {renewed.issuer[:16]}"
            )
        self._called = ("", "")
        if renewed.cluster != held.cluster:
            self._log.info(f"this machine's cluster was renamed to {renewed.cluster}")
        if renewed.machine != held.machine:
            self._log.info(
                f"this machine was renamed from {held.machine} to {renewed.machine}; in mail it "
                "goes by the name of before until the agent is restarted, unless "
                "deliver.helo_name is set"
            )
        return True

    async def _held(self) -> Identity:
        held = await asyncio.to_thread(identity.load, self._folder)
        self.ends, self._last = held.ends, held
        return held

    def _complain(self, held: Identity, failures: int) -> None:
        """Log the first failure, the first after the end, and every tenth."""
        ended = held.ends <= self._clock()
        news = failures == 0 or (ended and self._ended != held.certificate_pem)
        if not news and failures % 10 != 9:
            return
        if ended:
            self._ended = held.certificate_pem
            self._log.error(
                f"this machine's certificate expired {identity.day(held.ends)} and can't be "
                f"renewed ({self.trouble}). Mail flow continues with current settings, but no "
                "manager can change them. Enrol the machine with a new join token (tdc-agent enrol)"
            )
        else:
            self._log.warning(self.warnings()[0])


async def _renew(address: str, held: Identity) -> Identity:
    """Ask one manager; raises RenewalFailed, IdentityUnusable."""
    request = agents_pb2.RenewRequest(csr_pem=identity.request_for(held.key_pem))
    pem = (held.ca_pem, held.certificate_pem, held.key_pem)
    async with grpc_tls.client_channel(address, *pem) as channel:
        try:
            answer = await agents_pb2_grpc.AgentsStub(channel).Renew(request, timeout=TIMEOUT)
        except grpc.aio.AioRpcError as error:
            raise RenewalFailed(f"{address}: {reason(error.details() or '')}") from None
    # What is trusted may be another CA by now, or two: the manager was trusted by those of before.
    trusted = answer.ca_pem.encode() or held.ca_pem
    renewed = identity.make_identity(held.key_pem, answer.certificate_pem.encode(), trusted)
    # By another name it is the same machine, which was renamed; by another enrolment it is not.
    if renewed.enrolment != held.enrolment:
        raise RenewalFailed(f"{address} sent another machine's certificate")
    return renewed
