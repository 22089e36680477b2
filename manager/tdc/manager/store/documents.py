"""PURE. The stored documents of a cluster, and back; what can't be read is named.

A head (revision), a cluster level, shards of groups and shards of machines. Reading is tolerant
down to one entry of a shard: an unreadable one becomes an `Unreadable` beside the rest, so that
one damaged machine never hides the others, and never looks as if it had been deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TypeVar
from weakref import WeakValueDictionary

from tdc.manager.levels.fleet import (
    NOTHING_STORED,
    FleetError,
    Group,
    Machine,
    RemovedMachine,
    StoredSettings,
    check_name,
)
from tdc.manager.levels.identities import is_place
from tdc.manager.store.encoding import Damaged, count_of, list_of, object_of, pack, text_of
from tdc.manager.store.keys import (
    CLUSTERS,
    GROUP_SHARDS,
    MACHINE_SHARDS,
    DocumentKey,
    Part,
    cluster_prefix,
    head_key,
    parse_document_key,
    shard_of,
)
from tdc.manager.store.known_by import (
    born_in,
    plain_born,
    plain_removed,
    plain_slot,
    removed_in,
    slot_in,
)
from tdc.manager.store.seal import Edited, is_sealed, pack_sealed, unpack_sealed
from tdc.shared.settings.canonical import plain_settings
from tdc.shared.settings.check import checked
from tdc.shared.settings.schema import SettingError
from tdc.shared.settings.values import Level

T = TypeVar("T")

MOST_REMOVED = 64
"""Removed machines that a shard remembers, so that their agents can be told."""

REPAIR = "`tdc-manager repair` puts it right from history"
_EDITED = "was edited by hand"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A stored value that this version can't read. `entry` is None for the whole document."""

    key: str
    entry: str | None
    reason: str
    what: str = "can't be read"

    @property
    def edited(self) -> bool:
        """Whether somebody changed it by hand."""
        return self.what == _EDITED

    def __str__(self) -> str:
        where = f"entry {self.entry!r} of {self.key}" if self.entry is not None else self.key
        # A foreign key or entry may hold bytes that are not text; this sentence must be text.
        words = f"{where} {self.what}: {self.reason}"
        return words.encode("utf-8", "backslashreplace").decode()


@dataclass(frozen=True, slots=True)
class Head:
    """The revision of a cluster and the request id that made it.

    `chain` is the history's chain value at the revision; empty if its commits have none.
    `written` says which revision wrote each document last, by its key; a document that is older was
    set back, one that is missing was deleted, and neither by a commit. Documents that were written
    before this was kept are not in it. `sealed` is the revision from which on every commit sealed
    what it wrote; 0 if the commit that made this head did not. `deleted`: that commit removed the
    cluster. `called` is the cluster's name where it is another than in its keys, `former` are the
    names that it had. `born` is the revision that created the cluster; 0 if that was not kept.
    """

    revision: int
    request_id: str
    chain: str = ""
    written: Mapping[str, int] = field(default_factory=dict)
    sealed: int = 0
    deleted: bool = False
    called: str = ""
    former: tuple[str, ...] = ()
    born: int = 0


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Document:
    """One stored document, read. Only the field of its part is filled.

    `kept` holds unreadable entries as they are stored, so that a commit beside them keeps them.
    `whole` is False if nothing of the document could be read. `revision` is the commit that wrote
    it; 0 if it does not say. `sealed`: it carries a seal, and the seal fits.
    """

    key: DocumentKey
    revision: int = 0
    head: Head | None = None
    stored: StoredSettings | None = None
    groups: Mapping[str, Group] = field(default_factory=dict)
    machines: Mapping[str, Machine] = field(default_factory=dict)
    kept: Mapping[str, object] = field(default_factory=dict)
    unreadable: tuple[Unreadable, ...] = ()
    whole: bool = True
    sealed: bool = False
    removed: Mapping[str, RemovedMachine] = field(default_factory=dict)

    @property
    def nothing_read(self) -> bool:
        """Whether nothing was ever read of it."""
        read = (self.head, self.stored) != (None, None) or self.groups or self.machines
        return not self.whole and not read


# -- reading -----------------------------------------------------------------------------------


def read_document(key: str, raw: bytes) -> Document | Unreadable:
    """Read one value under `keys.CLUSTERS`; an Unreadable alone for a key of no known form.

    The same bytes are the same document while anybody holds it: a commit reads again what the view
    has read.
    """
    known = _held.get((key, raw))
    if known is not None:
        return known
    read = _read(key, raw)
    if isinstance(read, Document):
        _held[key, raw] = read
    return read


