"""The connection to a manager: the one file of the command line that knows grpc.

In: requests. Out: answers, or Refused and NoConnection in an operator's words.
Promises: every call has a deadline; a commit whose answer is lost is repeated with the same
request id, and if that fails too the error says that the commit may have been made.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import grpc
from google.protobuf.message import Message
from grpc import aio
from tdc.manager.cli.config import OperatorConfig
from tdc.manager.cli.errors import (
    CliError,
    NoConnection,
    NotKnown,
    NotPermitted,
    Refused,
    sentence,
)
from tdc.manager.cli.render import is_terminal
from tdc.manager.cli.unreached import no_connection
from tdc.shared.edge.grpc_tls import NOTHING_CHANGED, client_channel
from tdc.shared.edge.grpc_words import never_sent
from tdc.v1 import audit_pb2_grpc, operators_pb2, operators_pb2_grpc, recovery_pb2_grpc

if TYPE_CHECKING:
    from tdc.v1 import managers_pb2_grpc, people_pb2_grpc, provider_pb2_grpc

_Request = TypeVar("_Request", bound=Message)
_Reply = TypeVar("_Reply", bound=Message)

_Made = TypeVar("_Made", bound=operators_pb2.CommitResponse | operators_pb2.QueueResponse)
"""Answers to what is written into the history; both have `revision` and `committed`."""

_PATIENCE = 1.0
"""Seconds before a terminal shows what `tdc` is waiting for."""

_COMMIT_ATTEMPTS = 3


class _AnswerLost(Exception):
    """A commit was sent and no decision came back; `error` is the text for the operator."""

    def __init__(self, error: CliError) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass
class CommitAttempt:
    """The commit under way, so that an interruption can say what may have happened.

    `doubt` says that it may have been made; it is empty before it is sent, and again once the
    manager answered. `unsettled` is True once an answer was lost; `made` has what the manager
    confirmed so far.
    """

    doubt: str = ""
    unsettled: bool = False
    made: list[str] = field(default_factory=list)


class Manager:
    """A connected manager; made by `connected`."""

    def __init__(
        self, channel: aio.Channel, config: OperatorConfig, deadline: float, attempt: CommitAttempt
    ) -> None:
        self._channel = channel
        self._config = config
        self._address = config.manager
        self._deadline = deadline
        self._attempt = attempt
        self._shown = (("authorization", f"Bearer {config.secret}"),) if config.secret else ()
        self.fleet: operators_pb2_grpc.FleetAsyncStub = operators_pb2_grpc.FleetStub(channel)
        self.settings: operators_pb2_grpc.SettingsReaderAsyncStub = (
            operators_pb2_grpc.SettingsReaderStub(channel)
        )
        self.changes: operators_pb2_grpc.ChangesAsyncStub = operators_pb2_grpc.ChangesStub(channel)
        self.drafts: operators_pb2_grpc.DraftsAsyncStub = operators_pb2_grpc.DraftsStub(channel)
        self.monitoring: operators_pb2_grpc.MonitoringAsyncStub = operators_pb2_grpc.MonitoringStub(
            channel
        )
        self.recovery: recovery_pb2_grpc.RecoveryAsyncStub = recovery_pb2_grpc.RecoveryStub(channel)
        self.audit: audit_pb2_grpc.AuditAsyncStub = audit_pb2_grpc.AuditStub(channel)
        self.queue: operators_pb2_grpc.QueueAsyncStub = operators_pb2_grpc.QueueStub(channel)

    @property
    def login(self) -> people_pb2_grpc.LoginAsyncStub:
        """Where sessions begin."""
        from tdc.v1 import people_pb2_grpc  # noqa: PLC0415  # for commands about people only

        return people_pb2_grpc.LoginStub(self._channel)

    @property
    def provider(self) -> provider_pb2_grpc.ProviderLoginAsyncStub:
        """Where sessions of who logs in at a provider begin."""
        from tdc.v1 import provider_pb2_grpc  # noqa: PLC0415  # for these logins only

        return provider_pb2_grpc.ProviderLoginStub(self._channel)

    @property
    def people(self) -> people_pb2_grpc.PeopleAsyncStub:
        """Users, sessions, API tokens, certificates."""
        from tdc.v1 import people_pb2_grpc  # noqa: PLC0415  # for commands about people only

        return people_pb2_grpc.PeopleStub(self._channel)

    @property
    def managers(self) -> managers_pb2_grpc.ManagersAsyncStub:
        """What is asked about managers; its messages are loaded by these commands only."""
        from tdc.v1 import managers_pb2_grpc  # noqa: PLC0415

        return managers_pb2_grpc.ManagersStub(self._channel)

    async def ask(
        self, call: aio.UnaryUnaryMultiCallable[_Request, _Reply], request: _Request
    ) -> _Reply:
        """The manager's answer; raises Refused or NoConnection."""
        try:
            async with _waiting_shown(self._address):
                return await call(request, timeout=self._deadline, metadata=self._shown)
        except aio.AioRpcError as error:
            raise self._in_words(error) from None

    async def commit(
        self,
        call: aio.UnaryUnaryMultiCallable[_Request, _Made],
        request: _Request,
        request_id: str,
    ) -> _Made:
        """Commit once, even if answers are lost; raises Refused or NoConnection."""
        reply = await self.once(call, request, may_be_made(request_id))
        if reply.committed:
            self._attempt.made.append(f"revision {reply.revision} of {reply.cluster}")
        return reply

    async def once(
        self,
        call: aio.UnaryUnaryMultiCallable[_Request, _Reply],
        request: _Request,
        doubt: str,
    ) -> _Reply:
        """Have it done once, even if answers are lost; raises Refused or NoConnection.

        The request has an id of its own; `doubt` is the sentence for one whose answer was lost.
        """
        self._attempt.doubt, self._attempt.unsettled = doubt, False
        try:
            reply = await self._commit_until_answered(call, request)
        except _AnswerLost as lost:
            if not self._attempt.unsettled:
                self._attempt.doubt = ""
                raise type(lost.error)(f"{lost.error} Nothing was changed.") from None
            raise type(lost.error)(f"{lost.error} {doubt}") from None
        except CliError:
            self._attempt.doubt = ""
            raise
        self._attempt.doubt = ""
        return reply

    async def _commit_until_answered(
        self,
        call: aio.UnaryUnaryMultiCallable[_Request, _Reply],
        request: _Request,
    ) -> _Reply:
        import tenacity  # noqa: PLC0415  # for what is committed only

        async for attempt in tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(_AnswerLost),
            stop=tenacity.stop_after_attempt(_COMMIT_ATTEMPTS),
            wait=tenacity.wait_random_exponential(multiplier=0.2, max=2.0),
            reraise=True,
        ):
            with attempt:
                return await self._commit_once(call, request)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _commit_once(
        self,
        call: aio.UnaryUnaryMultiCallable[_Request, _Reply],
        request: _Request,
    ) -> _Reply:
        try:
            async with _waiting_shown(self._address):
                return await call(request, timeout=self._deadline, metadata=self._shown)
        except aio.AioRpcError as error:
            if error.code() in _UNKNOWN_OUTCOME:
                unmade = never_sent(error.details() or "") or any(
                    key == NOTHING_CHANGED for key, _ in error.trailing_metadata() or ()
                )
                self._attempt.unsettled |= not unmade
                raise _AnswerLost(self._in_words(error)) from None
            raise self._in_words(error) from None

    def _in_words(self, error: aio.AioRpcError) -> CliError:
        code, details = error.code(), error.details() or "no reason given"
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return NoConnection(
                f"The manager at {self._address} did not answer within {self._deadline:g} s. "
                f"Try again, or use a longer --timeout."
            )
        if code is grpc.StatusCode.UNAVAILABLE and not self._reached():
            return NoConnection(no_connection(self._config, details))
        if code is grpc.StatusCode.UNIMPLEMENTED:
            return Refused(
                f"The manager at {self._address} does not support this request: it is older than "
                f"this tdc, or the address is that of another of its ports: {_PORTS}."
            )
        kind = _KINDS.get(code, Refused)
        return kind(sentence(_REFUSALS.get(code, "The manager failed: ") + details))

    def _reached(self) -> bool:
        """Whether UNAVAILABLE is the manager's own answer: its store is away, say."""
        return self._channel.get_state() is grpc.ChannelConnectivity.READY


