"""Keeps the audit log within its bounds; what is left can still be verified.

Entries go from the oldest on, in one transaction that leaves the number and chain value of the last
of them as the *anchor*, from which the rest follows, and that is written down like any change.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence

from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.values import Delete, KeyValue, Put, Unchanged, prefix_end
from tdc.manager.store.audit import AuditLog
from tdc.manager.store.audit_entry import pack_mark, read_entry
from tdc.manager.store.encoding import Damaged
from tdc.manager.store.history import MAX_AGE
from tdc.manager.store.keys import AUDIT, AUDIT_ANCHOR, audit_key, parse_audit_key
from tdc.shared.sync.audit_entry import AuditEntry, AuditEvent, By

log = logging.getLogger(__name__)

MAX_ENTRIES = 100_000
"""Entries that are kept, whatever their age."""
_PAGE = 200

MAINTENANCE = By("maintenance", kind="manager")


async def trim_audit(
    etcd: EtcdClient,
    audit: AuditLog,
    now: float,
    most: int = MAX_ENTRIES,
    fence: Sequence[Unchanged] = (),
) -> int:
    """Remove entries older than MAX_AGE and those beyond `most`; returns how many went.

    Age counts from the newest entry where that is older than `now`: a clock that is far ahead must
    not make all of the log old. The newest always stays. The write compares `fence`. Raises
    LostRace, an EtcdError.
    """
    newest = await etcd.newest(AUDIT, prefix_end(AUDIT), 1)
    last = next((entry for item in newest.items if (entry := _entry(item))), None)
    if last is None:
        return 0
    before = min(now, last.time) - MAX_AGE
    first, end = 0, None
    async with contextlib.aclosing(etcd.pages(AUDIT, limit=_PAGE)) as pages:
        async for page in pages:
            for item in page.items:
                number, entry = parse_audit_key(item.key) or 0, _entry(item)
                first = first or number
                over = number <= last.number - most
                if number >= last.number or not (over or (entry and entry.time < before)):
                    return await _cut_off(etcd, audit, first, end, fence) if end else 0
                end = entry or end  # one that can't be read is no anchor
    return 0


async def _cut_off(
    etcd: EtcdClient, audit: AuditLog, first: int, end: AuditEntry, fence: Sequence[Unchanged]
) -> int:
    anchor = await etcd.get(AUDIT_ANCHOR)
    count = end.number - first + 1
    what = f"trimmed entries {first} to {end.number} of the audit log"
    trimmed = await audit.txn(
        [*fence, Unchanged(AUDIT_ANCHOR, anchor.mod_revision if anchor is not None else 0)],
        [
            Put(AUDIT_ANCHOR, pack_mark(AUDIT_ANCHOR, end.head)),
            Delete(audit_key(0), audit_key(end.number + 1)),
        ],
        AuditEvent("audit.trim", MAINTENANCE, what),
    )
    if not trimmed:
        return 0  # another manager does it
    log.info("%s", what)
    return count


def _entry(item: KeyValue) -> AuditEntry | None:
    try:
        return read_entry(item.key, item.value)
    except Damaged:
        return None
