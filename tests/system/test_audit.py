"""The audit log with whole programs: agents witness it, and kill -9 leaves no half of a change."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.values import Delete, Operation, Put
from tdc.manager.store.audit_entry import pack_mark, read_entry
from tdc.manager.store.keys import AUDIT, AUDIT_HEAD, audit_key, commits_prefix
from tdc.manager.store.record import read_record
from tdc.shared.sync.audit import chained

from tests.fakes.etcd import external_etcd
from tests.stage.fleet import RunningFleet, stage

pytestmark = pytest.mark.system


@pytest.fixture
async def etcd(tmp_path: Path) -> AsyncIterator[EtcdClient]:
    """The store of the fleet, as a hand in it sees it."""
    async with external_etcd(tmp_path / "etcd") as server, EtcdClient(server.options) as client:
        yield client


@pytest.fixture
async def fleet(etcd: EtcdClient) -> AsyncIterator[RunningFleet]:
    """A manager over that etcd, with a cluster."""
    options = ("--etcd-endpoints", ",".join(etcd.options.endpoints))
    with tempfile.TemporaryDirectory(prefix="tdc-audit-", dir="/tmp") as name:
        async with stage(Path(name), manager_options=options) as running:
            await running.tdc("cluster", "create", "demo", "--yes")
            yield running


async def _set(fleet: RunningFleet, size: int) -> None:
    words = ("settings", "set", "cluster", "demo", f"max_message_size={size}B", "--yes")
    await fleet.tdc(*words)


@pytest.mark.proves("S14")
async def test_a_tail_that_was_cut_is_contradicted_by_an_agent(
    fleet: RunningFleet, etcd: EtcdClient
) -> None:
    gateway = await fleet.add_gateway("mx1", group="Main_Group")
    await _set(fleet, 5_000_000)
    await _set(fleet, 6_000_000)
    await fleet.in_sync()
    verdict = await fleet.json("audit", "verify", "--against-agents")
    assert (verdict["intact"], verdict["agreeing"], verdict["uncompared"]) == (True, 1, [])

    rows = await fleet.json("audit", "list", "--what", "changes", "--cluster", "demo")
    assert [each["operation"] for each in rows[:2]] == ["changes.commit"] * 2
    assert "max_message_size" in await fleet.tdc("audit", "show", str(rows[0]["number"]))
    assert "changes.commit" in await fleet.tdc("audit", "list", "--since", "1h", "--who", "admin")
    assert await fleet.json("audit", "list", "--until", "1h") == []
    chain = ""
    for line in (await fleet.tdc("audit", "export")).splitlines():
        entry = json.loads(line)
        kept = entry.pop("chain")
        chain = chained(chain, entry)
        assert chain == kept

    items = (await etcd.range(AUDIT)).items
    newest = len(items)
    first = read_entry(items[0].key, items[0].value)
    # All that speaks of it within the store goes too: history's own words of the log.
    cut: list[Operation] = [
        Delete(audit_key(2), audit_key(newest + 1)),
        Put(AUDIT_HEAD, pack_mark(AUDIT_HEAD, first.head)),
    ]
    await etcd.txn([], cut)
    # Over a restart of the agent: what it saw is on its disk.
    await gateway.agent.kill()
    await gateway.agent.start()
    await fleet.wait_for(lambda rows: rows["mx1"]["state"] == "in sync")
    verify = ("audit", "verify", "--against-agents")
    found = json.loads(await fleet.tdc(*verify, "-o", "json", expect=1))
    of_agents = [each for each in found["faults"] if each["source"] == "agents"]
    assert of_agents
    assert of_agents[0]["what"].startswith("machine mx1 saw at ")
    assert "the log ends at entry 1" in of_agents[0]["what"]
    shown = await fleet.tdc(*verify, expect=1)
    assert "An agent contradicts it: machine mx1 saw" in shown
    assert "What to do:" in shown


@pytest.mark.proves("S14")
async def test_kill_9_amid_commits_leaves_each_with_its_entry_and_no_entry_alone(
    fleet: RunningFleet, etcd: EtcdClient
) -> None:
    over = False

    async def commits(number: int) -> None:
        """One change after the other; the manager is away half of the time."""
        size = 1_000_000 * number
        while not over:
            size += 1
            setting = f"max_message_size={size}B"
            words = ("settings", "set", "cluster", "demo", setting, "--yes", "--timeout", "3")
            await asyncio.to_thread(fleet.run_tdc, *words)

    writers = [asyncio.create_task(commits(number)) for number in (1, 2, 3)]
    for kill in range(4):
        await asyncio.sleep(2.5 + 0.13 * kill)
        await fleet.manager.kill()
        await fleet.manager.start()
    await asyncio.sleep(2)
    over = True
    await asyncio.gather(*writers)
    entries = [read_entry(each.key, each.value) for each in (await etcd.range(AUDIT)).items]
    records = {
        each.key: read_record(each.key, each.value)
        for each in (await etcd.range(commits_prefix("demo"))).items
    }
    named = {each.event.commit: each.event.digest for each in entries if each.event.commit}
    assert len(records) > 2, "something was committed"
    assert named == {key: record.chain for key, record in records.items()}
    assert (await fleet.json("audit", "verify"))["intact"]
