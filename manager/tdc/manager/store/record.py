"""PURE. One commit as history keeps it: its bytes, and the chain value that names all before it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import cast

from tdc.manager.levels.changes import LevelChange, Place, TopologyChange
from tdc.manager.levels.fleet import Cluster, LevelKey
from tdc.manager.store.audit_entry import head_of, plain_head
from tdc.manager.store.documents import chain_of
from tdc.manager.store.encoding import (
    Damaged,
    count_of,
    list_of,
    moment_of,
    object_of,
    pack,
    text_of,
)
from tdc.manager.store.keys import commit_key
from tdc.manager.store.seal import Edited, is_sealed, pack_sealed, unpack_sealed
from tdc.manager.store.work_record import plain_work, work_from
from tdc.shared.settings.canonical import plain
from tdc.shared.settings.check import check_value
from tdc.shared.settings.schema import SettingError
from tdc.shared.settings.values import Level, Value
from tdc.shared.sync.audit import NO_ENTRY, AuditHead
from tdc.shared.sync.audit_entry import By
from tdc.shared.sync.queue_work import OrderedWork


@dataclass(frozen=True, slots=True)
class Signature:
    """Who makes a commit, why, and the request id under which it is made once.

    `by` says more of who it is, for the audit log; the record does not keep it.
    """

    author: str
    comment: str
    request_id: str
    by: By | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class CommitRecord:
    """One commit as history keeps it. `time` is Unix seconds by its manager's clock.

    `work` is work on queues that was ordered; such a commit changes no level.
    """

    revision: int
    signature: Signature
    time: float
    levels: tuple[LevelChange, ...]
    topology: tuple[TopologyChange, ...]
    machines_changed: int
    work: OrderedWork | None = None
    chain: str = ""
    """Hash over this commit and all before it; empty for one of before chains were kept."""
    audit: AuditHead = NO_ENTRY
    """The audit log's newest entry before this commit's own; none for one of before there was one.

    The entry of the commit has the commit's chain value, so each vouches for the other's past.
    """
    sealed: int = 0
    """The first of the commits, this one the last, that sealed what they wrote; 0 if it did not."""

    @property
    def deletes_cluster(self) -> bool:
        """Whether it removed its cluster."""
        return any(each.level is Level.CLUSTER and each.removed for each in self.topology)

    @property
    def renames_cluster(self) -> bool:
        """Whether it gave its cluster another name."""
        return any(each.level is Level.CLUSTER and each.before for each in self.topology)

    @property
    def creates_cluster(self) -> bool:
        """Whether it created its cluster: the first commit, and the next after a deletion."""
        return any(each.level is Level.CLUSTER and each.created for each in self.topology)


def fits_chain(record: CommitRecord, before: str) -> bool:
    """Whether a record is what the chain says, after a commit whose chain value is `before`."""
    return not record.chain or record.chain == chained(replace(record, chain=""), before).chain


def chained(record: CommitRecord, before: str) -> CommitRecord:
    """The record with its chain value, after a commit whose value is `before`.

    The request id is part of the hash, so two stores that began as copies differ from the first
    commit on that only one of them has, even if it changes the same.
    """
    content = json.dumps(_plain_record(record), sort_keys=True, separators=(",", ":"))
    value = hashlib.sha256(f"{before}\n{content}".encode("utf-8", "surrogatepass")).hexdigest()
    return replace(record, chain=value)


def pack_record(cluster: str, record: CommitRecord) -> bytes:
    """The bytes of a record."""
    chain: dict[str, object] = {"chain": record.chain} if record.chain else {}
    fields = {**_plain_record(record), **chain}
    if not record.sealed:
        return pack(fields)
    return pack_sealed(commit_key(cluster, record.revision), fields)


def _plain_record(record: CommitRecord) -> dict[str, object]:
    fields: dict[str, object] = {
        "revision": record.revision,
        "author": record.signature.author,
        "time": record.time,
        "comment": record.signature.comment,
        "request_id": record.signature.request_id,
        "levels": [_plain_change(change) for change in record.levels],
        "topology": [_plain_topology(change) for change in record.topology],
        "machines_changed": record.machines_changed,
    }
    if record.work is not None:
        fields["work"] = plain_work(record.work)
    if record.audit:
        fields["audit"] = plain_head(record.audit)
    if record.sealed:
        fields["sealed"] = record.sealed
    return fields


def read_record(key: str, raw: bytes) -> CommitRecord:
    """Read the record at `key`; raises Damaged, Edited if its seal does not fit."""
    document = unpack_sealed(key, raw)
    sealed = count_of(document, "sealed") if "sealed" in document else 0
    if sealed and not is_sealed(document):
        raise Edited("it has lost its seal")
    return CommitRecord(
        revision=count_of(document, "revision"),
        signature=Signature(
            author=text_of(document, "author"),
            comment=text_of(document, "comment"),
            request_id=text_of(document, "request_id"),
        ),
        time=moment_of(document, "time"),
        levels=tuple(_change_from(as_object(item)) for item in list_of(document, "levels")),
        topology=tuple(_topology_from(as_object(item)) for item in list_of(document, "topology")),
        machines_changed=count_of(document, "machines_changed"),
        work=work_from(object_of(document, "work")) if "work" in document else None,
        chain=chain_of(document),
        audit=head_of(document),
        sealed=sealed,
    )


def _plain_change(change: LevelChange) -> dict[str, object]:
    fields: dict[str, object] = {
        "level": str(change.key.level),
        "name": change.key.name,
        "setting": change.setting,
        "before": plain(change.before),
        "after": plain(change.after),
    }
    if change.by_disable_rule:
        fields["by_disable_rule"] = True
    return fields


def _change_from(item: Mapping[str, object]) -> LevelChange:
    setting = text_of(item, "setting")
    return LevelChange(
        key=key_from(item),
        setting=setting,
        before=value_from(setting, item.get("before")),
        after=value_from(setting, item.get("after")),
        by_disable_rule=item.get("by_disable_rule") is True,
    )


def value_from(setting: str, value: object) -> Value | None:
    """A setting's value from its plain form; raises Damaged."""
    try:
        return None if value is None else check_value(setting, value)
    except SettingError as error:
        raise Damaged(str(error)) from None


