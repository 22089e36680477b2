"""The store's own id: made once, read by every manager, so that a different store is recognised."""

from __future__ import annotations

import uuid

from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.values import Put, Unchanged
from tdc.manager.store.encoding import Damaged, pack, text_of, unpack
from tdc.manager.store.errors import UnreadableStore
from tdc.manager.store.keys import STORE


async def store_id(etcd: EtcdClient) -> str:
    """Read the store's id; the first manager to ask makes it.

    Raises UnreadableStore, or an EtcdError; after EtcdAnswerLost asking again is safe.
    """
    item = await etcd.get(STORE)
    if item is None:
        made = pack({"id": uuid.uuid4().hex})
        await etcd.txn([Unchanged(STORE, 0)], [Put(STORE, made)])
        item = await etcd.get(STORE)  # ours, or that of another manager who came first
    if item is None:
        raise UnreadableStore(f"{STORE} was deleted while this manager started; start it again")
    try:
        return text_of(unpack(item.value), "id")
    except Damaged as error:
        raise UnreadableStore(
            f"{STORE} can't be read: {error}; this manager must not write to such a store"
        ) from None
