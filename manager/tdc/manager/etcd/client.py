"""The etcd v3 client: keys and bytes in, typed values out (docs/decisions/0001-etcd-client.md).

Reads are linearizable: they see every write that was acknowledged before they began.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from typing import Self

from tdc.manager.etcd.calls import Calls, one_answer
from tdc.manager.etcd.channel import EtcdOptions
from tdc.manager.etcd.errors import Compacted
from tdc.manager.etcd.messages import read, to_bytes, transaction, txn_result, watch_message
from tdc.manager.etcd.stubs.rpc_pb2 import (
    NOSPACE,
    AlarmMember,
    AlarmRequest,
    AlarmType,
    CompactionRequest,
    DefragmentRequest,
    HashKVRequest,
    LeaseGrantRequest,
    LeaseKeepAliveRequest,
    LeaseRevokeRequest,
    MemberListRequest,
    RangeRequest,
    RangeResponse,
    StatusRequest,
    WatchCreateRequest,
    WatchProgressRequest,
    WatchRequest,
)
from tdc.manager.etcd.stubs.rpc_pb2_grpc import (
    ClusterStub,
    KVStub,
    LeaseStub,
    MaintenanceStub,
)
from tdc.manager.etcd.values import (
    EtcdHash,
    EtcdMember,
    EtcdStatus,
    Get,
    KeyValue,
    Operation,
    Read,
    TxnResult,
    Unchanged,
    WatchMessage,
    prefix_end,
)
from tdc.manager.etcd.writes import Writes
from tdc.shared.edge.clock import monotonic

PAGE = 64
"""Keys in one page of a range read: bounds the memory and time of one answer."""


class EtcdClient:
    """One client of one etcd. Use as ``async with EtcdClient(options) as etcd``."""

    def __init__(self, options: EtcdOptions, asked_by: Callable[[], str] = str) -> None:
        """Take the options; raises EtcdOptionsError. Nothing is connected yet.

        `asked_by` names who asks for what runs now: writes are counted by it.
        """
        self.options = options
        self.writes = Writes(asked_by, monotonic)
        self._calls = Calls(options)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the channels; calls and watches in progress end."""
        await self._calls.close()

    @property
    def denials(self) -> int:
        """How many calls etcd has refused for want of a login or a permission."""
        return self._calls.denials

    async def get(self, key: str) -> KeyValue | None:
        """Read one key as it is now; None if absent."""
        items = read(await self._range(RangeRequest(key=to_bytes(key)))).items
        return items[0] if items else None

    async def range(self, prefix: str, *, keys_only: bool = False) -> Read:
        """Read all keys under `prefix` as of one revision, in key order."""
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
                key=to_bytes(start),
                range_end=to_bytes(prefix_end(prefix)),
                limit=limit,
                revision=revision,
                keys_only=keys_only,
            )
            answer = await self._range(request)
            page = read(answer, revision)
            revision = page.revision
            yield page
            start = page.items[-1].key + "\0" if answer.more else ""

    async def get_many(self, keys: Sequence[str]) -> dict[str, KeyValue]:
        """Read up to 128 keys as of one revision; those that exist."""
        request = transaction([], [Get(key) for key in keys], [])
        answer = await self._calls.read(lambda channel: KVStub(channel).Txn, request)
        return {item.key: item for found in txn_result(answer).reads for item in found}

    async def newest(self, start: str, end: str, limit: int) -> Read:
        """Read the last `limit` keys of [start, end), in descending order."""
        request = RangeRequest(
            key=to_bytes(start),
            range_end=to_bytes(end),
            limit=limit,
            sort_order=RangeRequest.DESCEND,
            sort_target=RangeRequest.KEY,
        )
        return read(await self._range(request))

    async def status(self) -> EtcdStatus:
        """Ask for size, version and alarms of the member in use."""
        answer = await self._calls.read(
            lambda channel: MaintenanceStub(channel).Status, StatusRequest()
        )
        alarms = {AlarmType.Name(alarm.alarm) for alarm in await self._alarms()}
        return EtcdStatus(
            version=answer.version,
            size=answer.dbSize,
            size_in_use=answer.dbSizeInUse,
            quota=answer.dbSizeQuota or self.options.quota,
            revision=answer.header.revision,
            cluster_id=answer.header.cluster_id,
            member_id=answer.header.member_id,
            leader=answer.leader,
            alarms=tuple(sorted(alarms)),
            term=answer.raftTerm,
            is_learner=answer.isLearner,
        )

    async def members(self) -> tuple[EtcdMember, ...]:
        """List the members that this etcd has, running or not."""
        answer = await self._calls.read(
            lambda channel: ClusterStub(channel).MemberList, MemberListRequest()
        )
        return tuple(
            EtcdMember(each.ID, each.name, tuple(each.clientURLs), each.isLearner)
            for each in answer.members
        )

    async def hash(self, revision: int) -> EtcdHash:
        """Hash the data of the member in use, up to a revision; raises Compacted too."""
        answer = await self._calls.read(
            lambda channel: MaintenanceStub(channel).HashKV,
            HashKVRequest(revision=revision),
            timeout=30.0,
        )
        return EtcdHash(answer.hash, answer.compact_revision, revision)

    async def txn(
        self,
        compares: Sequence[Unchanged],
        then: Sequence[Operation],
        otherwise: Sequence[Operation] = (),
    ) -> TxnResult:
        """Execute one transaction, at most once.

        Raises EtcdUnavailable (certainly not executed), EtcdAnswerLost (not known), EtcdRefused.
        """
        if not all(isinstance(each, Get) for each in (*then, *otherwise)):
            self.writes.note()
        answer = await self._calls.transaction(transaction(compares, then, otherwise))
        return txn_result(answer)

    async def grant(self, seconds: int) -> int:
        """Make a lease that ends `seconds` after it was last kept alive; returns its id.

        A full store grants none (EtcdRefused, NO_SPACE).
        """
        self.writes.note()
        request = LeaseGrantRequest(TTL=seconds)
        answer = await self._calls.read(lambda channel: LeaseStub(channel).LeaseGrant, request)
        return answer.ID

    async def keep_alive(self, lease: int, *, timeout: float) -> bool:
        """Let a lease begin again; False if it is over. This writes nothing."""
        request = LeaseKeepAliveRequest(ID=lease)
        answer = await self._calls.read(
            lambda channel: one_answer(LeaseStub(channel).LeaseKeepAlive), request, timeout=timeout
        )
        return answer.TTL > 0

    async def revoke(self, lease: int) -> None:
        """End a lease, and every key that was put with it."""
        self.writes.note()
        request = LeaseRevokeRequest(ID=lease)
        await self._calls.read(lambda channel: LeaseStub(channel).LeaseRevoke, request)

    async def compact(self, revision: int, *, wait: bool = False) -> None:
        """Forget etcd's history before `revision`; if that was done before, it is no error.

        With `wait`, until the space is free inside the database.
        """
        request = CompactionRequest(revision=revision, physical=wait)
        timeout = 60.0 if wait else None
        with contextlib.suppress(Compacted):
            await self._calls.read(
                lambda channel: KVStub(channel).Compact, request, timeout=timeout
            )

    async def defragment(self, *, timeout: float = 60.0) -> None:
        """Give freed space back to the file system; the member answers nothing meanwhile."""
        await self._calls.read(
            lambda channel: MaintenanceStub(channel).Defragment,
            DefragmentRequest(),
            timeout=timeout,
        )

    async def disarm(self) -> None:
        """Clear the members' NOSPACE alarms, after their cause is gone."""
        for alarm in await self._alarms():
            if alarm.alarm == NOSPACE:
                await self._alarm(
                    AlarmRequest(
                        action=AlarmRequest.DEACTIVATE, memberID=alarm.memberID, alarm=NOSPACE
                    )
                )

    async def watch(
        self, prefix: str, start_revision: int, *, deadline: float
    ) -> AsyncGenerator[WatchMessage, None]:
        """Yield the messages of one watch stream, each within `deadline` seconds of the last.

        Asks etcd for a sign of life three times a deadline. Ends when the server ends the stream
        cleanly; raises EtcdSilent, EtcdUnavailable, EtcdRefused or Compacted otherwise. Never
        reconnects: only a caller who reads again knows that nothing was missed.
        """
        requests = _watch_requests(prefix, start_revision, deadline / 3)
        async with contextlib.aclosing(self._calls.watch(requests, deadline)) as answers:
            async for answer in answers:
                yield watch_message(answer, self.options.prefix)

    async def _range(self, request: RangeRequest) -> RangeResponse:
        return await self._calls.read(lambda channel: KVStub(channel).Range, request)

    async def _alarms(self) -> Iterable[AlarmMember]:
        return await self._alarm(AlarmRequest(action=AlarmRequest.GET))

    async def _alarm(self, request: AlarmRequest) -> Iterable[AlarmMember]:
        answer = await self._calls.read(lambda channel: MaintenanceStub(channel).Alarm, request)
        return answer.alarms


async def _watch_requests(
    prefix: str, start_revision: int, every: float
) -> AsyncGenerator[WatchRequest, None]:
    """Create the watch, then ask for progress again and again; gRPC's call owns this iterator."""
    yield WatchRequest(
        create_request=WatchCreateRequest(
            key=to_bytes(prefix),
            range_end=to_bytes(prefix_end(prefix)),
            start_revision=start_revision,
            progress_notify=True,
            fragment=True,
        )
    )
    while True:
        await asyncio.sleep(every)
        yield WatchRequest(progress_request=WatchProgressRequest())
