"""Enrolment: a join token and a key made here -> this machine's certificate.

The manager is trusted only if it presents the CA that the token names; the token is not sent
before that is certain. Until a valid certificate has arrived, an earlier identity stays untouched.
What is written belongs to the state folder's owner, also where root enrols (`owner`).
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import grpc.aio
import tenacity
from tdc.node_agent.sync import identity, last_good
from tdc.node_agent.sync.identity import Identity, IdentityUnusable, NotEnrolled
from tdc.node_agent.sync.owner import acting_as_owner, why_not_writable
from tdc.shared.edge import durable_file, grpc_tls
from tdc.shared.edge.grpc_words import connection_lost, never_sent, reason
from tdc.shared.sync.join_token import NotAToken, authority_of
from tdc.v1 import agents_pb2, agents_pb2_grpc

TIMEOUT = 20.0
"""Seconds for each of the manager's answers."""

ATTEMPTS = 6
"""A manager closes connections while too many are opened to it. Until the token is sent, another
one costs nothing."""


_PERHAPS_USED = (
    "The token may be used up by now: try again, and if it is refused make a new one with "
    "`tdc machine token`"
)


class _NotSent(Exception):
    """The token was not sent; the text says why."""


class EnrolFailed(Exception):
    """No certificate; the text says why and what to do. An earlier identity is untouched."""


async def enrol(address: str, token: str, identity_folder: Path, state_folder: Path) -> Identity:
    """Enrol this machine with the manager whose enrolment port is at `address` (host:port).

    Raises EnrolFailed.
    """
    if why := why_not_writable(identity_folder, state_folder):
        raise EnrolFailed(f"{why}. The token was not used")
    try:
        fingerprint = authority_of(token)
        async for attempt in _again_if(grpc_tls.ManagerClosed):
            with attempt:
                ca_pem = await grpc_tls.fetch_authority(address, fingerprint, timeout=TIMEOUT)
    except (NotAToken, grpc_tls.WrongAuthority, grpc_tls.ManagerUnreachable) as error:
        raise EnrolFailed(str(error)) from None
    key_pem = identity.new_key()
    try:
        async for attempt in _again_if(_NotSent):
            with attempt:
                answer = await _ask(address, ca_pem, token, key_pem)
    except _NotSent as error:
        raise EnrolFailed(str(error)) from None
    try:
        # It is from a manager that the token vouched for, and has the CA that is to come as well.
        trusted = answer.ca_pem.encode() or ca_pem
        made = identity.make_identity(key_pem, answer.certificate_pem.encode(), trusted)
        await asyncio.to_thread(_save, made, identity_folder, state_folder)
    except (IdentityUnusable, durable_file.NotWritten) as error:
        raise EnrolFailed(
            f"{error}; the token is used up, so make a new one before you try again"
        ) from None
    return made


def _again_if(kind: type[Exception]) -> tenacity.AsyncRetrying:
    return tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception_type(kind),
        stop=tenacity.stop_after_attempt(ATTEMPTS),
        wait=tenacity.wait_random_exponential(multiplier=0.2, max=2.0),
        reraise=True,
    )


async def _ask(address: str, ca_pem: bytes, token: str, key_pem: bytes) -> agents_pb2.EnrolResponse:
    request = agents_pb2.EnrolRequest(token=token, csr_pem=identity.request_for(key_pem))
    async with grpc_tls.client_channel(address, ca_pem) as channel:
        stub = agents_pb2_grpc.EnrolmentStub(channel)
        try:
            return await stub.Enrol(request, timeout=TIMEOUT)
        except grpc.aio.AioRpcError as error:
            details = error.details() or ""
            if never_sent(details) and "reset" in details:
                raise _NotSent(_reason(address, error)) from None
            raise EnrolFailed(_reason(address, error)) from None


def _reason(address: str, error: grpc.aio.AioRpcError) -> str:
    details = error.details() or "no reason given"
    unsent = never_sent(details)
    if "socket closed" in details.lower():
        lost = "" if unsent else f". If this is that port, the answer was lost. {_PERHAPS_USED}"
        return (
            f"the manager at {address} closed the connection: {address} is probably its port for "
            "enrolled machines, which requires a certificate. Use its enrolment port: 7444, unless "
            f"enrol_port of the manager is another; `tdc machine token` names it{lost}"
        )
    if unsent:
        return f"the manager at {address} was not reached: {reason(details)}"
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return f"the manager at {address} did not answer within {TIMEOUT:g} s. {_PERHAPS_USED}"
    if error.code() is grpc.StatusCode.UNIMPLEMENTED:
        return (
            f"{address} is a port of a manager, but not that for enrolment, which is 7444 unless "
            "enrol_port of the manager is another; `tdc machine token` names it. The token was not "
            "used"
        )
    if connection_lost(details):
        return f"the connection to the manager at {address} was cut. {_PERHAPS_USED}"
    return f"the manager at {address} refused: {details}"


def _save(made: Identity, identity_folder: Path, state_folder: Path) -> None:
    with acting_as_owner(state_folder):
        try:
            before = identity.load(identity_folder)
        except (NotEnrolled, IdentityUnusable):
            before = None
        if before is not None and before.cluster != made.cluster:
            # Another cluster counts its own revisions; its first must not look out of date.
            last_good.forget_history(state_folder)
        identity.save(identity_folder, made)
