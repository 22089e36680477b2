"""Drafts in etcd: one document for each operator and cluster, changed in whole steps.

A change reads the draft, asks the caller what it is to be, and writes that only if nobody wrote in
between: two terminals of one operator never lose a row of each other.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.values import Delete, KeyValue, Operation, Put, Unchanged
from tdc.manager.levels.draft import Discarded, Draft, Row
from tdc.manager.levels.fleet import LevelKey
from tdc.manager.levels.identities import Identity
from tdc.manager.store.audit import AuditLog
from tdc.manager.store.audit_events import draft_event
from tdc.manager.store.encoding import (
    MAX_TRANSACTION,
    Damaged,
    count_of,
    list_of,
    moment_of,
    object_of,
    text_of,
)
from tdc.manager.store.errors import CommitTooLarge, LostRace, UnreadableTouched
from tdc.manager.store.keys import DRAFTS, draft_key, drafts_prefix, place_of_draft
from tdc.manager.store.places import AS_NAMED, Places
from tdc.manager.store.record import as_object, key_from, value_from
from tdc.manager.store.seal import pack_sealed, unpack_sealed
from tdc.shared.settings.canonical import plain
from tdc.shared.settings.values import Level
from tdc.shared.sync.audit_entry import UNKNOWN, By
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

log = logging.getLogger(__name__)

_ATTEMPTS = 6

Change = Callable[[Draft], Draft]


class DraftStore:
    """The drafts of all operators. Any number of managers may change them at the same time."""

    def __init__(
        self, etcd: EtcdClient, audit: AuditLog | None = None, places: Places = AS_NAMED
    ) -> None:
        self._etcd = etcd
        self._audit = audit or AuditLog(etcd)
        self._places = places

    async def read(self, cluster: str, owner: str) -> Draft:
        """An operator's draft, perhaps empty; raises UnreadableTouched, an EtcdError."""
        item = await self._etcd.get(draft_key(self._places.place(cluster), owner))
        return _read(item, cluster) if item is not None else Draft(cluster, owner)

    async def all(self, cluster: str = "") -> list[Draft]:
        """All drafts that can be read, or those for one cluster, by key; raises an EtcdError."""
        found = await self._etcd.range(
            drafts_prefix(self._places.place(cluster)) if cluster else DRAFTS
        )
        drafts = []
        for item in found.items:
            try:
                drafts.append(_read(item, self._places.called(place_of_draft(item.key))))
            except UnreadableTouched as error:  # its owner hears of it, the others go on
                log.warning("%s", error)
        return drafts

    async def change(self, cluster: str, owner: str, change: Change, by: By = UNKNOWN) -> Draft:
        """Change a draft as `change` says, which may raise; it is called again after a race.

        Raises LostRace, CommitTooLarge, and as `read` does. An etcd answer that is lost is an
        EtcdError: the draft then shows what became of it.
        """
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(LostRace),
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_random_exponential(multiplier=0.02, max=0.5),
            reraise=True,
        ):
            with attempt:
                return await self._change_once(cluster, owner, change, by)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _change_once(self, cluster: str, owner: str, change: Change, by: By) -> Draft:
        key = draft_key(self._places.place(cluster), owner)
        item = await self._etcd.get(key)
        before = _read(item, cluster) if item is not None else Draft(cluster, owner)
        after = change(before)
        write: Operation = Delete(key)
        if not after.is_empty:
            value = pack_draft(key, after)
            if len(value) > MAX_TRANSACTION:
                raise CommitTooLarge(
                    f"the draft takes {len(value)} bytes, more than the limit of "
                    f"{MAX_TRANSACTION}; nothing was changed; commit what it has first"
                )
            write = Put(key, value)
        elif item is None:
            return after
        compare = Unchanged(key, item.mod_revision if item is not None else 0)
        if not await self._audit.txn([compare], [write], draft_event(before, after, by)):
            raise LostRace("the draft keeps changing; nothing was changed; try again")
        return after


def pack_draft(key: str, draft: Draft) -> bytes:
    """The bytes of the draft at `key`."""
    aside = draft.discarded
    return pack_sealed(
        key,
        {
            "cluster": draft.cluster,
            "owner": draft.owner,
            "rows": [_plain_row(row) for row in draft.rows],
            "shared": draft.shared,
            "changed": draft.changed,
            **(
                {"discarded": {"at": aside.at, "rows": [_plain_row(row) for row in aside.rows]}}
                if aside is not None
                else {}
            ),
        },
    )


def read_draft(key: str, raw: bytes) -> Draft:
    """Read the draft at `key`; raises Damaged, Edited if its seal does not fit."""
    document = unpack_sealed(key, raw)
    aside = object_of(document, "discarded") if "discarded" in document else None
    return Draft(
        cluster=text_of(document, "cluster"),
        owner=text_of(document, "owner"),
        rows=tuple(map(_row_from, list_of(document, "rows"))),
        shared=document.get("shared") is True,
        changed=moment_of(document, "changed"),
        discarded=None
        if aside is None
        else Discarded(tuple(map(_row_from, list_of(aside, "rows"))), moment_of(aside, "at")),
    )


def _read(item: KeyValue, cluster: str) -> Draft:
    """A draft for a cluster by its name now."""
    try:
        draft = read_draft(item.key, item.value)
        aside = draft.discarded
        return replace(
            draft,
            cluster=cluster,
            rows=_rows_of(draft.rows, cluster),
            discarded=replace(aside, rows=_rows_of(aside.rows, cluster)) if aside else None,
        )
    except Damaged as error:
        raise UnreadableTouched(
            f"the draft at {item.key} can't be read: {error}. Nothing was changed; delete that key "
            "in etcd, and draft again what it had"
        ) from None


def _rows_of(rows: tuple[Row, ...], cluster: str) -> tuple[Row, ...]:
    own = LevelKey(Level.CLUSTER, cluster)
    return tuple(replace(row, key=own) if row.key.level is Level.CLUSTER else row for row in rows)


def _plain_row(row: Row) -> dict[str, object]:
    which: dict[str, object] = {}
    if row.which is not None:
        which[str(row.key.level)] = dict(zip(("slot", "born"), row.which, strict=True))
    return {
        "level": str(row.key.level),
        "name": row.key.name,
        "setting": row.setting,
        "was": plain(row.was),
        "yours": plain(row.yours),
        "at": row.at,
        **which,
    }


def _row_from(item: object) -> Row:
    fields = as_object(item)
    setting = text_of(fields, "setting")
    return Row(
        key_from(fields),
        setting,
        value_from(setting, fields.get("was")),
        value_from(setting, fields.get("yours")),
        moment_of(fields, "at"),
        _which_in(fields),
    )


def _which_in(fields: Mapping[str, object]) -> Identity | None:
    level = text_of(fields, "level")
    if level not in fields:
        return None
    which = object_of(fields, level)
    return text_of(which, "slot"), count_of(which, "born")
