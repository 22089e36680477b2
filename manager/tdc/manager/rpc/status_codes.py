"""Errors of the rooms below -> gRPC status codes: the one place that decides.

The sentence of the error is the status's details; codes are what a client branches on: NOT_FOUND,
ALREADY_EXISTS, INVALID_ARGUMENT for a wrong request, FAILED_PRECONDITION for one that the stored
settings forbid, ABORTED for a lost race or a stale plan (plan again), RESOURCE_EXHAUSTED for a
full store, UNAVAILABLE while etcd is away.
"""

from __future__ import annotations

from collections.abc import Sequence

import grpc
from tdc.manager.etcd import errors as etcd
from tdc.manager.intent import errors as intent
from tdc.manager.levels.changes import EditRefused
from tdc.manager.levels.fleet import FleetError
from tdc.manager.store import errors as store
from tdc.manager.view.names import AmbiguousName, UnknownName
from tdc.shared.settings.schema import SettingError

_CODES: Sequence[tuple[type[Exception], grpc.StatusCode]] = (
    (UnknownName, grpc.StatusCode.NOT_FOUND),
    (AmbiguousName, grpc.StatusCode.INVALID_ARGUMENT),
    (SettingError, grpc.StatusCode.INVALID_ARGUMENT),
    (EditRefused, grpc.StatusCode.INVALID_ARGUMENT),
    (FleetError, grpc.StatusCode.INVALID_ARGUMENT),
    (intent.BadRequest, grpc.StatusCode.INVALID_ARGUMENT),
    (intent.StalePlan, grpc.StatusCode.ABORTED),
    (intent.InvalidPlan, grpc.StatusCode.FAILED_PRECONDITION),
    (intent.UnknownRevision, grpc.StatusCode.NOT_FOUND),
    (intent.UnreadableFleet, grpc.StatusCode.FAILED_PRECONDITION),
    (store.ClusterExists, grpc.StatusCode.ALREADY_EXISTS),
    (store.RequestIdReused, grpc.StatusCode.INVALID_ARGUMENT),
    (store.UnknownCluster, grpc.StatusCode.NOT_FOUND),
    (store.LostRace, grpc.StatusCode.ABORTED),
    (store.UnreadableTouched, grpc.StatusCode.FAILED_PRECONDITION),
    (store.CommitTooLarge, grpc.StatusCode.FAILED_PRECONDITION),
    (store.CommitUnsettled, grpc.StatusCode.UNAVAILABLE),
    (etcd.EtcdError, grpc.StatusCode.UNAVAILABLE),
    # The health library does not serve Health.List; each RPC of ours is served.
    (NotImplementedError, grpc.StatusCode.UNIMPLEMENTED),
)


def status_of(error: Exception) -> tuple[grpc.StatusCode, str] | None:
    """Return the code and the details that tell `error` to a client; None if it is no one's."""
    if isinstance(error, etcd.EtcdRefused) and error.reason is etcd.Reason.NO_SPACE:
        return grpc.StatusCode.RESOURCE_EXHAUSTED, str(error)
    return next(((code, str(error)) for kind, code in _CODES if isinstance(error, kind)), None)
