"""The etcd v3 client: the only file that imports the client library, for its stubs alone.

Channel, login and watch are ours (docs/decisions/0001-etcd-client.md). Every call has a
deadline. Reads move on to the next endpoint; a transaction is sent once, and when its answer
is lost the caller is told so (`EtcdAnswerLost`) and settles it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any, Self

import grpc
from aetcd.rpc import (
    AlarmRequest,
    AlarmType,
    AuthenticateRequest,
    AuthStub,
    CompactionRequest,
    Compare,
    DefragmentRequest,
    DeleteRangeRequest,
    KVStub,
    MaintenanceStub,
    PutRequest,
    RangeRequest,
    RequestOp,
    StatusRequest,
    TxnRequest,
    WatchCreateRequest,
    WatchProgressRequest,
    WatchRequest,
    WatchStub,
)
from tdc.manager.etcd.channel import Channels, EtcdOptions
from tdc.manager.etcd.errors import (
    Compacted,
    EtcdError,
    EtcdRefused,
    EtcdSilent,
    EtcdUnavailable,
    Reason,
)
from tdc.manager.etcd.grpc_errors import (
    details_of,
    not_answered,
    refusal,
    token_refused,
    translated,
)
from tdc.manager.etcd.values import (
    Delete,
    EtcdStatus,
    Event,
    Get,
    KeyValue,
    Operation,
    Put,
    Read,
    TxnResult,
    Unchanged,
    WatchMessage,
    prefix_end,
)

PAGE = 64
"""Keys in one page of a range read: bounds the memory and time of one answer."""

Metadata = tuple[tuple[str, str], ...]
# Go's WithRequireLeader: a member cut off from its leader ends the stream instead of going quiet.
_HAS_LEADER = (("hasleader", "true"),)


class EtcdClient:
    """One client of one etcd. Use as ``async with EtcdClient(options) as etcd``."""

    def __init__(self, options: EtcdOptions) -> None:
        """Take the options; raises OptionsError. Nothing is connected yet."""
        self.options = options
        self._channels = Channels(options)
        self._token: Metadata | None = None
        self._logging_in = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the channels; calls and watches in progress end."""
        await self._channels.close()

    async def get(self, key: str) -> KeyValue | None:
        """Return one key as it is now (linearizable), None if absent."""
        answer = await self._read(lambda stub: stub.Range, RangeRequest(key=_bytes(key)))
        return _key_value(answer.kvs[0]) if answer.kvs else None

    async def range(self, prefix: str, *, keys_only: bool = False) -> Read:
        """Return all keys under `prefix` as of one revision (linearizable), in key order."""
        pages = [page async for page in self.pages(prefix, keys_only=keys_only)]
        items = tuple(item for page in pages for item in page.items)
        return Read(pages[0].revision, pages[0].cluster_id, items)

    async def pages(
        self, prefix: str, *, keys_only: bool = False, limit: int = PAGE
    ) -> AsyncGenerator[Read]:
        """Yield the keys under `prefix` as `range` does, up to `limit` at a time."""
        start, revision = prefix, 0
        while start:
            request = RangeRequest(
                **_span(start, prefix_end(prefix)),
                limit=limit,
                revision=revision,
                keys_only=keys_only,
            )
            answer = await self._read(lambda stub: stub.Range, request)
            revision = revision or answer.header.revision
            items = tuple(map(_key_value, answer.kvs))
            yield Read(revision, answer.header.cluster_id, items)
            start = items[-1].key + "\0" if answer.more else ""

    async def get_many(self, keys: Sequence[str]) -> dict[str, KeyValue]:
        """Return those of up to 128 keys that exist, all as of one revision (linearizable)."""
        request = TxnRequest(success=[_operation(Get(key)) for key in keys])
        answer = await self._read(lambda stub: stub.Txn, request)
        pairs = [pair for part in answer.responses for pair in part.response_range.kvs]
        return {item.key: item for item in map(_key_value, pairs)}

    async def newest(self, start: str, end: str, limit: int) -> Read:
        """Return the last `limit` keys of [start, end), in descending order."""
        request = RangeRequest(
            **_span(start, end),
            limit=limit,
            sort_order=RangeRequest.DESCEND,
            sort_target=RangeRequest.KEY,
        )
        answer = await self._read(lambda stub: stub.Range, request)
        items = tuple(_key_value(pair) for pair in answer.kvs)
        return Read(answer.header.revision, answer.header.cluster_id, items)

    async def status(self) -> EtcdStatus:
        """Return size, version and alarms of the member in use."""
        answer = await self._read(lambda stub: stub.Status, StatusRequest(), MaintenanceStub)
        alarms = {AlarmType.Name(alarm.alarm) for alarm in await self._alarms()}
        return EtcdStatus(
            version=answer.version,
            size=answer.dbSize,
            size_in_use=answer.dbSizeInUse,
            quota=self.options.quota,
            revision=answer.header.revision,
            cluster_id=answer.header.cluster_id,
            member_id=answer.header.member_id,
            leader=answer.leader,
            alarms=tuple(sorted(alarms)),
        )

    async def txn(
        self,
        compares: Sequence[Unchanged],
        then: Sequence[Operation],
        otherwise: Sequence[Operation] = (),
    ) -> TxnResult:
        """Execute one transaction, at most once.

        Raises EtcdUnavailable (certainly not executed), EtcdAnswerLost (not known), EtcdRefused.
        """
        request = TxnRequest(
            compare=[
                Compare(target=Compare.MOD, key=_bytes(each.key), mod_revision=each.mod_revision)
                for each in compares
            ],
            success=[_operation(operation) for operation in then],
            failure=[_operation(operation) for operation in otherwise],
        )
        answer = await self._once(request)
        return TxnResult(
            succeeded=answer.succeeded,
            revision=answer.header.revision,
            reads=tuple(
                tuple(_key_value(pair) for pair in part.response_range.kvs)
                for part in answer.responses
                if part.HasField("response_range")
            ),
        )

    async def compact(self, revision: int, *, wait: bool = False) -> None:
        """Forget etcd's history before `revision`; one that is compacted already is no error.

        With `wait`, until the space is free inside the database.
        """
        request = CompactionRequest(revision=revision, physical=wait)
        timeout = 60.0 if wait else None
        with contextlib.suppress(Compacted):
            await self._read(lambda stub: stub.Compact, request, timeout=timeout)

    async def defragment(self, *, timeout: float = 60.0) -> None:
        """Give freed space back to the file system; the member answers nothing meanwhile."""
        await self._read(
            lambda stub: stub.Defragment, DefragmentRequest(), MaintenanceStub, timeout=timeout
        )

    async def disarm(self) -> None:
        """Clear the members' NOSPACE alarms, after their cause is gone."""
        for alarm in await self._alarms():
            if alarm.alarm == AlarmType.Value("NOSPACE"):
                request = AlarmRequest(
                    action=AlarmRequest.DEACTIVATE, memberID=alarm.memberID, alarm=alarm.alarm
                )
                await self._read(lambda stub: stub.Alarm, request, MaintenanceStub)

    async def _alarms(self) -> Any:
        request = AlarmRequest(action=AlarmRequest.GET)
        return (await self._read(lambda stub: stub.Alarm, request, MaintenanceStub)).alarms

    async def watch(
        self, prefix: str, start_revision: int, *, deadline: float
    ) -> AsyncGenerator[WatchMessage, None]:
        """Yield the messages of one watch stream, each within `deadline` seconds of the last.

        Asks etcd for a sign of life three times a deadline. Ends when the server ends the stream
        cleanly; raises EtcdSilent, EtcdUnavailable, EtcdRefused or Compacted otherwise. Never
        reconnects: only a caller who re-reads knows that nothing was missed.
        """
        target, channel = await self._channels.connected()
        call = WatchStub(channel).Watch(
            _watch_requests(prefix, start_revision, deadline / 3),
            metadata=(*_HAS_LEADER, *await self._login(channel)),
        )
        messages = call.__aiter__()
        try:
            while True:
                async with asyncio.timeout(deadline):
                    answer = await anext(messages, None)
                if answer is None:
                    return
                yield _watch_message(answer)
        except TimeoutError:
            self._channels.prefer_next(target)
            raise EtcdSilent(
                f"etcd at {target} gave no sign of life for {deadline:g} s; "
                "it is frozen, overloaded, or the network drops its packets"
            ) from None
        except grpc.aio.AioRpcError as error:
            self._channels.prefer_next(target)
            raise translated(error, target, sent=False) from error
        finally:
            call.cancel()

    async def _read(
        self,
        method: Callable[[Any], Any],
        request: object,
        stub: type = KVStub,
        *,
        timeout: float | None = None,
    ) -> Any:
        """Call what may be repeated: on each endpoint in turn until one answers."""
        last: EtcdError | None = None
        for _ in self.options.endpoints:
            target, channel = await self._channels.connected()
            try:
                return await self._call(channel, method(stub(channel)), request, timeout)
            except grpc.aio.AioRpcError as error:
                last = translated(error, target, sent=False)
                if not isinstance(last, EtcdUnavailable):
                    raise last from error
                self._channels.prefer_next(target)
        assert last is not None  # there is at least one endpoint
        raise last

    async def _once(self, request: object) -> Any:
        """Send a transaction over one connected endpoint, once."""
        target, channel = await self._channels.connected()
        try:
            return await self._call(channel, KVStub(channel).Txn, request, None)
        except grpc.aio.AioRpcError as error:
            ours = translated(error, target, sent=True)
            if not isinstance(ours, EtcdRefused):
                self._channels.prefer_next(target)
            raise ours from error

    async def _call(
        self,
        channel: grpc.aio.Channel,
        method: Callable[..., Awaitable[Any]],
        request: object,
        timeout: float | None,
    ) -> Any:
        """Call with login and deadline.

        A refused token is renewed once and the call repeated: etcd checks the token before it
        proposes anything, so such a call was certainly not executed.
        """
        deadline = self.options.timeout if timeout is None else timeout
        login = await self._login(channel)
        try:
            return await method(request, timeout=deadline, metadata=(*_HAS_LEADER, *login))
        except grpc.aio.AioRpcError as error:
            if self.options.user is None or not token_refused(error):
                raise
        renewed = await self._login(channel, refused=login)
        return await method(request, timeout=deadline, metadata=(*_HAS_LEADER, *renewed))

    async def _login(self, channel: grpc.aio.Channel, refused: Metadata | None = None) -> Metadata:
        """Return the token as call metadata; a new one if there is none or it was `refused`.

        Empty without a user, or where etcd asks for no login. Calls that find the token refused
        at the same time share one new login: each costs etcd a password hash.
        """
        if self.options.user is None:
            return ()
        async with self._logging_in:
            if self._token is None or self._token == refused:
                self._token = await self._new_token(channel)
            return self._token

    async def _new_token(self, channel: grpc.aio.Channel) -> Metadata:
        request = AuthenticateRequest(name=self.options.user, password=self.options.password)
        try:
            answer = await AuthStub(channel).Authenticate(request, timeout=self.options.timeout)
        except grpc.aio.AioRpcError as error:
            if "authentication is not enabled" in details_of(error):
                return ()
            if not_answered(error):
                raise EtcdUnavailable(f"could not log in to etcd: {details_of(error)}") from error
            raise EtcdRefused(
                Reason.LOGIN,
                f"etcd refused the login of user {self.options.user!r}: {details_of(error)}; "
                "check the user and its password",
            ) from error
        return (("token", answer.token),)


