"""The history of a cluster: commit records, newest first, bounded by count and age.

A record is written in its commit's own transaction. The bounds: MAX_COMMITS a cluster (kept by
each commit) and MAX_AGE (kept by maintenance).

Beside each record is what its request id made, kept as long. A request id belongs to one commit:
sent again with the same plan it is a repeated question, and gets the first answer; with another
plan it is a mistake of the caller, and must not pass for done.
"""

from __future__ import annotations

from dataclasses import dataclass

from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.values import KeyValue, prefix_end
from tdc.manager.store.documents import Document, Head, Unreadable, read_document
from tdc.manager.store.encoding import Damaged, count_of, moment_of, text_of
from tdc.manager.store.errors import RequestIdReused
from tdc.manager.store.judging import Row, judged, revision_of, with_gaps
from tdc.manager.store.keys import (
    commit_key,
    commits_prefix,
    head_key,
    parse_commit_key,
    request_key,
)
from tdc.manager.store.places import AS_NAMED, Places
from tdc.manager.store.seal import pack_sealed, unpack_sealed

MAX_COMMITS = 10_000
"""Commit records kept for each cluster."""
MAX_AGE = 400 * 86_400.0
"""Seconds that a commit record is kept; the newest one is always kept."""
_PAGE = 50


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

    def __init__(self, etcd: EtcdClient, places: Places = AS_NAMED) -> None:
        self._etcd = etcd
        self._places = places

    async def commits(
        self, cluster: str, *, before: int | None = None, limit: int = 50
    ) -> tuple[Row, ...]:
        """Read up to `limit` records, newest first, of revisions below `before` if given."""
        cluster = self._places.place(cluster)
        head = await self._head(cluster)  # first: so no record that it says there is can be missing
        start = commits_prefix(cluster)
        # One more on each side: by them the first and the last are judged.
        end = commit_key(cluster, before + 1) if before is not None else prefix_end(start)
        found: list[KeyValue] = []
        while len(found) <= limit + 1:
            wanted = min(_PAGE, limit + 2 - len(found))
            page = (await self._etcd.newest(start, end, wanted)).items
            found.extend(item for item in page if parse_commit_key(item.key) is not None)
            if len(page) < wanted:
                break
            end = page[-1].key
        newest = head.revision if head is not None and before is None else 0
        rows = with_gaps(cluster, judged(cluster, found, head), newest)
        return tuple(each for each in rows if before is None or revision_of(each) < before)[:limit]

    async def commit_record(self, cluster: str, revision: int) -> Row | None:
        """Read one record; None if it was never made or history no longer has it."""
        cluster = self._places.place(cluster)
        around = [each for each in (revision + 1, revision, revision - 1) if each > 0]
        keys = [commit_key(cluster, each) for each in around]
        found = await self._etcd.get_many([head_key(cluster), *keys])
        head = sealed_head(found.get(head_key(cluster)))
        rows = judged(cluster, [found[key] for key in keys if key in found], head)
        return next((each for each in rows if revision_of(each) == revision), None)

    async def records_between(self, cluster: str, low: int, high: int) -> tuple[Row, ...]:
        """Read the records of revisions above `low` up to `high`, newest first.

        Fewer than high - low means that history no longer has the rest.
        """
        below = await self.commits(cluster, before=high + 1, limit=max(0, high - low))
        cluster = self._places.place(cluster)
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

    async def _head(self, cluster: str) -> Head | None:
        return sealed_head(await self._etcd.get(head_key(cluster)))

    async def find_request(self, cluster: str, request_id: str) -> MadeRequest | None:
        """What a request id made, None if it made nothing within history."""
        item = await self._etcd.get(request_key(self._places.place(cluster), request_id))
        try:
            return read_request(item.key, item.value) if item else None
        except Damaged:
            return None


def sealed_head(item: KeyValue | None) -> Head | None:
    """The stored head, if its seal fits; None if it has none, or can't be read."""
    read = read_document(item.key, item.value) if item is not None else None
    return read.head if isinstance(read, Document) and read.sealed else None


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
