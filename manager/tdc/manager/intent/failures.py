"""What kind of failure an error is, whichever room raised it: the one table that decides.

Rooms below `intent` have errors of their own, and adapters must not import those rooms. So an
adapter asks here, and maps the few kinds to the codes of its protocol (gRPC status, HTTP status).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from tdc.manager.etcd import errors as etcd
from tdc.manager.intent import errors as intent
from tdc.manager.levels.changes import EditRefused
from tdc.manager.levels.fleet import FleetError
from tdc.manager.store import errors as store
from tdc.manager.view.names import AmbiguousName, UnknownName
from tdc.shared.settings.schema import SettingError


class Kind(Enum):
    """What a client can do about a failure."""

    DENIED = "ask for the permission"
    WRONG_REQUEST = "send another request"
    UNKNOWN = "name something that exists"
    EXISTS = "choose another name"
    FORBIDDEN = "change what is stored first"
    CONFLICT = "make a new plan"
    FULL = "make room in the store"
    UNAVAILABLE = "try again later"


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as a client hears of it. `unchanged`: it is certain that nothing was changed."""

    kind: Kind
    sentence: str
    unchanged: bool


_KINDS: Sequence[tuple[type[Exception], Kind]] = (
    (intent.NotPermitted, Kind.DENIED),
    (intent.BadRequest, Kind.WRONG_REQUEST),
    (intent.StalePlan, Kind.CONFLICT),
    (intent.InvalidPlan, Kind.FORBIDDEN),
    (intent.UnknownRevision, Kind.UNKNOWN),
    (intent.UnreadableFleet, Kind.FORBIDDEN),
    (UnknownName, Kind.UNKNOWN),
    (AmbiguousName, Kind.WRONG_REQUEST),
    (SettingError, Kind.WRONG_REQUEST),
    (EditRefused, Kind.WRONG_REQUEST),
    (FleetError, Kind.WRONG_REQUEST),
    (store.ClusterExists, Kind.EXISTS),
    (store.RequestIdReused, Kind.WRONG_REQUEST),
    (store.UnknownCluster, Kind.UNKNOWN),
    (store.LostRace, Kind.CONFLICT),
    (store.UnreadableTouched, Kind.FORBIDDEN),
    (store.CommitTooLarge, Kind.FORBIDDEN),
    (store.CommitUnsettled, Kind.UNAVAILABLE),
    (etcd.EtcdError, Kind.UNAVAILABLE),
)


def failure_of(error: Exception) -> Failure | None:
    """Classify `error`; None for one that no room raises on purpose: a fault of the manager."""
    kind = next((kind for each, kind in _KINDS if isinstance(error, each)), None)
    if isinstance(error, etcd.EtcdRefused) and error.reason is etcd.Reason.NO_SPACE:
        kind = Kind.FULL
    if kind is None:
        return None
    return Failure(kind, str(error), isinstance(error, etcd.EtcdUnavailable))
