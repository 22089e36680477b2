"""What a failed gRPC call to etcd means: refused, not executed, or not known to be executed.

In: gRPC's error. Out: ours, with what happened and what to do.
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


def translated(error: grpc.aio.AioRpcError, target: str, *, sent: bool) -> EtcdError:
    """Return our error. `sent`: it is a transaction, of which nothing must be guessed."""
    text = details_of(error)
    if "compacted" in text:
        return Compacted(0)
    refused = refusal(error.code(), text)
    if refused is not None:
        return refused
    if sent:
        return EtcdAnswerLost(
            f"etcd at {target} gave no answer to a transaction ({text}); "
            "it may or may not have been executed"
        )
    return EtcdUnavailable(f"etcd at {target} did not answer: {text}")


_NOT_ANSWERED = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.INTERNAL,
}


def not_answered(error: grpc.aio.AioRpcError) -> bool:
    """Say whether the call failed on the way, not by a word of etcd."""
    return error.code() in _NOT_ANSWERED


def details_of(error: grpc.aio.AioRpcError) -> str:
    """Return etcd's own words, or the name of the status."""
    return error.details() or error.code().name


def token_refused(error: grpc.aio.AioRpcError) -> bool:
    """Say whether a new login may help: the token has expired or the member does not know it."""
    return error.code() is grpc.StatusCode.UNAUTHENTICATED or (
        error.code() is grpc.StatusCode.INVALID_ARGUMENT
        and (
            "user name is empty" in details_of(error)
            or "revision of auth store" in details_of(error)
        )
    )


def refusal(code: grpc.StatusCode, text: str) -> EtcdRefused | None:
    """Return the refusal if etcd certainly did not execute the call."""
    if "space exceeded" in text:
        return EtcdRefused(
            Reason.NO_SPACE,
            "etcd's database has reached its quota and takes no more writes (NOSPACE); reads and "
            "agents go on. To mend it: compact, defragment, then `etcdctl alarm disarm`, and raise "
            "--quota-backend-bytes if the size in use is near the quota",
        )
    if code is grpc.StatusCode.PERMISSION_DENIED or "permission denied" in text:
        return EtcdRefused(
            Reason.PERMISSION,
            "etcd denied permission; grant the manager's user readwrite on the prefix /tdc/",
        )
    if code is grpc.StatusCode.UNAUTHENTICATED or "user name is empty" in text:
        return EtcdRefused(
            Reason.LOGIN,
            f"etcd wants a login ({text}); give the manager's etcd user and password",
        )
    # "larger than max" is gRPC's word, where etcd's --max-request-bytes is far below its default.
    if any(word in text for word in ("too large", "larger than max", "too many operations")):
        return EtcdRefused(Reason.TOO_LARGE, f"etcd refused the request by size: {text}")
    if code in {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNIMPLEMENTED,
    }:
        return EtcdRefused(Reason.INVALID, f"etcd refused the call: {text}")
    return None
