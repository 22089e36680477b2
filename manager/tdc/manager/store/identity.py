"""The store's own id: made once, read by every manager, so that a different store is recognised.

An operator who says that a store is the only one (`adopt`) gives it a new id; the ids that it had
are kept beside it, so that one that is put back by hand is recognised too.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.values import KeyValue, Put, Unchanged
from tdc.manager.store.audit import AuditLog
from tdc.manager.store.documents import Document, read_document
from tdc.manager.store.encoding import (
    Damaged,
    NewerSchema,
    list_of,
    text_of,
    unpack,
    unpack_any,
)
from tdc.manager.store.errors import DoubtedStore, UnreadableStore
from tdc.manager.store.keys import CLUSTERS, STORE
from tdc.manager.store.seal import Edited, is_sealed, pack_sealed, unpack_sealed
from tdc.shared.sync.audit_entry import AuditEvent, AuditRow, By

MOST_FORMER = 64
"""Former ids that are kept."""
_PAGE = 50  # values read at a time
_RESTORING = "restoring"


@dataclass(frozen=True, slots=True)
class StoreIdentity:
    """The id of a store, and those that it had before, oldest first."""

    id: str
    former: tuple[str, ...] = ()


async def store_id(etcd: EtcdClient) -> str:
    """Read the store's id; the first manager to ask makes it, and seals one of before seals.

    Raises UnreadableStore, or an EtcdError; after EtcdAnswerLost asking again is safe.
    """
    return (await first_identity(etcd)).id


async def first_identity(etcd: EtcdClient) -> StoreIdentity:
    """As `store_id`, with the former ids."""
    item = await etcd.get(STORE)
    if item is None:
        if (await etcd.range(CLUSTERS, keys_only=True)).items:
            raise UnreadableStore(
                f"{STORE} was deleted by hand: the store has clusters and no id, so agents could "
                "not tell it from another store. `tdc-manager adopt` gives it a new id"
            )
        await etcd.txn([Unchanged(STORE, 0)], [_put(StoreIdentity(uuid.uuid4().hex))])
    elif (known := await _of_before_seals(etcd, item)) is not None:
        await etcd.txn([Unchanged(STORE, item.mod_revision)], [_put(known)])
    found = await find_identity(etcd)  # ours, or that of another manager who came first
    if found is None:
        raise UnreadableStore(f"{STORE} was deleted while this manager started; start it again")
    return found


async def find_identity(etcd: EtcdClient) -> StoreIdentity | None:
    """Read the identity of a store that a manager has started on, None if it has none.

    Raises UnreadableStore, DoubtedStore where it was edited or damaged, or an EtcdError.
    """
    item = await etcd.get(STORE)
    return _read(item) if item is not None else None


async def check_identity(etcd: EtcdClient) -> None:
    """Raise DoubtedStore if the store has no identity, or one that was edited or damaged.

    Raises UnreadableStore too, or an EtcdError.
    """
    item = await etcd.get(STORE)
    if item is None:
        raise DoubtedStore(f"{STORE} is missing; `tdc-manager adopt` gives the store a new id")
    if await _of_before_seals(etcd, item) is None:
        _read(item)


async def _of_before_seals(etcd: EtcdClient, item: KeyValue) -> StoreIdentity | None:
    """The identity of a store in which nothing has a seal; None of any other.

    The manager that seals the first value of a store seals this one before, when it starts.
    """
    try:
        document = unpack(item.value)
        if is_sealed(document) or await _any_sealed(etcd):
            return None
        return _identity(document)
    except Damaged:
        return None


async def _any_sealed(etcd: EtcdClient) -> bool:
    async with contextlib.aclosing(etcd.pages(CLUSTERS, limit=_PAGE)) as pages:
        async for page in pages:
            read = (read_document(item.key, item.value) for item in page.items)
            if any(isinstance(each, Document) and each.sealed for each in read):
                return True
    return False


ADOPT = By("tdc-manager adopt", kind="manager")


async def adopt(etcd: EtcdClient) -> StoreIdentity:
    """Give the store a new id, so that machines take it for the one that is meant.

    Raises UnreadableStore, or an EtcdError; after EtcdAnswerLost it may have been done, and doing
    it again does no harm.
    """
    item = await etcd.get(STORE)
    before = _read_anyway(item) if item is not None else None
    after = adopted(before) if before is not None else StoreIdentity(uuid.uuid4().hex)
    expected = item.mod_revision if item is not None else 0
    known = before.id if before is not None else ""
    event = AuditEvent(
        "store.adopt",
        ADOPT,
        "the store got a new id: machines take what it has, whatever they ran",
        rows=(AuditRow("store", "id", known, after.id),),
    )
    if not await AuditLog(etcd).txn([Unchanged(STORE, expected)], [_put(after)], event):
        raise UnreadableStore(f"{STORE} was written by somebody else meanwhile; try again")
    return after


def adopted(before: StoreIdentity) -> StoreIdentity:
    """The identity of a store that is to be taken for the one that is meant, with a new id."""
    return StoreIdentity(uuid.uuid4().hex, (*before.former, before.id)[-MOST_FORMER:])


def packed(identity: StoreIdentity) -> bytes:
    """The bytes of an identity."""
    return pack_sealed(STORE, _plain(identity))


def restoring(identity: StoreIdentity) -> bytes:
    """The bytes of an identity whose store is being restored: no manager starts on it."""
    return pack_sealed(STORE, {**_plain(identity), _RESTORING: True})


def is_restoring(raw: bytes) -> bool:
    """Whether a stored identity is that of a store that a restore has not finished."""
    try:
        return _RESTORING in unpack_any(raw)
    except Damaged:
        return False


def _plain(identity: StoreIdentity) -> dict[str, object]:
    former = {"former": list(identity.former)} if identity.former else {}
    return {"id": identity.id, **former}


def _put(identity: StoreIdentity) -> Put:
    return Put(STORE, packed(identity))


def _read(item: KeyValue) -> StoreIdentity:
    if is_restoring(item.value):
        raise UnreadableStore(
            "a restore of this store was cut off, or is still going on, so only a part of it is "
            "there. Restore the same backup again: `tdc-manager restore FILE`"
        )
    try:
        if not is_sealed(unpack_any(item.value)):  # a newer version seals it as well
            raise Edited("it has lost its seal")
        return _identity(unpack_sealed(STORE, item.value))
    except Edited as error:
        raise DoubtedStore(
            f"{STORE} was edited by hand: {error}, so which store this is, is not certain. "
            "`tdc-manager adopt` gives it a new id"
        ) from None
    except NewerSchema as error:
        raise UnreadableStore(
            f"{STORE} can't be read: {error}; this manager must not write to such a store"
        ) from None
    except Damaged as error:
        raise DoubtedStore(
            f"{STORE} can't be read: {error}. `tdc-manager adopt` gives the store a new id"
        ) from None


def checked_identity(item: KeyValue) -> StoreIdentity | None:
    """The identity, as a manager that starts would believe it; None if it would not."""
    try:
        return _read(item)
    except UnreadableStore:
        return None


def identity_in(raw: bytes) -> StoreIdentity | None:
    """What there is to read of a stored identity; None if there is nothing."""
    try:
        return _identity(unpack_any(raw))
    except Damaged:
        return None


def _read_anyway(item: KeyValue) -> StoreIdentity | None:
    """What there is to read of an id that is to be replaced; None if there is nothing.

    Raises UnreadableStore if the store is of a newer version.
    """
    try:
        return _read(item)
    except DoubtedStore:
        return identity_in(item.value)


def _identity(document: Mapping[str, object]) -> StoreIdentity:
    former = list_of(document, "former") if "former" in document else []
    return StoreIdentity(text_of(document, "id"), tuple(map(str, former)))
