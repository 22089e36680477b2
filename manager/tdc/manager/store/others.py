"""What is stored beside clusters and their history, as far as it can't be read or was deleted.

Drafts, suspensions, join tokens, enrolments and request ids are in no history, so nothing can say
what they must be. That suspensions were there, the audit log says for as long as it has the entry.
Each is named with what that means. A draft that can't be read serves nobody, not
even its owner, and is in the way of a new one: `repair` removes it.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.values import Delete, KeyValue, Unchanged
from tdc.manager.store.audit_events import OF_SUSPENSIONS
from tdc.manager.store.audit_reading import AuditReader
from tdc.manager.store.documents import Unreadable
from tdc.manager.store.drafts import read_draft
from tdc.manager.store.encoding import Damaged, NewerSchema
from tdc.manager.store.history import read_request
from tdc.manager.store.joins import read_enrolment, read_token
from tdc.manager.store.keys import (
    DRAFTS,
    ENROLMENTS,
    JOIN_TOKENS,
    REQUESTS,
    SUSPENSIONS,
    parse_enrolment_key,
    parse_suspensions_key,
    suspensions_key,
)
from tdc.manager.store.suspensions import read_suspensions
from tdc.shared.sync.audit_entry import DONE, AuditEntry, UnreadableEntry

_PAGE = 50
_ROWS = 500


@dataclass(frozen=True, slots=True)
class Other:
    """A value that can't be read, what that means, and what to do."""

    item: KeyValue
    fault: Unreadable
    means: str
    do: str
    newer: bool

    @property
    def removable(self) -> bool:
        """Whether nobody loses anything by its removal: a draft of no newer version."""
        return self.item.key.startswith(DRAFTS) and not self.newer


async def others(etcd: EtcdClient, *prefixes: str) -> AsyncIterator[Other]:
    """Yield what can't be read under these prefixes, all by default; raises an EtcdError."""
    for prefix in prefixes or _READ:
        read, means, do = _READ[prefix]
        async with contextlib.aclosing(etcd.pages(prefix, limit=_PAGE)) as pages:
            async for page in pages:
                for item in page.items:
                    error = _error(item, read)
                    if error is not None:
                        fault = Unreadable(item.key, None, str(error))
                        yield Other(item, fault, means, do, isinstance(error, NewerSchema))


async def put_right(etcd: EtcdClient, other: Other, *, write: bool) -> tuple[str, bool]:
    """A sentence about it, and whether it is put right, or would be; raises an EtcdError."""
    if not other.removable:
        return f"{other.fault}. Not put right: {other.means}. What to do: {other.do}", False
    if not write:
        return f"{other.fault}: {other.means}. It would be removed", True
    unchanged = Unchanged(other.item.key, other.item.mod_revision)
    if (await etcd.txn([unchanged], [Delete(other.item.key)])).succeeded:
        return f"{other.fault}. Removed: its owner gathers the changes again", True
    return f"{other.fault}. It changed meanwhile: try again", False


async def lost_suspensions(etcd: EtcdClient) -> tuple[str, ...]:
    """Name suspensions that were deleted by hand, by the audit log; raises an EtcdError.

    Nothing of ours deletes them, so who ever suspended or resumed there wrote what must be there.
    """
    there = {item.key for item in (await etcd.range(SUSPENSIONS, keys_only=True)).items}
    written: set[str] = set()
    cursor, log = 0, AuditReader(etcd)
    while True:
        page = await log.page(_is_of_suspensions, limit=_ROWS, cursor=cursor, oldest_first=False)
        written |= {row.event.cluster for row in page.rows if isinstance(row, AuditEntry)}
        cursor = page.next
        if not cursor:
            break
    _, means, do = _READ[SUSPENSIONS]
    return tuple(
        f"{key} was deleted by hand. Not put right: {means}. What to do: {do}"
        for key in sorted({suspensions_key(each) for each in written} - there)
    )


def _is_of_suspensions(row: AuditEntry | UnreadableEntry) -> bool:
    if not isinstance(row, AuditEntry):
        return False
    event = row.event
    return event.operation in OF_SUSPENSIONS and event.outcome == DONE and bool(event.cluster)


def _error(item: KeyValue, read: Callable[[str, bytes], object]) -> Damaged | None:
    try:
        read(item.key, item.value)
    except Damaged as error:
        return error
    return None


def _read_suspensions(key: str, raw: bytes) -> object:
    if parse_suspensions_key(key) is None:
        raise Damaged("this layout has no such key")
    return read_suspensions(key, raw)


def _read_enrolment(key: str, raw: bytes) -> object:
    return read_enrolment(key, raw) if parse_enrolment_key(key) is not None else None


_READ: Mapping[str, tuple[Callable[[str, bytes], object], str, str]] = {
    SUSPENSIONS: (
        _read_suspensions,
        "managers that run keep what they knew of it; one that starts knows of none there",
        "suspend or resume a machine of the cluster, which writes it again; look at `tdc status`",
    ),
    DRAFTS: (
        read_draft,
        "its owner can neither commit nor discard it",
        "tdc-manager repair removes it; its owner gathers the changes again",
    ),
    ENROLMENTS: (
        _read_enrolment,
        "no certificate of that machine is accepted; it runs on with its last settings",
        "tdc machine token, and enrol the machine again",
    ),
    JOIN_TOKENS: (
        read_token,
        "it enrols nobody",
        "tdc machine token makes a new one",
    ),
    REQUESTS: (
        read_request,
        "the same request, sent again, is refused; nothing else follows from it",
        "nothing: it goes with its commit's record",
    ),
}
