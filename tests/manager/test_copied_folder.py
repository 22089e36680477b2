"""Two managers with one id: a folder was copied, or a machine was cloned with it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.values import Put
from tdc.manager.membership import ID_FILE
from tdc.manager.store.announced import pack_announced, read_announced
from tdc.manager.store.keys import MANAGERS, manager_key

from tests.stage.managers import Several, holds, several


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Several]:
    async with several(tmp_path, "one", "two") as managers:
        yield managers


async def test_a_copy_of_a_manager_that_runs_gets_an_id_of_its_own(two: Several) -> None:
    """Each is listed by all, machines there are shown as they are, and etcd is left alone."""
    ran = _id_in(two, "two")
    _copy(two, "two", "three")
    await two.run("three")
    names = {"one", "two", "three"}
    for name in names:
        await holds(partial(_all_answer, two, name, names), timeout=20)
    assert _id_in(two, "two") == ran
    assert _id_in(two, "three") != ran
    await two.fleet("mx1")
    await two.machine("mx1", "three", learns=False)
    for name in names:
        await holds(partial(_in_sync_at, two, name, "three"))
    await _at_rest(two)


@pytest.mark.slow
async def test_of_two_copies_that_start_together_one_keeps_the_id(two: Several) -> None:
    ran = _id_in(two, "two")
    await two["two"].program.stop()
    _copy(two, "two", "three")
    await asyncio.gather(two.again("two"), two.run("three"))
    names = {"one", "two", "three"}
    for name in names:
        await holds(partial(_all_answer, two, name, names), timeout=30)
    assert [_id_in(two, name) for name in ("two", "three")].count(ran) == 1
    await _at_rest(two)


async def test_a_manager_that_finds_its_id_taken_writes_over_nothing_and_takes_another(
    two: Several,
) -> None:
    """It was cut off from etcd, say, while a copy of its folder was started."""
    ran = _id_in(two, "two")
    await holds(partial(_answers, two, "two"))
    async with EtcdClient(two.etcd.options) as etcd:
        item = await etcd.get(manager_key(ran))
        assert item is not None
        own = read_announced(ran, item.value)
        other = replace(own, name="copy", address="127.0.0.1:9", instance="another")
        lease = await etcd.grant(60)
        await etcd.txn([], [Put(manager_key(ran), pack_announced(other), lease)])
        written = await etcd.get(manager_key(ran))
        await etcd.revoke(item.lease)  # as after a cut: it announces itself by a new lease
        await holds(partial(_answers, two, "two"), timeout=30)
        assert await etcd.get(manager_key(ran)) == written
    assert _id_in(two, "two") != ran


def _copy(managers: Several, name: str, copy: str) -> None:
    """Copy the folder of a manager, but for where it served."""
    folder = managers.folder / copy
    shutil.copytree(managers[name].folder, folder)
    for each in ("ports.json", "last-ports.json"):
        (folder / each).unlink(missing_ok=True)


async def _at_rest(managers: Several) -> None:
    """Nothing is written below managers/ while nothing happens."""
    async with EtcdClient(managers.etcd.options) as etcd:
        before = await etcd.range(MANAGERS)
        await asyncio.sleep(5)
        assert (await etcd.range(MANAGERS)).items == before.items


def _id_in(managers: Several, name: str) -> str:
    return (managers[name].folder / ID_FILE).read_text().strip()


async def _all_answer(managers: Several, asked: str, names: set[str]) -> bool:
    rows = await managers[asked].listed()
    return set(rows) == names and all(row.answers for row in rows.values())


async def _answers(managers: Several, name: str) -> bool:
    rows = await managers["one"].listed()
    return name in rows and rows[name].answers and rows[name].id == _id_in(managers, name)


async def _in_sync_at(managers: Several, asked: str, manager: str) -> bool:
    (row,) = (await managers[asked].status()).machines
    return (row.state, row.manager) == ("in sync", manager)
