"""PURE. What a look found, before it is judged. Sizes are bytes, times Unix seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tdc.manager.etcd.errors import Reason
from tdc.manager.etcd.values import EtcdHash, EtcdStatus


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why something could not be looked at; `reason` where etcd refused it."""

    text: str
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class MemberLook:
    """What one member says of itself, or why it says nothing.

    `ahead` is by how many seconds its clock is ahead of ours; None where it could not be asked.
    """

    name: str
    endpoint: str
    status: EtcdStatus | None = None
    trouble: Trouble | None = None
    ahead: float | None = None
    hash: EtcdHash | None = None
    started: bool = True


@dataclass(frozen=True, slots=True)
class EtcdLook:
    """An etcd as a whole. `trouble`: no member answers a read of our keys.

    `unseen`: it may not be asked for its members or their state. `cautions` are sentences about how
    it is reached. `embedded`: it is ours. `absent`: it is ours, and there is none in the folder.
    """

    embedded: bool
    members: tuple[MemberLook, ...] = ()
    trouble: Trouble | None = None
    unseen: str = ""
    cautions: tuple[str, ...] = ()
    absent: bool = False


@dataclass(frozen=True, slots=True)
class FileLook:
    """A file or folder of the manager: its mode, owner, and whether it holds a secret."""

    path: str
    mode: int
    ours: bool
    secret: bool
    is_folder: bool


@dataclass(frozen=True, slots=True)
class FolderLook:
    """The data folder. `free` and `whole` are of its file system; None where not known.

    `ran`: a manager has run in it.
    """

    folder: str
    files: tuple[FileLook, ...] = ()
    free: int | None = None
    whole: int | None = None
    trouble: str = ""
    ran: bool = False


@dataclass(frozen=True, slots=True)
class EndLook:
    """A certificate that ends: what it is, when, and what then."""

    what: str
    at: float
    then: str


@dataclass(frozen=True, slots=True)
class ValueLook:
    """A stored value that is not as it should be, what that means, and what to do."""

    what: str
    means: str
    do: str


@dataclass(frozen=True, slots=True)
class StoreLook:
    """What is stored. `newest`: by cluster, the time of its newest commit. `empty`: nothing is."""

    values: tuple[ValueLook, ...] = ()
    newest: Mapping[str, float] = field(default_factory=dict)
    maintained: float | None = None
    trouble: str = ""
    empty: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """All of it, at one moment. `flags` are what the commands that we name need."""

    now: float
    folder_flag: str
    etcd: EtcdLook
    folder: FolderLook
    ends: tuple[EndLook, ...] = ()
    store: StoreLook | None = None
