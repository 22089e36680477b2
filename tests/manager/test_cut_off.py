"""A manager that is cut off from etcd, and serves on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from tdc.manager.levels.changes import TopologyChange
from tdc.manager.levels.unheard import unheard_removal
from tdc.manager.peers.cut_off import ASK_EVERY
from tdc.manager.view.etcd_link import SURELY_CUT, EtcdLink, others_are_better
from tdc.manager.view.seen import Moment
from tdc.shared.settings.values import Level
from tdc.v1 import operators_pb2

from tests.stage.manager import put, remove_machine
from tests.stage.managers import Several, holds, joined, several
from tests.stage.settings_stream import Proxy


@pytest.fixture
async def managers(tmp_path: Path) -> AsyncIterator[tuple[Several, Proxy]]:
    """Managers one and two, of which two reaches etcd by a link that can be cut."""
    async with several(tmp_path, "one") as made:
        (endpoint,) = made.etcd.options.endpoints
        async with Proxy(int(endpoint.rpartition(":")[2])) as link:
            await joined(made["one"].folder, tmp_path / "two")
            await made.run("two", etcd=f"http://127.0.0.1:{link.port}")
            await made.fleet("mx1", "mx2")
            yield made, link


async def test_one_that_is_cut_off_is_named_and_its_machines_wait_for_nothing(
    managers: tuple[Several, Proxy],
) -> None:
    """The others say so; so does one that is started then, to which it tells itself."""
    made, link = managers
    await made.machine("mx1", "two", learns=False)
    await holds(partial(_state, made, "one", "in sync"))
    link.cut()
    await holds(partial(_warns, made, "one", "two", "has had no etcd for"), timeout=20)
    await made["one"].api.commit(put("machine", "mx1", retry__initial=7))
    since = set[int]()
    for _ in range(2):
        (row,) = (await made["one"].status("mx1")).machines
        assert row.state == "out of sync"
        assert "manager two" in row.reason
        assert "hears of no commit" in row.reason
        assert "in progress" not in row.reason
        since.add(row.since.ToNanoseconds())
        await asyncio.sleep(1.5)
    assert len(since) == 1, "it does not begin again each time that the other is asked"
    listed = (await made["one"].listed())["two"]
    assert listed.answers
    assert "it has had no etcd for" in listed.problem
    assert listed.machines == 1
    assert "it has had no etcd for" in (await made["two"].listed())["two"].problem
    request = operators_pb2.WithdrawCertificateRequest(machine="mx2")
    (unheard,) = (await made["one"].api.fleet.WithdrawCertificate(request)).unheard
    assert "manager two" in unheard
    assert "hears of no commit" in unheard
    removal = remove_machine("mx1")
    plan = await made["one"].api.plan(removal)
    assert any("manager two" in each.reason for each in plan.warnings), plan.warnings
    await asyncio.sleep(8)  # its lease ends
    await made["one"].program.kill()
    await made.again("one")
    await holds(partial(_state, made, "one", "out of sync"), timeout=10)
    assert set(await made["one"].listed()) == {"one", "two"}
    link.join()
    await holds(partial(_state, made, "one", "in sync"), timeout=20)
    await holds(partial(_warns, made, "one", "", ""), timeout=20)


@pytest.mark.slow
async def test_its_agents_go_to_another_that_has_etcd(managers: tuple[Several, Proxy]) -> None:
    """And get there what was committed meanwhile; one that knows no other stays."""
    made, link = managers
    await made.machine("mx1", "two")  # it learns of the other there
    await made.machine("mx2", "two", learns=False)
    await holds(partial(_at, made, {"mx1": "two", "mx2": "two"}))
    link.cut()
    await holds(partial(_warns, made, "one", "two", "has had no etcd for"), timeout=20)
    await made["one"].api.commit(put("machine", "mx1", retry__initial=7))
    await holds(partial(_at, made, {"mx1": "one"}), timeout=60)
    await holds(partial(_state, made, "one", "in sync"))
    await holds(partial(_at, made, {"mx1": "one", "mx2": "two"}), timeout=20)
    await asyncio.sleep(3 * ASK_EVERY)
    assert (made.folder / "two.log").read_text().count("sent to other managers") == 1


@pytest.mark.slow
async def test_while_no_manager_has_etcd_no_agent_moves(managers: tuple[Several, Proxy]) -> None:
    made, _ = managers
    await made.machine("mx1", "two")
    await made.machine("mx2", "one")
    await holds(partial(_at, made, {"mx1": "two", "mx2": "one"}))
    made.etcd.pause()
    try:
        await asyncio.sleep(SURELY_CUT + 10)
    finally:
        made.etcd.resume()
    for name in ("one", "two"):
        await holds(partial(_warns, made, name, "", ""), timeout=20)
    await asyncio.sleep(5)
    assert await _at(made, {"mx1": "two", "mx2": "one"})
    for name in ("one", "two"):
        assert "were sent to other managers" not in (made.folder / f"{name}.log").read_text()


def test_nobody_is_sent_away_for_an_etcd_that_another_manager_saw_come_back_first() -> None:
    now = 1_000.0

    def link(seconds: float, problem: str = "") -> EtcdLink:
        return EtcdLink(Moment(now - seconds, 0.0), problem)

    away = link(SURELY_CUT, "no answer")
    assert others_are_better(away, [link(5), link(SURELY_CUT)], now)
    assert not others_are_better(away, [link(SURELY_CUT - 1), link(500, "no answer")], now)
    assert not others_are_better(link(SURELY_CUT - 1, "no answer"), [link(500)], now)
    assert not others_are_better(link(500), [link(500)], now)


def test_only_a_removal_warns_of_managers_that_may_not_hear_of_it() -> None:
    removed = TopologyChange(Level.MACHINE, "mx1", "g1", removed=True)
    created = TopologyChange(Level.MACHINE, "mx2", "g1")
    assert unheard_removal([created], ["manager two is away"]) == ()
    assert unheard_removal([created, removed], []) == ()
    (warning,) = unheard_removal([created, removed], ["manager two is away"])
    assert warning.reason.startswith("manager two is away. A machine that is removed")


async def _state(managers: Several, asked: str, state: str) -> bool:
    (row,) = (await managers[asked].status("mx1")).machines
    return row.state == state


async def _warns(managers: Several, asked: str, name: str, words: str) -> bool:
    """Whether it says this of another manager; without a name, that it says nothing."""
    warnings = (await managers[asked].status()).warnings
    if not name:
        return not warnings
    return any(each.startswith(f"manager {name} ") and words in each for each in warnings)


async def _at(managers: Several, expected: dict[str, str]) -> bool:
    """Whether these machines are connected to these managers."""
    rows = (await managers["one"].status()).machines
    return expected.items() <= {each.name: each.manager for each in rows}.items()
