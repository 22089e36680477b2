"""Calls to etcd over a connected channel: login, deadline, and which of them may be repeated.

A read moves on to the next endpoint until one answers. A transaction is sent once: when its
answer is lost, that is what the caller hears (`EtcdAnswerLost`), because only the caller can find
out what became of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import grpc
import grpc.aio
from tdc.manager.etcd.channel import Channels, EtcdOptions, shown
from tdc.manager.etcd.errors import EtcdError, EtcdRefused, EtcdSilent, EtcdUnavailable, Reason
from tdc.manager.etcd.grpc_errors import details_of, not_answered, token_refused, translated
from tdc.manager.etcd.stubs import rpc_pb2, rpc_pb2_grpc
from tdc.shared.edge.grpc_words import reason

Request = TypeVar("Request")
Answer = TypeVar("Answer")
Method = Callable[[grpc.aio.Channel], Callable[..., Awaitable[Answer]]]
"""Which method of etcd on a channel, as the generated stubs have it: called with a request."""

Metadata = tuple[tuple[str, str], ...]
# Go's WithRequireLeader: a member cut off from its leader ends the stream instead of going quiet.
_HAS_LEADER = (("hasleader", "true"),)

_IN_ALL = 1.6
"""Deadlines that a read may take on all endpoints together: 8 s of the 10 s that `tdc` waits."""


class Calls:
    """The calls of one client: its channels and its login.

    `denials` counts calls refused for want of a login or a permission. A watch that was let in
    before goes on, so this is how its reader learns of it.
    """

    def __init__(self, options: EtcdOptions) -> None:
        """Take the options; raises EtcdOptionsError. Nothing is connected yet."""
        self._options = options
        self._channels = Channels(options)
        self._token: Metadata | None = None
        self._logging_in = asyncio.Lock()
        self.denials = 0

    async def close(self) -> None:
        """Close the channels; calls in progress end."""
        await self._channels.close()

    async def read(
        self,
        method: Method[Answer],
        request: Request,
        *,
        timeout: float | None = None,
    ) -> Answer:
        """Call what may be repeated: on each endpoint in turn until one answers.

        All of it takes _IN_ALL deadlines at most, however many endpoints there are: a caller must
        learn that nothing came of it before its own patience ends. The next read goes on from the
        endpoint that this one came to.
        """
        in_all = _IN_ALL * (self._options.timeout if timeout is None else timeout)
        last: EtcdError | None = None
        try:
            async with asyncio.timeout(in_all):
                for _ in self._options.endpoints:
                    target, channel = await self._channels.connected()
                    try:
                        return await self._call(channel, method, request, timeout)
                    except grpc.aio.AioRpcError as error:
                        last = self._translated(error, target)
                        if not isinstance(last, EtcdUnavailable):
                            raise last from error
                        self._channels.prefer_next(target)
        except EtcdRefused as error:
            self._count(error)
            raise
        except TimeoutError:
            self._channels.prefer_next(self._channels.current)
            if last is None:
                last = EtcdUnavailable(f"etcd did not answer within {in_all:g} s")
        assert last is not None  # there is at least one endpoint
        raise last

    async def transaction(self, request: rpc_pb2.TxnRequest) -> rpc_pb2.TxnResponse:
        """Send a transaction over one connected endpoint, once."""
        target, channel = await self._channels.connected()
        try:
            return await self._call(channel, _txn, request, None)
        except EtcdRefused as error:  # at the login
            self._count(error)
            raise
        except grpc.aio.AioRpcError as error:
            ours = self._translated(error, target, sent=True)
            if isinstance(ours, EtcdRefused):
                self._count(ours)
            else:
                self._channels.prefer_next(target)
            raise ours from error

    def _count(self, error: EtcdRefused) -> None:
        if error.reason in {Reason.LOGIN, Reason.PERMISSION}:
            self.denials += 1

    async def watch(
        self, requests: AsyncIterator[rpc_pb2.WatchRequest], deadline: float
    ) -> AsyncGenerator[rpc_pb2.WatchResponse, None]:
        """Yield the answers of one watch stream, each within `deadline` seconds of the last.

        Ends when the server ends the stream cleanly; raises an EtcdError otherwise. Closing this
        generator ends the stream.
        """
        target, channel = await self._channels.connected()
        metadata = (*_HAS_LEADER, *await self._login(channel))
        call = rpc_pb2_grpc.WatchStub(channel).Watch(requests, metadata=metadata)
        answers = call.__aiter__()
        try:
            while True:
                async with asyncio.timeout(deadline):
                    answer = await anext(answers, None)
                if answer is None:
                    return
                yield answer
        except TimeoutError:
            self._channels.prefer_next(target)
            raise EtcdSilent(
                f"etcd at {shown(target)} gave no sign of life for {deadline:g} s; "
                "it is frozen, overloaded, or the network drops its packets"
            ) from None
        except grpc.aio.AioRpcError as error:
            self._channels.prefer_next(target)
            raise self._translated(error, target) from error
        finally:
            call.cancel()

    def _translated(
        self, error: grpc.aio.AioRpcError, target: str, *, sent: bool = False
    ) -> EtcdError:
        return translated(error, shown(target), sent=sent, prefix=self._options.prefix)

    async def _call(
        self,
        channel: grpc.aio.Channel,
        method: Method[Answer],
        request: Request,
        timeout: float | None,
    ) -> Answer:
        """Call with login and deadline.

        A refused token is renewed once and the call repeated: etcd checks the token before it
        proposes anything, so such a call was certainly not executed.
        """
        call = method(channel)
        deadline = self._options.timeout if timeout is None else timeout
        login = await self._login(channel)
        try:
            return await call(request, timeout=deadline, metadata=(*_HAS_LEADER, *login))
        except grpc.aio.AioRpcError as error:
            if self._options.user is None or not token_refused(error):
                raise
        renewed = await self._login(channel, refused=login)
        return await call(request, timeout=deadline, metadata=(*_HAS_LEADER, *renewed))

    async def _login(self, channel: grpc.aio.Channel, refused: Metadata | None = None) -> Metadata:
        """The token as call metadata; a new one if there is none or it was `refused`.

        Empty without a user, or where etcd asks for no login. Calls that find the token refused
        at the same time share one new login: each costs etcd a password hash.
        """
        if self._options.user is None:
            return ()
        async with self._logging_in:
            if self._token is None or self._token == refused:
                self._token = await self._new_token(channel)
            return self._token

    def _password(self) -> str:
        password = self._options.password
        if not callable(password):
            return password or ""
        try:
            return password()
        except Exception as error:  # whatever its source raises, there is no login without it
            raise EtcdRefused(Reason.LOGIN, f"no password for etcd: {error}") from error

    async def _new_token(self, channel: grpc.aio.Channel) -> Metadata:
        user, timeout = self._options.user, self._options.timeout
        request = rpc_pb2.AuthenticateRequest(name=user, password=self._password())
        try:
            stub = rpc_pb2_grpc.AuthStub(channel)
            answer = await stub.Authenticate(request, timeout=timeout)
        except grpc.aio.AioRpcError as error:
            if "authentication is not enabled" in details_of(error):
                return ()
            if not_answered(error):
                raise EtcdUnavailable(
                    f"could not log in to etcd: {reason(details_of(error))}"
                ) from error
            raise EtcdRefused(
                Reason.LOGIN,
                f"etcd refused the login of user {user!r}: {details_of(error)}; "
                "check the user and its password",
            ) from error
        return (("token", answer.token),)


def one_answer(
    call: grpc.aio.StreamStreamMultiCallable[Request, Answer],
) -> Callable[..., Awaitable[Answer]]:
    """Of a method that takes and gives a stream, one request and its answer."""

    async def ask(request: Request, **given: Any) -> Answer:
        stream = call(**given)
        try:
            await stream.write(request)
            answer = await stream.read()
            if answer is grpc.aio.EOF:
                raise EtcdUnavailable("etcd ended a call without an answer")
            return answer  # type: ignore[return-value]  # it is not EOF
        finally:
            stream.cancel()

    return ask


def _txn(
    channel: grpc.aio.Channel,
) -> grpc.aio.UnaryUnaryMultiCallable[rpc_pb2.TxnRequest, rpc_pb2.TxnResponse]:
    return rpc_pb2_grpc.KVStub(channel).Txn