_PORTS = (
    "listen_port for a certificate, operator_port for `tdc login` and API tokens, and enrol_port "
    "for machines"
)

_UNKNOWN_OUTCOME = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.CANCELLED,
}

_KINDS: dict[grpc.StatusCode, type[Refused]] = {
    grpc.StatusCode.UNAUTHENTICATED: NotKnown,
    grpc.StatusCode.PERMISSION_DENIED: NotPermitted,
}

_REFUSALS = {
    grpc.StatusCode.NOT_FOUND: "",
    grpc.StatusCode.ALREADY_EXISTS: "",
    grpc.StatusCode.INVALID_ARGUMENT: "",
    grpc.StatusCode.FAILED_PRECONDITION: "",
    grpc.StatusCode.ABORTED: "",
    grpc.StatusCode.UNAVAILABLE: "The manager can't do this now: ",
    grpc.StatusCode.PERMISSION_DENIED: "Permission denied by the manager: ",
    grpc.StatusCode.UNAUTHENTICATED: "The manager does not know this operator: ",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "Too many requests or too large: ",
}
"""What is put before the manager's own words."""


def may_be_made(request_id: str) -> str:
    """The sentence for a commit whose answer was lost."""
    return (
        f"The commit may or may not have been made. Before you repeat it, look for request id "
        f"{request_id} in `tdc commit history -o json`."
    )


@contextlib.asynccontextmanager
async def connected(
    config: OperatorConfig, deadline: float, attempt: CommitAttempt
) -> AsyncIterator[Manager]:
    """A connection for the body; nothing is sent before the first call."""
    try:
        channel = client_channel(config.manager, config.ca, config.certificate, config.key)
    except ValueError as error:
        raise NoConnection(f"Can't use the certificates in {config.path}: {error}.") from None
    try:
        yield Manager(channel, config, deadline, attempt)
    finally:
        await channel.close()


@contextlib.asynccontextmanager
async def _waiting_shown(address: str) -> AsyncIterator[None]:
    """Show on a terminal what `tdc` is waiting for, once it takes long enough to wonder."""
    if not is_terminal(sys.stderr):
        yield
        return
    line = f"waiting for the manager at {address} ..."
    shown = False

    def tell() -> None:
        nonlocal shown
        shown = True
        print(f"\r{line}", end="", file=sys.stderr, flush=True)

    timer = asyncio.get_running_loop().call_later(_PATIENCE, tell)
    try:
        yield
    finally:
        timer.cancel()
        if shown:
            print(f"\r{' ' * len(line)}\r", end="", file=sys.stderr, flush=True)
