"""Our values as etcd's protobuf messages, and back. No I/O.

The client's requests and answers pass here, so that field names and oneofs are in one place.
"""

from __future__ import annotations

from collections.abc import Sequence

import grpc
from tdc.manager.etcd.errors import Compacted, EtcdUnavailable
from tdc.manager.etcd.grpc_errors import refusal
from tdc.manager.etcd.stubs import kv_pb2, rpc_pb2
from tdc.manager.etcd.values import (
    Delete,
    Get,
    KeyEvent,
    KeyValue,
    Operation,
    Put,
    Read,
    TxnResult,
    Unchanged,
    WatchMessage,
)


def to_bytes(key: str) -> bytes:
    """A key as etcd has it; see `values` for what is not UTF-8."""
    return key.encode("utf-8", "surrogateescape")


def _text(key: bytes) -> str:
    return key.decode("utf-8", "surrogateescape")


def read(answer: rpc_pb2.RangeResponse, revision: int = 0) -> Read:
    """A range read's answer; `revision` is the one asked for, 0 for the newest."""
    items = tuple(map(_key_value, answer.kvs))
    return Read(revision or answer.header.revision, answer.header.cluster_id, items)


def _key_value(pair: kv_pb2.KeyValue) -> KeyValue:
    return KeyValue(_text(pair.key), pair.value, pair.mod_revision, pair.lease)


def transaction(
    compares: Sequence[Unchanged], then: Sequence[Operation], otherwise: Sequence[Operation]
) -> rpc_pb2.TxnRequest:
    """The request: if all compares hold `then`, else `otherwise`."""
    return rpc_pb2.TxnRequest(
        compare=[_compare(each) for each in compares],
        success=[_operation(each) for each in then],
        failure=[_operation(each) for each in otherwise],
    )


def _compare(each: Unchanged) -> rpc_pb2.Compare:
    return rpc_pb2.Compare(
        target=rpc_pb2.Compare.MOD, key=to_bytes(each.key), mod_revision=each.mod_revision
    )


def _operation(operation: Operation) -> rpc_pb2.RequestOp:
    key = to_bytes(operation.key)
    match operation:
        case Put(value=value, lease=lease):
            put = rpc_pb2.PutRequest(key=key, value=value, lease=lease)
            return rpc_pb2.RequestOp(request_put=put)
        case Delete(end=end):
            deleted = rpc_pb2.DeleteRangeRequest(key=key, range_end=to_bytes(end or ""))
            return rpc_pb2.RequestOp(request_delete_range=deleted)
        case Get(end=end):
            wanted = rpc_pb2.RangeRequest(key=key, range_end=to_bytes(end or ""))
            return rpc_pb2.RequestOp(request_range=wanted)


def txn_result(answer: rpc_pb2.TxnResponse) -> TxnResult:
    """A transaction's answer."""
    return TxnResult(
        succeeded=answer.succeeded,
        revision=answer.header.revision,
        reads=tuple(
            tuple(map(_key_value, part.response_range.kvs))
            for part in answer.responses
            if part.HasField("response_range")
        ),
    )


def watch_message(answer: rpc_pb2.WatchResponse, prefix: str) -> WatchMessage:
    """A watch's message; raises Compacted, EtcdRefused or EtcdUnavailable if it ended it.

    etcd ends a watch by a message, with its reason as text, not by a status of the call.
    """
    if answer.compact_revision:
        raise Compacted(answer.compact_revision)
    if answer.canceled:
        reason = answer.cancel_reason or "no reason given"
        raise refusal(grpc.StatusCode.UNKNOWN, reason, prefix) or EtcdUnavailable(
            f"etcd cancelled the watch: {reason}"
        )
    return WatchMessage(
        revision=answer.header.revision,
        cluster_id=answer.header.cluster_id,
        events=tuple(_key_event(event) for event in answer.events),
        more=answer.fragment,
    )


def _key_event(event: kv_pb2.Event) -> KeyEvent:
    deleted = event.type == kv_pb2.Event.DELETE
    return KeyEvent(_text(event.kv.key), None if deleted else event.kv.value, event.kv.mod_revision)
