"""PURE. What can go wrong with etcd, one class for each thing a caller can do about it.

Foreign exceptions (grpc, OSError) end in this folder and become these.
"""

from __future__ import annotations

from enum import StrEnum


class EtcdError(Exception):
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
    """The wanted revision is older than etcd's last compaction; read everything again."""

    def __init__(self, revision: int) -> None:
        super().__init__(f"etcd has compacted its history up to revision {revision}")
        self.revision = revision


class EtcdSetupError(Exception):
    """etcd can't be used as it is set up. Not an EtcdError: asking again would not help."""


class EtcdOptionsError(EtcdSetupError):
    """The options of the etcd client can't be used as given."""


class EmbeddedError(EtcdSetupError):
    """The embedded etcd can't be started or has failed for good."""
