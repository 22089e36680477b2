"""What can go wrong in the store, one class for each thing a caller can do about it.

What etcd itself can do wrong is in `tdc.manager.etcd.errors`.
The text says what happened, what it means and what to do.
"""

from __future__ import annotations


class StoreError(Exception):
    """Anything the store refuses or could not do."""


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
