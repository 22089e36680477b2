"""Reads the audit log: pages of it for people, all of it to check it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import dataclass

from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.values import KeyValue, prefix_end
from tdc.manager.levels.fleet import Cluster
from tdc.manager.store.audit_check import AuditCheck, AuditVerdict, Word
from tdc.manager.store.audit_entry import read_entry
from tdc.manager.store.encoding import Damaged
from tdc.manager.store.keys import (
    AUDIT,
    AUDIT_ANCHOR,
    AUDIT_HEAD,
    ROOT,
    audit_key,
    commits_prefix,
    parse_audit_key,
    parse_commit_key,
)
from tdc.manager.store.record import read_record
from tdc.shared.sync.audit_entry import AuditEntry, UnreadableEntry

_PAGE = 200
LOOKED_THROUGH = 5_000
"""Entries that one answer looks through, at most."""
RECORDS = 50
"""Newest commits of each cluster whose word of the log is compared with it."""

_WHOLE = f"{ROOT}audit"
"""Begins the keys of anchor, head and entries, which sort in that order."""


Row = AuditEntry | UnreadableEntry
Wanted = Callable[[Row], bool]


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Some rows; `next` is the cursor of the page after, 0 at the end."""

    rows: tuple[Row, ...]
    next: int


class AuditReader:
    """Reads the log in etcd."""

    def __init__(self, etcd: EtcdClient) -> None:
        self._etcd = etcd

    async def entry(self, number: int) -> Row | None:
        """One entry; None if the log does not have it. Raises an EtcdError."""
        item = await self._etcd.get(audit_key(number))
        return _row(item) if item is not None else None

    async def page(
        self, wanted: Wanted, *, limit: int, cursor: int, oldest_first: bool
    ) -> AuditPage:
        """Up to `limit` wanted rows from `cursor` on (0: from the end that is first).

        Raises an EtcdError.
        """
        rows: list[Row] = []
        looked = at = 0
        items = self._up(cursor) if oldest_first else self._down(cursor)
        async with contextlib.aclosing(items):
            async for item in items:
                number = parse_audit_key(item.key)
                if number is None:
                    continue
                if len(rows) >= limit or looked >= LOOKED_THROUGH:
                    return AuditPage(tuple(rows), at)
                looked, at = looked + 1, number + 1 if oldest_first else number
                row = _row(item)
                if wanted(row):
                    rows.append(row)
        return AuditPage(tuple(rows), 0)

    async def check(self, words: Iterable[Word]) -> AuditVerdict:
        """Go through the whole log, as it is at one moment; raises an EtcdError.

        The verdict has the chain values at the numbers that `words` are of.
        """
        check = AuditCheck(frozenset(word.head.number for word in words))
        async with contextlib.aclosing(self._etcd.pages(_WHOLE, limit=_PAGE)) as pages:
            async for page in pages:
                for item in page.items:
                    if item.key.startswith((AUDIT, AUDIT_HEAD, AUDIT_ANCHOR)):
                        check.take(item.key, item.value)
        return check.verdict()

    async def commits_words(self, clusters: Iterable[Cluster]) -> list[Word]:
        """What the newest commit records of these clusters say of the log; raises an EtcdError."""
        words = []
        for cluster in clusters:
            prefix = commits_prefix(cluster.home)
            found = await self._etcd.newest(prefix, prefix_end(prefix), RECORDS)
            for item in found.items:
                with contextlib.suppress(Damaged):
                    record = read_record(item.key, item.value)
                    if parse_commit_key(item.key) == record.revision and record.audit:
                        who = f"revision {record.revision} of cluster {cluster.name} came after"
                        words.append(Word(who, record.audit, "commits"))
        return words

    async def _down(self, cursor: int) -> AsyncGenerator[KeyValue]:
        end = audit_key(cursor) if cursor else prefix_end(AUDIT)
        while True:
            page: Sequence[KeyValue] = (await self._etcd.newest(AUDIT, end, _PAGE)).items
            for item in page:
                yield item
            if len(page) < _PAGE:
                return
            end = page[-1].key

    async def _up(self, cursor: int) -> AsyncGenerator[KeyValue]:
        start = max(cursor, await self._oldest())
        while True:
            keys = [audit_key(start + each) for each in range(100)]
            found = await self._etcd.get_many(keys)
            for key in sorted(found):
                yield found[key]
            if not found and start > await self._newest():
                return
            start += len(keys)

    async def _oldest(self) -> int:
        async with contextlib.aclosing(self._etcd.pages(AUDIT, keys_only=True, limit=1)) as pages:
            async for page in pages:
                return _number(page.items)
        return 0

    async def _newest(self) -> int:
        return _number((await self._etcd.newest(AUDIT, prefix_end(AUDIT), 1)).items)


def _number(items: Sequence[KeyValue]) -> int:
    return next((parse_audit_key(item.key) or 0 for item in items), 0)


def _row(item: KeyValue) -> Row:
    try:
        return read_entry(item.key, item.value)
    except Damaged as error:
        return UnreadableEntry(parse_audit_key(item.key) or 0, str(error))
