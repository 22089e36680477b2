"""What can go wrong in the store, one class for each thing a caller can do about it.

What can go wrong with etcd itself is in `tdc.manager.etcd.errors`. The texts say what happened,
what it means and what to do.
"""

from __future__ import annotations


class StoreError(Exception):
    """Anything the store refuses or could not do."""


class LostRace(StoreError):
    """Another commit came first; nothing was changed. Make a new plan."""


class ClusterExists(StoreError):
    """A cluster of that name already exists; nothing was changed."""


class UnknownCluster(StoreError):
    """No cluster of that name exists in the store."""


class UnreadableTouched(StoreError):
    """The commit touches a stored value that this version can't read; nothing was changed."""


class CommitTooLarge(StoreError):
    """The commit does not fit into one etcd transaction; nothing was changed."""


class NothingToCommit(StoreError):
    """The plan changes nothing, so there is no revision to make."""


class CommitUnsettled(StoreError):
    """Contact with etcd was lost while committing: the commit may or may not have been made.

    Asking again with the same request id is safe: it is never made twice.
    """


class RequestIdReused(StoreError):
    """The request id has made another commit already; this one was not made."""


class UnreadableStore(StoreError):
    """The store was written by a newer version, or its first key is damaged."""


class DoubtedStore(UnreadableStore):
    """The store's first key was edited or damaged by hand; `adopt` gives the store a new id."""


class TokenUnknown(StoreError):
    """The join token is not known: mistyped, of another store, or long expired."""


class TokenUsed(StoreError):
    """The join token has been used already; make a new one with `tdc machine token`."""


class TokenExpired(StoreError):
    """The join token has expired; make a new one with `tdc machine token`."""
