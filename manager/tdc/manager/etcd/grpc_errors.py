"""What a failed gRPC call to etcd means: refused, not executed, or not known to be executed.

In: gRPC's error. Out: ours, with what happened and what to do. A status alone is not enough (a
refusal may come as UNKNOWN), so we look at etcd's words too.
"""

from __future__ import annotations

import grpc
from tdc.manager.etcd.errors import (
    Compacted,
    EtcdAnswerLost,
    EtcdError,
    EtcdRefused,
    EtcdUnavailable,
    Reason,
)
from tdc.shared.edge.grpc_words import NO_ANSWER, never_sent, reason


def translated(
    error: grpc.aio.AioRpcError, target: str, *, sent: bool, prefix: str = ""
) -> EtcdError:
    """What we raise instead. `sent`: it is a transaction, whose outcome must not be guessed.

    `prefix` is where the client's keys are: the error of a missing permission names it.
    """
    text = details_of(error)
    executed = not never_sent(text) and not any(words in text for words in _NOT_EXECUTED)
    if "compacted" in text:
        return Compacted(0)
    refused = refusal(error.code(), text, prefix)
    if refused is not None:
        return refused
    text = reason(text)
    late = text == NO_ANSWER
    if sent and executed:
        return EtcdAnswerLost(
            f"etcd at {target} did not answer a transaction{' in time' if late else f' ({text})'}; "
            "it may or may not have been executed"
        )
    return EtcdUnavailable(f"etcd at {target} did not answer{' in time' if late else f': {text}'}")


_NOT_EXECUTED = (
    "no leader",  # a member cut off from the others refuses before it proposes anything
    "too many requests",  # so does one with too much to do
)

_NOT_ANSWERED = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.INTERNAL,
}


def not_answered(error: grpc.aio.AioRpcError) -> bool:
    """Whether the call failed on its way, not by a word of etcd."""
    return error.code() in _NOT_ANSWERED


def details_of(error: grpc.aio.AioRpcError) -> str:
    """etcd's own words, or the name of the status."""
    return error.details() or error.code().name


def token_refused(error: grpc.aio.AioRpcError) -> bool:
    """Whether a new login may help: the token has expired or the member does not know it."""
    return error.code() is grpc.StatusCode.UNAUTHENTICATED or (
        error.code() is grpc.StatusCode.INVALID_ARGUMENT
        and (
            "user name is empty" in details_of(error)
            or "revision of auth store" in details_of(error)
        )
    )


def refusal(code: grpc.StatusCode, text: str, prefix: str = "") -> EtcdRefused | None:
    """The refusal if etcd certainly did not execute the call."""
    if "space exceeded" in text:
        return EtcdRefused(
            Reason.NO_SPACE,
            "etcd's database has reached its quota and accepts no more writes (NOSPACE); reads "
            "still work. Compact and defragment it, then run `etcdctl alarm disarm`; raise "
            "--quota-backend-bytes if the size in use is near the quota",
        )
    if code is grpc.StatusCode.PERMISSION_DENIED or "permission denied" in text:
        keys = f"the prefix {prefix}" if prefix else "its keys"
        return EtcdRefused(
            Reason.PERMISSION,
            "etcd denied permission; grant the user (without a login: the common name of the "
            f"client certificate) readwrite on {keys}",
        )
    if code is grpc.StatusCode.UNAUTHENTICATED or "user name is empty" in text:
        return EtcdRefused(
            Reason.LOGIN, f"etcd requires a login ({text}); configure its user and password"
        )
    # "larger than max" is gRPC's word, where etcd's --max-request-bytes is far below its default.
    if any(word in text for word in ("too large", "larger than max", "too many operations")):
        return EtcdRefused(Reason.TOO_LARGE, f"etcd refused the request as too large: {text}")
    if code in {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNIMPLEMENTED,
    }:
        return EtcdRefused(Reason.INVALID, f"etcd refused the call: {text}")
    return None