def key_from(item: Mapping[str, object]) -> LevelKey:
    """The level that an object names; raises Damaged."""
    try:
        return LevelKey(Level(text_of(item, "level")), text_of(item, "name"))
    except ValueError:
        raise Damaged(f"{item.get('level')!r} is not a level") from None


def _plain_topology(change: TopologyChange) -> dict[str, object]:
    fields: dict[str, object] = {
        "level": str(change.level),
        "name": change.name,
        "group": change.group,
    }
    if change.before is not None:
        fields["before"] = {"name": change.before.name, "group": change.before.group}
    if change.removed:
        fields["removed"] = True
    if change.stops_copying:
        fields["stops_copying"] = True
    if change.slot:
        fields["slot"] = change.slot
    if change.born is not None:
        fields["born"] = change.born
    return fields


def _topology_from(item: Mapping[str, object]) -> TopologyChange:
    key = key_from(item)
    before = object_of(item, "before") if "before" in item else None
    return TopologyChange(
        key.level,
        key.name,
        text_of(item, "group"),
        None if before is None else Place(text_of(before, "name"), text_of(before, "group")),
        item.get("removed") is True,
        item.get("stops_copying") is True,
        text_of(item, "slot") if "slot" in item else "",
        count_of(item, "born") if "born" in item else None,
    )


def topology_of(cluster: Cluster) -> tuple[TopologyChange, ...]:
    """What the creation of a cluster creates: itself, its groups, its machines."""
    return (
        TopologyChange(Level.CLUSTER, cluster.name, born=cluster.born),
        *(
            TopologyChange(Level.GROUP, name, slot=group.slot, born=group.born)
            for name, group in cluster.groups.items()
        ),
        *(
            TopologyChange(Level.MACHINE, name, machine.group, slot=machine.slot, born=machine.born)
            for name, machine in cluster.machines.items()
        ),
    )


def as_object(item: object) -> Mapping[str, object]:
    """An item of a list that must be an object; raises Damaged."""
    if not isinstance(item, dict):
        raise Damaged("an item of a list in it is not an object")
    return cast("Mapping[str, object]", item)
