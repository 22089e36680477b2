"""Renewal of the machine's certificate, by itself, at half life.

A certificate that runs out never stops mail: the agent goes on with what is in force, says so
loudly, and keeps trying, slowly and with jitter, so that a fleet does not try all at once.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc.aio
import tenacity
from tdc.node_agent.log_lines import TdcLog
from tdc.node_agent.sync import identity
from tdc.node_agent.sync.identity import Identity, IdentityUnusable, NotEnrolled
from tdc.node_agent.sync.stream import Managers
from tdc.shared.edge import durable_file, grpc_tls
from tdc.shared.edge.clock import Chance, Clock, chance, wall
from tdc.v1 import agents_pb2, agents_pb2_grpc

TIMEOUT = 15.0
RETRY_MAXIMUM = 600.0
LOOK_AGAIN = 60.0
"""Seconds after which the clock is looked at again: an administrator may have set it."""


class RenewalFailed(Exception):
    """No new certificate; the text says why."""


class Renewal:
    """Keeps the certificate in `folder` fresh; `run` once. `clock` is Unix time."""

    def __init__(
        self,
        managers: Managers,
        folder: Path,
        log: TdcLog,
        *,
        clock: Clock = wall,
        chance: Chance = chance,
        retry_maximum: float = RETRY_MAXIMUM,
    ) -> None:
        self._managers = managers
        self._folder = folder
        self._log = log
        self._clock = clock
        self._chance = chance
        self._retry_maximum = retry_maximum
        self._jitter = chance()
        self._next = 0
        self.ends: float | None = None
        self.trouble = ""

    def warnings(self) -> tuple[str, ...]:
        """Return what an operator should know of the certificate; empty if all is well."""
        if not self.trouble:
            return ()
        when = f"; it ends {identity.day(self.ends)}" if self.ends is not None else ""
        return (f"the certificate could not be renewed: {self.trouble}{when}",)

    async def run(self) -> None:
        """Renew whenever it is due, until cancelled."""
        while True:
            try:
                held = await self._held()
            except (NotEnrolled, IdentityUnusable):
                await asyncio.sleep(LOOK_AGAIN)  # the stream says so, at each try
                continue
            wait = held.renew_at(self._jitter) - self._clock()
            if wait > 0:
                await asyncio.sleep(min(wait, LOOK_AGAIN))
            else:
                await self._until_renewed()

    async def _until_renewed(self) -> None:
        async for attempt in tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(RenewalFailed),
            wait=tenacity.wait_random_exponential(multiplier=1.0, max=self._retry_maximum),
        ):
            with attempt:
                await self._once(attempt.retry_state.attempt_number)
        self._jitter = self._chance()

    async def _once(self, number: int) -> None:
        """Renew what is on disk now: the machine may have been enrolled anew meanwhile."""
        address = self._managers.addresses[self._next % len(self._managers.addresses)]
        self._next += 1
        try:
            held = await self._held()
        except (NotEnrolled, IdentityUnusable) as error:
            raise RenewalFailed(str(error)) from None
        try:
            renewed = await _renew(address, held)
            await asyncio.to_thread(identity.save_certificate, self._folder, renewed)
        except (RenewalFailed, IdentityUnusable, durable_file.NotWritten) as error:
            self.trouble = str(error)
            self._complain(held, number)
            raise RenewalFailed(str(error)) from None
        self.ends, self.trouble = renewed.ends, ""
        self._log.info(f"certificate renewed; it ends {identity.day(renewed.ends)}")

    async def _held(self) -> Identity:
        held = await asyncio.to_thread(identity.load, self._folder)
        self.ends = held.ends
        return held

    def _complain(self, held: Identity, number: int) -> None:
        if held.ends <= self._clock():
            self._log.error(
                f"this machine's certificate ended {identity.day(held.ends)} and can't be "
                f"renewed ({self.trouble}). Mail goes on with the settings in force; no manager "
                "is heard until the machine is enrolled with a new join token (tdc-agent enrol)"
            )
        elif number == 1 or number % 10 == 0:
            self._log.warning(self.warnings()[0])


async def _renew(address: str, held: Identity) -> Identity:
    """Ask one manager; raises RenewalFailed, IdentityUnusable."""
    request = agents_pb2.RenewRequest(csr_pem=identity.request_for(held.key_pem))
    pem = (held.ca_pem, held.certificate_pem, held.key_pem)
    async with grpc_tls.client_channel(address, *pem) as channel:
        try:
            answer = await agents_pb2_grpc.AgentsStub(channel).Renew(request, timeout=TIMEOUT)
        except grpc.aio.AioRpcError as error:
            raise RenewalFailed(f"{address}: {error.details()}") from None
    renewed = identity.make_identity(held.key_pem, answer.certificate_pem.encode(), held.ca_pem)
    if (renewed.cluster, renewed.machine) != (held.cluster, held.machine):
        raise RenewalFailed(f"{address} sent the certificate of another machine")
    return renewed
