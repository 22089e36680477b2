"""Errors -> HTTP: a status, and RFC 9457 problems for the API.

`intent.failures` says which kind an error is; the sentence of the error is the problem's detail.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

import msgspec
from tdc.manager.intent import errors
from tdc.manager.intent.failures import FailureKind, failure_of
from tdc.shared.wire.errors import BadMessage

_STATUS: Mapping[FailureKind, int] = {
    FailureKind.DENIED: 403,
    FailureKind.WRONG_REQUEST: 422,
    FailureKind.UNKNOWN: 404,
    FailureKind.EXISTS: 409,
    FailureKind.FORBIDDEN: 409,
    FailureKind.CONFLICT: 409,
    FailureKind.FULL: 507,
    FailureKind.UNAVAILABLE: 503,
    FailureKind.NOBODY: 401,
    FailureKind.TOO_OFTEN: 429,
}
_OWN: Mapping[type[Exception], tuple[int, str]] = {
    errors.StalePlan: (412, "plan-changed"),
    errors.InvalidPlan: (422, "invalid-result"),
}
"""Errors whose status and type say more than their kind does."""

PROBLEM = "urn:tdc:problem:"
"""Before the word of a problem's type."""


class Refused(Exception):
    """A request that is refused before an operation is asked; `status` is that of HTTP."""

    def __init__(self, status: int, what: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.what = what


class ErrorDocument(msgspec.Struct, frozen=True):
    """One fault: where it is, and why."""

    reason: str
    machine: str = ""
    setting: str = ""
    pointer: str = ""


class Refusal(msgspec.Struct, frozen=True):
    """Why a request was refused (RFC 9457). `errors` names every fault that is known.

    `unchanged`: it is certain that nothing was changed.
    """

    type: str
    title: str
    status: int
    detail: str
    instance: str = ""
    errors: tuple[ErrorDocument, ...] = ()
    unchanged: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """How a request ends; `what` is the last word of its problem's type."""

    status: int
    what: str
    sentence: str
    unchanged: bool = False

    def document(self, instance: str, faults: tuple[ErrorDocument, ...] = ()) -> Refusal:
        """The problem as the API answers it."""
        title = HTTPStatus(self.status).phrase
        return Refusal(
            PROBLEM + self.what, title, self.status, self.sentence, instance, faults, self.unchanged
        )


OURS = Failed(500, "failed", "The manager failed at this request. Its log says why.")


def failed(error: Exception) -> Failed | None:
    """How an error is answered; None for a fault of the manager."""
    if isinstance(error, Refused):
        return Failed(error.status, error.what, str(error), unchanged=True)
    if isinstance(error, BadMessage):
        return Failed(422, "wrong-request", str(error), unchanged=True)
    failure = failure_of(error)
    if failure is None:
        return None
    word = failure.kind.name.lower().replace("_", "-")
    status, what = _OWN.get(type(error), (_STATUS[failure.kind], word))
    unchanged = failure.unchanged or failure.kind is not FailureKind.UNAVAILABLE
    return Failed(status, what, failure.sentence, unchanged)