def _bytes(key: str) -> bytes:
    return key.encode("utf-8", "surrogateescape")


def _text(key: bytes) -> str:
    return key.decode("utf-8", "surrogateescape")


def _key_value(pair: Any) -> KeyValue:
    return KeyValue(_text(pair.key), pair.value, pair.mod_revision)


def _operation(operation: Operation) -> Any:
    match operation:
        case Put(key, value):
            return RequestOp(request_put=PutRequest(key=_bytes(key), value=value))
        case Delete(key, end):
            return RequestOp(request_delete_range=DeleteRangeRequest(**_span(key, end)))
        case Get(key, end):
            return RequestOp(request_range=RangeRequest(**_span(key, end)))


def _span(key: str, end: str | None) -> dict[str, bytes]:
    return {"key": _bytes(key), "range_end": _bytes(end or "")}


async def _watch_requests(
    prefix: str, start_revision: int, every: float
) -> AsyncGenerator[Any, None]:
    """Create the watch, then ask for progress again and again; gRPC's call owns this iterator."""
    yield WatchRequest(
        create_request=WatchCreateRequest(
            **_span(prefix, prefix_end(prefix)),
            start_revision=start_revision,
            progress_notify=True,
            fragment=True,
        )
    )
    while True:
        await asyncio.sleep(every)
        yield WatchRequest(progress_request=WatchProgressRequest())


def _watch_message(answer: Any) -> WatchMessage:
    if answer.compact_revision:
        raise Compacted(answer.compact_revision)
    if answer.canceled:
        reason = answer.cancel_reason or "no reason given"
        raise refusal(grpc.StatusCode.UNKNOWN, reason) or EtcdUnavailable(
            f"etcd cancelled the watch: {reason}"
        )
    return WatchMessage(
        revision=answer.header.revision,
        cluster_id=answer.header.cluster_id,
        events=tuple(_event(event) for event in answer.events),
        more=answer.fragment,
    )


def _event(event: Any) -> Event:
    deleted = event.type == event.DELETE
    return Event(_text(event.kv.key), None if deleted else event.kv.value, event.kv.mod_revision)
