"""What can go wrong in the store, one class for each thing a caller can do about it.

Foreign exceptions (grpc, OSError) end in the files that own their driver and become these.
The text says what happened, what it means and what to do.
"""

from __future__ import annotations

from enum import StrEnum


class StoreError(Exception):
    """Anything the store refuses or could not do."""


class EtcdError(StoreError):
    """etcd did not do what it was asked."""


class EtcdUnavailable(EtcdError):
    """No endpoint answered. Reads may be repeated; a transaction was certainly not executed."""


class EtcdAnswerLost(EtcdError):
    """A transaction was sent and no answer came back: it may or may not have been executed."""


class EtcdSilent(EtcdUnavailable):
    """A watch gave no sign of life within its deadline: the member is frozen or cut off."""


class Reason(StrEnum):
    """Why etcd refused a call."""

    PERMISSION = "permission"
    LOGIN = "login"
    NO_SPACE = "nospace"
    TOO_LARGE = "too-large"
    INVALID = "invalid"


class EtcdRefused(EtcdError):
    """etcd understood the call and refused it; it was certainly not executed."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Compacted(EtcdError):
    """The wanted revision is older than etcd's last compaction; read everything anew."""

    def __init__(self, revision: int) -> None:
        super().__init__(f"etcd has compacted its history up to revision {revision}")
        self.revision = revision


class OptionsError(StoreError):
    """The options of the etcd client can't be used as given."""


class LostRace(StoreError):
    """Another commit came first; nothing was changed. Plan anew on the cluster as it is now."""


class ClusterExists(StoreError):
    """There is a cluster of that name already; nothing was changed."""


class UnknownCluster(StoreError):
    """There is no cluster of that name in the store."""


class UnreadableTouched(StoreError):
    """The commit touches a stored value that this version can't read; nothing was changed."""


class CommitTooLarge(StoreError):
    """The commit does not fit into one etcd transaction; nothing was changed."""


class NothingToCommit(StoreError):
    """The plan changes nothing, so there is no revision to make."""


class CommitUnsettled(StoreError):
    """etcd was lost while committing and it is not known whether the commit was made.

    Asking again with the same request id is safe: it is never made twice.
    """


class RequestIdReused(StoreError):
    """The request id has made another commit already; this one was not made."""


class TokenUnknown(StoreError):
    """The join token is not known: mistyped, made by another manager's store, or long gone."""


class TokenUsed(StoreError):
    """The join token has been used already; make a new one with `tdc machine token`."""


class TokenExpired(StoreError):
    """The join token has expired; make a new one with `tdc machine token`."""


class EmbeddedError(StoreError):
    """The embedded etcd can't be started or has failed for good."""
