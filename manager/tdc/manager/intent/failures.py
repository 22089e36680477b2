"""What kind of failure an error is, whichever room raised it: one table decides.

Rooms below `intent` have errors of their own, and adapters must not import those rooms. So an
adapter asks here, and maps the few kinds to the codes of its protocol (gRPC status, HTTP status).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from tdc.manager.etcd import errors as etcd
from tdc.manager.identity.passwords import TooManyAtOnce
from tdc.manager.intent import errors as intent
from tdc.manager.levels.changes import EditRefused
from tdc.manager.levels.fleet import FleetError
from tdc.manager.people.administrators import LastAdministrator
from tdc.manager.people.user import PeopleError
from tdc.manager.store import errors as store
from tdc.manager.view.names import AmbiguousName, UnknownName
from tdc.shared.settings.schema import SettingError


class FailureKind(Enum):
    """What a client can do about a failure."""

    DENIED = "ask for the permission"
    WRONG_REQUEST = "send another request"
    UNKNOWN = "name something that exists"
    EXISTS = "choose another name"
    FORBIDDEN = "change what is stored first"
    CONFLICT = "make a new plan"
    FULL = "make room in the store"
    UNAVAILABLE = "try again later"
    NOBODY = "log in"
    TOO_OFTEN = "wait"


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as a client sees it. `unchanged`: it is certain that nothing was changed."""

    kind: FailureKind
    sentence: str
    unchanged: bool


_KINDS: Sequence[tuple[type[Exception], FailureKind]] = (
    (intent.NotPermitted, FailureKind.DENIED),
    (intent.NotKnown, FailureKind.NOBODY),
    (intent.TooManyTries, FailureKind.TOO_OFTEN),
    (intent.TooManyActs, FailureKind.TOO_OFTEN),
    (TooManyAtOnce, FailureKind.TOO_OFTEN),
    (intent.NoProvider, FailureKind.FORBIDDEN),
    (intent.ProviderUnreachable, FailureKind.UNAVAILABLE),
    (intent.UnknownPerson, FailureKind.UNKNOWN),
    (intent.PersonExists, FailureKind.EXISTS),
    (LastAdministrator, FailureKind.FORBIDDEN),
    (PeopleError, FailureKind.WRONG_REQUEST),
    (intent.BadRequest, FailureKind.WRONG_REQUEST),
    (intent.StalePlan, FailureKind.CONFLICT),
    (intent.InvalidPlan, FailureKind.FORBIDDEN),
    (intent.UnknownRevision, FailureKind.UNKNOWN),
    (intent.UnknownEntry, FailureKind.UNKNOWN),
    (intent.UnknownDraft, FailureKind.UNKNOWN),
    (intent.UnreadableFleet, FailureKind.FORBIDDEN),
    (UnknownName, FailureKind.UNKNOWN),
    (AmbiguousName, FailureKind.WRONG_REQUEST),
    (SettingError, FailureKind.WRONG_REQUEST),
    (EditRefused, FailureKind.WRONG_REQUEST),
    (FleetError, FailureKind.WRONG_REQUEST),
    (store.ClusterExists, FailureKind.EXISTS),
    (store.RequestIdReused, FailureKind.WRONG_REQUEST),
    (store.UnknownCluster, FailureKind.UNKNOWN),
    (store.LostRace, FailureKind.CONFLICT),
    (store.UnreadableTouched, FailureKind.FORBIDDEN),
    (store.CommitTooLarge, FailureKind.FORBIDDEN),
    (store.CommitUnsettled, FailureKind.UNAVAILABLE),
    (etcd.EtcdError, FailureKind.UNAVAILABLE),
)

_NOTHING_CHANGED = (etcd.EtcdUnavailable, etcd.EtcdRefused, etcd.Compacted)
"""Errors of which it is certain, though their kind may be that of one of which it is not.

Those of the other kinds are refusals, and say so by their kind.
"""


_ETCD_NEEDED = (
    "Changes, join tokens and the history of commits need it; all else is shown as last known. Try "
    "again when it is back"
)
"""What it means that etcd did not answer, before the manager itself takes it for unreachable."""


def failure_of(error: Exception) -> Failure | None:
    """Classify `error`; None for an error that no room raises on purpose: a fault of ours."""
    kind = next((kind for each, kind in _KINDS if isinstance(error, each)), None)
    if isinstance(error, etcd.EtcdRefused) and error.reason is etcd.Reason.NO_SPACE:
        kind = FailureKind.FULL
    if kind is None:
        return None
    if isinstance(error, etcd.EtcdUnavailable) and not isinstance(error, intent.EtcdAway):
        return Failure(kind, f"{error}. {_ETCD_NEEDED}", unchanged=True)
    return Failure(kind, str(error), isinstance(error, _NOTHING_CHANGED))
