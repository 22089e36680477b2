"""The store's own id: made once, read by every manager, so that a different store is recognised.

An operator who says that a store is the only one (`adopt`) gives it a new id; the ids that it had
are kept beside it, so that one that is put back by hand is recognised too.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.values import KeyValue, Put, Unchanged
from tdc.manager.store.encoding import Damaged, NewerSchema, list_of, text_of, unpack
from tdc.manager.store.errors import DoubtedStore, UnreadableStore
from tdc.manager.store.keys import CLUSTERS, STORE
from tdc.manager.store.seal import Edited, pack_sealed, unpack_sealed

MOST_FORMER = 64
"""Former ids that are kept."""


@dataclass(frozen=True, slots=True)
class StoreIdentity:
    """The id of a store, and those that it had before, oldest first."""

    id: str
    former: tuple[str, ...] = ()


async def store_id(etcd: EtcdClient) -> str:
    """Read the store's id; the first manager to ask makes it.

    Raises UnreadableStore, or an EtcdError; after EtcdAnswerLost asking again is safe.
    """
    found = await find_identity(etcd)
    if found is None:
        if (await etcd.range(CLUSTERS, keys_only=True)).items:
            raise UnreadableStore(
                f"{STORE} was deleted by hand: the store has clusters and no id, so agents could "
                "not tell it from another store. `tdc-manager adopt` gives it a new id"
            )
        await etcd.txn([Unchanged(STORE, 0)], [_put(StoreIdentity(uuid.uuid4().hex))])
        found = await find_identity(etcd)  # ours, or that of another manager who came first
    if found is None:
        raise UnreadableStore(f"{STORE} was deleted while this manager started; start it again")
    return found.id


async def find_identity(etcd: EtcdClient) -> StoreIdentity | None:
    """Read the store's identity, None if it has none.

    Raises UnreadableStore, DoubtedStore where it was edited or damaged, or an EtcdError.
    """
    item = await etcd.get(STORE)
    return _read(item) if item is not None else None


async def adopt(etcd: EtcdClient) -> StoreIdentity:
    """Give the store a new id, so that machines take it for the one that is meant.

    Raises UnreadableStore, or an EtcdError; after EtcdAnswerLost it may have been done, and doing
    it again does no harm.
    """
    item = await etcd.get(STORE)
    before = _read_anyway(item) if item is not None else None
    former = (*before.former, before.id)[-MOST_FORMER:] if before is not None else ()
    after = StoreIdentity(uuid.uuid4().hex, former)
    expected = item.mod_revision if item is not None else 0
    result = await etcd.txn([Unchanged(STORE, expected)], [_put(after)])
    if not result.succeeded:
        raise UnreadableStore(f"{STORE} was written by somebody else meanwhile; try again")
    return after


def _put(identity: StoreIdentity) -> Put:
    former = {"former": list(identity.former)} if identity.former else {}
    return Put(STORE, pack_sealed(STORE, {"id": identity.id, **former}))


def _read(item: KeyValue) -> StoreIdentity:
    try:
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


def _read_anyway(item: KeyValue) -> StoreIdentity | None:
    """What there is to read of an id that is to be replaced; None if there is nothing.

    Raises UnreadableStore if the store is of a newer version.
    """
    try:
        return _identity(unpack(item.value))
    except NewerSchema:
        return _read(item)
    except Damaged:
        return None


def _identity(document: Mapping[str, object]) -> StoreIdentity:
    former = list_of(document, "former") if "former" in document else []
    return StoreIdentity(text_of(document, "id"), tuple(map(str, former)))
