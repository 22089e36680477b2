"""The store's id, edited, damaged or without its seal: the known one is kept, none starts."""

from __future__ import annotations

import pytest
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.values import Put
from tdc.manager.store import identity, keys
from tdc.manager.store.encoding import pack, unpack
from tdc.manager.store.errors import DoubtedStore, UnreadableStore
from tdc.manager.store.repair import repair
from tdc.manager.store.seal import pack_sealed

from tests.fakes.etcd import ExternalEtcd
from tests.stage.house import House, viewed

OTHER = "f" * 32


async def _stored(house: House) -> bytes:
    item = await house.etcd.get(keys.STORE)
    assert item is not None
    return item.value


@pytest.mark.parametrize("how", ["no seal", "flipped bit", "no seal, newer schema", "own id"])
@pytest.mark.proves("F49")
async def test_an_id_that_nobody_sealed_is_not_believed(house: House, how: str) -> None:
    async with viewed(house.etcd) as view:
        known, good = view.store_id, await _stored(house)
        values = {
            "no seal": pack({"id": OTHER}),
            "flipped bit": good.replace(b'"schema":1', b'"schema":9'),
            "no seal, newer schema": b'{"schema":9,"id":"%s"}' % OTHER.encode(),
            "own id": pack({"id": known}),
        }
        await house.etcd.txn([], [Put(keys.STORE, values[how])])
        await house.until(lambda: f"{keys.STORE} was edited by hand" in str(view.problems))
        assert view.store_id == known
        with pytest.raises(DoubtedStore, match="tdc-manager adopt"):
            await identity.store_id(house.etcd)
        (found,) = await repair(house.etcd, write=True)
        assert not found.right
        await house.etcd.txn([], [Put(keys.STORE, good)])
        await house.until(lambda: not view.problems)
        await house.etcd.txn([], [Put(keys.STORE, values[how])])
        made = await identity.adopt(house.etcd)
        await house.until(lambda: view.store_id == made.id and not view.problems)


async def test_a_newer_version_is_left_alone(server: ExternalEtcd) -> None:
    """Without a view: one that follows such a store ends."""
    newer = pack_sealed(keys.STORE, {"id": OTHER, "schema": 9})
    async with EtcdClient(server.options) as etcd:
        await etcd.txn([], [Put(keys.STORE, newer)])
        for act in (identity.store_id, identity.adopt):
            with pytest.raises(UnreadableStore, match="must not write"):
                await act(etcd)
        item = await etcd.get(keys.STORE)
        assert item is not None
        assert item.value == newer


async def test_the_id_of_before_seals_gets_one_at_the_start(house: House) -> None:
    """And from then on it must have it."""
    await house.of_before_seals()
    document = unpack(await _stored(house))
    del document["seal"]
    await house.etcd.txn([], [Put(keys.STORE, pack(document))])
    assert await repair(house.etcd, write=True) == ()
    assert await identity.store_id(house.etcd) == document["id"]
    assert "seal" in unpack(await _stored(house))
