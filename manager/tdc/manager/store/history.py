"""The history of a cluster: commit records, newest first, bounded by count and age.

A record is written in its commit's own transaction. The bounds: MAX_COMMITS a cluster (kept by
each commit) and MAX_AGE (kept by maintenance).

Beside each record is what its request id made, kept as long. A request id belongs to one commit:
sent again with the same plan it is a repeated question, and gets the first answer; with another
plan it is a mistake of the caller, and must not pass for done.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.values import KeyValue, prefix_end
from tdc.manager.levels.changes import LevelChange, Place, TopologyChange
from tdc.manager.levels.fleet import Cluster, LevelKey
from tdc.manager.store.documents import Unreadable, chain_of, edited
from tdc.manager.store.encoding import (
    Damaged,
    count_of,
    list_of,
    moment_of,
    object_of,
    pack,
    text_of,
)
from tdc.manager.store.errors import RequestIdReused
from tdc.manager.store.keys import commit_key, commits_prefix, parse_commit_key, request_key
from tdc.manager.store.seal import Edited, is_sealed, pack_sealed, unpack_sealed
from tdc.manager.store.work_record import plain_work, work_from
from tdc.shared.settings.canonical import plain
from tdc.shared.settings.check import check_value
from tdc.shared.settings.schema import SettingError
from tdc.shared.settings.values import Level, Value
from tdc.shared.sync.queue_work import OrderedWork

MAX_COMMITS = 10_000
"""Commit records kept for each cluster."""
MAX_AGE = 400 * 86_400.0
"""Seconds that a commit record is kept; the newest one is always kept."""
_PAGE = 50
_GONE = "what this commit changed is known no more; the settings that it left are as they were"
_NOT_CERTAIN = "what this commit changed is not certain; the settings that it left are as they were"


@dataclass(frozen=True, slots=True)
class Signature:
    """Who makes a commit, why, and the request id under which it is made once."""

    author: str
    comment: str
    request_id: str


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
    sealed: int = 0
    """The first of the commits, this one the last, that sealed what they wrote; 0 if it did not."""


@dataclass(frozen=True, slots=True)
class MadeRequest:
    """The revision that a request id made, when (Unix seconds), and its plan's fingerprint.

    The fingerprint is empty for the creation of a cluster, None where it was not kept.
    """

    revision: int
    time: float
    fingerprint: str | None

    def revision_of(self, fingerprint: str) -> int:
        """The revision, if it was made of that plan; raises RequestIdReused."""
        if self.fingerprint is None or self.fingerprint == fingerprint:
            return self.revision
        raise RequestIdReused(
            f"this request id already made revision {self.revision}, with another plan; nothing "
            "was changed now; send each commit with a request id of its own"
        )


class History:
    """Reads commit records, and what request ids made."""

    def __init__(self, etcd: EtcdClient) -> None:
        self._etcd = etcd

    async def commits(
        self, cluster: str, *, before: int | None = None, limit: int = 50
    ) -> tuple[CommitRecord | Unreadable, ...]:
        """Read up to `limit` records, newest first, of revisions below `before` if given."""
        start = commits_prefix(cluster)
        end = commit_key(cluster, before) if before is not None else prefix_end(start)
        found: list[KeyValue] = []
        while len(found) <= limit:  # one more: by it the last one is judged
            wanted = min(_PAGE, limit + 1 - len(found))
            page = (await self._etcd.newest(start, end, wanted)).items
            found.extend(item for item in page if parse_commit_key(item.key) is not None)
            if len(page) < wanted:
                break
            end = page[-1].key
        return _without_gaps(cluster, _judged(cluster, found))[:limit]

    async def commit_record(self, cluster: str, revision: int) -> CommitRecord | Unreadable | None:
        """Read one record; None if it was never made or history no longer has it."""
        keys = [commit_key(cluster, each) for each in (revision, revision - 1) if each > 0]
        found = await self._etcd.get_many(keys)
        if commit_key(cluster, revision) not in found:
            return None
        return _judged(cluster, [found[key] for key in keys if key in found])[0]

    async def records_between(
        self, cluster: str, low: int, high: int
    ) -> tuple[CommitRecord | Unreadable, ...]:
        """Read the records of revisions above `low` up to `high`, newest first.

        Fewer than high - low means that history no longer has the rest.
        """
        below = await self.commits(cluster, before=high + 1, limit=max(0, high - low))
        first = commit_key(cluster, low)
        return tuple(
            record
            for record in below
            if (
                record.key
                if isinstance(record, Unreadable)
                else commit_key(cluster, record.revision)
            )
            > first
        )

    async def find_request(self, cluster: str, request_id: str) -> MadeRequest | None:
        """What a request id made, None if it made nothing within history."""
        item = await self._etcd.get(request_key(cluster, request_id))
        try:
            return read_request(item.key, item.value) if item else None
        except Damaged:
            return None


def _without_gaps(
    cluster: str, records: list[CommitRecord | Unreadable]
) -> tuple[CommitRecord | Unreadable, ...]:
    """The records, newest first, with one that says so for each that was deleted between them."""
    rows: list[CommitRecord | Unreadable] = []
    above: int | None = None
    for record in records:
        revision = _revision_of(record)
        for missing in range((above or revision + 1) - 1, revision, -1):
            rows.append(
                Unreadable(commit_key(cluster, missing), None, _GONE, "was deleted by hand")
            )
        rows.append(record)
        above = revision
    return tuple(rows)


def _revision_of(record: CommitRecord | Unreadable) -> int:
    if isinstance(record, CommitRecord):
        return record.revision
    return parse_commit_key(record.key) or 0


def _judged(cluster: str, items: list[KeyValue]) -> list[CommitRecord | Unreadable]:
    """Read the records, newest first; of one without a seal, the chain says whether it is ours."""
    read = [_read(item) for item in items]
    olders: list[CommitRecord | Unreadable | None] = [*read[1:], None][: len(read)]
    return [_unlike(cluster, *pair) or pair[0] for pair in zip(read, olders, strict=True)]


def _read(item: KeyValue) -> CommitRecord | Unreadable:
    try:
        record = read_record(item.key, item.value)
        if record.revision != parse_commit_key(item.key):
            raise Damaged(f"it is the record of revision {record.revision}")
        return record
    except Edited as error:
        return edited(item.key, str(error), _NOT_CERTAIN)
    except Damaged as error:
        return Unreadable(item.key, None, str(error))


def _unlike(
    cluster: str, record: CommitRecord | Unreadable, older: CommitRecord | Unreadable | None
) -> Unreadable | None:
    """What is wrong with a record of before there were seals, after the one that it follows."""
    if isinstance(record, Unreadable) or isinstance(older, Unreadable) or record.sealed:
        return None
    follows = record.revision == (older.revision if older is not None else 0) + 1
    if not follows or fits_chain(record, older.chain if older is not None else ""):
        return None
    key = commit_key(cluster, record.revision)
    return edited(key, "its chain value does not fit what it holds", _NOT_CERTAIN)


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
        levels=tuple(_change_from(_object(item)) for item in list_of(document, "levels")),
        topology=tuple(_topology_from(_object(item)) for item in list_of(document, "topology")),
        machines_changed=count_of(document, "machines_changed"),
        work=work_from(object_of(document, "work")) if "work" in document else None,
        chain=chain_of(document),
        sealed=sealed,
    )


def pack_request(key: str, made: MadeRequest) -> bytes:
    """The bytes of what the request id at `key` made."""
    fields: dict[str, object] = {"revision": made.revision, "time": made.time}
    if made.fingerprint is not None:
        fields["fingerprint"] = made.fingerprint
    return pack_sealed(key, fields)


def read_request(key: str, raw: bytes) -> MadeRequest:
    """Read what the request id at `key` made; raises Damaged, Edited if its seal does not fit."""
    document = unpack_sealed(key, raw)
    return MadeRequest(
        revision=count_of(document, "revision"),
        time=moment_of(document, "time"),
        fingerprint=text_of(document, "fingerprint") if "fingerprint" in document else None,
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
        key=_key_from(item),
        setting=setting,
        before=_value_from(setting, item.get("before")),
        after=_value_from(setting, item.get("after")),
        by_disable_rule=item.get("by_disable_rule") is True,
    )


def _value_from(setting: str, value: object) -> Value | None:
    try:
        return None if value is None else check_value(setting, value)
    except SettingError as error:
        raise Damaged(str(error)) from None


def _key_from(item: Mapping[str, object]) -> LevelKey:
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
    return fields


def _topology_from(item: Mapping[str, object]) -> TopologyChange:
    key = _key_from(item)
    before = object_of(item, "before") if "before" in item else None
    return TopologyChange(
        key.level,
        key.name,
        text_of(item, "group"),
        None if before is None else Place(text_of(before, "name"), text_of(before, "group")),
        item.get("removed") is True,
        item.get("stops_copying") is True,
    )


def topology_of(cluster: Cluster) -> tuple[TopologyChange, ...]:
    """What the creation of a cluster creates: itself, its groups, its machines."""
    return (
        TopologyChange(Level.CLUSTER, cluster.name),
        *(TopologyChange(Level.GROUP, name) for name in cluster.groups),
        *(
            TopologyChange(Level.MACHINE, name, machine.group)
            for name, machine in cluster.machines.items()
        ),
    )


def _object(item: object) -> Mapping[str, object]:
    if not isinstance(item, dict):
        raise Damaged("a change in it is not an object")
    return cast("Mapping[str, object]", item)