_held: WeakValueDictionary[tuple[str, bytes], Document] = WeakValueDictionary()


def _read(key: str, raw: bytes) -> Document | Unreadable:
    document_key = parse_document_key(key)
    if document_key is None or not is_place(document_key.cluster):
        return Unreadable(key, None, "this layout has no such key")
    try:
        document = unpack_sealed(key, raw)
        return replace(_READ[document_key.part](document_key, document), sealed=is_sealed(document))
    except Edited as error:
        trouble = edited(key, str(error), REPAIR)
    except Damaged as error:
        trouble = Unreadable(key, None, str(error))
    return Document(document_key, unreadable=(trouble,), whole=False)


def edited(key: str, why: str, then: str) -> Unreadable:
    """A value that somebody changed by hand: by what that is known, and what follows."""
    return Unreadable(key, None, f"{why}; {then}", _EDITED)


def _read_head(key: DocumentKey, document: Mapping[str, object]) -> Document:
    revision, written = count_of(document, "revision"), document.get("written", {})
    if not isinstance(written, dict):
        raise Damaged("written is not an object")
    sealed = count_of(document, "sealed") if "sealed" in document else 0
    if sealed and not is_sealed(document):
        raise Edited("it has lost its seal")
    head = Head(
        revision,
        text_of(document, "request_id"),
        chain_of(document),
        {f"{cluster_prefix(key.cluster)}{name}": count_of(written, name) for name in written},
        sealed,
        document.get("deleted") is True,
        _checked_name(document["called"]) if "called" in document else "",
        tuple(map(_checked_name, list_of(document, "former") if "former" in document else ())),
        born_in(document),
    )
    return Document(key, revision, head=head)


def _checked_name(name: object) -> str:
    if not isinstance(name, str) or not _may_be_called(Level.CLUSTER, name):
        raise Damaged("that is not a valid name of a cluster")
    return name


def chain_of(document: Mapping[str, object]) -> str:
    """A chain value; empty where there is none. Raises Damaged."""
    return text_of(document, "chain") if "chain" in document else ""


def _written_by(document: Mapping[str, object]) -> int:
    return count_of(document, "revision") if "revision" in document else 0


def _read_cluster(key: DocumentKey, document: Mapping[str, object]) -> Document:
    return Document(key, _written_by(document), stored=stored_from(document))


def _read_groups(key: DocumentKey, document: Mapping[str, object]) -> Document:
    groups, kept, unreadable = _entries(
        key, Level.GROUP, object_of(document, "groups"), GROUP_SHARDS, _group_from
    )
    revision = _written_by(document)
    return Document(key, revision, groups=groups, kept=kept, unreadable=unreadable)


def _read_machines(key: DocumentKey, document: Mapping[str, object]) -> Document:
    machines, kept, unreadable = _entries(
        key, Level.MACHINE, object_of(document, "machines"), MACHINE_SHARDS, _machine_from
    )
    return Document(
        key,
        _written_by(document),
        machines=machines,
        kept=kept,
        unreadable=unreadable,
        removed=removed_in(document),
    )


_READ: Mapping[Part, Callable[[DocumentKey, Mapping[str, object]], Document]] = {
    Part.HEAD: _read_head,
    Part.CLUSTER: _read_cluster,
    Part.GROUPS: _read_groups,
    Part.MACHINES: _read_machines,
}


def _entries(
    key: DocumentKey,
    level: Level,
    entries: Mapping[str, object],
    shards: int,
    read: Callable[[str, Mapping[str, object]], T],
) -> tuple[dict[str, T], dict[str, object], tuple[Unreadable, ...]]:
    good: dict[str, T] = {}
    kept: dict[str, object] = {}
    unreadable: list[Unreadable] = []
    for name, entry in entries.items():
        try:
            if not _may_be_called(level, name):
                raise Damaged(f"that is not a valid name of a {level}")
            if shard_of(name, shards) != key.shard:
                raise Damaged("it is in the wrong shard")
            if not isinstance(entry, dict):
                raise Damaged("it is not an object")
            good[name] = read(name, entry)
        except Damaged as error:
            kept[name] = entry
            unreadable.append(Unreadable(str(key), name, str(error)))
    return good, kept, tuple(unreadable)


