"""Join tokens: one machine, once, however often it is asked for."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.values import Put
from tdc.manager.store.errors import TokenExpired, TokenUnknown, TokenUsed
from tdc.manager.store.joins import JoinStore, JoinToken, ValidEnrolment, read_enrolment
from tdc.manager.store.keys import enrolment_key, join_token_key

from tests.fakes.etcd_proxy import EtcdProxy
from tests.stage.etcds import shared_by_module

pytestmark = shared_by_module

NOW = 1_795_000_000.0
TOKEN = JoinToken("west", "Main_Group", "mx1", NOW + 600)


async def _enrolment(etcd: EtcdClient) -> ValidEnrolment | None:
    """What the view will read as the valid enrolment of TOKEN's machine."""
    stored = await etcd.get(enrolment_key(TOKEN.cluster, TOKEN.machine))
    return read_enrolment(stored.key, stored.value) if stored else None


async def test_a_token_enrols_its_machine(etcd: EtcdClient) -> None:
    joins = JoinStore(etcd)
    assert await _enrolment(etcd) is None
    await joins.add("hash", TOKEN)
    assert await joins.redeem("hash", NOW, "id-1") == TOKEN
    enrolment = await _enrolment(etcd)
    assert enrolment is not None
    assert (enrolment.id, enrolment.at) == ("id-1", NOW)


@pytest.mark.proves("P18", "S5")
async def test_a_token_is_used_once(etcd: EtcdClient) -> None:
    joins = JoinStore(etcd)
    await joins.add("hash", TOKEN)
    await joins.redeem("hash", NOW, "id-1")
    with pytest.raises(TokenUsed, match="'mx1' has been used already"):
        await joins.redeem("hash", NOW, "id-2")
    await joins.add("hash", TOKEN)  # does not make it new again
    with pytest.raises(TokenUsed):
        await joins.redeem("hash", NOW, "id-2")
    enrolment = await _enrolment(etcd)
    assert enrolment is not None
    assert enrolment.id == "id-1"


async def test_a_token_of_a_removed_machine_ends_no_enrolment_of_another(etcd: EtcdClient) -> None:
    """They have one slot where the removed one was forgotten before the other was created."""
    joins = JoinStore(etcd)
    await joins.add("old", replace(TOKEN, born=3))
    await joins.add("new", replace(TOKEN, born=5))
    await joins.redeem("new", NOW, "id-2")
    with pytest.raises(TokenUnknown, match="was removed since the join token was made"):
        await joins.redeem("old", NOW, "id-1")
    enrolment = await _enrolment(etcd)
    assert enrolment is not None
    assert enrolment.id == "id-2"


@pytest.mark.proves("P18", "S5")
async def test_of_racing_calls_exactly_one_wins(etcd: EtcdClient) -> None:
    joins = JoinStore(etcd)
    await joins.add("hash", TOKEN)
    results = await asyncio.gather(
        *(joins.redeem("hash", NOW, f"id-{number}") for number in range(6)),
        return_exceptions=True,
    )
    winners = [number for number, result in enumerate(results) if result == TOKEN]
    assert len(winners) == 1
    assert [type(each) for each in results if each != TOKEN] == [TokenUsed] * 5
    enrolment = await _enrolment(etcd)
    assert enrolment is not None
    assert enrolment.id == f"id-{winners[0]}"


async def test_an_unknown_an_expired_and_an_unreadable_token_are_refused(
    small_etcd: EtcdClient,
) -> None:
    joins = JoinStore(small_etcd)
    with pytest.raises(TokenUnknown):
        await joins.redeem("never", NOW, "id")
    await joins.add("hash", TOKEN)
    with pytest.raises(TokenExpired):
        await joins.redeem("hash", TOKEN.expires, "id")
    await small_etcd.txn([], [Put(join_token_key("bad"), b"garbage")])
    with pytest.raises(TokenUnknown, match="can't be read"):
        await joins.redeem("bad", NOW, "id")
    assert await _enrolment(small_etcd) is None


@pytest.mark.parametrize("lost", ["lose_answers", "lose_requests"])
async def test_a_lost_answer_does_not_use_up_the_token(
    proxy: EtcdProxy, lossy: EtcdClient, small_etcd: EtcdClient, lost: str
) -> None:
    await JoinStore(small_etcd).add("hash", TOKEN)
    setattr(proxy, lost, 1)
    joins = JoinStore(lossy)
    assert await joins.redeem("hash", NOW, "id-1") == TOKEN
    with pytest.raises(TokenUsed):
        await joins.redeem("hash", NOW, "id-2")


async def test_a_new_token_moves_the_enrolment(small_etcd: EtcdClient) -> None:
    joins = JoinStore(small_etcd)
    for number in (1, 2):
        await joins.add(f"hash-{number}", TOKEN)
        await joins.redeem(f"hash-{number}", NOW, f"id-{number}")
    enrolment = await _enrolment(small_etcd)
    assert enrolment is not None
    assert enrolment.id == "id-2"
