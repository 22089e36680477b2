"""Errors -> gRPC status: what a kind of failure is in this protocol.

The sentence of the error is the status's details; codes are what a client branches on.
`intent.failures` says which kind an error is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import grpc
from google.protobuf.message import Message
from tdc.manager.intent.failures import FailureKind, failure_of
from tdc.manager.rpc.requests import NotReceived
from tdc.manager.rpc.sure import NotSure
from tdc.shared.edge.grpc_tls import MAX_ANSWER
from tdc.shared.wire.errors import BadMessage

_CODES: Mapping[FailureKind, grpc.StatusCode] = {
    FailureKind.DENIED: grpc.StatusCode.PERMISSION_DENIED,
    FailureKind.WRONG_REQUEST: grpc.StatusCode.INVALID_ARGUMENT,
    FailureKind.UNKNOWN: grpc.StatusCode.NOT_FOUND,
    FailureKind.EXISTS: grpc.StatusCode.ALREADY_EXISTS,
    FailureKind.FORBIDDEN: grpc.StatusCode.FAILED_PRECONDITION,
    FailureKind.CONFLICT: grpc.StatusCode.ABORTED,
    FailureKind.FULL: grpc.StatusCode.RESOURCE_EXHAUSTED,
    FailureKind.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    FailureKind.NOBODY: grpc.StatusCode.UNAUTHENTICATED,
    FailureKind.TOO_OFTEN: grpc.StatusCode.RESOURCE_EXHAUSTED,
}


class AnswerTooLarge(Exception):
    """An answer that does not fit into a message; the text says what to ask for instead."""


Answer = TypeVar("Answer", bound=Message)


def fitting(answer: Answer, what: str, instead: str) -> Answer:
    """The answer, if one message can hold it; raises AnswerTooLarge, which says what to ask for."""
    size = answer.ByteSize()
    if size > MAX_ANSWER:
        raise AnswerTooLarge(f"{what} takes {size} bytes, an answer holds {MAX_ANSWER}: {instead}")
    return answer


@dataclass(frozen=True, slots=True)
class Status:
    """How a call ends. `unchanged`: it is certain that nothing was changed."""

    code: grpc.StatusCode
    details: str
    unchanged: bool = False


def status_of(error: Exception) -> Status | None:
    """The status that answers `error`; None for a fault of the manager."""
    failure = failure_of(error)
    if failure is not None:
        return Status(_CODES[failure.kind], failure.sentence, failure.unchanged)
    match error:
        case BadMessage():
            return Status(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        case NotReceived():
            return Status(error.code, str(error), unchanged=True)
        case NotSure():
            return Status(grpc.StatusCode.UNAVAILABLE, str(error), unchanged=True)
        case AnswerTooLarge():
            return Status(grpc.StatusCode.FAILED_PRECONDITION, str(error))
    return None