def _may_be_called(level: Level, name: str) -> bool:
    try:
        check_name(level, name)
    except FleetError:
        return False
    return True


def _group_from(name: str, entry: Mapping[str, object]) -> Group:
    return Group(name, stored_from(entry), slot_in(entry), born_in(entry))


def _machine_from(name: str, entry: Mapping[str, object]) -> Machine:
    group, born = text_of(entry, "group"), born_in(entry)
    return Machine(name, group, stored_from(entry), born, slot_in(entry))


def stored_from(entry: Mapping[str, object]) -> StoredSettings:
    """Read what one level stores; raises Damaged (a setting of a newer version included)."""
    present, set_by = object_of(entry, "settings"), object_of(entry, "set_by")
    if not present and not set_by:
        return NOTHING_STORED
    try:
        settings = checked(present)
    except SettingError as error:
        raise Damaged(str(error)) from None
    if set_by.keys() != present.keys():
        raise Damaged("set_by does not name the same settings as settings")
    return StoredSettings(settings, {name: count_of(set_by, name) for name in settings})


# -- writing -----------------------------------------------------------------------------------


def pack_head(cluster: str, head: Head) -> bytes:
    """The bytes of a cluster's head."""
    fields: dict[str, object] = {"revision": head.revision, "request_id": head.request_id}
    if head.chain:
        fields["chain"] = head.chain
    if head.written:
        fields["written"] = {_short(key): head.written[key] for key in sorted(head.written)}
    if head.deleted:
        fields["deleted"] = True
    if head.called:
        fields["called"] = head.called
    if head.former:
        fields["former"] = list(head.former)
    fields |= plain_born(head.born)
    if not head.sealed:
        return pack(fields)
    return pack_sealed(head_key(cluster), {**fields, "sealed": head.sealed})


def _short(key: str) -> str:
    """What a document's key has behind the prefix of its cluster."""
    return key.removeprefix(CLUSTERS).partition("/")[2]


def pack_cluster_level(stored: StoredSettings, revision: int = 0, *, seal_for: str = "") -> bytes:
    """The bytes of a cluster level that the commit `revision` writes.

    `seal_for` is the key that it is sealed for; empty for none.
    """
    return _packed(revision, plain_stored(stored), seal_for)


def pack_groups(
    groups: Iterable[Group], kept: Mapping[str, object], revision: int = 0, *, seal_for: str = ""
) -> bytes:
    """The bytes of a shard of groups, with its unreadable entries kept as they were."""
    entries = {
        each.name: plain_born(each.born) | plain_slot(each.slot) | plain_stored(each.stored)
        for each in groups
    }
    return _packed(revision, {"groups": _sorted({**kept, **entries})}, seal_for)


def _packed(revision: int, fields: Mapping[str, object], seal_for: str) -> bytes:
    document = {"revision": revision, **fields} if revision else fields
    return pack_sealed(seal_for, document) if seal_for else pack(document)


def pack_machines(
    machines: Iterable[Machine],
    kept: Mapping[str, object],
    revision: int = 0,
    *,
    removed: Mapping[str, RemovedMachine] = MappingProxyType({}),
    seal_for: str = "",
) -> bytes:
    """The bytes of a shard of machines, with its unreadable entries kept as they were.

    Of those that were `removed` it has the last MOST_REMOVED, or all of the last commit.
    """
    entries: dict[str, object] = {
        machine.name: {
            "group": machine.group,
            **plain_born(machine.born),
            **plain_slot(machine.slot),
            **plain_stored(machine.stored),
        }
        for machine in machines
    }
    fields: dict[str, object] = {"machines": _sorted({**kept, **entries})}
    last = sorted(removed, key=lambda name: (removed[name].revision, name))
    of_one = sum(removed[name].revision == removed[last[-1]].revision for name in last)
    last = last[-max(of_one, MOST_REMOVED) :]
    if last:
        fields["removed"] = {name: plain_removed(removed[name]) for name in sorted(last)}
    return _packed(revision, fields, seal_for)


def plain_stored(stored: StoredSettings) -> dict[str, object]:
    """What one level stores as plain data; `stored_from` reads it back."""
    return {"settings": plain_settings(stored.settings), "set_by": _sorted(stored.set_by)}


def _sorted(entries: Mapping[str, object]) -> dict[str, object]:
    return {name: entries[name] for name in sorted(entries)}
