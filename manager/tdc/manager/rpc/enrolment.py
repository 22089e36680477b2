"""tdc.v1.Enrolment: a one-use join token and a key made on the machine -> a certificate.

The order is what makes it safe: the request's key is judged before the token is used (a weak key
does not burn a token), the token is used before a certificate exists, and the certificate is for
the machine that the token names, never for another that the request may name.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from dataclasses import replace
from typing import Protocol

import grpc
import grpc.aio
from tdc.manager.identity.authorities import Issuing
from tdc.manager.identity.authority import MACHINE_LIFETIME, RequestRefused
from tdc.manager.identity.join import token_hash
from tdc.manager.identity.rates import Budget, Rate, address_of
from tdc.manager.intent.refused import Refused, of_token, unheard
from tdc.manager.rpc.caller_log import CallerLog
from tdc.manager.store.errors import TokenExpired, TokenUnknown, TokenUsed
from tdc.manager.store.joins import JoinToken
from tdc.shared.edge import grpc_words
from tdc.shared.edge.clock import Clock, monotonic, wall
from tdc.v1 import agents_pb2, agents_pb2_grpc

log = logging.getLogger(__name__)

Context = grpc.aio.ServicerContext[agents_pb2.EnrolRequest, agents_pb2.EnrolResponse]

CATCH_UP = 3.0
"""Seconds that an answer waits for this manager's view to know the new enrolment."""
STORE_HANGS = 1.0
"""Seconds after which a token that is not looked up yet tells of the store, not of the caller."""


TRIES_EACH = Rate(burst=100, per_second=0.5)
"""Tries that fail, or are under way, from one address: a site's machines may share one."""

TRIES_IN_ALL = Rate(burst=400, per_second=10.0)


class Redeemer(Protocol):
    """The part of the join store that enrolment needs."""

    async def redeem(
        self, token_hash: str, now: float, enrolment_id: str, origin: str, /
    ) -> JoinToken:
        """Use a token; raises TokenUnknown, TokenUsed, TokenExpired, EtcdError."""


class Enrolments(Protocol):
    """The part of the view that enrolment needs."""

    def enrolment(self, cluster: str, machine: str) -> str | None:
        """Id of the machine's valid enrolment; None if it has none."""

    def present(self, place: str, slot: str, born: int) -> tuple[str, str] | None:
        """What the cluster and the machine of a token are called now; None if it is not there."""


class EnrolmentService(agents_pb2_grpc.EnrolmentServicer):
    """The service; `lifetime` is that of the certificates, seconds."""

    def __init__(
        self,
        joins: Redeemer,
        authority: Issuing,
        view: Enrolments,
        clock: Clock = wall,
        steady: Clock = monotonic,
        lifetime: float = MACHINE_LIFETIME,
        refused: Refused = unheard,
    ) -> None:
        """`refused` hears of tokens that were not good."""
        self._joins = joins
        self._refused = refused
        self._authority = authority
        self._view = view
        self._clock = clock
        self._steady = steady
        self._lifetime = lifetime
        self._tries = Budget(TRIES_EACH, TRIES_IN_ALL)
        self._lines = CallerLog(log)

    async def Enrol(  # noqa: N802
        self, request: agents_pb2.EnrolRequest, context: Context
    ) -> agents_pb2.EnrolResponse:
        """Turn a join token into a certificate, once."""
        address = address_of(context.peer())
        if not self._tries.take(address):
            await context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"too many enrolments failed from {address}, or from everywhere; the join token "
                "was not used: try again in a minute",
            )
        try:
            self._authority.check_request(request.csr_pem)
        except RequestRefused as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        enrolment, began = uuid.uuid4().hex, self._steady()
        try:
            origin = grpc_words.address(context.peer())
            token = await self._joins.redeem(
                token_hash(request.token), self._clock(), enrolment, origin
            )
        except (TokenUnknown, TokenUsed, TokenExpired) as error:
            peer = context.peer()
            where = grpc_words.address(peer)
            self._lines.warning(peer, "refused: enrolment from %s: %s", where, error)
            self._refused(of_token(where, str(error)))
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, str(error))
        except Exception:  # the store is away, say: no fault of the caller
            self._tries.give_back(address)
            raise
        except asyncio.CancelledError:
            # The caller's patience is over. If the store had hung, that is no fault of his; who
            # gives up at once would otherwise have as many tries as he likes.
            if self._steady() - began >= STORE_HANGS:
                self._tries.give_back(address)
            raise
        self._tries.give_back(address)
        known = self._view.present(token.cluster, token.kept_as, token.born)
        cluster, name = known or (token.cluster, token.machine)
        token = replace(token, cluster=cluster, machine=name, slot=token.kept_as)
        certificate = self._authority.issue_machine(
            request.csr_pem, token.cluster, token.machine, enrolment, lifetime=self._lifetime
        )
        log.info(
            "machine %s of cluster %s enrolled from %s",
            token.machine,
            token.cluster,
            grpc_words.address(context.peer()),
        )
        await self._catch_up(token, enrolment)
        return agents_pb2.EnrolResponse(
            certificate_pem=certificate.decode(),
            ca_pem=self._authority.ca_pem.decode(),
            machine=token.machine,
            cluster=token.cluster,
        )

    async def _catch_up(self, token: JoinToken, enrolment: str) -> None:
        """Wait for the watch, so that the machine's first stream is not denied for being early."""
        try:
            async with asyncio.timeout(CATCH_UP):
                while self._view.enrolment(token.cluster, token.machine) != enrolment:  # noqa: ASYNC110  # short, rare
                    await asyncio.sleep(0.02)
        except TimeoutError:
            log.warning("this manager does not see the enrolment of %s yet", token.machine)
