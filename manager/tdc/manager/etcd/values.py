"""PURE. Small typed values of the etcd API, so that no caller sees a protobuf message.

Keys are text: bytes that are not UTF-8 (written by someone else) survive as surrogate escapes.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeyValue:
    """A stored value. `mod_revision` is etcd's revision of its last write.

    `lease` is not 0 if the key is deleted when its writer stops.
    """

    key: str
    value: bytes
    mod_revision: int
    lease: int = 0


@dataclass(frozen=True, slots=True)
class Read:
    """The answer to a range read. `revision` is etcd's revision at which all of it was true."""

    revision: int
    cluster_id: int
    items: tuple[KeyValue, ...]


@dataclass(frozen=True, slots=True)
class Unchanged:
    """Compare: the key was last written at `mod_revision`; 0 means that it is absent."""

    key: str
    mod_revision: int


@dataclass(frozen=True, slots=True)
class Get:
    """Operation: read one key, or with `end` the keys from `key` up to and without `end`."""

    key: str
    end: str | None = None


@dataclass(frozen=True, slots=True)
class Put:
    """Operation: write one key; it ends with the lease, if there is one."""

    key: str
    value: bytes
    lease: int = 0


@dataclass(frozen=True, slots=True)
class Delete:
    """Operation: delete one key, or with `end` the keys from `key` up to and without `end`."""

    key: str
    end: str | None = None


Operation = Get | Put | Delete


@dataclass(frozen=True, slots=True)
class TxnResult:
    """The answer to a transaction: `reads` has one tuple for each Get, in their order."""

    succeeded: bool
    revision: int
    reads: tuple[tuple[KeyValue, ...], ...]


@dataclass(frozen=True, slots=True)
class KeyEvent:
    """One change of one key, seen by a watch; `value` is None for a deletion."""

    key: str
    value: bytes | None
    mod_revision: int


@dataclass(frozen=True, slots=True)
class WatchMessage:
    """One message of a watch stream. A message without events is a sign of life only.

    `more` says that the rest of this message's last revision follows (etcd's fragments).
    """

    revision: int
    cluster_id: int
    events: tuple[KeyEvent, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class EtcdStatus:
    """State of one member. Sizes are bytes; `quota` is None where it is not known.

    `leader` is 0 while it knows of none. `term` grows with each election.
    """

    version: str
    size: int
    size_in_use: int
    quota: int | None
    revision: int
    cluster_id: int
    member_id: int
    leader: int
    alarms: tuple[str, ...]
    term: int = 0
    is_learner: bool = False


@dataclass(frozen=True, slots=True)
class EtcdMember:
    """A member of an etcd, as etcd lists it. `name` is empty if it has never been started."""

    id: int
    name: str
    endpoints: tuple[str, ...]
    is_learner: bool


@dataclass(frozen=True, slots=True)
class EtcdHash:
    """A member's hash over its data up to a revision; comparable where `compacted` is equal."""

    hash: int
    compacted: int
    revision: int


def prefix_end(prefix: str) -> str:
    """The first key after all keys that start with `prefix` (ASCII, not empty)."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
